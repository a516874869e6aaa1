package training

import (
	"math"

	"github.com/freshet/freshet/services/towers/matrix"
)

// rankedAtOnce is how many users' scores over the whole catalogue lie in memory at once for each worker.
const rankedAtOnce = 16

// ranking sums up held-out cases, all items ranked but those of the history, ties counted against the model.
type ranking struct {
	cases          int
	recall10, ndcg float64 // sums
}

func (r *ranking) add(rank int) {
	r.cases++
	if rank <= 10 {
		r.recall10++
		r.ndcg += 1 / math.Log2(float64(rank)+1)
	}
}

// mean gives recall@10 and NDCG@10.
func (r *ranking) mean() (recall10, ndcg10 float64) {
	if r.cases == 0 {
		return 0, 0
	}
	return r.recall10 / float64(r.cases), r.ndcg / float64(r.cases)
}

// validator ranks held-out events by the weights as they are.
type validator struct {
	cases   []Case
	window  int
	vectors []float32 // of all items
	packs   []pack
	scores  [][]float32
	bodies  []*body
}

func newValidator(t *trainer, cases []Case) *validator {
	v := &validator{
		cases: cases, window: t.cfg.ValidationWindow,
		vectors: make([]float32, len(t.table.idRow)*t.cfg.Dim),
		packs:   make([]pack, len(t.workers)), scores: make([][]float32, len(t.workers)),
	}
	for range t.workers {
		v.bodies = append(v.bodies, newBody(t.users, newDropout(0)))
	}
	return v
}

// run gives recall@10 and NDCG@10 over the cases.
func (v *validator) run(t *trainer) (recall10, ndcg10 float64) {
	t.allVectors(v.vectors)
	parts := make([]ranking, len(t.workers))
	t.parallel(func(w int) {
		from, to := t.part(w, len(v.cases))
		for ; from < to; from += rankedAtOnce {
			v.rank(&parts[w], w, v.cases[from:min(from+rankedAtOnce, to)])
		}
	})
	var sum ranking
	for _, p := range parts {
		sum.cases += p.cases
		sum.recall10 += p.recall10
		sum.ndcg += p.ndcg
	}
	return sum.mean()
}

// allVectors encodes the whole catalogue.
func (t *trainer) allVectors(dst []float32) {
	d := t.cfg.Dim
	t.parallel(func(w int) {
		from, to := t.part(w, len(t.table.idRow))
		for i := from; i < to; i++ {
			t.table.encode(dst[i*d:(i+1)*d], int32(i), false)
		}
	})
}

func (v *validator) rank(into *ranking, w int, cases []Case) {
	p, b := &v.packs[w], v.bodies[w]
	d := b.w.Dim
	n := len(v.vectors) / d
	p.reset()
	for _, c := range cases {
		p.inputs = append(p.inputs, c.History[max(0, len(c.History)-v.window):]...)
		p.offsets = append(p.offsets, int32(len(p.inputs)))
	}
	x := b.forward(p, v.vectors)
	last := make([]float32, len(cases)*d)
	for i := range cases {
		if end := int(p.offsets[i+1]); end > int(p.offsets[i]) {
			copy(last[i*d:(i+1)*d], x[(end-1)*d:end*d])
		}
	}
	resize(&v.scores[w], len(cases)*n)
	matrix.Gemm(false, true, len(cases), n, d, 1, last, d, v.vectors, d, 0, v.scores[w], n)
	for i, c := range cases {
		into.add(rankOf(v.scores[w][i*n:(i+1)*n], c))
	}
}

// rankOf is the target's place, counted from 1. It overwrites the scores of the history.
func rankOf(scores []float32, c Case) int {
	target := scores[c.Target]
	for _, item := range c.History {
		scores[item] = float32(math.Inf(-1))
	}
	scores[c.Target] = float32(math.Inf(-1))
	rank := 1
	for _, s := range scores {
		if s >= target {
			rank++
		}
	}
	return rank
}
