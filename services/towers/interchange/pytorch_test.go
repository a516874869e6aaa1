package interchange

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

// pytorch holds models that PyTorch exported, and what PyTorch itself makes of items and histories by the same weights:
// infra/interop/pytorch_towers.py writes all of it.
const pytorch = "testdata/pytorch"

// expectations is expected.json.
type expectations struct {
	Items []struct {
		ItemID     string    `json:"item_id"`
		Title      string    `json:"title"`
		Categories []string  `json:"categories"`
		Brand      string    `json:"brand"`
		Vector     []float32 `json:"vector"`
	} `json:"items"`
	Histories [][]struct {
		ItemID string                  `json:"item_id"`
		Kind   schemas.InteractionType `json:"kind"`
		Gap    towers.Gap              `json:"gap"`
	} `json:"histories"`
	// Towers has, for each user tower, what it makes of each history: the embedding after each event, and the last state.
	Towers map[string][]struct {
		Embeddings [][]float32 `json:"embeddings"`
		State      []float32   `json:"state"`
	} `json:"towers"`
}

func readExpectations(t *testing.T) (e expectations) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(pytorch, "expected.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &e))
	require.Len(t, e.Items, 5)
	require.Len(t, e.Histories, 4)
	return e
}

// TestPyTorchTowers imports what both of PyTorch's exporters make of item tower, steps and encoders: the default one leaves weights in
// files of their own, calls an output as a value of its own and knows no classic names; the older one lists weights as inputs.
func TestPyTorchTowers(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	kinds := []string{"purchase", "view", "hide"}
	deep := map[string]string{"state": "serving/h.0", "item": "serving/x:0", "next_state": "h::1", "embedding": "StatefulPartitionedCall:0"}
	for name, c := range map[string]struct {
		exporter, file string
		kinds          []string
		ports          map[string]string
		tower, reads   string // the tower of the expectations, and what it reads
		state          int
	}{
		"a step of kinds and gaps, classic": {"classic", "user", kinds, nil, "user", "items, kinds and gaps", 12},
		"a step of kinds and gaps, dynamo":  {"dynamo", "user", kinds, nil, "user", "items, kinds and gaps", 12},
		"names of the exporter's, classic": {"classic", "bare", kinds, map[string]string{
			"state": "onnx::Gemm_0", "item": "onnx::Add_1", "kind": "input.1", "gap": "input", "next_state": "onnx::Gemm_35", "embedding": "36",
		}, "user", "items, kinds and gaps", 12},
		"names of the exporter's, dynamo": {"dynamo", "bare", kinds, map[string]string{"next_state": "add_5", "embedding": "linear_2"},
			"user", "items, kinds and gaps", 12},
		"a step of two layers, classic":            {"classic", "deep", nil, deep, "deep", "items alone", 24},
		"a step of two layers, dynamo":             {"dynamo", "deep", nil, deep, "deep", "items alone", 24},
		"a GRU over histories, classic":            {"classic", "gru", nil, nil, "gru", "items alone", 0},
		"a GRU over histories, dynamo":             {"dynamo", "gru", nil, nil, "gru", "items alone", 0},
		"a transformer of kinds and gaps, classic": {"classic", "transformer", kinds, nil, "transformer", "items, kinds and gaps", 0},
		"a transformer, of kinds and gaps, dynamo": {"dynamo", "transformer", kinds, nil, "transformer", "items, kinds and gaps", 0},
	} {
		t.Run(name, func(t *testing.T) {
			want := readExpectations(t)
			bundle := t.TempDir() + "/bundle"
			m, err := Import(Sources{
				Users:      filepath.Join(pytorch, c.exporter, c.file+".onnx"),
				Items:      filepath.Join(pytorch, c.exporter, "items.onnx"),
				Vocabulary: filepath.Join(pytorch, "vocabulary.json"),
				EventKinds: c.kinds, Ports: c.ports,
			}, bundle, towertest.Created)
			require.NoError(t, err)
			require.Equal(t, c.state, m.StateSize)
			items, users := load(t, bundle)
			require.Equal(t, c.reads, users.Inputs().String())
			require.Equal(t, len(c.kinds) > 0, users.Reads(schemas.Hide))

			vectors := map[string][]float32{}
			for _, i := range want.Items {
				vector := make([]float32, items.Dim())
				items.Encode(vector, &towers.ItemFeatures{ItemID: i.ItemID, Title: i.Title, Categories: i.Categories, Brand: i.Brand})
				near(t, i.Vector, vector, "vector of "+i.ItemID)
				vectors[i.ItemID] = vector
			}
			require.Len(t, want.Towers[c.tower], len(want.Histories))
			for h, expected := range want.Towers[c.tower] {
				events := make([]towertest.Event, len(want.Histories[h]))
				for i, e := range want.Histories[h] {
					events[i] = towertest.Event{Item: vectors[e.ItemID], Kind: e.Kind, Gap: e.Gap}
				}
				require.Len(t, expected.Embeddings, len(events))
				moved, state, embedding := make([]float32, users.StateSize()), make([]float32, users.StateSize()), make([]float32, users.Dim())
				for i := range events {
					if users.StateSize() > 0 {
						towertest.Advance(users, moved, embedding, events[i])
						near(t, expected.Embeddings[i], embedding, "embedding after an event")
					}
					towertest.Encode(users, state, embedding, events[:i+1])
					near(t, expected.Embeddings[i], embedding, "embedding of a history")
				}
				near(t, expected.State, moved, "state after the events")
				near(t, expected.State, state, "state of the history")
			}
		})
	}
}
