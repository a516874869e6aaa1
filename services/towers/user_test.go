package towers

import (
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

func randomTower(tb testing.TB, dim, layers int) *UserTower {
	tb.Helper()
	rng := rand.New(rand.NewPCG(7, uint64(dim)))
	w := NewUserWeights(dim, layers)
	w.Randomise(rng)
	// Gains and biases away from 1 and 0, so that a test sees when one is forgotten.
	for i := range w.Flat {
		w.Flat[i] += float32(rng.NormFloat64() * 0.05)
	}
	return NewUserTower("test", w)
}

func randomItems(seed uint64, n, dim int) [][]float32 {
	rng := rand.New(rand.NewPCG(seed, 1))
	items := make([][]float32, n)
	for i := range items {
		items[i] = make([]float32, dim)
		for j := range items[i] {
			items[i][j] = float32(rng.NormFloat64() * 0.2)
		}
	}
	return items
}

// reference is doc.go's recurrence written down in float64, one event and one number at a time.
func reference(w *UserWeights, items [][]float32) (state, embedding []float64) {
	d := w.Dim
	norm := func(n Norm, x []float64) []float64 {
		mean, variance := 0.0, 0.0
		for _, v := range x {
			mean += v / float64(d)
		}
		for _, v := range x {
			variance += (v - mean) * (v - mean) / float64(d)
		}
		y := make([]float64, d)
		for i := range y {
			y[i] = (x[i]-mean)/math.Sqrt(variance+1e-6)*float64(n.Gain[i]) + float64(n.Bias[i])
		}
		return y
	}
	linear := func(l Linear, x []float64) []float64 {
		y := make([]float64, l.Out)
		for j := range y {
			y[j] = float64(l.B[j])
			for i := range x {
				y[j] += x[i] * float64(l.W[i*l.Out+j])
			}
		}
		return y
	}
	sigmoid := func(x float64) float64 { return 1 / (1 + math.Exp(-x)) }
	state = make([]float64, w.Layers*d)
	for _, item := range items {
		x := make([]float64, d)
		for i := range x {
			x[i] = float64(item[i])
		}
		x = norm(w.Input, x)
		for li, l := range w.Layer {
			h := state[li*d : (li+1)*d]
			p := linear(l.Gates, norm(l.GateNorm, x))
			for j := range h {
				f := sigmoid(p[j])
				h[j] = f*h[j] + (1-f)*p[d+j]
			}
			y := norm(l.StateNorm, h)
			for j := range y {
				y[j] *= p[2*d+j] * sigmoid(p[2*d+j])
			}
			for j, v := range linear(l.Out, y) {
				x[j] += v
			}
			wide := linear(l.Up, norm(l.WideNorm, x))
			for j, v := range wide {
				wide[j] = 0.5 * v * (1 + math.Tanh(math.Sqrt(2/math.Pi)*(v+0.044715*v*v*v)))
			}
			for j, v := range linear(l.Down, wide) {
				x[j] += v
			}
		}
		embedding = norm(w.Output, x)
	}
	return state, embedding
}

func TestEncodeEqualsDefinition(t *testing.T) {
	for _, shape := range [][2]int{{1, 1}, {5, 1}, {16, 2}, {64, 2}, {67, 3}} {
		tower := randomTower(t, shape[0], shape[1])
		items := randomItems(3, 150, shape[0])
		wantState, wantEmbedding := reference(tower.heads[0], items)
		state, embedding := make([]float32, tower.StateSize()), make([]float32, tower.Dim())
		tower.Encode(state, embedding, items)
		for i := range wantState {
			require.InDelta(t, wantState[i], state[i], 2e-5, "state[%d] at shape %v", i, shape)
		}
		for i := range wantEmbedding {
			require.InDelta(t, wantEmbedding[i], embedding[i], 5e-5, "embedding[%d] at shape %v", i, shape)
		}
	}
}

func TestEncodeEqualsAdvanceBitForBit(t *testing.T) {
	tower := randomTower(t, 64, 2)
	for _, n := range []int{1, 2, 3, 12, 13, 63, 64, 65, 200} {
		items := randomItems(uint64(n), n, 64)
		one, oneEmbedding := make([]float32, tower.StateSize()), make([]float32, 64)
		for _, item := range items {
			tower.Advance(one, oneEmbedding, item)
		}
		whole, wholeEmbedding := randomItems(9, 1, tower.StateSize())[0], make([]float32, 64)
		tower.Encode(whole, wholeEmbedding, items)
		require.Equal(t, one, whole, "state after %d events", n)
		require.Equal(t, oneEmbedding, wholeEmbedding, "embedding after %d events", n)
	}
}

func TestAdvanceBatchEqualsAdvanceBitForBit(t *testing.T) {
	for _, dim := range []int{5, 16, 64} {
		tower := randomTower(t, dim, 2)
		for _, users := range []int{1, 2, 5, 12, 64, 65, 150} {
			items := randomItems(uint64(users), users, dim)
			states, batched := randomItems(4, users, tower.StateSize()), randomItems(4, users, tower.StateSize())
			embeddings, batchedEmbeddings := randomItems(5, users, dim), randomItems(6, users, dim)
			for i := range users {
				tower.Advance(states[i], embeddings[i], items[i])
			}
			tower.AdvanceBatch(batched, batchedEmbeddings, items)
			require.Equal(t, states, batched, "states of %d users", users)
			require.Equal(t, embeddings, batchedEmbeddings, "embeddings of %d users", users)
		}
	}
}

func TestEncodeOfNothing(t *testing.T) {
	tower := randomTower(t, 8, 2)
	state, embedding := randomItems(1, 1, 16)[0], randomItems(2, 1, 8)[0]
	tower.Encode(state, embedding, nil)
	require.Equal(t, make([]float32, 16), state)
	require.Equal(t, make([]float32, 8), embedding)
}

func TestAdvanceDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what it holds")
	}
	tower := randomTower(t, 64, 2)
	items := randomItems(1, 32, 64)
	state, embedding := make([]float32, tower.StateSize()), make([]float32, 64)
	states, embeddings := randomItems(2, 32, tower.StateSize()), randomItems(3, 32, 64)
	require.Zero(t, testing.AllocsPerRun(100, func() { tower.Advance(state, embedding, items[0]) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { tower.AdvanceBatch(states, embeddings, items) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { tower.Encode(state, embedding, items) }))
}

func TestAdvanceConcurrently(t *testing.T) {
	tower := randomTower(t, 16, 2)
	items := randomItems(1, 40, 16)
	want, wantEmbedding := make([]float32, tower.StateSize()), make([]float32, 16)
	tower.Encode(want, wantEmbedding, items)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			state, embedding := make([]float32, tower.StateSize()), make([]float32, 16)
			for _, item := range items {
				tower.Advance(state, embedding, item)
			}
			if !equalBits(want, state) || !equalBits(wantEmbedding, embedding) {
				t.Error("two goroutines disturbed each other")
			}
		})
	}
	wg.Wait()
}

func equalBits(a, b []float32) bool {
	for i := range a {
		if math.Float32bits(a[i]) != math.Float32bits(b[i]) {
			return false
		}
	}
	return len(a) == len(b)
}

func TestAdvanceRefusesWrongLengths(t *testing.T) {
	tower := randomTower(t, 8, 2)
	require.Panics(t, func() { tower.Advance(make([]float32, 8), make([]float32, 8), make([]float32, 8)) })
	require.Panics(t, func() { tower.Advance(make([]float32, 16), make([]float32, 8), make([]float32, 7)) })
	require.Panics(t, func() { tower.AdvanceBatch(make([][]float32, 2), make([][]float32, 1), nil) })
}

func BenchmarkAdvance(b *testing.B) {
	tower := randomTower(b, 64, 2)
	item := randomItems(1, 1, 64)[0]
	state, embedding := make([]float32, tower.StateSize()), make([]float32, 64)
	b.ReportAllocs()
	for b.Loop() {
		tower.Advance(state, embedding, item)
	}
}

func BenchmarkAdvanceBatch64(b *testing.B) {
	tower := randomTower(b, 64, 2)
	items, states, embeddings := randomItems(1, 64, 64), randomItems(2, 64, tower.StateSize()), randomItems(3, 64, 64)
	for b.Loop() {
		tower.AdvanceBatch(states, embeddings, items)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/event")
}

func BenchmarkEncode64(b *testing.B) {
	tower := randomTower(b, 64, 2)
	items := randomItems(1, 64, 64)
	state, embedding := make([]float32, tower.StateSize()), make([]float32, 64)
	for b.Loop() {
		tower.Encode(state, embedding, items)
	}
}

func TestHeadsAreTowersSideBySide(t *testing.T) {
	const dim, layers, heads, events = 16, 2, 3, 70
	var alone []*UserTower
	var together []*UserWeights
	for k := range heads {
		w := NewUserWeights(dim, layers)
		w.Randomise(rand.New(rand.NewPCG(9, uint64(k))))
		alone, together = append(alone, NewUserTower("alone", w)), append(together, w)
	}
	tower := NewUserTower("together", together...)
	require.Equal(t, heads*dim, tower.Dim())
	require.Equal(t, heads*dim*layers, tower.StateSize())

	items := randomItems(3, events, heads*dim)
	state, embedding := make([]float32, tower.StateSize()), make([]float32, tower.Dim())
	tower.Encode(state, embedding, items)
	for k, one := range alone {
		parts := make([][]float32, events)
		for i, item := range items {
			parts[i] = item[k*dim : (k+1)*dim]
		}
		wantState, want := make([]float32, one.StateSize()), make([]float32, dim)
		one.Encode(wantState, want, parts)
		require.Equal(t, want, embedding[k*dim:(k+1)*dim])
		require.Equal(t, wantState, state[k*dim*layers:(k+1)*dim*layers])
	}

	stepped, after := make([]float32, tower.StateSize()), make([]float32, tower.Dim())
	for i, item := range items {
		if i%2 == 0 {
			tower.Advance(stepped, after, item)
		} else {
			tower.AdvanceBatch([][]float32{stepped}, [][]float32{after}, [][]float32{item})
		}
	}
	require.Equal(t, embedding, after)
	require.Equal(t, state, stepped)
}
