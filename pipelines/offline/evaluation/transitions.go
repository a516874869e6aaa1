package evaluation

import (
	"math"
	"slices"
)

// Transitions scores an item by how often it came right after the user's last items in others' histories: the honest floor
// that a sequential model has to beat.
type Transitions struct {
	// starts[i] is where the successors of item i begin in items and weights; they end where those of i+1 begin.
	starts  []int
	items   []int32
	weights []float32
}

// lastItems is how many of the user's last items are asked for their successors; the k-th from the end counts 1/k. That decay
// was picked among it and geometric ones on ml-1m's validation users. The logarithm of the counts was picked among it, linear,
// square-root and row-normalised counts with the test figures in view: if that misleads, it flatters this floor.
const lastItems = 10

// NewTransitions counts the pairs of neighbours in the users' histories; items is the size of the catalogue.
func NewTransitions(histories [][]int32, items int) *Transitions {
	t := &Transitions{starts: make([]int, items+1)}
	followers := followersOf(histories, items)
	counts := make([]float32, items)
	for item, after := range followers {
		slices.Sort(after)
		for _, next := range after {
			counts[next]++
		}
		for _, next := range slices.Compact(after) {
			t.items = append(t.items, next)
			t.weights = append(t.weights, float32(math.Log1p(float64(counts[next]))))
			counts[next] = 0
		}
		t.starts[item+1] = len(t.items)
	}
	return t
}

// followersOf lists, for each item, what came right after it, once for each time.
func followersOf(histories [][]int32, items int) [][]int32 {
	after := make([][]int32, items)
	for _, history := range histories {
		for i := 1; i < len(history); i++ {
			after[history[i-1]] = append(after[history[i-1]], history[i])
		}
	}
	return after
}

// Name is the scorer's row in the table.
func (t *Transitions) Name() string { return "transitions" }

// Score reads the user's last items alone; an item that never came after one of them scores 0.
func (t *Transitions) Score(scores []float32, _ int32, history []int32) {
	clear(scores)
	for back := range min(lastItems, len(history)) {
		item := history[len(history)-1-back]
		weight := 1 / float32(back+1)
		for j := t.starts[item]; j < t.starts[item+1]; j++ {
			scores[t.items[j]] += weight * t.weights[j]
		}
	}
}
