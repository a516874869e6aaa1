package dataset

// HoldOut is a data set parted the way that training, evaluation and the demo share, so that nobody is asked for what was
// learnt from.
type HoldOut struct {
	// Told is everything but what the cases ask for; Past is the earlier part of it, to learn from, Later the rest.
	Told, Past, Later *Dataset
	// Cases ask for each user's last new item. Their histories hold what came before, Later included.
	Cases []Case
}

// NewHoldOut holds back each user's last new item and parts the rest by time; past is the share of events to learn from.
func NewHoldOut(d *Dataset, past float64) HoldOut {
	var h HoldOut
	h.Told, h.Cases = LeaveLastOut(d)
	h.Past, h.Later = SplitByTime(h.Told, past)
	return h
}
