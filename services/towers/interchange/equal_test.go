package interchange

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
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
		t.Run(fmt.Sprintf("dim %d, layers %d, heads %d, %s", s.Dim, s.Layers, max(s.Heads, 1), s.Reads), func(t *testing.T) {
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

// drawEvents draws events, and makes the models' inputs of them: vectors, rows of kinds, gaps.
func drawEvents(rng *rand.Rand, users *towers.UserTower, n int) (events []towertest.Event, items []float32, kinds, gaps []int64) {
	dim := users.Dim()
	items = draw(rng, n*dim)
	for i := range n {
		e := towertest.Event{Item: items[i*dim : (i+1)*dim], Gap: towers.Gap(rng.IntN(towers.Gaps))}
		e.Kind = schemas.InteractionType(1 + rng.IntN(int(schemas.Hide))) // those that the tower does not know, too
		events = append(events, e)
		kinds, gaps = append(kinds, int64(users.Inputs().Row(e.Kind))), append(gaps, int64(e.Gap))
	}
	return events, items, kinds, gaps
}

// with adds the ports and tensors of kinds and gaps where the tower reads them.
func with(users *towers.UserTower, ports []string, in []onnxruntime.Tensor, names [2]string, kinds, gaps []int64, shape ...int) (
	[]string, []onnxruntime.Tensor,
) {
	if len(users.Inputs().Kinds) > 0 {
		ports, in = append(ports, names[0]), append(in, integers(kinds, shape...))
	}
	if users.Inputs().Gaps {
		ports, in = append(ports, names[1]), append(in, integers(gaps, shape...))
	}
	return ports, in
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
		const users, steps = 3, 20
		dim, size := e.users.Dim(), e.users.StateSize()
		ports, _ := with(e.users, []string{"state", "item"}, nil, [2]string{"kind", "gap"}, nil, nil)
		run := e.open(t, UserFile, ports, []string{"next_state", "embedding"})
		state := make([]float32, users*size)
		theirs := slices.Clone(state)
		embedding := make([]float32, users*dim)
		for range steps {
			events, items, kinds, gaps := drawEvents(rng, e.users, users)
			for u := range users {
				towertest.Advance(e.users, state[u*size:(u+1)*size], embedding[u*dim:(u+1)*dim], events[u])
			}
			in := []onnxruntime.Tensor{floats(theirs, users, size), floats(items, users, dim)}
			_, in = with(e.users, nil, in, [2]string{}, kinds, gaps, users)
			got := run(users, in, size, dim)
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
		events, items, kinds, gaps := drawEvents(rng, e.users, len(lengths)*longest) // what lies beyond a length is not zero
		wantState, wantEmbedding := make([]float32, len(lengths)*size), make([]float32, len(lengths)*dim)
		for u, n := range lengths {
			history := events[u*longest:][:n]
			towertest.Encode(e.users, wantState[u*size:(u+1)*size], wantEmbedding[u*dim:(u+1)*dim], history)
		}
		in := []onnxruntime.Tensor{floats(items, len(lengths), longest, dim), integers(lengths, len(lengths))}
		ports, in := with(e.users, []string{"items", "lengths"}, in, [2]string{"kinds", "gaps"}, kinds, gaps, len(lengths), longest)
		run := e.open(t, HistoryFile, ports, []string{"state", "embedding"})
		got := run(len(lengths), in, size, dim)
		near(t, wantState, got[0], "state")
		near(t, wantEmbedding, got[1], "embedding")
	})
}
