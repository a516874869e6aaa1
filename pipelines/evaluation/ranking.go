package evaluation

import (
	"math"
	"slices"
)

// ranking is one worker's room for the scores of one case after the other.
type ranking struct {
	scores   []float32
	excluded []bool
	// top is the list as a user would get it, best first; shown counts what stood in lists.
	top   []int32
	k     int
	shown []int
}

func newRanking(items, k int) *ranking {
	return &ranking{scores: make([]float32, items), excluded: make([]bool, items), k: k, shown: make([]int, items)}
}

// better is the order of the list: by score, then by index; a NaN is worse than any number.
func (w *ranking) better(a, b int32) bool {
	x, y := w.scores[a], w.scores[b]
	switch {
	case x != x || y != y:
		return x == x || y != y && a < b
	case x != y:
		return x > y
	}
	return a < b
}

// list fills top with the best k items by insertion: few items of many get in.
func (w *ranking) list() {
	w.top = w.top[:0]
	for i := range w.scores {
		item := int32(i)
		if w.excluded[i] || len(w.top) == w.k && !w.better(item, w.top[w.k-1]) {
			continue
		}
		if len(w.top) < w.k {
			w.top = append(w.top, item)
		}
		at := len(w.top) - 1
		for ; at > 0 && w.better(item, w.top[at-1]); at-- {
			w.top[at] = w.top[at-1]
		}
		w.top[at] = item
	}
	for _, item := range w.top {
		w.shown[item]++
	}
}

// places are the targets' ranks among all items, from 1, in ascending order; a target that cannot be recommended, or whose
// score is no number, has none. Of items with a target's score, those that are no targets stand before it; equal
// targets stand one behind the other.
func (w *ranking) places(targets []int32) []int {
	places := make([]int, 0, len(targets))
	for _, target := range targets {
		s := w.scores[target]
		if w.excluded[target] || s != s {
			continue
		}
		rank := 0 // counts the target itself
		for item, other := range w.scores {
			if other >= s && !w.excluded[item] {
				rank++
			}
		}
		places = append(places, rank)
	}
	slices.Sort(places)
	// Equal targets have counted one another, all of them: n of them share the rank of the last.
	for i := len(places) - 2; i >= 0; i-- {
		if places[i] >= places[i+1] {
			places[i] = places[i+1] - 1
		}
	}
	return places
}

// The metrics of one case at one k, by their place in its outcome.
const (
	recall = iota
	hitRate
	precision
	ndcg
	mrr
	averagePrecision
	metrics
)

// What a case's list is like, by its place behind the metrics.
const (
	popularity = iota
	novelty
	diversity
	characters
)

// measure computes the metrics of one case from the places of its targets, in ascending order. row is all 0.
func measure(row []float64, places []int, targets, k int) {
	hits := 0
	for _, place := range places {
		if place > k {
			break
		}
		hits++
		row[ndcg] += gain(place)
		row[averagePrecision] += float64(hits) / float64(place)
	}
	if hits == 0 {
		return
	}
	best := min(targets, k) // hits that there could be
	ideal := 0.0
	for place := 1; place <= best; place++ {
		ideal += gain(place)
	}
	row[recall] = float64(hits) / float64(targets)
	row[hitRate] = 1
	row[precision] = float64(hits) / float64(k)
	row[ndcg] /= ideal
	row[mrr] = 1 / float64(places[0])
	row[averagePrecision] /= float64(best)
}

// gain is what a hit at the place is worth to DCG (Järvelin and Kekäläinen, 2002).
func gain(place int) float64 { return 1 / math.Log2(float64(place)+1) }
