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

// NewTimeHoldOut parts all events at one moment, as a model meets them that is trained and then serves: what happened before is
// told and learnt from, and each case asks for what a user did after it, known by nothing later than the moment. A case asks for
// the first item that is new to the user or, with all, for every such item. Past and Told are the same, Later is what is asked.
func NewTimeHoldOut(d *Dataset, past float64, all bool) HoldOut {
	var h HoldOut
	h.Past, h.Later = SplitByTime(d, past)
	h.Told = h.Past
	h.Cases = firstLater(h.Past, h.Later, all)
	return h
}

// firstLater asks for what comes after the past, in the order of the users.
func firstLater(past, later *Dataset, all bool) []Case {
	histories, timelines := past.Histories(), past.Timelines()
	cases := make([]Case, len(histories))
	seen := make([]map[int32]bool, len(histories))
	for i := range later.Events {
		e := &later.Events[i]
		if !towers.CountsForTaste(later.Kind(e)) {
			continue
		}
		c := &cases[e.User]
		if seen[e.User] == nil {
			seen[e.User] = make(map[int32]bool, len(histories[e.User]))
			for _, item := range histories[e.User] {
				seen[e.User][item] = true
			}
		}
		if seen[e.User][e.Item] || !all && len(c.Targets) > 0 {
			continue
		}
		seen[e.User][e.Item] = true
		if len(c.Targets) == 0 {
			*c = Case{User: e.User, History: histories[e.User], Timeline: timelines[e.User], At: e.At, Type: e.Type}
		}
		c.Targets = append(c.Targets, e.Item)
	}
	return slices.DeleteFunc(cases, func(c Case) bool { return len(c.Targets) == 0 })
}
