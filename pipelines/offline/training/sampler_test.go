package training

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/services/towers"
)

// longTail is items of which few are popular, numbered in no order.
func longTail(n int) (items []int32, events []int) {
	events = make([]int, n+3) // the last three have no events
	for i, at := range rand.New(rand.NewPCG(3, 0)).Perm(n) {
		items, events[at] = append(items, int32(i)), 1+n*n/(i*i+1)
	}
	return items, events
}

// requireFrequency allows for five standard deviations of the binomial.
func requireFrequency(t *testing.T, want float64, hits, trials int, of string) {
	t.Helper()
	deviation := math.Sqrt(want * (1 - want) / float64(trials))
	require.InDelta(t, want, float64(hits)/float64(trials), 5*deviation+1e-9, "%s, %d trials", of, trials)
}

// mixed has all that a mixture can have.
var mixed = Mixture{Uniform: 0.25, Popularity: 0.5, InBatch: 0.25, Power: 0.5}

func TestSamplerDrawsByItsProbabilities(t *testing.T) {
	cases := map[string]struct {
		mixture Mixture
		want    int
	}{
		"uniform":     {Mixture{Uniform: 1}, 20},
		"popularity":  {Mixture{Popularity: 1, Power: 1}, 20},
		"mixed":       {mixed, 40},
		"few":         {mixed, 2},
		"all of them": {mixed, 1000},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			items, events := longTail(200)
			s := newSampler(items, events, c.want, c.mixture)
			sum := 0.0
			for _, item := range items {
				require.Greater(t, s.static[item], 0.0)
				require.LessOrEqual(t, s.static[item], 1.0)
				sum += s.static[item]
			}
			share := 1 - c.mixture.InBatch/(c.mixture.Uniform+c.mixture.Popularity+c.mixture.InBatch)
			require.InDelta(t, min(share*float64(c.want), 200), sum, 1e-9)

			rng := rand.New(rand.NewPCG(1, 1))
			hits := make([]int, len(events))
			var drawn []int32
			const trials = 5000
			for range trials {
				drawn = s.draw(drawn[:0], rng)
				for _, item := range drawn {
					hits[item]++
				}
			}
			for item := range events {
				requireFrequency(t, s.static[item], hits[item], trials, fmt.Sprint("item ", item))
			}
		})
	}
}

func TestPresentIsHypergeometric(t *testing.T) {
	choose := func(n, k int) float64 { // by Pascal's rule, in floats
		row := make([]float64, k+1)
		row[0] = 1
		for range n {
			for j := k; j > 0; j-- {
				row[j] += row[j-1]
			}
		}
		return row[k]
	}
	for all := 1; all <= 30; all++ {
		for n := 0; n <= all; n++ {
			for size := 0; size <= all; size++ {
				want := 1 - choose(all-n, size)/choose(all, size)
				require.InDelta(t, want, present(n, all, size), 1e-12, "%d of %d, %d drawn", n, all, size)
			}
		}
	}
	require.InDelta(t, 6.4e-7, present(1, 100_000_000, 64), 1e-20, "exact for rare ones")
}

// TestCandidatesAndTheirCorrections goes through whole steps: as seen from the rows of one window, each candidate is there as
// often as its correction says, in windows that have it and in windows that do not; and the denominator that the corrections
// make is, in the mean, that of all items.
func TestCandidatesAndTheirCorrections(t *testing.T) {
	cfg := smallConfig()
	cfg.FullSoftmaxMaxItems, cfg.Negatives, cfg.Workers = 0, 9, 1
	cfg.Mixture = Mixture{Uniform: 0.3, Popularity: 0.3, InBatch: 0.4, Power: 0.7}
	in := smallWorld(24, 30, 1)
	reads, err := in.reads(&cfg)
	require.NoError(t, err)
	sequences := in.events(reads)
	table := newItemTable(in.Items, sequences, &cfg)
	tr := newTrainer(&cfg, table, reads)
	windows := cutWindows(nil, table.known(sequences), 6, rand.New(rand.NewPCG(1, 1)))
	const size = 5
	tr.sampler.begin(windows, size)
	require.Less(t, tr.sampler.keep, 1.0)
	require.Greater(t, tr.sampler.keep, 0.0)

	exp, whole := map[int32]float64{}, 0.0 // the terms of the denominator
	for _, item := range tr.candidates {
		exp[item] = math.Exp(math.Sin(float64(7 * item)))
		whole += exp[item]
	}
	const trials = 10_000
	seen := windows[3] // from whose rows all is seen
	has := map[int32]bool{}
	for _, e := range seen {
		has[e.item] = true
	}
	others := append(append([][]event{}, windows[:3]...), windows[4:]...)
	hits, raised := map[int32]int{}, map[int32]float32{}
	sum, squares := 0.0, 0.0
	lots := rand.New(rand.NewPCG(8, 8))
	for range trials {
		lots.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		tr.chooseItems(append([][]event{seen}, others[:size-1]...))
		denominator := 0.0
		for s, item := range tr.active[:tr.count] {
			up := tr.raise[s]
			if has[item] {
				up = tr.ownRaise[s]
			}
			hits[item]++
			raised[item] = up
			denominator += exp[item] * math.Exp(float64(up))
		}
		sum += denominator
		squares += denominator * denominator
	}
	for _, item := range tr.candidates {
		elsewhere, own := tr.sampler.raise(item, size)
		want := elsewhere
		if has[item] {
			want = own
			require.LessOrEqual(t, own, elsewhere)
		}
		require.InDelta(t, want, raised[item], 1e-6)
		requireFrequency(t, math.Exp(-float64(want)), hits[item], trials, fmt.Sprint("item ", item))
	}
	mean := sum / trials
	deviation := math.Sqrt((squares/trials - mean*mean) / trials)
	require.InDelta(t, whole, mean, 5*deviation, "unbiased")
	require.Less(t, deviation, whole/100, "and tight enough to tell")
}

// TestOwnItemsAreCorrectedInTheirRows holds the loss of a step against its definition, row by row.
func TestOwnItemsAreCorrectedInTheirRows(t *testing.T) {
	cfg := smallConfig()
	cfg.FullSoftmaxMaxItems, cfg.Negatives, cfg.Dropout, cfg.Workers = 0, 12, 0, 3
	in := smallWorld(30, 25, 2)
	reads, err := in.reads(&cfg)
	require.NoError(t, err)
	sequences := in.events(reads)
	table := newItemTable(in.Items, sequences, &cfg)
	tr := newTrainer(&cfg, table, reads)
	windows := cutWindows(nil, table.known(sequences), 6, rand.New(rand.NewPCG(1, 1)))
	tr.sampler.begin(windows, 8)
	got, _ := tr.gradient(windows[:8])

	want, d := 0.0, cfg.Dim
	var p pack
	for _, window := range windows[:8] {
		p.reset()
		p.add(window, tr.slot)
		raise := append([]float32(nil), tr.raise...)
		for _, e := range window {
			if s := tr.slot[e.item]; int(s) < tr.count {
				raise[s] = tr.ownRaise[s]
			}
		}
		x := newBody(tr.users, newDropout(0)).forward(&p, tr.vectors)
		var learnt []float32
		for _, row := range p.rows {
			learnt = append(learnt, x[int(row)*d:int(row+1)*d]...)
		}
		want += naiveSoftmax(learnt, tr.vectors, p.targets, d, tr.count, raise)
	}
	require.InDelta(t, want, got, 1e-3*want)
	require.NotEqual(t, tr.raise, tr.ownRaise)
}

func TestMixtureRefuses(t *testing.T) {
	for says, m := range map[string]Mixture{
		"uniform is -1":     {Uniform: -1},
		"in_batch is NaN":   {Uniform: 1, InBatch: math.NaN()},
		"power is 2":        {Uniform: 1, Power: 2},
		"like popularity":   {InBatch: 1},
		"popularity is 1.5": {Popularity: 1.5},
	} {
		require.ErrorContains(t, m.Validate(), says)
	}
	require.NoError(t, DefaultMixture().Validate())
	require.Equal(t, "25 % uniform, 50 % by popularity to the power 0.5, 25 % in-batch", mixed.String())
}

// BenchmarkStep shows that a step of sampled softmax costs the same whatever the catalogue: 64 windows of 20 events each.
func BenchmarkStep(b *testing.B) {
	for _, n := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("items=%d", n), func(b *testing.B) {
			cfg := DefaultConfig()
			cfg.FullSoftmaxMaxItems = 0
			rng := rand.New(rand.NewPCG(1, 2))
			items := make([]towers.ItemFeatures, n)
			for i := range items {
				items[i] = towers.ItemFeatures{ItemID: fmt.Sprint(i), Categories: []string{fmt.Sprint(i % 1000)}}
			}
			sequences := make([][]event, n/5)
			for u := range sequences {
				sequences[u] = make([]event, 20)
				for j := range sequences[u] {
					sequences[u][j].item = int32(float64(n) * math.Pow(rng.Float64(), 3)) // the first items are popular
				}
			}
			cfg.MinItemEvents = 1
			table := newItemTable(items, sequences, &cfg)
			tr := newTrainer(&cfg, table, towers.Inputs{})
			windows := cutWindows(make([][]event, 0, len(sequences)), sequences, cfg.MaxWindow, rng)
			rng.Shuffle(len(windows), func(i, j int) { windows[i], windows[j] = windows[j], windows[i] })
			tr.sampler.begin(windows, 64)
			at := 0
			step := func() {
				if at += 64; at+64 > len(windows) {
					at = 0
				}
				tr.step(windows[at:at+64], 0.001)
			}
			step() // which makes the workers' memory
			for b.Loop() {
				step()
			}
		})
	}
}
