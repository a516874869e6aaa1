package evaluation

import (
	"errors"
	"fmt"
	"slices"

	"gonum.org/v1/gonum/mat"
)

// EASE scores with a linear model of items by items without a diagonal, in closed form (Steck, WWW 2019): B = I - P diag(1/P),
// P being the inverse of the items' Gram matrix plus lambda on its diagonal; a user's scores are the sum of the rows of B that belong
// to the history's items. It knows no order.
type EASE struct {
	items   int
	weights []float32 // B by rows
}

// EASEMostItems is the largest catalogue for which EASE is cheap: time grows with the cube of the items, memory with the square,
// 20 bytes a pair.
const EASEMostItems = 5000

// easeLambda is the paper's for its smallest data set.
const easeLambda = 500

// NewEASE solves the model for the users' histories, of which repeats count once; items is the size of the catalogue, at most
// EASEMostItems.
func NewEASE(histories [][]int32, items int) (*EASE, error) {
	if items > EASEMostItems {
		return nil, fmt.Errorf("it inverts a matrix of %d x %d items, which is not cheap beyond %d", items, items, EASEMostItems)
	}
	p, err := inverseGram(histories, items)
	if err != nil {
		return nil, fmt.Errorf("solving EASE: %w", err)
	}
	e := &EASE{items: items, weights: make([]float32, items*items)}
	for i := range items {
		row := e.weights[i*items : (i+1)*items]
		for j := range row {
			if i != j {
				row[j] = float32(-p.At(i, j) / p.At(j, j))
			}
		}
	}
	return e, nil
}

// inverseGram is the inverse of XᵀX + lambda I; X has a row a user and a 1 for each item of the history.
func inverseGram(histories [][]int32, items int) (*mat.SymDense, error) {
	g := make([]float64, items*items)
	for i := range items {
		g[i*items+i] = easeLambda
	}
	for _, history := range histories {
		set := slices.Compact(slices.Sorted(slices.Values(history)))
		for at, i := range set {
			row := g[int(i)*items:]
			for _, j := range set[at:] {
				row[j]++
			}
		}
	}
	gram := mat.NewSymDense(items, g)
	var factors mat.Cholesky
	if !factors.Factorize(gram) {
		return nil, errors.New("the Gram matrix is not positive definite")
	}
	if err := factors.InverseTo(gram); err != nil {
		return nil, err
	}
	return gram, nil
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
