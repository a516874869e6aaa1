package matrix

import "os"

const (
	maxTileRows = 12
	maxTileCols = 32
)

// kernels is one tier: what the processor at hand runs.
type kernels struct {
	name string
	// heights are the tile heights there are, largest first, ending in 1; cols is the tile's width.
	heights []int
	cols    int
	// tile computes alpha times rows x cols of a product of kc steps, and stores it in C or adds it to C. Step p reads row i's
	// element a[i*aRow+p*aStep] and cols elements from b[p*bStep]. Each element is a chain of multiply-adds in the order of
	// p, started from zero, so that its bits do not depend on the height.
	tile func(rows, kc int, a []float32, aRow, aStep int, b []float32, bStep int, c []float32, ldc int, alpha float32, add bool)

	// expSum writes e^(x - shift) for each x of src, to about 1e-7 relative, and returns the sum; dst may be src. Results
	// below 2.4e-38 become 0; x above 88.72 gives the value there, close below the largest float32; NaN stays NaN.
	expSum   func(dst, src []float32, shift float32) float32
	sigmoid  func(dst, src []float32)
	silu     func(dst, src []float32)
	siluGrad func(dst, x, dy []float32)
	gelu     func(dst, src []float32)
	geluGrad func(dst, x, dy []float32)
	dot      func(x, y []float32) float32
	sum      func(x []float32) float32
	max      func(x []float32) float32 // -Inf for none, anything when x holds NaN
	axpy     func(alpha float32, x, y []float32)
	scale    func(alpha float32, x []float32)

	scaleWhere func(factor float32, x []float32, mask []byte, least int32) // x a multiple of 8 long
	shift      func(dst, x []float32, by float32)
	affine     func(dst, hat, gain, bias []float32, inverse float32)
	affineGrad func(dy, hat, gain, dGain, dBias []float32)
	normGrad   func(dh, hat []float32, inverse, mean, along float32)
}

// height is the highest tile for the rows that are left.
func (k *kernels) height(left int) int {
	for _, h := range k.heights {
		if h <= left {
			return h
		}
	}
	return 1
}

// active is the tier in use, chosen once at start.
var active = choose(available(), os.Getenv("FRESHET_KERNELS"))

// choose takes the best of the tiers, which come best first, or the wished one if the processor has it.
func choose(tiers []*kernels, wish string) *kernels {
	for _, t := range tiers {
		if t.name == wish {
			return t
		}
	}
	return tiers[0]
}
