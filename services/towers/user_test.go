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

// randomEvents are of any kind and gap, also kinds that the tower has not learnt. The first is a user's first.
func randomEvents(seed uint64, n, dim int) []event {
	rng := rand.New(rand.NewPCG(seed, 2))
	events := make([]event, n)
	for i, item := range randomItems(seed, n, dim) {
		events[i] = event{item: item, kind: schemas.InteractionType(rng.IntN(14)), gap: Gap(rng.IntN(Gaps))}
	}
	events[0].gap = 0
	return events
}

// actsOf gives events times that have their gaps.
func actsOf(events []event) []Act {
	acts := make([]Act, len(events))
	at := int64(1_700_000_000_000)
	for i, e := range events {
		acts[i] = Act{Item: e.item, Kind: e.kind, At: e.gap.After(at)}
		if i == 0 {
			acts[i].At = at
		}
		at = max(at, acts[i].At)
	}
	return acts
}

// encode is what the tower makes of a new user's acts.
func encode(tower *UserTower, acts []Act) (*State, []float32) {
	s, embedding := new(State), make([]float32, tower.Dim())
	tower.Follow(s, embedding, acts)
	return s, embedding
}

// randomStates are those of users who did something at the time 0.
func randomStates(seed uint64, n, size int) []*State {
	states := make([]*State, n)
	for i, hidden := range randomItems(seed, n, size) {
		states[i] = &State{hidden, Clock{0, true}}
	}
	return states
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
func reference(w *UserWeights, events []event) (state, embedding []float64) {
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
			x[i] = float64(e.item[i])
		}
		kind := 1 + slices.Index(w.Reads.Kinds, e.kind)
		x = norm(w.Input, x)
		for li, l := range w.Layer {
			h := state[li*d : (li+1)*d]
			p := linear(l.Gates, norm(l.GateNorm, x))
			for j := range p {
				if len(w.Reads.Kinds) > 0 {
					p[j] += float64(l.Kinds[kind*len(p)+j])
				}
				if w.Reads.Gaps {
					p[j] += float64(l.Gaps[int(e.gap)*len(p)+j])
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

func TestFollowEqualsDefinition(t *testing.T) {
	for _, shape := range [][2]int{{1, 1}, {5, 1}, {16, 2}, {64, 2}, {67, 3}} {
		events := randomEvents(3, 150, shape[0])
		for _, tower := range []*UserTower{
			randomTower(t, shape[0], shape[1]), itemsAlone(t, shape[0], shape[1]),
		} {
			wantState, wantEmbedding := reference(tower.Heads()[0], events)
			state, embedding := encode(tower, actsOf(events))
			for i := range wantState {
				require.InDelta(t, wantState[i], state.Values()[i], 2e-5, "state[%d] at shape %v", i, shape)
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
		_, embedding := encode(NewUserTower("test", w), actsOf(events))
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
	events[11].kind, events[11].gap = schemas.View, 3
	of := func(kind schemas.InteractionType, gap Gap) []float32 {
		changed := slices.Clone(events)
		changed[11].kind, changed[11].gap = kind, gap
		_, embedding := encode(tower, actsOf(changed))
		return embedding
	}
	was := of(schemas.View, 3)
	require.NotEqual(t, was, of(schemas.Purchase, 3))
	require.NotEqual(t, was, of(schemas.View, 4))
	require.NotEqual(t, was, of(schemas.Rating, 3))
	require.Equal(t, of(schemas.Complete, 3), of(schemas.Rating, 3), "both unknown to the tower")
}

// TestFollowIsTheSameHoweverItIsCut: one act at a time, all at once, or in two parts.
func TestFollowIsTheSameHoweverItIsCut(t *testing.T) {
	tower := randomTower(t, 64, 2)
	for _, n := range []int{1, 2, 3, 12, 13, 63, 64, 65, 200} {
		acts := actsOf(randomEvents(uint64(n), n, 64))
		var one, two State
		oneEmbedding, twoEmbedding := make([]float32, 64), make([]float32, 64)
		for i := range acts {
			tower.Follow(&one, oneEmbedding, acts[i:i+1])
		}
		whole, wholeEmbedding := encode(tower, acts)
		require.Equal(t, one.Append(nil), whole.Append(nil), "state after %d acts", n)
		require.Equal(t, oneEmbedding, wholeEmbedding, "embedding after %d acts", n)
		tower.Follow(&two, twoEmbedding, acts[:n/2])
		tower.Follow(&two, twoEmbedding, acts[n/2:])
		require.Equal(t, one.Append(nil), two.Append(nil), "state after %d acts", n)
		require.Equal(t, oneEmbedding, twoEmbedding)
	}
}

// TestFollowBatchEqualsFollowBitForBit with as many acts each, none, and a few users with long histories among many with short ones.
func TestFollowBatchEqualsFollowBitForBit(t *testing.T) {
	for _, dim := range []int{5, 16, 64} {
		tower := randomTower(t, dim, 2)
		for name, most := range map[string]func(user int) int{
			"one each":           func(int) int { return 1 },
			"up to three":        func(user int) int { return user % 4 },
			"a long one or more": func(user int) int { return []int{90, 1, 0, 2, 1}[user%5] },
		} {
			for _, users := range []int{1, 2, 5, 12, 64, 65, 150} {
				states, batched := randomStates(4, users, tower.StateSize()), randomStates(4, users, tower.StateSize())
				if users > 1 {
					*states[1], *batched[1] = State{}, State{} // a new one
				}
				embeddings, batchedEmbeddings := randomItems(5, users, dim), randomItems(5, users, dim)
				acts := make([][]Act, users)
				for i := range acts {
					acts[i] = actsOf(randomEvents(uint64(users+i), 100, dim))[:most(i)]
					tower.Follow(states[i], embeddings[i], acts[i])
				}
				tower.FollowBatch(batched, batchedEmbeddings, acts)
				require.Equal(t, states, batched, "%s: states of %d users", name, users)
				require.Equal(t, embeddings, batchedEmbeddings, "%s: embeddings of %d users", name, users)
			}
		}
	}
}

func TestFollowOfNothing(t *testing.T) {
	tower := randomTower(t, 8, 2)
	s, embedding := State{}, randomItems(2, 1, 8)[0]
	tower.Follow(&s, embedding, nil)
	require.Equal(t, make([]float32, 16), s.Values(), "a state of the tower, of a user who has done nothing")
	require.Equal(t, randomItems(2, 1, 8)[0], embedding)
}

func TestFollowDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector makes sync.Pool drop what it holds")
	}
	tower := randomTower(t, 64, 2)
	acts := actsOf(randomEvents(1, 32, 64))
	s, embedding := randomStates(1, 1, tower.StateSize())[0], make([]float32, 64)
	states, embeddings, each := randomStates(2, 32, tower.StateSize()), randomItems(3, 32, 64), slices.Collect(slices.Chunk(acts, 1))
	require.Zero(t, testing.AllocsPerRun(100, func() { tower.Follow(s, embedding, acts[:1]) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { tower.FollowBatch(states, embeddings, each) }))
	require.Zero(t, testing.AllocsPerRun(100, func() { tower.Follow(s, embedding, acts) }))
}

func TestFollowConcurrently(t *testing.T) {
	tower := randomTower(t, 16, 2)
	acts := actsOf(randomEvents(1, 40, 16))
	want, wantEmbedding := encode(tower, acts)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, embedding := State{}, make([]float32, 16)
			for i := range acts {
				tower.Follow(&s, embedding, acts[i:i+1])
			}
			if !equalBits(want.Values(), s.Values()) || !equalBits(wantEmbedding, embedding) {
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

func TestFollowRefusesWrongLengths(t *testing.T) {
	tower := randomTower(t, 8, 2)
	s, embedding, act := new(State), make([]float32, 8), []Act{{Item: make([]float32, 8)}}
	require.Panics(t, func() { tower.Follow(randomStates(1, 1, 8)[0], embedding, act) })
	require.Panics(t, func() { tower.Follow(s, make([]float32, 7), act) })
	require.Panics(t, func() { tower.Follow(s, embedding, []Act{{Item: make([]float32, 7)}}) })
	require.Panics(t, func() { tower.FollowBatch(make([]*State, 2), make([][]float32, 1), nil) })
}

func BenchmarkAdvance(b *testing.B) {
	tower := randomTower(b, 64, 2)
	acts := actsOf(randomEvents(1, 1, 64))
	s, embedding := new(State), make([]float32, 64)
	b.ReportAllocs()
	for b.Loop() {
		tower.Follow(s, embedding, acts)
	}
}

func BenchmarkAdvanceBatch64(b *testing.B) {
	tower := randomTower(b, 64, 2)
	acts := slices.Collect(slices.Chunk(actsOf(randomEvents(1, 64, 64)), 1))
	states, embeddings := randomStates(2, 64, tower.StateSize()), randomItems(3, 64, 64)
	for b.Loop() {
		tower.FollowBatch(states, embeddings, acts)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64, "ns/event")
}

func BenchmarkEncode64(b *testing.B) {
	tower := randomTower(b, 64, 2)
	acts := actsOf(randomEvents(1, 64, 64))
	s, embedding := new(State), make([]float32, 64)
	for b.Loop() {
		s.Reset()
		tower.Follow(s, embedding, acts)
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

	history := actsOf(randomEvents(3, events, heads*dim))
	state, embedding := encode(tower, history)
	for k, one := range alone {
		parts := slices.Clone(history)
		for i := range parts {
			parts[i].Item = parts[i].Item[k*dim : (k+1)*dim]
		}
		wantState, want := encode(one, parts)
		require.Equal(t, want, embedding[k*dim:(k+1)*dim])
		require.Equal(t, wantState.Values(), state.Values()[k*dim*layers:(k+1)*dim*layers])
	}

	stepped, after := new(State), make([]float32, tower.Dim())
	for i := range history {
		if i%2 == 0 {
			tower.Follow(stepped, after, history[i:i+1])
		} else {
			tower.FollowBatch([]*State{stepped}, [][]float32{after}, [][]Act{history[i : i+1]})
		}
	}
	require.Equal(t, embedding, after)
	require.Equal(t, state, stepped)
}
