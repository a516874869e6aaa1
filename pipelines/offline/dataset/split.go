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
	return leaveOut(d, SkipRepeats)
}

// leaveOut holds back each user's last choice: of an item that is new to the user or, where repeats are asked for, of any other
// item than the one before.
func leaveOut(d *Dataset, repeats Repeats) (rest *Dataset, cases []Case) {
	last := lastNew
	if repeats == AskRepeats {
		last = lastChange
	}
	histories, timelines := d.Histories(), d.Timelines()
	keep := make([]int, len(histories)) // how many items of the user stay
	for u, history := range histories {
		keep[u] = math.MaxInt
		at := last(history)
		if at == 0 {
			continue
		}
		keep[u] = at
		place := choice(timelines[u], at)
		asked := &timelines[u][place]
		cases = append(cases, Case{
			User: int32(u), History: history[:at:at], Timeline: through(timelines[u], at), Targets: history[at : at+1 : at+1],
			At: asked.At, Type: asked.Type, Tied: tiedWithLast(timelines[u], place, repeats),
		})
	}
	part := *d
	part.Events = make([]Event, 0, len(d.Events))
	for i := range d.Events {
		e := &d.Events[i]
		if keep[e.User] == 0 {
			continue // at or after what was held back
		}
		if towers.CountsForTaste(d.Kind(e)) {
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

// lastChange is the position of the last item that is not the one before it, 0 where the history has one item.
func lastChange(history []int32) int {
	for last := len(history) - 1; last > 0; last-- {
		if history[last] != history[last-1] {
			return last
		}
	}
	return 0
}

// tiedWithLast lists what else might have been a user's last choice.
func tiedWithLast(timeline []Event, place int, repeats Repeats) []int32 {
	first, end := tied(timeline, place)
	known := map[int32]bool{}
	switch {
	case end-first == 1:
		return nil
	case repeats == SkipRepeats:
		others(timeline[:first], known)
	case len(others(timeline[end:], map[int32]bool{})) > 0:
		return nil // the item was chosen again at a later moment, and so was the last in any order
	}
	known[timeline[place].Item] = true
	return others(timeline[first:end], known)
}

// tied is where the events begin and end that are tied with the one at a place of a timeline, itself included.
func tied(timeline []Event, place int) (first, end int) {
	first, end = place, place+1
	for timeline[first].Tied {
		first--
	}
	for end < len(timeline) && timeline[end].Tied {
		end++
	}
	return first, end
}

// others lists the items that were chosen in a part of a timeline, without those that are known. It adds to those.
func others(part []Event, known map[int32]bool) (items []int32) {
	for i := range part {
		if item := part[i].Item; towers.CountsForTaste(part[i].Type) && !known[item] {
			known[item] = true
			items = append(items, item)
		}
	}
	return items
}
