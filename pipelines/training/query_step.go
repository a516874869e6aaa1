package training

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"sync"

	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/matrix"
)

// mostAsked bounds, where the loss is sampled, the items that one question takes part with: a category may fit half of a large
// catalogue.
const mostAsked = 8

// queryTrainer learns a query tower over item vectors that stay as they are. A question's vector is q = sum a E / sum a over its
// buckets, with a = e^s, and its loss the cross-entropy of softmax(q . item vectors) against the shares of the items asked for.
type queryTrainer struct {
	dim, buckets int
	texts        *queryTexts
	vectors      []float32 // of all items, frozen
	embedding    []float32 // E, by bucket
	score        []float32 // s, by bucket
	known        []bool    // buckets of features that a clean text has; others are left out, as in serving

	embeddingMoments, scoreMoments *adam
	gradient                       queryGradient
	steps                          int

	// A step's: columns are the items that the softmax ranks, the first count of them for all questions, the others only for
	// those that ask for them; column is the inverse, -1 for none; table has the columns' vectors, raise their corrections.
	sampler *sampler
	columns []int32
	column  []int32
	count   int
	table   []float32
	raise   []float32

	rows    []queryRow
	q, dq   []float32 // by row
	workers []queryWorker
}

// queryRow is one question under way.
type queryRow struct {
	question
	buckets []int32
	parts   []float32 // of the row's vector, by its buckets; they sum up to 1
	loss    float64
}

type queryWorker struct {
	logits []float32
	lse    []float32
}

// queryGradient is that of the buckets which a step touched.
type queryGradient struct {
	embedding, score []float32
	touched          []bool
	list             []int32
}

// newQueryTrainer starts every bucket at the middle of the items that its features belong to, from which a word already finds
// them roughly, and with the weight of its rarity.
func newQueryTrainer(cfg *Config, x *queryTexts, vectors []float32, candidates []int32, events []int) *queryTrainer {
	t := &queryTrainer{
		dim: cfg.Dim, buckets: bucketsFor(x, cfg.Query.MaxBuckets), texts: x, vectors: vectors,
		column: make([]int32, len(x.items)), workers: make([]queryWorker, cfg.workers()),
	}
	t.embedding, t.score = make([]float32, t.buckets*t.dim), make([]float32, t.buckets)
	t.known = make([]bool, t.buckets)
	t.embeddingMoments, t.scoreMoments = newAdam(len(t.embedding)), newAdam(len(t.score))
	t.gradient = queryGradient{
		embedding: make([]float32, len(t.embedding)), score: make([]float32, t.buckets), touched: make([]bool, t.buckets),
	}
	x.all(func(text string) {
		for _, b := range towers.AppendQueryBuckets(nil, text, t.buckets) {
			t.known[b] = true
		}
	})
	t.startFromItems(candidates)
	for i := range t.column {
		t.column[i] = -1
	}
	if len(candidates) > cfg.FullSoftmaxMaxItems {
		seen := make([]int, len(events)) // a new item is worth finding too
		for i, n := range events {
			seen[i] = n + 1
		}
		t.sampler = newSampler(candidates, seen, cfg.Negatives)
	} else {
		t.addColumns(candidates)
		t.count = len(candidates)
	}
	return t
}

// bucketsFor is the power of two from the number of different features on, within the bound.
func bucketsFor(x *queryTexts, most int) int {
	different := map[int32]struct{}{}
	x.all(func(text string) {
		for _, b := range towers.AppendQueryBuckets(nil, text, towers.MaxQueryBuckets) {
			different[b] = struct{}{}
		}
	})
	return min(1<<bits.Len(uint(max(len(different), 1)-1)), most)
}

func (t *queryTrainer) startFromItems(candidates []int32) {
	mean, n := make([]float32, t.dim), make([]float32, t.buckets)
	for _, item := range candidates {
		matrix.Axpy(1/float32(len(candidates)), t.vector(item), mean)
	}
	for id, word := range t.texts.words {
		for _, b := range towers.AppendQueryBuckets(nil, word, t.buckets) {
			for _, item := range t.texts.holders[id] {
				matrix.Axpy(1, t.vector(item), t.row(b))
				n[b]++
			}
		}
	}
	for b, held := range n {
		if held == 0 {
			continue
		}
		row := t.row(int32(b))
		for j := range row {
			row[j] = row[j]/held - mean[j]
		}
		t.score[b] = float32(math.Log(math.Log1p(float64(len(candidates)) / float64(held))))
	}
}

func (t *queryTrainer) vector(item int32) []float32 {
	return t.vectors[int(item)*t.dim : int(item+1)*t.dim]
}
func (t *queryTrainer) row(b int32) []float32 { return t.embedding[int(b)*t.dim : int(b+1)*t.dim] }

// step learns from a question of each source and returns the mean loss of those that have a feature.
func (t *queryTrainer) step(sources []int32, rng *rand.Rand, rate float64) float64 {
	t.ask(sources, rng)
	loss := t.learn()
	t.steps++
	p := newPace(rate, t.steps)
	for _, b := range t.gradient.list {
		at := int(b) * t.dim
		t.embeddingMoments.update(t.row(b), t.gradient.embedding[at:at+t.dim], at, p)
		t.scoreMoments.update(t.score[b:b+1], t.gradient.score[b:b+1], int(b), p)
	}
	return loss
}

// ask makes the questions of a step and chooses its columns.
func (t *queryTrainer) ask(sources []int32, rng *rand.Rand) {
	for len(t.rows) < len(sources) {
		t.rows = append(t.rows, queryRow{})
	}
	t.rows = t.rows[:len(sources)]
	for i, source := range sources {
		r := &t.rows[i]
		t.texts.ask(&r.question, source, rng)
		r.buckets = towers.AppendQueryBuckets(r.buckets[:0], r.text, t.buckets)
		kept := r.buckets[:0]
		for _, b := range r.buckets {
			if t.known[b] {
				kept = append(kept, b)
			}
		}
		r.buckets = kept
	}
	if t.sampler != nil {
		t.sample(rng)
	}
}

// sample draws the columns of a step: candidates for all, and up to mostAsked of what each question asks for.
func (t *queryTrainer) sample(rng *rand.Rand) {
	for _, item := range t.columns {
		t.column[item] = -1
	}
	drawn, raise := t.sampler.draw(nil, t.raise[:0], rng)
	t.columns, t.table, t.raise = t.columns[:0], t.table[:0], raise
	t.addColumns(drawn)
	t.count = len(t.columns)
	for i := range t.rows {
		q := &t.rows[i].question
		for at := range min(mostAsked, len(q.items)) {
			j := at + rng.IntN(len(q.items)-at)
			q.items[at], q.items[j] = q.items[j], q.items[at]
			q.shares[at], q.shares[j] = q.shares[j], q.shares[at]
			if t.column[q.items[at]] < 0 {
				t.addColumns(q.items[at : at+1])
			}
		}
	}
}

func (t *queryTrainer) addColumns(items []int32) {
	for _, item := range items {
		t.column[item] = int32(len(t.columns))
		t.columns = append(t.columns, item)
		t.table = append(t.table, t.vector(item)...)
	}
}

// learn leaves the gradient of the questions' mean loss in t.gradient. The rows do not depend on each other, so that the number
// of workers changes no bit; the gradients of the buckets are added up in the order of the rows.
func (t *queryTrainer) learn() float64 {
	resize(&t.q, len(t.rows)*t.dim)
	resize(&t.dq, len(t.rows)*t.dim)
	asked := 0
	for i := range t.rows {
		if len(t.rows[i].buckets) > 0 {
			asked++
		}
	}
	weight := 1 / float32(max(asked, 1))
	var wg sync.WaitGroup
	for w := range t.workers {
		wg.Go(func() {
			from, to := w*len(t.rows)/len(t.workers), (w+1)*len(t.rows)/len(t.workers)
			if from < to {
				t.work(&t.workers[w], from, to, weight)
			}
		})
	}
	wg.Wait()
	t.gradient.reset(t.dim)
	total := 0.0
	for i := range t.rows {
		t.backward(i)
		total += t.rows[i].loss
	}
	return total * float64(weight)
}

// work takes rows from one number to another forward, and back to their vectors.
func (t *queryTrainer) work(w *queryWorker, from, to int, weight float32) {
	d, n, m := t.dim, to-from, len(t.columns)
	q, dq := t.q[from*d:to*d], t.dq[from*d:to*d]
	for i := from; i < to; i++ {
		t.pool(&t.rows[i], t.q[i*d:(i+1)*d])
	}
	resize(&w.logits, n*m)
	resize(&w.lse, n)
	matrix.Gemm(false, true, n, m, d, 1, q, d, t.table, d, 0, w.logits, m)
	for i := range n {
		t.rows[from+i].loss = t.mask(&t.rows[from+i], w.logits[i*m:(i+1)*m])
	}
	matrix.SoftmaxRows(w.logits, n, m, m, w.lse)
	for i := range n {
		r, logits := &t.rows[from+i], w.logits[i*m:(i+1)*m]
		r.loss += float64(w.lse[i])
		if len(r.buckets) == 0 { // the row teaches nothing
			r.loss = 0
			clear(logits)
			continue
		}
		t.each(r, func(column int, share float32) { logits[column] -= share })
	}
	matrix.Gemm(false, false, n, d, m, weight, w.logits, m, t.table, d, 0, dq, d)
}

// each goes over the items that a row asks for and that take part, by their columns, with shares that sum up to 1.
func (t *queryTrainer) each(r *queryRow, do func(column int, share float32)) {
	n := len(r.items)
	if t.sampler != nil {
		n = min(n, mostAsked)
	}
	total := float32(0)
	for _, s := range r.shares[:n] {
		total += s
	}
	for i, item := range r.items[:n] {
		do(int(t.column[item]), r.shares[i]/total)
	}
}

// mask corrects a row's logits for sampling, leaves out the columns that are not its own, and returns minus what it asks for. An
// item that fits the question and was drawn as a candidate only is no wrong answer, and is left out as well.
func (t *queryTrainer) mask(r *queryRow, logits []float32) (loss float64) {
	if t.sampler == nil {
		t.each(r, func(column int, share float32) { loss -= float64(share * logits[column]) })
		return loss
	}
	out := float32(math.Inf(-1))
	var own [mostAsked]float32
	at := 0
	t.each(r, func(column int, share float32) {
		own[at] = logits[column]
		loss -= float64(share * own[at])
		at++
	})
	matrix.Axpy(1, t.raise, logits[:t.count])
	for c := t.count; c < len(logits); c++ {
		logits[c] = out
	}
	for _, item := range r.items {
		if c := t.column[item]; c >= 0 {
			logits[c] = out
		}
	}
	at = 0
	t.each(r, func(column int, _ float32) { logits[column] = own[at]; at++ })
	return loss
}

// pool makes a row's vector and keeps the share of each bucket in it.
func (t *queryTrainer) pool(r *queryRow, q []float32) {
	clear(q)
	resize(&r.parts, len(r.buckets))
	total := float32(0)
	for i, b := range r.buckets {
		r.parts[i] = float32(math.Exp(float64(t.score[b])))
		total += r.parts[i]
	}
	for i, b := range r.buckets {
		r.parts[i] /= total
		matrix.Axpy(r.parts[i], t.row(b), q)
	}
}

// backward adds a row's gradient at its vector to its buckets': dE = part dq, ds = part (E - q) . dq.
func (t *queryTrainer) backward(i int) {
	r, d := &t.rows[i], t.dim
	q, dq := t.q[i*d:(i+1)*d], t.dq[i*d:(i+1)*d]
	along := matrix.Dot(q, dq)
	for k, b := range r.buckets {
		t.gradient.touch(b)
		matrix.Axpy(r.parts[k], dq, t.gradient.embedding[int(b)*d:int(b+1)*d])
		t.gradient.score[b] += r.parts[k] * (matrix.Dot(t.row(b), dq) - along)
	}
}

func (g *queryGradient) touch(b int32) {
	if !g.touched[b] {
		g.touched[b] = true
		g.list = append(g.list, b)
	}
}

func (g *queryGradient) reset(dim int) {
	for _, b := range g.list {
		clear(g.embedding[int(b)*dim : int(b+1)*dim])
		g.score[b], g.touched[b] = 0, false
	}
	g.list = g.list[:0]
}

// weights are the tower as it serves.
func (t *queryTrainer) weights(length float32) *towers.QueryWeights {
	w := towers.NewQueryWeights(t.dim, t.buckets)
	w.Length = length
	for b, known := range t.known {
		if known {
			w.Weight[b] = float32(math.Exp(float64(t.score[b])))
			copy(w.Embedding[b*t.dim:(b+1)*t.dim], t.row(int32(b)))
		}
	}
	return w
}
