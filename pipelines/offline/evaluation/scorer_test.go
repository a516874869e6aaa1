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
