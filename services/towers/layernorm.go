package towers

import (
	"math"

	"github.com/freshet/freshet/services/towers/matrix"
)

// normEpsilon keeps the normalisation of a constant row finite.
const normEpsilon = 1e-6

// Apply normalises one row to mean 0 and variance 1, then applies gain and bias (Ba, Kiros, Hinton, "Layer Normalization",
// 2016). dst may be src. It returns the mean and the inverse deviation, which a backward pass needs.
func (n *Norm) Apply(dst, src []float32) (mean, inverse float32) {
	d := len(n.Gain)
	dst, src = dst[:d], src[:d]
	mean = matrix.Sum(src) / float32(d)
	for i, v := range src {
		dst[i] = v - mean
	}
	variance := matrix.Dot(dst, dst) / float32(d)
	inverse = float32(1 / math.Sqrt(float64(variance)+normEpsilon))
	gain, bias := n.Gain[:d], n.Bias[:d]
	for i := range dst {
		dst[i] = dst[i]*inverse*gain[i] + bias[i]
	}
	return mean, inverse
}
