package items

import (
	"fmt"
	"log/slog"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A tally writes what the same weights come to one by one, in whatever order their times are, and however far apart.
func TestTallyWritesThePlainSum(t *testing.T) {
	const halfLife = time.Hour
	s := newStore(t, func(c *Config) { c.PopularHalfLife = halfLife })
	tally := s.NewTally(slog.New(slog.DiscardHandler))
	rng := random(7)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	latest, want := start, map[string]func() float64{}
	for i := range 200 {
		at := start.Add(time.Duration(i) * halfLife / 2).Add(-time.Duration(rng.IntN(5)) * halfLife)
		if at.After(latest) {
			latest = at
		}
		id, before := fmt.Sprint(rng.IntN(9)), func() float64 { return 0 }
		if known := want[id]; known != nil {
			before = known
		}
		want[id] = func() float64 { return before() + 2*math.Exp2(-float64(latest.Sub(at))/float64(halfLife)) }
		tally.Add(t.Context(), map[string]float64{id: 2}, at)
		if i%70 == 69 {
			tally.Flush(t.Context())
		}
	}
	tally.Close()
	popular, err := s.Popular(t.Context(), 100)
	require.NoError(t, err)
	require.Len(t, popular, len(want))
	for _, p := range popular {
		require.InEpsilon(t, want[p.ItemID](), p.Score, 1e-9, p.ItemID)
	}
}

func TestTallyIsBounded(t *testing.T) {
	s := newStore(t)
	tally := s.NewTally(slog.New(slog.DiscardHandler))
	weights := make(map[string]float64, tallyItems)
	for i := range tallyItems {
		weights[fmt.Sprint(i)] = 1
	}
	tally.Add(t.Context(), weights, time.Now())
	popular, err := s.Popular(t.Context(), 1)
	require.NoError(t, err)
	require.Len(t, popular, 1, "whoever fills it writes it")
	tally.Close()
}

// Nobody closes the tally or brings more: what waits is written after a while.
func TestTallyWritesByItself(t *testing.T) {
	s := newStore(t)
	tally := s.NewTally(slog.New(slog.DiscardHandler))
	tally.Add(t.Context(), map[string]float64{"a": 1}, time.Now())
	require.Eventually(t, func() bool {
		popular, err := s.Popular(t.Context(), 1)
		return err == nil && len(popular) == 1
	}, 10*time.Second, 10*time.Millisecond)
	tally.Close()
}
