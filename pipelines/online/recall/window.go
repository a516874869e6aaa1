package recall

import (
	"math"
	"time"

	"github.com/freshet/freshet/schemas"
)

// The segments, by their place in a window: that of all users comes last, and its rows are written last.
const (
	newUsers = iota
	knownUsers
	allUsers
	segments
)

var segmentNames = [segments]string{newUsers: schemas.SegmentNew, knownUsers: schemas.SegmentKnown, allUsers: schemas.SegmentAll}

// tally counts the events of one segment in one window.
type tally struct {
	events, unlisted, paged int64
	embedding, page         []int64 // hits, by k
}

// answer is what became of one event.
type answer struct {
	segment  int
	unlisted bool
	rank     int // how many items stand before it by the embedding; -1 for nowhere
	paged    bool
	place    int // how many items stand before it on the page; -1 for nowhere
}

// window is what was counted since a moment.
type window struct {
	start   time.Time
	tallies [segments]tally
}

func newWindow(start time.Time, at []int) *window {
	w := &window{start: start}
	for i := range w.tallies {
		w.tallies[i] = tally{embedding: make([]int64, len(at)), page: make([]int64, len(at))}
	}
	return w
}

func (w *window) add(a answer, at []int) {
	for _, segment := range []int{a.segment, allUsers} {
		t := &w.tallies[segment]
		t.events++
		if a.unlisted {
			t.unlisted++
		}
		if a.paged {
			t.paged++
		}
		for i, k := range at {
			if a.rank >= 0 && a.rank < k {
				t.embedding[i]++
			}
			if a.place >= 0 && a.place < k {
				t.page[i]++
			}
		}
	}
}

// rows are the window's, in the order in which they are written.
func (w *window) rows(model string, end time.Time, share float64, at []int) (rows []schemas.Recall) {
	for segment := range w.tallies {
		t := &w.tallies[segment]
		for i, k := range at {
			r := schemas.Recall{
				ModelVersion: model, WindowStart: w.start, WindowEnd: end, Segment: segmentNames[segment], K: int32(k), SampleShare: share,
				Events: t.events, Unlisted: t.unlisted, EmbeddingHits: t.embedding[i], Paged: t.paged, PageHits: t.page[i],
			}
			r.EmbeddingRecall, r.EmbeddingLow, r.EmbeddingHigh = wilson(t.embedding[i], t.events)
			r.PageRecall, r.PageLow, r.PageHigh = wilson(t.page[i], t.paged)
			rows = append(rows, r)
		}
	}
	return rows
}

// wilson is a share with its 95 % interval (Wilson, "Probable inference", 1927), which holds up where hits are few; nil of none.
func wilson(hits, of int64) (share, low, high *float64) {
	if of == 0 {
		return nil, nil, nil
	}
	const z = 1.959963984540054
	n := float64(of)
	p := float64(hits) / n
	middle := (p + z*z/(2*n)) / (1 + z*z/n)
	half := z / (1 + z*z/n) * math.Sqrt(p*(1-p)/n+z*z/(4*n*n))
	l, h := math.Max(0, middle-half), math.Min(1, middle+half)
	return &p, &l, &h
}
