package interchange

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/onnxruntime"
	"github.com/freshet/freshet/services/towers/towertest"
)

// tolerance is what exported models may differ by from the towers' own, in each number.
const tolerance = 1e-5

// exported is a bundle's towers and what they were exported as.
type exported struct {
	bundle *towers.Bundle
	items  *towers.ItemTower
	users  *towers.UserTower
	files  map[string][]byte
}

func export(t *testing.T, s towertest.Shape) exported {
	t.Helper()
	b := jittered(s)
	e := exported{bundle: b, items: towers.NewItemTower("test", b.Items), users: towers.NewUserTower("test", b.Users...)}
	var err error
	e.files, err = Encode(&towers.Manifest{Version: "test"}, e.items, e.users, "test")
	require.NoError(t, err)
	return e
}

// open makes a model of the export ready: the function it gives takes the inputs, and the sizes of a row of each output.
func (e exported) open(t *testing.T, file string, ins, outs []string) func(rows int, in []onnxruntime.Tensor, sizes ...int) [][]float32 {
	t.Helper()
	s, err := onnxruntime.Open(e.files[file], ins, outs)
	require.NoError(t, err)
	return func(rows int, in []onnxruntime.Tensor, sizes ...int) [][]float32 {
		got, results := make([][]float32, len(outs)), make([]onnxruntime.Tensor, len(outs))
		for i, size := range sizes {
			got[i] = make([]float32, rows*size)
			results[i] = floats(got[i], rows, size)
		}
		require.NoError(t, s.Run(in, results))
		return got
	}
}

func floats(values []float32, shape ...int) onnxruntime.Tensor {
	return onnxruntime.Tensor{Shape: sizes(shape), Floats: values}
}

func integers(values []int64, shape ...int) onnxruntime.Tensor {
	return onnxruntime.Tensor{Shape: sizes(shape), Ints: values}
}

func sizes(shape []int) []int64 {
	axes := make([]int64, len(shape))
	for i, n := range shape {
		axes[i] = int64(n)
	}
	return axes
}

func near(t *testing.T, want, got []float32, what string) {
	t.Helper()
	require.Len(t, got, len(want), what)
	for i := range want {
		if math.Abs(float64(want[i]-got[i])) > tolerance {
			t.Fatalf("%s[%d] is %v instead of %v", what, i, got[i], want[i])
		}
	}
}

func eachShape(t *testing.T, test func(t *testing.T, e exported, rng *rand.Rand)) {
	towertest.NeedsONNXRuntime(t)
	for _, s := range shapes {
		t.Run(fmt.Sprintf("dim %d, layers %d, heads %d", s.Dim, s.Layers, max(s.Heads, 1)), func(t *testing.T) {
			test(t, export(t, s), rand.New(rand.NewPCG(s.Seed, 3)))
		})
	}
}

func draw(rng *rand.Rand, n int) []float32 {
	values := make([]float32, n)
	for i := range values {
		values[i] = float32(rng.NormFloat64() * 0.3)
	}
	return values
}

func TestExportedItemTowerEqualsOurs(t *testing.T) {
	eachShape(t, func(t *testing.T, e exported, _ *rand.Rand) {
		w := e.items.Weights()
		tokens := towers.NewTokenIndex(w.Tokens)
		items := append(slices.Clone(catalogue), towers.ItemFeatures{ItemID: "nobody", Title: "Unheard"})
		const width = 8
		ids, rows := make([]int64, len(items)), make([]int64, len(items)*width)
		var want []float32
		for i := range items {
			ids[i] = int64(slices.Index(w.IDs, items[i].ItemID) + 1)
			for j, row := range tokens.Rows(nil, &items[i]) {
				rows[i*width+j] = int64(row) + 1
			}
			vector := make([]float32, w.Dim)
			e.items.Encode(vector, &items[i])
			want = append(want, vector...)
		}
		run := e.open(t, ItemFile, []string{"id", "tokens"}, []string{"vector"})
		got := run(len(items), []onnxruntime.Tensor{integers(ids, len(items)), integers(rows, len(items), width)}, w.Dim)
		near(t, want, got[0], "vector")
	})
}

func TestExportedStepEqualsOurs(t *testing.T) {
	eachShape(t, func(t *testing.T, e exported, rng *rand.Rand) {
		const users, events = 3, 20
		dim, size := e.users.Dim(), e.users.StateSize()
		run := e.open(t, UserFile, []string{"state", "item"}, []string{"next_state", "embedding"})
		state := make([]float32, users*size)
		theirs := slices.Clone(state)
		embedding := make([]float32, users*dim)
		for range events {
			items := draw(rng, users*dim)
			for u := range users {
				e.users.Advance(state[u*size:(u+1)*size], embedding[u*dim:(u+1)*dim], items[u*dim:(u+1)*dim])
			}
			got := run(users, []onnxruntime.Tensor{floats(theirs, users, size), floats(items, users, dim)}, size, dim)
			near(t, state, got[0], "state")
			near(t, embedding, got[1], "embedding")
			theirs = got[0]
		}
	})
}

func TestExportedHistoryEqualsOurs(t *testing.T) {
	eachShape(t, func(t *testing.T, e exported, rng *rand.Rand) {
		lengths := []int64{0, 1, 7, 64, 30}
		const longest = 64
		dim, size := e.users.Dim(), e.users.StateSize()
		items := draw(rng, len(lengths)*longest*dim) // what lies beyond a length is not zero
		wantState, wantEmbedding := make([]float32, len(lengths)*size), make([]float32, len(lengths)*dim)
		for u, n := range lengths {
			history := make([][]float32, n)
			for i := range history {
				at := (u*longest + i) * dim
				history[i] = items[at : at+dim]
			}
			e.users.Encode(wantState[u*size:(u+1)*size], wantEmbedding[u*dim:(u+1)*dim], history)
		}
		run := e.open(t, HistoryFile, []string{"items", "lengths"}, []string{"state", "embedding"})
		in := []onnxruntime.Tensor{floats(items, len(lengths), longest, dim), integers(lengths, len(lengths))}
		got := run(len(lengths), in, size, dim)
		near(t, wantState, got[0], "state")
		near(t, wantEmbedding, got[1], "embedding")
	})
}
