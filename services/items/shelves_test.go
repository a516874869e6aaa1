package items

import (
	"fmt"
	"math"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRecent(t *testing.T) {
	s := newStore(t, func(c *Config) { c.RecentKept = 3 })
	dated := func(id string, version, published int64) Change {
		c := upsert(id, version)
		c.Record.PublishedAt = time.UnixMilli(published)
		return c
	}
	write(t, s, dated("old", 1, 10), dated("newest", 1, 40), dated("mid", 1, 20), dated("late", 1, 30))
	recent, err := s.Recent(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []string{"newest", "late", "mid"}, recent)

	hidden := dated("newest", 2, 40)
	hidden.Record.Available = false
	write(t, s, hidden, tombstone("late"), upsert("undated", 1), dated("mid", 0, 99))
	recent, err = s.Recent(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []string{"undated", "mid"}, recent, "an undated item counts from its change; a stale change moves nothing")
	recent, err = s.Recent(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, []string{"undated"}, recent)
	recent, err = s.Recent(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, recent)
}

// Popularity over years, with jumps of many hundred half-lives and late events, equals the plain sum of decayed weights.
func TestPopularityEqualsThePlainSum(t *testing.T) {
	const halfLife = time.Hour
	type event struct {
		id     string
		weight float64
		at     time.Time
	}
	for seed := range uint64(20) {
		rng := random(seed)
		s := newStore(t, func(c *Config) { c.PopularHalfLife = halfLife })
		var events []event
		now := time.UnixMilli(1_600_000_000_123)
		for range 60 {
			step := time.Duration(rng.Int64N(int64(2 * halfLife)))
			if rng.IntN(8) == 0 {
				step = time.Duration(rng.Int64N(2000)) * halfLife
			}
			now = now.Add(step)
			at := now.Add(-time.Duration(rng.Int64N(int64(halfLife)))).Truncate(time.Millisecond)
			weights := map[string]float64{}
			for range 1 + rng.IntN(4) {
				weights[fmt.Sprint(rng.IntN(9))] = 1 + rng.Float64()*5
			}
			for id, w := range weights {
				events = append(events, event{id, w, at})
			}
			require.NoError(t, s.AddPopularity(t.Context(), weights, at))
		}
		var latest time.Time
		for _, e := range events {
			if e.at.After(latest) {
				latest = e.at
			}
		}
		want := map[string]float64{}
		for _, e := range events {
			want[e.id] += e.weight * math.Exp2(-float64(latest.Sub(e.at))/float64(halfLife))
		}
		got, err := s.Popular(t.Context(), 100)
		require.NoError(t, err)
		require.NotEmpty(t, got)
		require.True(t, sort.SliceIsSorted(got, func(i, j int) bool { return got[i].Score > got[j].Score }))
		for _, g := range got {
			if want[g.ItemID] > 1e-100 { // what is smaller may have lost digits on the way down
				require.InEpsilon(t, want[g.ItemID], g.Score, 1e-9, "seed %d item %s", seed, g.ItemID)
			}
			delete(want, g.ItemID)
		}
		for id, w := range want {
			require.Less(t, w, 1e-100, "seed %d: item %s is missing", seed, id)
		}
	}
}

func TestPopularIsTrimmedAndBounded(t *testing.T) {
	s := newStore(t, func(c *Config) { c.PopularKept = 5 })
	weights := map[string]float64{}
	for i := range 1200 {
		weights[fmt.Sprintf("%04d", i)] = float64(i + 1)
	}
	at := time.UnixMilli(1_700_000_000_000)
	require.NoError(t, s.AddPopularity(t.Context(), weights, at))
	popular, err := s.Popular(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, popular, 5)
	require.Equal(t, "1199", popular[0].ItemID)
	require.InDelta(t, 1200, popular[0].Score, 1e-6)

	require.NoError(t, s.AddPopularity(t.Context(), map[string]float64{"1199": -5000}, at))
	popular, err = s.Popular(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, popular, 4, "what is not positive leaves the shelf")

	require.ErrorContains(t, s.AddPopularity(t.Context(), map[string]float64{"x": math.NaN()}, at), `item "x" is NaN`)
	require.NoError(t, s.AddPopularity(t.Context(), nil, at))
	popular, err = s.Popular(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, popular)
}

func TestPopularOnAnEmptyShelf(t *testing.T) {
	popular, err := newStore(t).Popular(t.Context(), 3)
	require.NoError(t, err)
	require.Empty(t, popular)
}

func TestConfigValidate(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	for want, change := range map[string]func(*Config){
		"key_prefix":                          func(c *Config) { c.KeyPrefix = "" },
		"deleted_retention is 0s":             func(c *Config) { c.DeletedRetention = 0 },
		"popular_half_life is -1s":            func(c *Config) { c.PopularHalfLife = -time.Second },
		"vector_tolerance is NaN":             func(c *Config) { c.VectorTolerance = math.NaN() },
		"recent_kept is 0":                    func(c *Config) { c.RecentKept = 0 },
		"popular_kept is -2: give at least 1": func(c *Config) { c.PopularKept = -2 },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), want)
	}
}
