package towers

import (
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

func randomTower(tb testing.TB, dim, layers int) *UserTower {
	tb.Helper()
	rng := rand.New(rand.NewPCG(7, uint64(dim)))
	w := NewEventWeights(dim, layers, everything)
	w.Randomise(rng)
	// Gains and biases away from 1 and 0, so that a test sees when one is forgotten.
	for i := range w.Flat {
		w.Flat[i] += float32(rng.NormFloat64() * 0.05)
	}
	for i := range w.Layer {
		for _, table := range [][]float32{w.Layer[i].Kinds, w.Layer[i].Gaps} {
			for j := range table {
				table[j] = float32(rng.NormFloat64())
			}
		}
	}
	return NewUserTower("test", w)
}

// everything is all that a tower may read but one kind, which tests use nevertheless.
var everything = Inputs{Gaps: true, Kinds: []schemas.InteractionType{
	schemas.View, schemas.Click, schemas.Like, schemas.Dislike, schemas.Purchase, schemas.Hide,
}}

// randomEvents are of any kind and gap, also kinds that the tower has not learnt.
func randomEvents(seed uint64, n, dim int) []Event {
	rng := rand.New(rand.NewPCG(seed, 2))
	events := make([]Event, n)
	for i, item := range randomItems(seed, n, dim) {
		events[i] = Event{Item: item, Kind: schemas.InteractionType(rng.IntN(14)), Gap: Gap(rng.IntN(Gaps))}
	}
	return events
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
func reference(w *UserWeights, events []Event) (state, embedding []float64) {
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
	for _, e := range events {
		x := make([]float64, d)
		for i := range x {
			x[i] = float64(e.Item[i])
		}
		kind := 1 + slices.Index(w.Reads.Kinds, e.Kind)
		x = norm(w.Input, x)
		for li, l := range w.Layer {
			h := state[li*d : (li+1)*d]
			p := linear(l.Gates, norm(l.GateNorm, x))
			for j := range p {
				if len(w.Reads.Kinds) > 0 {
					p[j] += float64(l.Kinds[kind*len(p)+j])
				}
				if w.Reads.Gaps {
					p[j] += float64(l.Gaps[int(e.Gap)*len(p)+j])
				}
			}
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
		events := randomEvents(3, 150, shape[0])
		for _, tower := range []*UserTower{
			randomTower(t, shape[0], shape[1]), itemsAlone(t, shape[0], shape[1]),
		} {
			wantState, wantEmbedding := reference(tower.heads[0], events)
			state, embedding := make([]float32, tower.StateSize()), make([]float32, tower.Dim())
			tower.Encode(state, embedding, events)
			for i := range wantState {
				require.InDelta(t, wantState[i], state[i], 2e-5, "state[%d] at shape %v", i, shape)
			}
			for i := range wantEmbedding {
				require.InDelta(t, wantEmbedding[i], embedding[i], 5e-5, "embedding[%d] at shape %v", i, shape)
			}
		}
	}
}

// itemsAlone is a tower without tables, as bundles of earlier releases have it.
func itemsAlone(tb testing.TB, dim, layers int) *UserTower {
	tb.Helper()
	w := NewUserWeights(dim, layers)
	w.Randomise(rand.New(rand.NewPCG(8, uint64(dim))))
	return NewUserTower("test", w)
}

// TestTablesOfZeroChangeNothing: training begins with the tower that reads items alone.
func TestTablesOfZeroChangeNothing(t *testing.T) {
	const dim, layers = 16, 2
	events := randomEvents(1, 70, dim)
	var embeddings [][]float32
	for _, reads := range []Inputs{{}, everything, {Gaps: true}, {Kinds: everything.Kinds}} {
		w := NewEventWeights(dim, layers, reads)
		w.Randomise(rand.New(rand.NewPCG(8, 8)))
		tower := NewUserTower("test", w)
		embedding := make([]float32, dim)
		tower.Encode(make([]float32, tower.StateSize()), embedding, events)
		embeddings = append(embeddings, embedding)
	}
	for _, other := range embeddings[1:] {
		require.Equal(t, embeddings[0], other)
	}
}

// TestEveryInputCounts: two histories that differ in one kind or one gap have different embeddings, also when all that has a row
// of its own is that the tower does not know the kind.
func TestEveryInputCounts(t *testing.T) {
	tower := randomTower(t, 16, 2)
	events := randomEvents(1, 20, 16)
	events[11].Kind, events[11].Gap = schemas.View, 3
	of := func(e Event) []float32 {
		changed := slices.Clone(events)
		changed[11].Kind, changed[11].Gap = e.Kind, e.Gap
		embedding := make([]float32, 16)
		tower.Encode(make([]float32, tower.StateSize()), embedding, changed)
		return embedding
	}
	was := of(events[11])
	require.NotEqual(t, was, of(Event{Kind: schemas.Purchase, Gap: 3}))
	require.NotEqual(t, was, of(Event{Kind: schemas.View, Gap: 4}))
	require.NotEqual(t, was, of(Event{Kind: schemas.Rating, Gap: 3}))
	require.Equal(t, of(Event{Kind: schemas.Complete, Gap: 3}), of(Event{Kind: schemas.Rating, Gap: 3}), "both unknown to the tower")
}

func TestEncodeEqualsAdvanceBitForBit(t *testing.T) {
	tower := randomTower(t, 64, 2)
	for _, n := range []int{1, 2, 3, 12, 13, 63, 64, 65, 200} {
		events := randomEvents(uint64(n), n, 64)
		one, oneEmbedding := make([]float32, tower.StateSize()), make([]float32, 64)
		for _, e := range events {
			tower.Advance(one, oneEmbedding, e)
		}
		whole, wholeEmbedding := randomItems(9, 1, tower.StateSize())[0], make([]float32, 64)
		tower.Encode(whole, wholeEmbedding, events)
		require.Equal(t, one, whole, "state after %d events", n)
		require.Equal(t, oneEmbedding, wholeEmbedding, "embedding after %d events", n)
	}
}

func TestAdvanceBatchEqualsAdvanceBitForBit(t *testing.T) {
	for _, dim := range []int{5, 16, 64} {
		tower := randomTower(t, dim, 2)
		for _, users := range []int{1, 2, 5, 12, 64, 65, 150} {
			events := randomEvents(uint64(users), users, dim)
			states, batched := randomItems(4, users, tower.StateSize()), randomItems(4, users, tower.StateSize())
			embeddings, batchedEmbeddings := randomItems(5, users, dim), randomItems(6, users, dim)
			for i := range users {
				tower.Advance(states[i], embeddings[i], events[i])
			}
			tower.AdvanceBatch(batched, batchedEmbeddings, events)
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
	events := randomEvents(1, 32, 64)
	state, embedding := make([]float32, tower.StateSize()), make([]float32, 64)
	states, embeddings := randomItems(2, 32, tower.StateSize()), randomItems(3, 32, 64)
	require.Zero(t, testing.AllocsPerRun(100, func() { tower.Advance(state, embedding, events[0]) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { tower.AdvanceBatch(states, embeddings, events) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { tower.Encode(state, embedding, events) }))
}

func TestAdvanceConcurrently(t *testing.T) {
	tower := randomTower(t, 16, 2)
	events := randomEvents(1, 40, 16)
	want, wantEmbedding := make([]float32, tower.StateSize()), make([]float32, 16)
	tower.Encode(want, wantEmbedding, events)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			state, embedding := make([]float32, tower.StateSize()), make([]float32, 16)
			for _, e := range events {
				tower.Advance(state, embedding, e)
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
	state, embedding := make([]float32, 16), make([]float32, 8)
	require.Panics(t, func() { tower.Advance(make([]float32, 8), embedding, Event{Item: make([]float32, 8)}) })
	require.Panics(t, func() { tower.Advance(state, make([]float32, 7), Event{Item: make([]float32, 8)}) })
	require.Panics(t, func() { tower.Advance(state, embedding, Event{Item: make([]float32, 7)}) })
	require.Panics(t, func() { tower.Advance(state, embedding, Event{Item: make([]float32, 8), Gap: Gaps}) })
	require.Panics(t, func() { tower.AdvanceBatch(make([][]float32, 2), make([][]float32, 1), nil) })
}

func BenchmarkAdvance(b *testing.B) {
	tower := randomTower(b, 64, 2)
	event := randomEvents(1, 1, 64)[0]
	state, embedding := make([]float32, tower.StateSize()), make([]float32, 64)
	b.ReportAllocs()
	for b.Loop() {
		tower.Advance(state, embedding, event)
	}
}

func BenchmarkAdvanceBatch64(b *testing.B) {
	tower := randomTower(b, 64, 2)
	events, states, embeddings := randomEvents(1, 64, 64), randomItems(2, 64, tower.StateSize()), randomItems(3, 64, 64)
	for b.Loop() {
		tower.AdvanceBatch(states, embeddings, events)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/event")
}

func BenchmarkEncode64(b *testing.B) {
	tower := randomTower(b, 64, 2)
	events := randomEvents(1, 64, 64)
	state, embedding := make([]float32, tower.StateSize()), make([]float32, 64)
	for b.Loop() {
		tower.Encode(state, embedding, events)
	}
}

func TestHeadsAreTowersSideBySide(t *testing.T) {
	const dim, layers, heads, events = 16, 2, 3, 70
	var alone []*UserTower
	var together []*UserWeights
	for k := range heads {
		w := NewEventWeights(dim, layers, everything)
		w.Randomise(rand.New(rand.NewPCG(9, uint64(k))))
		copy(w.Layer[1].Kinds, randomItems(uint64(k), 1, len(w.Layer[1].Kinds))[0])
		alone, together = append(alone, NewUserTower("alone", w)), append(together, w)
	}
	tower := NewUserTower("together", together...)
	require.Equal(t, heads*dim, tower.Dim())
	require.Equal(t, heads*dim*layers, tower.StateSize())

	history := randomEvents(3, events, heads*dim)
	state, embedding := make([]float32, tower.StateSize()), make([]float32, tower.Dim())
	tower.Encode(state, embedding, history)
	for k, one := range alone {
		parts := slices.Clone(history)
		for i := range parts {
			parts[i].Item = parts[i].Item[k*dim : (k+1)*dim]
		}
		wantState, want := make([]float32, one.StateSize()), make([]float32, dim)
		one.Encode(wantState, want, parts)
		require.Equal(t, want, embedding[k*dim:(k+1)*dim])
		require.Equal(t, wantState, state[k*dim*layers:(k+1)*dim*layers])
	}

	stepped, after := make([]float32, tower.StateSize()), make([]float32, tower.Dim())
	for i, e := range history {
		if i%2 == 0 {
			tower.Advance(stepped, after, e)
		} else {
			tower.AdvanceBatch([][]float32{stepped}, [][]float32{after}, []Event{e})
		}
	}
	require.Equal(t, embedding, after)
	require.Equal(t, state, stepped)
}
