package dataset

import (
	"slices"

	"github.com/freshet/freshet/services/towers"
)

// HoldOut is a data set parted the way that training, evaluation and the demo share, so that nobody is asked for what was
// learnt from.
type HoldOut struct {
	// Told is everything but what the cases ask for; Past is the earlier part of it, to learn from, Later the rest.
	Told, Past, Later *Dataset
	// Cases ask for each user's last choice. Their histories hold what came before, Later included.
	Cases []Case
	// Repeats says whether they ask for items that the user had before.
	Repeats Repeats
	// Parts says what became of each event.
	Parts Parts
}

// Parts counts the events of a data set by what becomes of them. All but Read add up to it.
type Parts struct {
	Read int
	// Past may be learnt from.
	Past int
	// Asked are asked for, and Behind are of the same users, after that.
	Asked, Behind int
	// Later are behind the moment up to which events are learnt from, and not asked for.
	Later int
}

// NewHoldOut holds back each user's last new item or, where repeats are asked for, each user's last choice, and parts the rest by
// time; past is the share of events to learn from. AutoRepeats goes by the data.
func NewHoldOut(d *Dataset, past float64, repeats Repeats) HoldOut {
	var h HoldOut
	h.Repeats, _ = repeats.Settle(d)
	h.Told, h.Cases = leaveOut(d, h.Repeats)
	h.Past, h.Later = SplitByTime(h.Told, past)
	h.Parts = Parts{Read: len(d.Events), Past: len(h.Past.Events), Asked: len(h.Cases), Later: len(h.Later.Events)}
	h.Parts.Behind = len(d.Events) - len(h.Told.Events) - h.Parts.Asked
	return h
}

// NewTimeHoldOut parts all events at one moment, as a model meets them that is trained and then serves: what happened before is
// told and learnt from, and each case asks for what a user did after it, known by nothing later than the moment. A case asks for
// the first item that is new to the user or, where repeats are asked for, for the first choice; with all, for every such item. Past
// and Told are the same, Later is what is asked. AutoRepeats goes by the data.
func NewTimeHoldOut(d *Dataset, past float64, all bool, repeats Repeats) HoldOut {
	var h HoldOut
	h.Repeats, _ = repeats.Settle(d)
	h.Past, h.Later = SplitByTime(d, past)
	h.Told = h.Past
	h.Cases = firstLater(h.Past, h.Later, all, h.Repeats)
	h.Parts = Parts{Read: len(d.Events), Past: len(h.Past.Events)}
	for _, c := range h.Cases {
		h.Parts.Asked += len(c.Targets)
	}
	h.Parts.Later = len(h.Later.Events) - h.Parts.Asked
	return h
}

// firstLater asks for what comes after the past, in the order of the users.
func firstLater(past, later *Dataset, all bool, repeats Repeats) []Case {
	histories, timelines, following := past.Histories(), past.Timelines(), later.Timelines()
	var cases []Case
	for u, history := range histories {
		c := Case{User: int32(u), History: history, Timeline: timelines[u]}
		seen := map[int32]bool{}
		switch {
		case repeats == SkipRepeats:
			for _, item := range history {
				seen[item] = true
			}
		case len(history) > 0: // one choice goes on until the user takes another item
			seen[history[len(history)-1]] = true
		}
		for place := range following[u] {
			e := &following[u][place]
			if !towers.CountsForTaste(e.Type) || seen[e.Item] {
				continue
			}
			if len(c.Targets) == 0 {
				c.At, c.Type = e.At, e.Type
				if repeats == AskRepeats && all {
					clear(seen)
				}
			}
			seen[e.Item] = true
			c.Targets = append(c.Targets, e.Item)
			if !all {
				first, end := tied(following[u], place)
				c.Tied = others(following[u][first:end], seen)
				break
			}
		}
		if len(c.Targets) > 0 {
			cases = append(cases, c)
		}
	}
	return slices.Clip(cases)
}
