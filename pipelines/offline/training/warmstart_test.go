package training

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/services/towers"
)

// trainedBundle trains for one epoch and goes through the files.
func trainedBundle(t *testing.T, in Input, cfg Config) *towers.Bundle {
	t.Helper()
	cfg.Epochs = 1
	model, _, err := Train(t.Context(), in, cfg, nil)
	require.NoError(t, err)
	dir := filepath.Join(t.TempDir(), "bundle")
	_, err = model.WriteBundle(towers.Place{Dir: dir})
	require.NoError(t, err)
	b, err := towers.ReadWeights(dir)
	require.NoError(t, err)
	return b
}

func TestWarmStartCarriesOverWhatIsKnown(t *testing.T) {
	cfg := quickConfig()
	cfg.Dim, cfg.Heads, cfg.MinItemEvents = 8, 2, 3
	before := cycles(120)
	before.Items[7].Tags = []string{"sale"} // of too few items for a token of its own
	b := trainedBundle(t, before, cfg)

	after := cycles(120)
	after.Items = append(after.Items,
		towers.ItemFeatures{ItemID: "new", Categories: []string{"ring0"}},
		towers.ItemFeatures{ItemID: "newer", Categories: []string{"ring9"}},
		towers.ItemFeatures{ItemID: "newest", Categories: []string{"ring9"}},
		towers.ItemFeatures{ItemID: "bare"})
	for _, item := range []int32{40, 41, 42, 43} {
		for u := range 4 {
			after.Sequences[u] = append(after.Sequences[u], item)
		}
	}
	slices.Reverse(after.Items[:20]) // so that rows are others
	for _, seq := range after.Sequences {
		for i := range seq {
			if seq[i] < 20 {
				seq[i] = 19 - seq[i]
			}
		}
	}
	const rare = 30 // keeps its id though it has one event here
	for u, seq := range after.Sequences {
		if u != 3 {
			after.Sequences[u] = slices.DeleteFunc(slices.Clone(seq), func(i int32) bool { return i == rare })
		}
	}
	from, err := newStart(b, &cfg)
	require.NoError(t, err)
	table := newItemTable(after.Items, after.events(from.reads()), &cfg)
	table.keepIDs(after.Items, from)
	require.GreaterOrEqual(t, table.idRow[rare], int32(0))
	content := func(w *towers.ItemWeights, token string) []float32 {
		row, known := slices.BinarySearch(w.Tokens, token)
		require.True(t, known, token)
		return w.Content[row*w.Dim : (row+1)*w.Dim]
	}
	for k := range 2 {
		tr := newTrainer(&cfg, table.fresh(), from.reads())
		drawn := slices.Clone(tr.table.w.ID)
		from.apply(k, tr)
		w := tr.table.w
		item := func(id string) []float32 {
			row := slices.Index(w.IDs, id)
			return w.ID[row*cfg.Dim : (row+1)*cfg.Dim]
		}
		for row, id := range b.Items.IDs {
			require.Equal(t, b.Items.ID[(2*row+k)*cfg.Dim:(2*row+k+1)*cfg.Dim], item(id), id)
		}
		require.Equal(t, make([]float32, cfg.Dim), item("new"), "it starts at its content")
		require.Equal(t, make([]float32, cfg.Dim), item("newer"))
		bare := slices.Index(w.IDs, "bare") * cfg.Dim
		require.Equal(t, drawn[bare:bare+cfg.Dim], item("bare"), "it has no content to start at")
		require.NotEqual(t, make([]float32, cfg.Dim), content(w, "category:ring9"), "nor has an item of new tokens alone")
		require.Equal(t, content(from.items[k], "category:ring3"), content(w, "category:ring3"))
		require.InDelta(t, 2*b.Users[k].Output.Gain[0], tr.users.Output.Gain[0], 1e-6, "trained alone, a head is no half")
		require.Equal(t, b.Users[k].Layer, tr.users.Layer)
	}
}

// TestWarmStartBeginsAsTheBundleIs: with nothing new, the validation before the first step is that of the bundle as served.
func TestWarmStartBeginsAsTheBundleIs(t *testing.T) {
	cfg := quickConfig()
	cfg.Epochs, cfg.Dim = 10, 8
	in := cycles(300)
	b := trainedBundle(t, in, cfg)
	asIs, err := Rate(in, cfg, b)
	require.NoError(t, err)
	require.Equal(t, 40, asIs.Cases)
	require.Positive(t, asIs.NDCG)

	var first *Progress
	model, result, err := TrainWith(t.Context(), in, cfg, Options{From: b, Progress: func(p Progress) {
		if first == nil && p.EpochDone {
			first = &p
		}
	}})
	require.NoError(t, err)
	require.Zero(t, first.Epoch)
	require.InDelta(t, asIs.Recall, first.Recall, 1e-9)
	require.InDelta(t, asIs.NDCG, first.NDCG, 1e-9)
	require.Equal(t, 4, result.Epochs, "a share of the ten")
	require.Greater(t, result.NDCG, asIs.NDCG)
	dir := filepath.Join(t.TempDir(), "bundle")
	manifest, err := model.WriteBundle(towers.Place{Dir: dir})
	require.NoError(t, err)
	require.Equal(t, b.Version, manifest.From)

	// Stopped at once, it is the bundle that was.
	model, result, err = TrainWith(&countdown{t.Context(), 1}, in, cfg, Options{From: b})
	require.NoError(t, err)
	require.Zero(t, result.BestEpoch)
	require.Equal(t, b.Users[0].Flat, model.heads[0].Flat)
}

func TestWarmStartRefuses(t *testing.T) {
	cfg := quickConfig()
	cfg.Dim = 8
	in := cycles(60)
	b := trainedBundle(t, in, cfg)
	for name, edit := range map[string]func(*Config){
		"dim":    func(c *Config) { c.Dim = 16 },
		"layers": func(c *Config) { c.Layers = 1 },
		"heads":  func(c *Config) { c.Heads = 2 },
	} {
		other := cfg
		edit(&other)
		_, _, err := TrainWith(t.Context(), in, other, Options{From: b})
		require.ErrorContains(t, err, "has 1 heads of dim 8 in 2 layers", name)
		require.ErrorContains(t, err, fmt.Sprintf("asks for %d of %d in %d", other.Heads, other.Dim, other.Layers))
	}
	for says, w := range map[string]WarmStart{"epochs is 0": {0, 1}, "learning_rate is 2": {1, 2}} {
		require.ErrorContains(t, w.Validate(), says)
	}
	path := interrupted(t, in, cfg)
	_, _, err := TrainWith(t.Context(), in, cfg, Options{From: b, Checkpoint: path})
	require.ErrorContains(t, err, "the earlier bundle: "+b.Version+" now, not there then")
}
