package matrix

import (
	"fmt"
	"math"
)

func sameLength(op string, dst, src []float32) {
	if len(dst) != len(src) {
		panic(fmt.Sprintf("matrix: %s of %d elements into %d", op, len(src), len(dst)))
	}
}

// Sigmoid writes 1 / (1 + e^-x); dst may be src.
func Sigmoid(dst, src []float32) {
	sameLength("Sigmoid", dst, src)
	active.sigmoid(dst, src)
}

// SiLU writes x / (1 + e^-x); dst may be src.
func SiLU(dst, src []float32) {
	sameLength("SiLU", dst, src)
	active.silu(dst, src)
}

// SiLUGrad writes dy times the derivative of SiLU at x; dst may be x or dy.
func SiLUGrad(dst, x, dy []float32) {
	sameLength("SiLUGrad", dst, x)
	sameLength("SiLUGrad", dst, dy)
	active.siluGrad(dst, x, dy)
}

// GELU writes the Gaussian error linear unit in its tanh form, 0.5 x (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), of Hendrycks
// and Gimpel (2016); dst may be src.
func GELU(dst, src []float32) {
	sameLength("GELU", dst, src)
	active.gelu(dst, src)
}

// GELUGrad writes dy times the derivative of GELU at x; dst may be x or dy.
func GELUGrad(dst, x, dy []float32) {
	sameLength("GELUGrad", dst, x)
	sameLength("GELUGrad", dst, dy)
	active.geluGrad(dst, x, dy)
}

// Dot returns the sum of x[i] * y[i].
func Dot(x, y []float32) float32 {
	sameLength("Dot", x, y)
	return active.dot(x, y)
}

// Sum returns the sum of x.
func Sum(x []float32) float32 { return active.sum(x) }

// Axpy adds alpha * x to y.
func Axpy(alpha float32, x, y []float32) {
	sameLength("Axpy", y, x)
	active.axpy(alpha, x, y)
}

// SoftmaxRows replaces each of the rows, cols long and ld apart, by its softmax, and, if lse is not nil, writes each row's
// log-sum-exp there: cross-entropy against column t is lse minus what stood in t. Columns of -Inf get 0; a row of nothing
// but -Inf becomes 0 everywhere.
func SoftmaxRows(x []float32, rows, cols, ld int, lse []float32) {
	checkShape("x", x, ld, rows, cols, false)
	for i := range rows {
		row := x[i*ld : i*ld+cols]
		most := active.max(row)
		if math.IsInf(float64(most), -1) {
			clear(row)
			if lse != nil {
				lse[i] = most
			}
			continue
		}
		sum := active.expSum(row, row, most)
		active.scale(1/sum, row)
		if lse != nil {
			lse[i] = most + float32(math.Log(float64(sum)))
		}
	}
}
