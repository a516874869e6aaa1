package evaluation

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"gonum.org/v1/gonum/mat"

	"github.com/freshet/freshet/services/towers/matrix"
)

// EASE scores with a linear model of items by items without a diagonal, in closed form (Steck, WWW 2019): B = I - P diag(1/P),
// P being the inverse of the items' Gram matrix plus lambda on its diagonal; a user's scores are the sum of the rows of B that belong
// to the history's items. It knows no order.
type EASE struct {
	items   int
	weights []float32 // B by rows
}

// NewEASE solves the model for the users' histories, of which repeats count once; items is the size of the catalogue. Time grows
// with the cube of the items, memory with their square: EASELimits.Allow says whether that is worth trying.
func NewEASE(ctx context.Context, histories [][]int32, items int, lambda float64) (*EASE, error) {
	g, e := newGram(items), &EASE{items: items, weights: make([]float32, items*items)}
	err := g.count(histories)
	if err == nil {
		err = g.solve(ctx, e.weights, lambda)
	}
	if err != nil {
		return nil, fmt.Errorf("solving EASE: %w", err)
	}
	return e, nil
}

// Name is the scorer's row in the table.
func (*EASE) Name() string { return "EASE" }

// Score adds up the rows of the different items of the history.
func (e *EASE) Score(scores []float32, _ int32, history []int32) {
	clear(scores)
	for _, item := range slices.Compact(slices.Sorted(slices.Values(history))) {
		row := e.weights[int(item)*e.items : int(item+1)*e.items]
		for i, w := range row {
			scores[i] += w
		}
	}
}

// gram counts how many users have each pair of items. Single precision counts exactly up to mostUsers.
type gram struct {
	items  int
	counts []float32
}

const mostUsers = 1 << 24

func newGram(items int) *gram { return &gram{items: items, counts: make([]float32, items*items)} }

// count counts anew.
func (g *gram) count(histories [][]int32) error {
	if len(histories) > mostUsers {
		return fmt.Errorf("there are %d users, more than %d: give a part of them", len(histories), mostUsers)
	}
	n := g.items
	clear(g.counts)
	for _, history := range histories {
		set := slices.Compact(slices.Sorted(slices.Values(history)))
		for at, i := range set {
			row := g.counts[int(i)*n:]
			for _, j := range set[at:] {
				row[j]++
			}
		}
	}
	for i := range n {
		for j := range i {
			g.counts[i*n+j] = g.counts[j*n+i]
		}
	}
	return nil
}

// probes is how many columns of an inverse are multiplied out, and residue how far from the identity they may be: with lambda as
// small as this package tries them, some millionths are usual.
const (
	probes  = 8
	residue = .01
)

// solve writes B for a lambda to weights.
func (g *gram) solve(ctx context.Context, weights []float32, lambda float64) error {
	n := g.items
	copy(weights, g.counts)
	for i := range n {
		weights[i*n+i] += float32(lambda)
	}
	if err := invert(ctx, weights, n); err != nil {
		return err
	}
	if r := g.residual(weights, lambda); !(r < residue) {
		return fmt.Errorf("single precision is not enough for lambda %g: its inverse is %.3g off: give a larger one", lambda, r)
	}
	diagonal := make([]float32, n)
	for i := range n {
		diagonal[i] = weights[i*n+i]
	}
	for i := range n {
		row := weights[i*n : (i+1)*n]
		for j := range row {
			row[j] /= -diagonal[j]
		}
		row[i] = 0
	}
	return nil
}

// residual is the largest element of (counts + lambda I) P - I in some columns, spread evenly.
func (g *gram) residual(p []float32, lambda float64) (worst float64) {
	n := g.items
	for probe := range min(probes, n) {
		j := probe * n / min(probes, n)
		column := p[j*n : (j+1)*n] // P is symmetric
		for i := range n {
			sum := lambda * float64(column[i])
			for k, count := range g.counts[i*n : (i+1)*n] {
				sum += float64(count) * float64(column[k])
			}
			worst = max(worst, math.Abs(sum-float64(oneIf(i == j))))
		}
	}
	return worst
}

// pivot is how many rows a step of invert takes.
const pivot = 128

// invert replaces a symmetric, positive definite matrix of n x n by its inverse, sweeping block after block (Beaton, 1964; Goodnight,
// 1979): all but the inverses of blocks on the diagonal, which are solved in double precision, are products of matrices. What is
// swept stays symmetric, so that the lower triangle is enough, and ends as the inverse with its sign turned.
func invert(ctx context.Context, a []float32, n int) error {
	block := make([]float32, pivot*pivot)
	columns, swept, rows := make([]float32, n*pivot), make([]float32, n*pivot), make([]float32, pivot*n)
	for from := 0; from < n; from += pivot {
		if err := ctx.Err(); err != nil {
			return err
		}
		size := min(pivot, n-from)
		to := from + size
		if err := invertBlock(block, a[from*n+from:], size, n); err != nil {
			return err
		}
		// The block's columns; above it, they are its rows.
		matrix.Transpose(columns, size, a[from*n:], n, size, from)
		clear(columns[from*size : to*size])
		for i := to; i < n; i++ {
			copy(columns[i*size:(i+1)*size], a[i*n+from:i*n+to])
		}
		inStripes(n, func(lo, hi int) {
			matrix.Gemm(false, false, hi-lo, size, size, 1, columns[lo*size:], size, block, size, 0, swept[lo*size:], size)
		})
		matrix.Transpose(rows, n, swept, size, n, size)
		inStripes(n, func(lo, hi int) {
			matrix.Gemm(false, false, hi-lo, hi, size, -1, columns[lo*size:], size, rows, n, 1, a[lo*n:], n)
		})
		for i := range size {
			copy(a[(from+i)*n:(from+i)*n+from], rows[i*n:i*n+from])
			for j := range size {
				a[(from+i)*n+from+j] = -block[i*size+j]
			}
		}
		for i := to; i < n; i++ {
			copy(a[i*n+from:i*n+to], swept[i*size:(i+1)*size])
		}
	}
	for i := range n {
		for j := range i + 1 {
			a[i*n+j] = -a[i*n+j]
			a[j*n+i] = a[i*n+j]
		}
	}
	return nil
}

// invertBlock writes the inverse of the block of size x size that begins a matrix with rows of n, by its lower triangle.
func invertBlock(dst, a []float32, size, n int) error {
	block := mat.NewSymDense(size, nil)
	for i := range size {
		for j := range i + 1 {
			block.SetSym(i, j, float64(a[i*n+j]))
		}
	}
	var factors mat.Cholesky
	if !factors.Factorize(block) || factors.InverseTo(block) != nil {
		return errors.New("the Gram matrix is singular, or nearly so: give a larger lambda")
	}
	for i := range size {
		for j := range size {
			dst[i*size+j] = float32(block.At(i, j))
		}
	}
	return nil
}

// inStripes calls with stripes of n rows, from several goroutines.
func inStripes(n int, call func(lo, hi int)) {
	const stripe = 256
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for lo := int(next.Add(stripe)) - stripe; lo < n; lo = int(next.Add(stripe)) - stripe {
				call(lo, min(lo+stripe, n))
			}
		})
	}
	workers.Wait()
}
