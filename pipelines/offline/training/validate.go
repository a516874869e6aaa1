package training

import (
	"math"

	"github.com/freshet/freshet/services/towers/matrix"
)

// rankedAtOnce is how many users' scores over the whole catalogue lie in memory at once for each worker.
const rankedAtOnce = 16

// ranking sums up held-out cases, all items ranked but those of the history, ties counted against the model.
type ranking struct {
	cases                 int
	recall10, ndcg10, all float64 // sums
}

func (r *ranking) add(rank int) {
	gain := 1 / math.Log2(float64(rank)+1)
	r.cases++
	r.all += gain
	if rank <= 10 {
		r.recall10++
		r.ndcg10 += gain
	}
}

// score is what one validation found.
type score struct {
	recall10, ndcg10 float64
	// ndcg is not cut at 10. The best epoch is chosen by it: on a few hundred cases, of which a tenth may be hits, the cut figures
	// are mostly chance, while every case's place says something.
	ndcg float64
}

func (r *ranking) mean() score {
	n := float64(max(r.cases, 1))
	return score{recall10: r.recall10 / n, ndcg10: r.ndcg10 / n, ndcg: r.all / n}
}

// validator ranks held-out events by the weights as they are.
type validator struct {
	cases   []heldOut
	window  int
	repeats bool      // an item of the history may be what comes next
	vectors []float32 // of all items
	packs   []pack
	scores  [][]float32
	bodies  []*body
}

func newValidator(t *trainer, cases []heldOut) *validator {
	v := &validator{
		cases: cases, window: t.cfg.ValidationWindow, repeats: t.cfg.Repeats,
		packs: make([]pack, len(t.workers)), scores: make([][]float32, len(t.workers)),
	}
	if len(cases) > 0 {
		v.vectors = make([]float32, len(t.table.idRow)*t.cfg.Dim)
	}
	for range t.workers {
		v.bodies = append(v.bodies, newBody(t.users, newDropout(0)))
	}
	return v
}

// run ranks the cases' targets.
func (v *validator) run(t *trainer) score {
	t.allVectors(v.vectors)
	parts := make([]ranking, len(t.workers))
	t.parallel(func(w int) {
		from, to := t.part(w, len(v.cases))
		for ; from < to; from += rankedAtOnce {
			v.rank(&parts[w], w, v.cases[from:min(from+rankedAtOnce, to)])
		}
	})
	return meanOf(parts)
}

// meanOf adds up the parts, in their order.
func meanOf(parts []ranking) score {
	var sum ranking
	for _, p := range parts {
		sum.cases += p.cases
		sum.recall10 += p.recall10
		sum.ndcg10 += p.ndcg10
		sum.all += p.all
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

func (v *validator) rank(into *ranking, w int, cases []heldOut) {
	p, b := &v.packs[w], v.bodies[w]
	d := b.w.Dim
	n := len(v.vectors) / d
	p.reset()
	for _, c := range cases {
		p.read(c.history[max(0, len(c.history)-v.window):], func(item int32) int32 { return item })
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
		into.add(rankOf(v.scores[w][i*n:(i+1)*n], c, v.repeats))
	}
}

// rankOf is the target's place, counted from 1. It overwrites scores: the target's, and those of the history where repeats do
// not count.
func rankOf(scores []float32, c heldOut, repeats bool) int {
	target := scores[c.target]
	if math.IsNaN(float64(target)) { // of a model that diverged
		return len(scores)
	}
	if !repeats {
		for _, e := range c.history {
			scores[e.item] = float32(math.Inf(-1))
		}
	}
	scores[c.target] = float32(math.Inf(-1))
	rank := 1
	for _, s := range scores {
		if !(s < target) { // like a tie, what is no number counts against
			rank++
		}
	}
	return rank
}
