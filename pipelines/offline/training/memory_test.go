package training

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/services/towers"
)

// TestMemoryIsWhatTheFormulaSays measures the live heap after the last epoch, when all that training needs has been made, within
// a quarter.
func TestMemoryIsWhatTheFormulaSays(t *testing.T) {
	cases := map[string]struct {
		items, users int
		edit         func(*Config)
	}{
		"deep tower, full softmax":           {300, 200, func(c *Config) { c.Dim, c.Layers = 48, 3 }},
		"large catalogue, sampled, two ways": {12_000, 900, func(c *Config) { c.Dim, c.Layers, c.Heads = 24, 1, 2 }},
		"no validation":                      {6000, 400, func(c *Config) { c.Dim, c.ValidationUsers = 32, 0 }},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Epochs, cfg.Workers, cfg.MinItemEvents, cfg.ValidationUsers, cfg.Query.Enabled = 1, 2, 1, 100, false
			c.edit(&cfg)
			in := Input{}
			for i := range c.items {
				in.Items = append(in.Items, towers.ItemFeatures{
					ItemID: fmt.Sprint(i), Categories: []string{fmt.Sprint(i % 50), fmt.Sprint("x", i%(c.items/4))},
				})
			}
			rng := rand.New(rand.NewPCG(1, 1))
			for range c.users {
				seq := make([]int32, 10)
				for j := range seq {
					seq[j] = int32(rng.IntN(c.items))
				}
				in.Sequences = append(in.Sequences, seq)
			}
			live := func() int {
				runtime.GC()
				runtime.GC() // what pools hold is dead at the second
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				return int(m.HeapAlloc)
			}
			before, largest := live(), 0
			said := ""
			_, _, err := TrainWith(t.Context(), in, cfg, Options{Say: func(line string) { said = line }, Progress: func(p Progress) {
				if p.EpochDone {
					largest = max(largest, live()-before)
				}
			}})
			require.NoError(t, err)
			runtime.KeepAlive(in)

			sequences, held := in.split(&cfg, towers.Inputs{})
			table := newItemTable(in.Items, sequences, &cfg)
			e := &ensemble{table: table, learnt: sequences, cases: held}
			m := EstimateMemory(cfg, e.shape())
			t.Logf("%v; measured %.1f MiB", m, float64(largest)/(1<<20))
			require.InEpsilon(t, largest, m.Total(), 0.25)
			require.Equal(t, m.String(), said)
		})
	}
}
