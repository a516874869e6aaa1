package training

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

func counting(n int) []int32 {
	seq := make([]int32, n)
	for i := range seq {
		seq[i] = int32(i)
	}
	return seq
}

// TestCutWindowsPredictsEachEventOnce holds for any phase: every event but the first, and but those of a short rest, is the
// target of exactly one position, and windows are no longer than allowed.
func TestCutWindowsPredictsEachEventOnce(t *testing.T) {
	const span = 10
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 2, 3, 10, 11, 12, 20, 21, 22, 50, 199} {
		for range 20 {
			times := make([]int, n)
			for _, w := range cutWindows(nil, [][]int32{counting(n)}, span, rng) {
				require.GreaterOrEqual(t, len(w), 2)
				require.LessOrEqual(t, len(w), span+1)
				for _, item := range w[1:] {
					times[item]++
				}
			}
			missed := 0
			for i := 1; i < n; i++ {
				require.LessOrEqual(t, times[i], 1, "event %d of %d", i, n)
				missed += 1 - times[i]
			}
			require.Less(t, missed, minRest)
			if n <= span+1 {
				require.Zero(t, missed)
			}
		}
	}
}

func TestMarkRepeats(t *testing.T) {
	got := markRepeats([][]int32{{1, 2, 1, 1, 3}, {1, 3, 2}}, 4)
	require.Equal(t, [][]int32{{1, 2, 1 | repeated, 1 | repeated, 3}, {1, 3, 2}}, got)
	require.Equal(t, 2, targetsIn(got[0]))
}

func TestPackLeavesRepeatsOut(t *testing.T) {
	var p pack
	p.reset()
	slot := []int32{10, 11, 12, 13}
	p.add([]int32{1, 2, 1 | repeated, 3}, slot)
	p.add([]int32{3, 0}, slot)
	require.Equal(t, pack{
		offsets: []int32{0, 3, 4}, inputs: []int32{11, 12, 11, 13}, rows: []int32{0, 2, 3}, targets: []int32{12, 13, 10},
	}, p)
}

func TestShareBalances(t *testing.T) {
	shares := make([][][]int32, 2)
	share(shares, [][]int32{counting(100), counting(30), counting(30), counting(30)})
	require.Len(t, shares[0], 1)
	require.Len(t, shares[1], 3)
}
