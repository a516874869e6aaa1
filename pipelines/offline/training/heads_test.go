package training

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/services/towers"
)

func TestSplitItemWeightsUndoesJoining(t *testing.T) {
	var heads []*towers.ItemWeights
	for seed := range uint64(3) {
		w := towers.NewItemWeights(4, []string{"a", "b"}, []string{"category:x", "category:y", "brand:z"})
		w.Randomise(rand.New(rand.NewPCG(seed, 0)))
		heads = append(heads, w)
	}
	require.Equal(t, heads, splitItemWeights(joinItemWeights(heads), 3))
}
