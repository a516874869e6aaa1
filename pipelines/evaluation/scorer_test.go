package evaluation

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

var histories = [][]int32{{0, 1, 2}, {0, 1, 3}, {1, 2, 0, 1}, {}, {3}}

func scores(s Scorer, user int32, history ...int32) []float32 {
	of := []float32{9, 9, 9, 9, 9} // what was there before must not matter
	s.Score(of, user, history)
	return of
}

func TestPopularityCounts(t *testing.T) {
	require.Equal(t, []float32{3, 4, 2, 2, 0}, scores(NewPopularity(histories, 5), 0, 1))
}

func TestTransitionsCountNeighbours(t *testing.T) {
	s := NewTransitions(histories, 5)
	one, two, three := float32(math.Log1p(1)), float32(math.Log1p(2)), float32(math.Log1p(3))
	require.Equal(t, []float32{0, three, 0, 0, 0}, scores(s, 0, 0))
	require.Equal(t, []float32{0, 0, two, one, 0}, scores(s, 0, 1))
	require.Equal(t, []float32{0, three / 2, two, one, 0}, scores(s, 0, 0, 1), "the item before the last counts half")
	require.Equal(t, make([]float32, 5), scores(s, 0))
	require.Equal(t, make([]float32, 5), scores(s, 0, 4))
	require.Equal(t, make([]float32, 5), scores(s, 0, 0, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4), "the eleventh from the end is forgotten")
}

func TestRandomIsTheSameForAUser(t *testing.T) {
	require.Equal(t, scores(Random{Seed: 1}, 7), scores(Random{Seed: 1}, 7, 1, 2))
	require.NotEqual(t, scores(Random{Seed: 1}, 7), scores(Random{Seed: 1}, 8))
	require.NotEqual(t, scores(Random{Seed: 1}, 7), scores(Random{Seed: 2}, 7))
	for _, v := range scores(Random{}, 0) {
		require.True(t, v >= 0 && v < 1)
	}
}

// Items 0 and 1 have users {0, 1, 2}, item 2 has {0, 2}, item 3 has {1, 4}, item 4 none.
func TestItemKNNByHand(t *testing.T) {
	s := NewItemKNN(histories, 5)
	with2, with3 := float32(2/math.Sqrt(6)), float32(1/math.Sqrt(6))
	require.InDeltaSlice(t, []float32{0, 1, with2, with3, 0}, scores(s, 0, 0), 1e-6)
	require.InDeltaSlice(t, []float32{1, 1, 2 * with2, 2 * with3, 0}, scores(s, 0, 1, 0, 1), 1e-6, "each item of the history counts once")
	require.Equal(t, make([]float32, 5), scores(s, 0))
	require.Equal(t, make([]float32, 5), scores(s, 0, 4))
}

// Neighbours beyond the bound are the least alike.
func TestItemKNNKeepsTheNearest(t *testing.T) {
	var many [][]int32
	for other := int32(1); other <= neighbours+50; other++ { // item 0 with each other one, the later ones alone beside it, too
		many = append(many, []int32{0, other})
		if other > 50 {
			many = append(many, []int32{other})
		}
	}
	of := make([]float32, neighbours+51)
	NewItemKNN(many, len(of)).Score(of, 0, []int32{0})
	kept := 0
	for _, v := range of {
		if v > 0 {
			kept++
		}
	}
	require.Equal(t, neighbours, kept)
	for other := 1; other <= 50; other++ {
		require.Positive(t, of[other], "one of the most alike")
	}
}
