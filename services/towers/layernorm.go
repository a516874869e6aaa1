package towers

import (
	"math"

	"github.com/freshet/freshet/services/towers/matrix"
)

// NormEpsilon keeps the normalisation of a constant row finite.
const NormEpsilon = 1e-6

// Apply normalises one row to mean 0 and variance 1, then applies gain and bias (Ba, Kiros, Hinton, "Layer Normalization",
// 2016). dst may be src.
func (n *Norm) Apply(dst, src []float32) {
	d := len(n.Gain)
	dst, src = dst[:d], src[:d]
	mean := matrix.Sum(src) / float32(d)
	for i, v := range src {
		dst[i] = v - mean
	}
	variance := matrix.Dot(dst, dst) / float32(d)
	inverse := float32(1 / math.Sqrt(float64(variance)+NormEpsilon))
	gain, bias := n.Gain[:d], n.Bias[:d]
	for i := range dst {
		dst[i] = dst[i]*inverse*gain[i] + bias[i]
	}
}
