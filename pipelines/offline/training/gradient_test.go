package training

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// checkGradient holds a gradient against central differences of the loss along it and along random directions. float32 sums
// make single elements too noisy; a direction through all of a tensor is not.
func checkGradient(t *testing.T, name string, weights, gradient []float32, loss func() float64) {
	t.Helper()
	// At twice the step, the curvature of one tensor (the second layer's gates) costs nearly a hundredth along its gradient; at four
	// times, eleven times as much.
	const step = 1e-2
	rng := rand.New(rand.NewPCG(1, uint64(len(weights))))
	for try := range 4 {
		direction := make([]float64, len(weights))
		norm := 0.0
		for i := range direction {
			if try == 0 {
				direction[i] = float64(gradient[i])
			} else {
				direction[i] = rng.NormFloat64()
			}
			norm += direction[i] * direction[i]
		}
		require.NotZero(t, norm, "%s: the gradient is zero", name)
		norm = math.Sqrt(norm)
		kept := append([]float32(nil), weights...)
		along := 0.0
		at := func(h float64) float64 {
			for i := range weights {
				weights[i] = kept[i] + float32(h*direction[i]/norm)
			}
			return loss()
		}
		// Richardson's step to the fourth order lets the steps be large against the rounding.
		difference := (8*(at(step/2)-at(-step/2)) - (at(step) - at(-step))) / (6 * step)
		copy(weights, kept)
		size := 0.0
		for i, g := range gradient {
			along += float64(g) * direction[i] / norm
			size += float64(g) * float64(g)
		}
		require.InDelta(t, difference, along, 2e-3*math.Sqrt(size)+2e-4, "%s, direction %d of gradient of length %g",
			name, try, math.Sqrt(size))
	}
}

func normals(rng *rand.Rand, n int, deviation float64) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(rng.NormFloat64() * deviation)
	}
	return x
}

// weighed is a loss for a layer alone: its outputs against fixed random weights.
func weighed(y, weights []float32) float64 {
	sum := 0.0
	for i, v := range y {
		sum += float64(v) * float64(weights[i])
	}
	return sum
}

func TestNormGradient(t *testing.T) {
	const rows, d = 7, 5
	rng := rand.New(rand.NewPCG(2, 0))
	x, outer := normals(rng, rows*d, 1), normals(rng, rows*d, 1)
	n := towers.Norm{Gain: normals(rng, d, 1), Bias: normals(rng, d, 1)}
	grad := towers.Norm{Gain: make([]float32, d), Bias: make([]float32, d)}
	var tape normTape
	tape.resize(rows, d)
	y := make([]float32, rows*d)
	loss := func() float64 { tape.forward(y, x, &n); return weighed(y, outer) }
	loss()
	dx := append([]float32(nil), outer...)
	tape.backward(dx, &n, &grad)
	checkGradient(t, "input", x, dx, loss)
	checkGradient(t, "gain", n.Gain, grad.Gain, loss)
	checkGradient(t, "bias", n.Bias, grad.Bias, loss)
}

func TestLinearGradient(t *testing.T) {
	const rows, in, out = 9, 5, 7
	rng := rand.New(rand.NewPCG(3, 0))
	x, outer := normals(rng, rows*in, 1), normals(rng, rows*out, 1)
	l := towers.Linear{In: in, Out: out, W: normals(rng, in*out, 1), B: normals(rng, out, 1)}
	grad := towers.Linear{In: in, Out: out, W: make([]float32, in*out), B: make([]float32, out)}
	y, dx := make([]float32, rows*out), make([]float32, rows*in)
	loss := func() float64 { linearForward(y, x, &l, rows); return weighed(y, outer) }
	linearBackward(dx, outer, x, &l, &grad, rows)
	checkGradient(t, "input", x, dx, loss)
	checkGradient(t, "weight", l.W, grad.W, loss)
	checkGradient(t, "bias", l.B, grad.B, loss)
}

func TestScanGradient(t *testing.T) {
	const rows, d = 12, 4
	offsets := []int32{0, 1, 5, 12}
	rng := rand.New(rand.NewPCG(4, 0))
	raw, outer := normals(rng, rows*3*d, 1), normals(rng, rows*d, 1)
	h, gates := make([]float32, rows*d), make([]float32, rows*3*d)
	loss := func() float64 { copy(gates, raw); scanForward(h, gates, offsets, d); return weighed(h, outer) }
	loss()
	dGates := make([]float32, rows*3*d)
	scanBackward(dGates, outer, h, gates, offsets, make([]float32, d))
	checkGradient(t, "gates", raw, dGates, loss)
}

// smallWorld is a catalogue with every kind of item: with and without id, with and without content.
func smallWorld(users, items int, seed uint64) Input {
	rng := rand.New(rand.NewPCG(seed, 5))
	in := Input{}
	for i := range items {
		f := towers.ItemFeatures{ItemID: fmt.Sprint("i", i)}
		if i%5 != 4 {
			f.Categories = []string{fmt.Sprint("c", i%3), fmt.Sprint("d", i%4)}
		}
		in.Items = append(in.Items, f)
	}
	for range users {
		seq := make([]int32, 2+rng.IntN(12))
		kinds, times, at := make([]schemas.InteractionType, len(seq)), make([]int64, len(seq)), int64(0)
		for j := range seq {
			seq[j] = int32(rng.IntN(items) * rng.IntN(items) / items) // the first items are popular
			kinds[j] = []schemas.InteractionType{schemas.View, schemas.Purchase, schemas.Dislike}[rng.IntN(3)]
			at += rng.Int64N(1000) << rng.IntN(20)
			times[j] = at
		}
		in.Sequences, in.Kinds, in.Times = append(in.Sequences, seq), append(in.Kinds, kinds), append(in.Times, times)
	}
	return in
}

func smallConfig() Config {
	cfg := DefaultConfig()
	cfg.Dim, cfg.Layers, cfg.Workers, cfg.BatchSequences = 6, 2, 2, 8
	cfg.MinItemEvents, cfg.IDDropout, cfg.ValidationUsers = 4, 0.2, 0
	cfg.Mixture = mixed
	return cfg
}

func TestBodyGradient(t *testing.T) {
	const slots, d = 9, 6
	rng := rand.New(rand.NewPCG(6, 0))
	reads := towers.Inputs{Gaps: true, Kinds: []schemas.InteractionType{schemas.View, schemas.Purchase, schemas.Dislike}}
	w := towers.NewEventWeights(d, 2, reads)
	w.Randomise(rng)
	for i := range w.Flat {
		w.Flat[i] += float32(rng.NormFloat64() * 0.1)
	}
	vectors := normals(rng, slots*d, 0.5)
	p := &pack{offsets: []int32{0, 1, 6, 20}}
	for range 20 {
		p.inputs = append(p.inputs, int32(rng.IntN(slots)))
		p.kinds = append(p.kinds, schemas.InteractionType(rng.IntN(12)))
		p.gaps = append(p.gaps, towers.Gap(rng.IntN(towers.Gaps)))
	}
	outer := normals(rng, 20*d, 1)
	for _, share := range []float64{0, 0.3} {
		b := newBody(w, newDropout(share))
		loss := func() float64 { b.drop.seed(1); return weighed(b.forward(p, vectors), outer) }
		loss()
		grad := towers.NewEventWeights(d, 2, reads)
		dx := append([]float32(nil), outer...)
		b.backward(dx, grad)
		dVectors := make([]float32, len(vectors))
		for r, slot := range p.inputs {
			for j := range d {
				dVectors[int(slot)*d+j] += dx[r*d+j]
			}
		}
		checkGradient(t, "item vectors", vectors, dVectors, loss)
		checkGradient(t, "all weights", w.Flat, grad.Flat, loss)
		for i := range w.Layer {
			l, g := &w.Layer[i], &grad.Layer[i]
			for name, pair := range map[string][2][]float32{
				"gate norm gain": {l.GateNorm.Gain, g.GateNorm.Gain}, "gate norm bias": {l.GateNorm.Bias, g.GateNorm.Bias},
				"gates weight": {l.Gates.W, g.Gates.W}, "gates bias": {l.Gates.B, g.Gates.B},
				"kinds": {l.Kinds, g.Kinds}, "gaps": {l.Gaps, g.Gaps},
				"state norm gain": {l.StateNorm.Gain, g.StateNorm.Gain}, "state norm bias": {l.StateNorm.Bias, g.StateNorm.Bias},
				"out weight": {l.Out.W, g.Out.W}, "out bias": {l.Out.B, g.Out.B},
				"wide norm gain": {l.WideNorm.Gain, g.WideNorm.Gain}, "wide norm bias": {l.WideNorm.Bias, g.WideNorm.Bias},
				"up weight": {l.Up.W, g.Up.W}, "up bias": {l.Up.B, g.Up.B},
				"down weight": {l.Down.W, g.Down.W}, "down bias": {l.Down.B, g.Down.B},
			} {
				checkGradient(t, fmt.Sprintf("layer %d %s, dropout %v", i, name, share), pair[0], pair[1], loss)
			}
		}
		checkGradient(t, "input norm gain", w.Input.Gain, grad.Input.Gain, loss)
		checkGradient(t, "output norm gain", w.Output.Gain, grad.Output.Gain, loss)
		checkGradient(t, "output norm bias", w.Output.Bias, grad.Output.Bias, loss)
	}
}

func TestSoftmaxGradient(t *testing.T) {
	const rows, slots, d = 40, 11, 5
	rng := rand.New(rand.NewPCG(7, 0))
	x, vectors := normals(rng, rows*d, 1), normals(rng, slots*d, 1)
	targets := make([]int32, rows)
	for i := range targets {
		targets[i] = int32(rng.IntN(slots))
	}
	cases := map[string]struct {
		candidates int
		raise      []float32
	}{
		"full":    {slots, nil},
		"sampled": {6, []float32{0, 0.5, 1, 1.5, 2, 3}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			s := softmaxLoss{dim: d}
			dx, dVectors := make([]float32, rows*d), make([]float32, slots*d)
			loss := func() float64 {
				return s.run(dx, make([]float32, slots*d), x, vectors, targets, c.candidates, c.raise, 1)
			}
			want := naiveSoftmax(x, vectors, targets, d, c.candidates, c.raise)
			require.InDelta(t, want, s.run(dx, dVectors, x, vectors, targets, c.candidates, c.raise, 1), 1e-3)
			grad := append([]float32(nil), dx...)
			checkGradient(t, "embeddings", x, grad, loss)
			checkGradient(t, "item vectors", vectors, dVectors, loss)
		})
	}
}

// naiveSoftmax is the loss from its definition, in float64.
func naiveSoftmax(x, vectors []float32, targets []int32, d, candidates int, raise []float32) float64 {
	total := 0.0
	for r, target := range targets {
		score := func(s int) float64 { return weighed(x[r*d:(r+1)*d], vectors[s*d:(s+1)*d]) }
		sum := math.Exp(score(int(target)))
		for s := range candidates {
			if s != int(target) {
				up := 0.0
				if raise != nil {
					up = float64(raise[s])
				}
				sum += math.Exp(score(s) + up)
			}
		}
		total += math.Log(sum) - score(int(target))
	}
	return total
}

// TestModelGradient goes through everything that a step does: sampling, id dropout, dropout, packs, workers, both towers.
func TestModelGradient(t *testing.T) {
	for _, full := range []int{1000, 0} {
		t.Run(fmt.Sprintf("full softmax up to %d", full), func(t *testing.T) {
			cfg := smallConfig()
			cfg.FullSoftmaxMaxItems, cfg.Negatives = full, 8
			in := smallWorld(8, 20, 1)
			reads, err := in.reads(&cfg)
			require.NoError(t, err)
			require.Equal(t, "items, kinds and gaps", reads.String())
			sequences := in.events(reads)
			table := newItemTable(in.Items, sequences, &cfg)
			sequences = table.known(sequences)
			tr := newTrainer(&cfg, table, reads)
			require.Equal(t, full == 0, tr.sampler != nil)
			batch := cutWindows(nil, sequences, 5, rand.New(rand.NewPCG(1, 1)))
			if tr.sampler != nil {
				tr.sampler.begin(batch, len(batch)/2)
				batch = batch[:len(batch)/2]
			}
			loss := func() float64 {
				tr.rng = rand.New(rand.NewPCG(2, 2))
				total, positions := tr.gradient(batch)
				return total / float64(positions)
			}
			loss()
			for w := range tr.workers {
				tr.reduce(w)
			}
			d := cfg.Dim
			first := tr.workers[0]
			grad := append([]float32(nil), first.grad.Flat...)
			idGrad := make([]float32, len(tr.table.w.ID))
			for s, item := range tr.active {
				tr.table.backward(tr.itemGrad, item, first.dVectors[s*d:(s+1)*d])
				if row := tr.table.rowOf(item, tr.byContent[s]); row >= 0 {
					copy(idGrad[row*d:(row+1)*d], first.dVectors[s*d:(s+1)*d])
				}
			}
			checkGradient(t, "user tower", tr.users.Flat, grad, loss)
			checkGradient(t, "ids", tr.table.w.ID, idGrad, loss)
			checkGradient(t, "content", tr.table.w.Content, tr.itemGrad.content, loss)
		})
	}
}
