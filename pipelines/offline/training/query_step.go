package training

import (
	"math"
	"math/bits"
	"math/rand/v2"
	"sync"

	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/matrix"
)

// queryTrainer learns a query tower over item vectors that stay as they are. A question's vector is q = sum a E / sum a over its
// features, with a = e^s, and its loss the cross-entropy of softmax(q . item vectors) against the shares of the items asked for.
type queryTrainer struct {
	queryColumns
	texts *queryTexts
	// w holds E; its rows are the features that clean texts have. Others are left out, as in serving.
	w     *towers.QueryWeights
	score []float32 // s, by row

	embeddingMoments, scoreMoments *adam
	gradient                       queryGradient
	steps                          int

	batch   []asked
	q, dq   []float32 // by question
	workers []queryWorker
}

// asked is one question under way.
type asked struct {
	question
	features []int32   // rows of the weights
	parts    []float32 // of the question's vector, by feature; they sum up to 1
	loss     float64
}

type queryWorker struct{ logits, lse []float32 }

// newQueryTrainer starts every feature at the middle of the items that it belongs to, from which a word already finds them
// roughly, and with the weight of its rarity.
func newQueryTrainer(cfg *Config, x *queryTexts, vectors []float32, candidates []int32, events []int) *queryTrainer {
	t := &queryTrainer{
		queryColumns: newQueryColumns(cfg, vectors, candidates, events),
		texts:        x, w: towers.NewQueryWeights(cfg.Dim, knownBuckets(x, cfg.Query.MaxBuckets)),
		workers: make([]queryWorker, cfg.workers()),
	}
	rows := len(t.w.Weight)
	t.score = make([]float32, rows)
	t.embeddingMoments, t.scoreMoments = newAdam(len(t.w.Embedding)), newAdam(rows)
	t.gradient = newQueryGradient(cfg.Dim, rows)
	t.startFromItems(candidates)
	return t
}

// roomy is how many buckets there are for each feature at the least. A typo makes n-grams that no text has; the roomier, the
// fewer of them pass for others.
const roomy = 8

// knownBuckets chooses the number of buckets, within the bound, and marks those of the texts' features.
func knownBuckets(x *queryTexts, most int) []bool {
	different := map[int32]struct{}{}
	var scratch []int32
	x.all(func(text string) {
		scratch = towers.AppendQueryBuckets(scratch[:0], text, towers.MaxQueryBuckets)
		for _, b := range scratch {
			different[b] = struct{}{}
		}
	})
	known := make([]bool, min(1<<bits.Len(uint(roomy*len(different)-1)), most))
	x.all(func(text string) {
		scratch = towers.AppendQueryBuckets(scratch[:0], text, len(known))
		for _, b := range scratch {
			known[b] = true
		}
	})
	return known
}

func (t *queryTrainer) startFromItems(candidates []int32) {
	mean, n := make([]float32, t.dim), make([]float32, len(t.score))
	for _, item := range candidates {
		matrix.Axpy(1/float32(len(candidates)), t.vector(item), mean)
	}
	for id, word := range t.texts.words {
		for _, f := range t.w.AppendRows(nil, word) {
			for _, item := range t.texts.holders[id] {
				matrix.Axpy(1, t.vector(item), t.row(f))
				n[f]++
			}
		}
	}
	for f, held := range n {
		if held == 0 { // of searches alone
			continue
		}
		row := t.row(int32(f))
		for j := range row {
			row[j] = row[j]/held - mean[j]
		}
		t.score[f] = float32(math.Log(math.Log1p(float64(len(candidates)) / float64(held))))
	}
}

func (t *queryTrainer) row(f int32) []float32 { return t.w.Embedding[int(f)*t.dim : int(f+1)*t.dim] }

// step learns from a question of each source and returns the mean loss of those that have a feature.
func (t *queryTrainer) step(sources []int32, rng *rand.Rand, rate float64) float64 {
	t.ask(sources, rng)
	loss := t.learn()
	t.steps++
	p := newPace(rate, t.steps)
	for _, f := range t.gradient.list {
		at := int(f) * t.dim
		t.embeddingMoments.update(t.row(f), t.gradient.embedding[at:at+t.dim], at, p)
		t.scoreMoments.update(t.score[f:f+1], t.gradient.score[f:f+1], int(f), p)
	}
	return loss
}

// ask makes the questions of a step and chooses its columns.
func (t *queryTrainer) ask(sources []int32, rng *rand.Rand) {
	resize(&t.batch, len(sources))
	for i, source := range sources {
		a := &t.batch[i]
		t.texts.ask(&a.question, source, rng)
		a.features = t.w.AppendRows(a.features[:0], a.text)
	}
	t.choose(t.batch, rng)
}

// learn leaves the gradient of the questions' mean loss in t.gradient. The questions do not depend on each other, so that the
// number of workers changes no bit; the gradients of the features are added up in the order of the questions.
func (t *queryTrainer) learn() float64 {
	resize(&t.q, len(t.batch)*t.dim)
	resize(&t.dq, len(t.batch)*t.dim)
	telling := 0
	for i := range t.batch {
		if len(t.batch[i].features) > 0 {
			telling++
		}
	}
	weight := 1 / float32(max(telling, 1))
	var wg sync.WaitGroup
	for w := range t.workers {
		from, to := w*len(t.batch)/len(t.workers), (w+1)*len(t.batch)/len(t.workers)
		wg.Go(func() { t.work(&t.workers[w], from, to, weight) })
	}
	wg.Wait()
	t.gradient.reset(t.dim)
	total := 0.0
	for i := range t.batch {
		t.backward(i)
		total += t.batch[i].loss
	}
	return total * float64(weight)
}

// work takes questions from one number to another forward, and back to their vectors.
func (t *queryTrainer) work(w *queryWorker, from, to int, weight float32) {
	d, n, m := t.dim, to-from, len(t.columns)
	q, dq := t.q[from*d:to*d], t.dq[from*d:to*d]
	for i := range n {
		t.pool(&t.batch[from+i], q[i*d:(i+1)*d])
	}
	resize(&w.logits, n*m)
	resize(&w.lse, n)
	matrix.Gemm(false, true, n, m, d, 1, q, d, t.table, d, 0, w.logits, m)
	for i := range n {
		a := &t.batch[from+i]
		a.loss = t.mask(a, w.logits[i*m:(i+1)*m])
	}
	matrix.SoftmaxRows(w.logits, n, m, m, w.lse)
	for i := range n {
		a, logits := &t.batch[from+i], w.logits[i*m:(i+1)*m]
		a.loss += float64(w.lse[i])
		if len(a.features) == 0 { // a typo in a word of its own: nothing is left to learn from
			a.loss = 0
			clear(logits)
			continue
		}
		t.each(a, func(column int, share float32) { logits[column] -= share })
	}
	matrix.Gemm(false, false, n, d, m, weight, w.logits, m, t.table, d, 0, dq, d)
}

// pool makes a question's vector and keeps the part of each feature in it.
func (t *queryTrainer) pool(a *asked, q []float32) {
	clear(q)
	resize(&a.parts, len(a.features))
	total := float32(0)
	for i, f := range a.features {
		a.parts[i] = float32(math.Exp(float64(t.score[f])))
		total += a.parts[i]
	}
	for i, f := range a.features {
		a.parts[i] /= total
		matrix.Axpy(a.parts[i], t.row(f), q)
	}
}

// backward adds a question's gradient at its vector to its features': dE = part dq, ds = part (E - q) . dq.
func (t *queryTrainer) backward(i int) {
	a, d := &t.batch[i], t.dim
	q, dq := t.q[i*d:(i+1)*d], t.dq[i*d:(i+1)*d]
	along := matrix.Dot(q, dq)
	for k, f := range a.features {
		t.gradient.touch(f)
		matrix.Axpy(a.parts[k], dq, t.gradient.embedding[int(f)*d:int(f+1)*d])
		t.gradient.score[f] += a.parts[k] * (matrix.Dot(t.row(f), dq) - along)
	}
}

// leastWeight is what the lowest score is worth: a weight of 0 would mean that there is no row.
const leastWeight = 1e-30

// weights are the tower as it serves.
func (t *queryTrainer) weights(length float32) *towers.QueryWeights {
	t.w.Length = length
	for f, s := range t.score {
		t.w.Weight[f] = max(float32(math.Exp(float64(s))), leastWeight)
	}
	return t.w
}

// queryGradient is that of the features which a step touched.
type queryGradient struct {
	embedding, score []float32
	touched          []bool
	list             []int32
}

func newQueryGradient(dim, rows int) queryGradient {
	return queryGradient{embedding: make([]float32, rows*dim), score: make([]float32, rows), touched: make([]bool, rows)}
}

func (g *queryGradient) touch(f int32) {
	if !g.touched[f] {
		g.touched[f] = true
		g.list = append(g.list, f)
	}
}

func (g *queryGradient) reset(dim int) {
	for _, f := range g.list {
		clear(g.embedding[int(f)*dim : int(f+1)*dim])
		g.score[f], g.touched[f] = 0, false
	}
	g.list = g.list[:0]
}
