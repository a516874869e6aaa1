package evaluation

import (
	"cmp"
	"math"
	"slices"
)

// ItemKNN scores an item by how alike it is to the items of the user's history: cosine similarity over who had them
// (Deshpande and Karypis, TOIS 2004), each item having a bounded number of neighbours. It knows no order: what it lacks
// against Transitions is what order is worth.
type ItemKNN struct {
	// starts[i] is where the neighbours of item i begin in items and weights; they end where those of i+1 begin.
	starts  []int
	items   []int32
	weights []float32
}

// neighbours is how many neighbours an item has, a value customary since the paper.
const neighbours = 200

// NewItemKNN compares all items by the users' histories; items is the size of the catalogue. Time grows with the sum of the
// squares of the histories' lengths.
func NewItemKNN(histories [][]int32, items int) *ItemKNN {
	sets := make([][]int32, len(histories))
	users := make([][]int32, items) // who had each item
	for u, history := range histories {
		sets[u] = slices.Compact(slices.Sorted(slices.Values(history)))
		for _, item := range sets[u] {
			users[item] = append(users[item], int32(u))
		}
	}
	s := &ItemKNN{starts: make([]int, items+1)}
	together := make([]float32, items)
	var met []int32
	for item := range users {
		met = met[:0]
		for _, u := range users[item] {
			for _, other := range sets[u] {
				if together[other] == 0 {
					met = append(met, other)
				}
				together[other]++
			}
		}
		for _, other := range met {
			together[other] /= float32(math.Sqrt(float64(len(users[item])) * float64(len(users[other]))))
		}
		met = slices.DeleteFunc(met, func(other int32) bool { return other == int32(item) })
		together[item] = 0
		kept := slices.Clone(met)
		slices.SortFunc(kept, func(a, b int32) int { return cmp.Or(cmp.Compare(together[b], together[a]), cmp.Compare(a, b)) })
		for _, other := range kept[:min(neighbours, len(kept))] {
			s.items, s.weights = append(s.items, other), append(s.weights, together[other])
		}
		for _, other := range met {
			together[other] = 0
		}
		s.starts[item+1] = len(s.items)
	}
	return s
}

// Name is the scorer's row in the table.
func (s *ItemKNN) Name() string { return "item-kNN" }

// Score adds up, over the different items of the history, how alike their neighbours are to them.
func (s *ItemKNN) Score(scores []float32, _ int32, history []int32) {
	clear(scores)
	for _, item := range slices.Compact(slices.Sorted(slices.Values(history))) {
		for j := s.starts[item]; j < s.starts[item+1]; j++ {
			scores[s.items[j]] += s.weights[j]
		}
	}
}
