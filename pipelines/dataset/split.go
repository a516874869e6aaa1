package dataset

import (
	"math"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// Case is a question with its answer: what comes after History?
type Case struct {
	User int32
	// History is what the user did so far, oldest first.
	History []int32
	// Timeline is the same with kinds and times, and with what the user turned down; nil where the protocol knows items alone.
	Timeline []Event
	// Targets are the items that came later, in order, without repeats; none of them is in History, unless the protocol leaves
	// seen items in the lists.
	Targets []int32
	// At is when the first target happened, in ms since 1970, and Type what the user did with it; both 0 where the data has none.
	At   int64
	Type schemas.InteractionType
	// Tied are the other items that the user chose at the moment of the first target, any of which might have been asked for as well.
	Tied []int32
}

// SplitByTime parts the events at the moment by which the fraction of them, from 0 to 1, has happened. Events of one moment stay
// together, in the later part. Both parts share the catalogue and the users.
func SplitByTime(d *Dataset, fraction float64) (past, later *Dataset) {
	cut := int(float64(len(d.Events)) * min(max(fraction, 0), 1))
	for cut > 0 && cut < len(d.Events) && d.Events[cut-1].At == d.Events[cut].At {
		cut--
	}
	return d.part(0, cut), d.part(cut, len(d.Events))
}

// LeaveLastOut holds back, for each user with at least two items, the last item that was new to the user, and everything
// from then on. Where nobody meets an item twice, that is the usual leave-one-out; where a view is followed by a purchase
// of the same item, the question stays one that has not been answered before. rest is what may be trained on.
func LeaveLastOut(d *Dataset) (rest *Dataset, cases []Case) {
	histories, timelines := d.Histories(), d.Timelines()
	keep := make([]int, len(histories)) // how many items of the user stay
	asked := make([]int, len(histories))
	for u, history := range histories {
		keep[u] = math.MaxInt
		if at := lastNew(history); at > 0 {
			keep[u], asked[u] = at, len(cases)
			cases = append(cases, Case{
				User: int32(u), History: history[:at:at], Timeline: through(timelines[u], at), Targets: history[at : at+1 : at+1],
			})
		}
	}
	part := *d
	part.Events = make([]Event, 0, len(d.Events))
	for i := range d.Events {
		e := &d.Events[i]
		tastes := towers.CountsForTaste(d.Kind(e))
		if keep[e.User] == 0 {
			if c := &cases[asked[e.User]]; tastes && c.Type == schemas.UnknownInteraction {
				c.At, c.Type = e.At, e.Type
			}
			continue // at or after what was held back
		}
		if tastes {
			keep[e.User]--
		}
		part.Events = append(part.Events, *e)
	}
	return &part, cases
}

// lastNew is the position of the last item that does not stand earlier in the history, 0 where there is none but the first.
func lastNew(history []int32) int {
	seen := make(map[int32]bool, len(history))
	last := 0
	for i, item := range history {
		if !seen[item] {
			seen[item] = true
			last = i
		}
	}
	return last
}
