package training

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
)

// Mixture says where the candidates of a sampled softmax come from, as shares of their expected number; only the ratios count.
//
// Uniform bounds how much a single draw may weigh. Popularity finds the items that compete for most positions; Power
// flattens it, between 0 (uniform, which wastes most draws on items that nobody would confuse with the target) and 1
// (which hardly ever draws the tail). InBatch takes them from the step's own windows, whose vectors it has anyhow.
type Mixture struct {
	Uniform    float64 `yaml:"uniform" env:"UNIFORM"`
	Popularity float64 `yaml:"popularity" env:"POPULARITY"`
	InBatch    float64 `yaml:"in_batch" env:"IN_BATCH"`
	Power      float64 `yaml:"power" env:"POWER"`
}

// DefaultMixture draws by the root of popularity: on ml-1m, 2,048 of 3,416 items drawn so came closest to all of them (DESIGN.md,
// Candidates of a sampled softmax).
func DefaultMixture() Mixture { return Mixture{Popularity: 1, Power: 0.5} }

// Validate names the first share that cannot work.
func (m Mixture) Validate() error {
	for _, share := range []struct {
		field string
		value float64
	}{{"uniform", m.Uniform}, {"popularity", m.Popularity}, {"in_batch", m.InBatch}, {"power", m.Power}} {
		if !(share.value >= 0 && share.value <= 1) {
			return fmt.Errorf("%s is %v: set it between 0 and 1", share.field, share.value)
		}
	}
	if m.Uniform+m.Popularity == 0 {
		return fmt.Errorf("uniform is 0, like popularity: set one of them above 0, since an item that is in no other window of " +
			"the batch must have a chance as well")
	}
	return nil
}

func (m Mixture) String() string {
	sum := (m.Uniform + m.Popularity + m.InBatch) / 100
	return fmt.Sprintf("%.0f %% uniform, %.0f %% by popularity to the power %v, %.0f %% in-batch",
		m.Uniform/sum, m.Popularity/sum, m.Power, m.InBatch/sum)
}

// sampler draws a step's candidates, each item for itself with a known probability (Poisson sampling), in a time that does not
// depend on how many items there are.
//
// An item is a candidate when its own lot falls on it (probability static), or when it stands in the batch and a second lot
// (keep, the same for all items) falls on it. Batches are windows drawn without replacement from the epoch's, so that the
// chance of standing in one is hypergeometric and known exactly. Seen from a position, whose own window certainly is in the
// batch, the items of that window are certain to stand there; so each candidate has two inclusion probabilities, and the
// loss takes the one that holds for the row.
type sampler struct {
	mixture Mixture
	// items by falling probability, in runs within which it falls by no more than half.
	items   []int32
	chance  []float64
	runs    []probabilityRun
	static  []float64 // by item, 0 for one that is never a candidate
	inBatch float64   // expected candidates from the batch

	// An epoch's: windows and how many of them each item stands in.
	windows int
	counts  []int32
	last    []int32 // scratch: the window, counted from 1, that counted the item last
	keep    float64
}

// probabilityRun is the items from one position to another, whose probabilities are at the most most.
type probabilityRun struct {
	from, to int
	most     float64
}

// newSampler spreads want expected draws over the items; events is by item.
func newSampler(items []int32, events []int, want int, m Mixture) *sampler {
	s := &sampler{
		mixture: m, items: slices.Clone(items), chance: make([]float64, len(items)), static: make([]float64, len(events)),
		counts: make([]int32, len(events)), last: make([]int32, len(events)),
	}
	sum := m.Uniform + m.Popularity + m.InBatch
	s.inBatch = float64(want) * m.InBatch / sum
	weights, popular := make([]float64, len(items)), 0.0
	for i, item := range items {
		weights[i] = math.Pow(float64(events[item]), m.Power)
		popular += weights[i]
	}
	for i := range weights {
		weights[i] = m.Popularity*weights[i]/popular + m.Uniform/float64(len(items))
	}
	static := float64(want) * (m.Uniform + m.Popularity) / sum
	for i, p := range spread(weights, min(static, float64(len(items)))) {
		s.static[items[i]] = p
	}
	slices.SortStableFunc(s.items, func(a, b int32) int { return cmp.Compare(s.static[b], s.static[a]) })
	for i, item := range s.items {
		s.chance[i] = s.static[item]
		if n := len(s.runs); n == 0 || s.chance[i] < s.runs[n-1].most/2 {
			s.runs = append(s.runs, probabilityRun{from: i, most: s.chance[i]})
		}
		s.runs[len(s.runs)-1].to = i + 1
	}
	return s
}

// spread makes probabilities in proportion to the weights that sum to want. Those beyond 1 are cut to 1 and what they lose goes
// to the others, until none is beyond.
func spread(weights []float64, want float64) []float64 {
	probability := make([]float64, len(weights))
	certain := make([]bool, len(weights))
	for {
		sum, left := 0.0, want
		for i, w := range weights {
			if certain[i] {
				left--
			} else {
				sum += w
			}
		}
		again := false
		for i, w := range weights {
			switch p := w * left / sum; {
			case certain[i]:
			case p >= 1:
				certain[i], again = true, true
				probability[i] = 1
			default:
				probability[i] = p
			}
		}
		if !again {
			return probability
		}
	}
}

// draw appends those items on which their own lot falls. Within a run it jumps, by a geometric number of items, to the next on
// which a lot of the run's greatest probability would fall, and lets a second lot correct for the item's own: at most
// about twice as many jumps as draws.
func (s *sampler) draw(items []int32, rng *rand.Rand) []int32 {
	for _, r := range s.runs {
		for at := r.from; ; at++ {
			if r.most < 1 {
				jump := math.Log1p(-rng.Float64()) / math.Log1p(-r.most)
				if jump >= float64(r.to-at) {
					break
				}
				at += int(jump)
			}
			if at >= r.to {
				break
			}
			if p := s.chance[at]; p >= r.most || rng.Float64()*r.most < p {
				items = append(items, s.items[at])
			}
		}
	}
	return items
}

// begin counts an epoch's windows, of which a batch will be size.
func (s *sampler) begin(windows [][]event, size int) {
	if s.inBatch == 0 {
		return
	}
	s.windows = len(windows)
	clear(s.counts)
	clear(s.last)
	for w, window := range windows {
		for _, e := range window {
			if s.last[e.item] != int32(w+1) {
				s.last[e.item] = int32(w + 1)
				s.counts[e.item]++
			}
		}
	}
	alike := map[int32]int{} // how many items stand in so many windows
	for _, n := range s.counts {
		alike[n]++
	}
	distinct := 0.0
	for _, n := range slices.Sorted(maps.Keys(alike)) {
		distinct += float64(alike[n]) * present(int(n), s.windows, size)
	}
	s.keep = min(1, s.inBatch/max(distinct, 1))
}

// present is the probability that of n marked things among all at least one is among size drawn without replacement.
func present(n, all, size int) float64 {
	if n <= 0 || size <= 0 {
		return 0
	}
	if n+size > all {
		return 1
	}
	missed := 0.0
	for k := range min(n, size) {
		missed += math.Log1p(-float64(max(n, size)) / float64(all-k))
	}
	return -math.Expm1(missed)
}

// raise is by how much the logit of a candidate is raised, -log of its inclusion probability, in a batch of size windows: at
// rows of windows without the item, and at rows of windows that have it.
func (s *sampler) raise(item int32, size int) (elsewhere, own float32) {
	missed := 1 - s.static[item]
	other := present(int(s.counts[item]), s.windows-1, size-1)
	return float32(-math.Log1p(-missed * (1 - s.keep*other))), float32(-math.Log1p(-missed * (1 - s.keep)))
}

// ownItems are the candidates that stand in the windows of a pack, with what their logits at the window's own rows lack.
type ownItems struct {
	window  []int32 // by row that is learnt from
	start   []int32 // of each window, in columns
	columns []int32
	lack    []float32
	seen    []uint64 // by column, the window that has it already
	serial  uint64
}

func (o *ownItems) reset() {
	o.window, o.columns, o.lack = o.window[:0], o.columns[:0], o.lack[:0]
	o.start = append(o.start[:0], 0)
}

// add appends a window that has so many rows to learn from.
func (o *ownItems) add(t *trainer, window []event, rows int) {
	if len(o.seen) < t.count {
		o.seen = append(o.seen, make([]uint64, t.count-len(o.seen))...)
	}
	o.serial++
	for range rows {
		o.window = append(o.window, int32(len(o.start)-1))
	}
	for _, e := range window {
		column := t.slot[e.item]
		if int(column) >= t.count || o.seen[column] == o.serial {
			continue
		}
		o.seen[column] = o.serial
		o.columns = append(o.columns, column)
		o.lack = append(o.lack, t.ownRaise[column]-t.raise[column])
	}
	o.start = append(o.start, int32(len(o.columns)))
}

// correct adds what the logits of a row lack.
func (o *ownItems) correct(logits []float32, row int) {
	w := o.window[row]
	for i := o.start[w]; i < o.start[w+1]; i++ {
		logits[o.columns[i]] += o.lack[i]
	}
}
