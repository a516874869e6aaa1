package training

import (
	"math"

	"github.com/freshet/freshet/services/towers/matrix"
)

// logitsAtOnce bounds a block of logits, so that it stays in the cache whatever the number of candidates.
const (
	logitsAtOnce  = 1 << 19
	leastLossRows = 32
	mostLossRows  = 256
)

// softmaxLoss is the cross-entropy of the next item against candidates, the first slots of the step's item vectors.
//
// With a full softmax the candidates are all items. With a sampled one, candidate j is in the step with probability q_j, and
// its logit is raised by -log q_j, so that the sum in the denominator is unbiased (Bengio and Senecal, 2008; the "logQ
// correction"). The target itself always takes part, uncorrected, in a column of its own; where it is among the candidates as
// well, an accidental hit, that column is masked.
type softmaxLoss struct {
	dim    int
	own    *ownItems // nil where q_j is the same at all rows
	logits []float32
	lse    []float32
}

// run returns the sum of the rows' losses, writes weight times its gradient at the embeddings x to dx, and adds that at
// the item vectors to dVectors. raise holds -log q_j by candidate, nil for all zero.
func (s *softmaxLoss) run(dx, dVectors, x, vectors []float32, targets []int32, candidates int, raise []float32,
	weight float32) float64 {
	d := s.dim
	rows := min(mostLossRows, max(leastLossRows, logitsAtOnce/(candidates+1)))
	total := 0.0
	for start := 0; start < len(targets); start += rows {
		end := min(start+rows, len(targets))
		total += s.block(start, dx[start*d:end*d], dVectors, x[start*d:end*d], vectors, targets[start:end], candidates, raise, weight)
	}
	return total
}

// block is run for the rows from first on.
func (s *softmaxLoss) block(first int, dx, dVectors, x, vectors []float32, targets []int32, candidates int, raise []float32,
	weight float32) float64 {
	d, n := s.dim, len(targets)
	wide := (candidates + 1 + 15) &^ 15 // rows begin on a cache line
	resize(&s.logits, n*wide)
	resize(&s.lse, n)
	total := 0.0
	matrix.Gemm(false, true, n, candidates, d, 1, x, d, vectors, d, 0, s.logits, wide)
	for r, target := range targets {
		row := s.logits[r*wide : r*wide+candidates+1]
		if raise != nil {
			matrix.Axpy(1, raise, row[:candidates])
		}
		if s.own != nil {
			s.own.correct(row[:candidates], first+r)
		}
		if int(target) < candidates {
			row[target] = float32(math.Inf(-1))
		}
		row[candidates] = matrix.Dot(x[r*d:(r+1)*d], vectors[int(target)*d:int(target+1)*d])
		total -= float64(row[candidates])
	}
	matrix.SoftmaxRows(s.logits, n, candidates+1, wide, s.lse)
	matrix.Gemm(false, false, n, d, candidates, weight, s.logits, wide, vectors, d, 0, dx, d)
	matrix.Gemm(true, false, candidates, d, n, weight, s.logits, wide, x, d, 1, dVectors, d)
	for r, target := range targets {
		total += float64(s.lse[r])
		pull := weight * (s.logits[r*wide+candidates] - 1)
		matrix.Axpy(pull, vectors[int(target)*d:int(target+1)*d], dx[r*d:(r+1)*d])
		matrix.Axpy(pull, x[r*d:(r+1)*d], dVectors[int(target)*d:int(target+1)*d])
	}
	return total
}
