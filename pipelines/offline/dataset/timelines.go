package dataset

import (
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// Timelines are each user's events in the order of time, impressions left out: Histories, with kinds and times, and with what the
// user turned down. The type of each is as which it counts (Kind), and Tied speaks of the event before it on the timeline.
func (d *Dataset) Timelines() [][]Event {
	counts := make([]int, len(d.Users))
	total := 0
	for i := range d.Events {
		if onTimeline(d.Kind(&d.Events[i])) {
			counts[d.Events[i].User]++
			total++
		}
	}
	all := make([]Event, 0, total)
	timelines := make([][]Event, len(d.Users))
	for u, n := range counts {
		timelines[u] = all[len(all) : len(all) : len(all)+n]
		all = all[:len(all)+n]
	}
	kept := make([]bool, len(d.Users)) // one of the user's events that are tied with the next is on the timeline
	for i := range d.Events {
		e := d.Events[i]
		if !e.Tied {
			kept[e.User] = false
		}
		if e.Type = d.Kind(&e); onTimeline(e.Type) {
			e.Tied = e.Tied && kept[e.User]
			kept[e.User] = true
			timelines[e.User] = append(timelines[e.User], e)
		}
	}
	return timelines
}

func onTimeline(t schemas.InteractionType) bool {
	return towers.CountsForTaste(t) || towers.TurnsDown(t)
}

// through is the part of a timeline that ends with its n-th choice.
func through(timeline []Event, n int) []Event {
	end := 0
	if n > 0 {
		end = choice(timeline, n-1) + 1
	}
	return timeline[:end:end]
}

// choice is the place of a timeline's n-th choice, counted from 0; there must be so many.
func choice(timeline []Event, n int) int {
	for place := range timeline {
		if towers.CountsForTaste(timeline[place].Type) {
			if n == 0 {
				return place
			}
			n--
		}
	}
	return len(timeline)
}
