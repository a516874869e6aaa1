package evaluation

import (
	"math"
	"slices"
	"sort"
)

// ranking is one worker's room for the scores of one case after the other.
type ranking struct {
	scores   []float32 // of each item, for the case at hand
	excluded []bool
	// top is the list as a user would get it, best first; shown counts what stood in lists.
	top     []int32
	k       int
	shown   []int
	targets []float32
	tastes  tastes
}

func newRanking(items, k int) *ranking {
	return &ranking{excluded: make([]bool, items), k: k, shown: make([]int, items)}
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

// ranks are the targets' ranks among all items, from 1, in ascending order; a target that cannot be recommended, or whose
// score is no number, has none. Of items with a target's score, those that are no targets stand before it; equal
// targets stand one behind the other.
func (w *ranking) ranks(targets []int32) []int32 {
	w.targets = w.targets[:0] // their scores
	for _, target := range targets {
		if s := w.scores[target]; !w.excluded[target] && s == s {
			w.targets = append(w.targets, s)
		}
	}
	slices.Sort(w.targets)
	ranks := make([]int32, len(w.targets))
	if len(w.targets) == 1 {
		ranks[0] = w.atLeast(w.targets[0])
		return ranks
	}
	// Each item is counted at the best target that it does not stand behind, and so stands before all that are worse.
	for item, score := range w.scores {
		if w.excluded[item] {
			continue
		}
		if at := sort.Search(len(w.targets), func(i int) bool { return !(w.targets[i] <= score) }); at > 0 {
			ranks[len(ranks)-at]++
		}
	}
	for i := 1; i < len(ranks); i++ {
		ranks[i] += ranks[i-1]
	}
	// Equal targets have counted one another, all of them: n of them share the rank of the last.
	for i := len(ranks) - 2; i >= 0; i-- {
		ranks[i] = min(ranks[i], ranks[i+1]-1)
	}
	return ranks
}

// atLeast counts the items, the target itself among them, with a score no worse than s.
func (w *ranking) atLeast(s float32) (n int32) {
	for item, other := range w.scores {
		if other >= s && !w.excluded[item] {
			n++
		}
	}
	return n
}

// The metrics of one case at one k, by their place in its outcome.
const (
	recall = iota
	hitRate
	precision
	ndcg
	mrr
	averagePrecision
	averagePrecisionAll
	metrics
)

// The metrics' names, which are their fields' in JSON.
var metricNames = [metrics]string{"recall", "hit_rate", "precision", "ndcg", "mrr", "map", "map_all"}

// What a case's list is like, by its place behind the metrics.
const (
	popularity = iota
	novelty
	diversity
	popularityBias
	miscalibration
	listMetrics
)

// measure computes the metrics of one case from the ranks of its targets, in ascending order. row is all 0.
func measure(row []float64, ranks []int32, targets, k int) {
	hits := 0
	for _, rank := range ranks {
		if int(rank) > k {
			break
		}
		hits++
		row[ndcg] += gain(rank)
		row[averagePrecision] += float64(hits) / float64(rank)
	}
	if hits == 0 {
		return
	}
	best := min(targets, k) // hits that there could be
	ideal := 0.0
	for rank := range int32(best) {
		ideal += gain(rank + 1)
	}
	row[recall] = float64(hits) / float64(targets)
	row[hitRate] = 1
	row[precision] = float64(hits) / float64(k)
	row[ndcg] /= ideal
	row[mrr] = 1 / float64(ranks[0])
	row[averagePrecisionAll] = row[averagePrecision] / float64(targets)
	row[averagePrecision] /= float64(best)
}

// gain is what a hit at the rank is worth to DCG (Järvelin and Kekäläinen, 2002).
func gain(rank int32) float64 { return 1 / math.Log2(float64(rank)+1) }
