package evaluation

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// ItemKNN scores an item by how alike it is to the items of the user's history: cosine similarity over who had them
// (Deshpande and Karypis, TOIS 2004). Each item that could be recommended looks for its own nearest neighbours, and only those
// speak for it. The other way round, with the neighbours of what the user had, popular items fill every list of neighbours,
// and the scorer is a quarter weaker. It knows no order: what it lacks against Transitions is what order is worth.
type ItemKNN struct {
	// starts[i] is where the items that have item i among their neighbours begin in items and weights; they end where those of
	// i+1 begin.
	starts  []int
	items   []int32
	weights []float32
}

// ItemSetting is how an ItemKNN is set.
type ItemSetting struct {
	// Neighbours is how many neighbours an item has at the most.
	Neighbours int `json:"neighbours"`
	// Shrinkage is added to the cosine's denominator, so that what few users had together says less.
	Shrinkage float64 `json:"shrinkage"`
}

func (s ItemSetting) String() string {
	return fmt.Sprintf("k %d, shrinkage %g", s.Neighbours, s.Shrinkage)
}

// NewItemKNN compares all items by the users' histories, of which repeats count once; items is the size of the catalogue. Time
// grows with the sum of the squares of the histories' lengths.
func NewItemKNN(histories [][]int32, items int, s ItemSetting) *ItemKNN {
	return newNeighbourhoods(histories, items, s.Neighbours, s.Shrinkage).scorer(s.Neighbours)
}

// neighbourhoods are each item's neighbours, the nearest first.
type neighbourhoods struct {
	of      [][]int32
	weights [][]float32
}

// newNeighbourhoods keeps at most so many neighbours of each item. Of equally near ones, the lower index is nearer.
func newNeighbourhoods(histories [][]int32, items, most int, shrinkage float64) *neighbourhoods {
	sets := make([][]int32, len(histories))
	users := make([][]int32, items) // who had each item
	for u, history := range histories {
		sets[u] = slices.Compact(slices.Sorted(slices.Values(history)))
		for _, item := range sets[u] {
			users[item] = append(users[item], int32(u))
		}
	}
	n := &neighbourhoods{of: make([][]int32, items), weights: make([][]float32, items)}
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			together := make([]int32, items)
			var near []uint64
			for item := int(next.Add(1)) - 1; item < items; item = int(next.Add(1)) - 1 {
				near = alike(near[:0], together, sets, users, int32(item), shrinkage)
				n.keep(item, near[:min(most, len(near))])
			}
		})
	}
	workers.Wait()
	return n
}

// alike appends the items that share a user with one, the most alike first: the bits of a positive number order as it does, so
// that its place in the upper half and the inverted index in the lower one make a key to sort by. together is all 0 before and after.
func alike(near []uint64, together []int32, sets, users [][]int32, item int32, shrinkage float64) []uint64 {
	var met []int32
	for _, u := range users[item] {
		for _, other := range sets[u] {
			if together[other] == 0 {
				met = append(met, other)
			}
			together[other]++
		}
	}
	for _, other := range met {
		if other != item {
			norm := math.Sqrt(float64(len(users[item])) * float64(len(users[other])))
			weight := float32(float64(together[other]) / (norm + shrinkage))
			near = append(near, uint64(math.Float32bits(weight))<<32|uint64(^uint32(other)))
		}
		together[other] = 0
	}
	slices.Sort(near)
	slices.Reverse(near)
	return near
}

func (n *neighbourhoods) keep(item int, near []uint64) {
	n.of[item], n.weights[item] = make([]int32, len(near)), make([]float32, len(near))
	for i, key := range near {
		n.of[item][i], n.weights[item][i] = int32(^uint32(key)), math.Float32frombits(uint32(key>>32))
	}
}

// scorer turns the k nearest of each item around, so that a history finds whom its items speak for.
func (n *neighbourhoods) scorer(k int) *ItemKNN {
	s := &ItemKNN{starts: make([]int, len(n.of)+1)}
	for _, near := range n.of {
		for _, other := range near[:min(k, len(near))] {
			s.starts[other+1]++
		}
	}
	for i := range n.of {
		s.starts[i+1] += s.starts[i]
	}
	total := s.starts[len(n.of)]
	s.items, s.weights = make([]int32, total), make([]float32, total)
	at := slices.Clone(s.starts)
	for item, near := range n.of {
		for i, other := range near[:min(k, len(near))] {
			s.items[at[other]], s.weights[at[other]] = int32(item), n.weights[item][i]
			at[other]++
		}
	}
	return s
}

// Name is the scorer's row in the table.
func (*ItemKNN) Name() string { return "item-kNN" }

// Score adds up, for each item, how alike its neighbours in the history are to it; each item of the history counts once.
func (s *ItemKNN) Score(scores []float32, _ int32, history []int32) {
	clear(scores)
	for _, item := range slices.Compact(slices.Sorted(slices.Values(history))) {
		for j := s.starts[item]; j < s.starts[item+1]; j++ {
			scores[s.items[j]] += s.weights[j]
		}
	}
}
