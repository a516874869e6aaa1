package training

import (
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

func counting(n int) []event {
	seq := make([]event, n)
	for i := range seq {
		seq[i].item = int32(i)
	}
	return seq
}

// sequence is events of which nothing but the items is known.
func sequence(items ...int32) []event { return eventsOf(items, nil, nil, towers.Inputs{}) }

// TestCutWindowsPredictsEachEventOnce holds for any phase: every event but the first, and but those of a short rest, is the
// target of exactly one position, and windows are no longer than allowed.
func TestCutWindowsPredictsEachEventOnce(t *testing.T) {
	const span = 10
	rng := rand.New(rand.NewPCG(1, 1))
	for _, n := range []int{1, 2, 3, 10, 11, 12, 20, 21, 22, 50, 199} {
		for range 20 {
			times := make([]int, n)
			for _, w := range cutWindows(nil, [][]event{counting(n)}, span, rng) {
				require.GreaterOrEqual(t, len(w), 2)
				require.LessOrEqual(t, len(w), span+1)
				for _, e := range w[1:] {
					times[e.item]++
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

func TestBothDirections(t *testing.T) {
	there := []event{{item: 1, kind: schemas.View}, {item: 2, gap: 7, kind: schemas.Purchase}, {item: 3, gap: 9, aside: true}}
	require.Equal(t, [][]event{
		there, {{item: 3, aside: true}, {item: 2, gap: 9, kind: schemas.Purchase}, {item: 1, gap: 7, kind: schemas.View}},
		sequence(4), sequence(4), nil, nil,
	}, bothDirections([][]event{there, sequence(4), nil}))
}

func TestLeaveRepeatsAside(t *testing.T) {
	got := [][]event{sequence(1, 2, 1, 1, 3), sequence(1, 3, 2)}
	got[1][1].aside = true
	leaveRepeatsAside(got, 4)
	require.Equal(t, []event{{item: 1}, {item: 2}, {item: 1, aside: true}, {item: 1, aside: true}, {item: 3}}, got[0])
	require.Equal(t, []event{{item: 1}, {item: 3, aside: true}, {item: 2}}, got[1])
	require.Equal(t, 2, targetsIn(got[0]))
}

func TestPackLeavesOutWhatIsAside(t *testing.T) {
	var p pack
	p.reset()
	slot := []int32{10, 11, 12, 13}
	p.add([]event{
		{item: 1, kind: schemas.View, gap: 9}, {item: 2, kind: schemas.Like, gap: 5}, {item: 1, kind: schemas.Hide, gap: 6, aside: true},
		{item: 3, kind: schemas.View, gap: 7},
	}, slot)
	p.add([]event{{item: 3, kind: schemas.Click, gap: 8}, {item: 0}}, slot)
	require.Equal(t, pack{
		offsets: []int32{0, 3, 4}, inputs: []int32{11, 12, 11, 13}, rows: []int32{0, 2, 3}, targets: []int32{12, 13, 10},
		kinds: []schemas.InteractionType{schemas.View, schemas.Like, schemas.Hide, schemas.Click}, gaps: []towers.Gap{0, 5, 6, 0},
	}, p, "a window's first event has no gap")
}

func TestShareBalances(t *testing.T) {
	shares := make([][][]event, 2)
	share(shares, [][]event{counting(100), counting(30), counting(30), counting(30)})
	require.Len(t, shares[0], 1)
	require.Len(t, shares[1], 3)
}
