package training

import (
	"math"

	"github.com/freshet/freshet/services/towers/matrix"
)

// A block of logits has as many rows as lets it stay in the L2 cache, but never so few that reading all the candidates for them
// would cost more than that. On ml-1m (3,416 items), 96 rows at a time train about a tenth faster than 153, whose logits spill.
const (
	logitsAtOnce  = 1 << 18
	leastLossRows = 96
	mostLossRows  = 256
)

// softmaxLoss is the cross-entropy of the next item against candidates, the first slots of the step's item vectors.
//
// With a full softmax the candidates are all items. With a sampled one, candidate j is in the step with probability q_j, and
// its logit is raised by -log q_j, so that the sum in the denominator is unbiased (Bengio and Senecal, 2008; the "logQ
// correction"). The target itself always takes part, uncorrected, in a column of its own; where it is among the candidates as
// well, an accidental hit, that column is masked.
//
// The candidates' vectors and their gradient lie transposed, a candidate a column, for as long as a run takes: so both products
// with the logits' rows read these where they are, and nothing as large as the logits is laid out anew.
type softmaxLoss struct {
	dim       int
	own       *ownItems // nil where q_j is the same at all rows
	wide      int       // elements from one row of the matrices below to the next
	vectors   []float32 // dim x wide
	dVectors  []float32 // dim x wide
	logits    []float32 // rows x wide
	lse       []float32
	untwisted []float32 // candidates x dim
}

// run returns the sum of the rows' losses, writes weight times its gradient at the embeddings x to dx, and adds that at
// the item vectors to dVectors. raise holds -log q_j by candidate, nil for all zero.
func (s *softmaxLoss) run(dx, dVectors, x, vectors []float32, targets []int32, candidates int, raise []float32,
	weight float32) float64 {
	d := s.dim
	s.wide = rowWidth(candidates + 1)
	resize(&s.vectors, d*s.wide)
	resize(&s.dVectors, d*s.wide)
	clear(s.dVectors)
	matrix.Transpose(s.vectors, s.wide, vectors, d, candidates, d)
	rows := min(mostLossRows, max(leastLossRows, logitsAtOnce/(candidates+1)))
	total := 0.0
	for start := 0; start < len(targets); start += rows {
		end := min(start+rows, len(targets))
		total += s.block(start, dx[start*d:end*d], dVectors, x[start*d:end*d], vectors, targets[start:end], candidates, raise, weight)
	}
	resize(&s.untwisted, candidates*d)
	matrix.Transpose(s.untwisted, d, s.dVectors, s.wide, d, candidates)
	matrix.Axpy(1, s.untwisted, dVectors[:candidates*d])
	return total
}

// rowWidth is n rounded up to an odd number of cache lines: rows begin on one, and the lines of a column fall into different sets
// of the cache, which they would not at a power of two.
func rowWidth(n int) int {
	const line = 16 // elements
	lines := (n + line - 1) / line
	return (lines | 1) * line
}

// block is run for the rows from first on; what candidates get of the gradient stays in s.dVectors.
func (s *softmaxLoss) block(first int, dx, dVectors, x, vectors []float32, targets []int32, candidates int, raise []float32,
	weight float32) float64 {
	d, n, wide := s.dim, len(targets), s.wide
	resize(&s.logits, n*wide)
	resize(&s.lse, n)
	total := 0.0
	matrix.Gemm(false, false, n, candidates, d, 1, x, d, s.vectors, wide, 0, s.logits, wide)
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
	matrix.Gemm(true, false, d, candidates, n, weight, x, d, s.logits, wide, 1, s.dVectors, wide)
	for r, target := range targets {
		total += float64(s.lse[r])
		pull := weight * (s.logits[r*wide+candidates] - 1)
		matrix.Axpy(pull, vectors[int(target)*d:int(target+1)*d], dx[r*d:(r+1)*d])
		matrix.Axpy(pull, x[r*d:(r+1)*d], dVectors[int(target)*d:int(target+1)*d])
	}
	return total
}
