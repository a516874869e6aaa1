package matrix

import "math"

// NormRow writes the layer normalisation of x (Ba, Kiros and Hinton, 2016) to dst: hat times gain plus bias, where hat, which is
// written too, is x less its mean, over the root of its variance plus epsilon. It returns the inverse of that root. dst may be x.
func NormRow(dst, hat, x, gain, bias []float32, epsilon float64) (inverse float32) {
	for _, row := range [...][]float32{dst, hat, gain, bias} {
		sameLength("NormRow", row, x)
	}
	n := float32(len(x))
	active.shift(hat, x, active.sum(x)/n)
	inverse = float32(1 / math.Sqrt(float64(active.dot(hat, hat)/n)+epsilon))
	active.affine(dst, hat, gain, bias, inverse)
	return inverse
}

// NormRowGrad turns dy, the gradient at NormRow's dst, into that at its x, in place, and adds those at gain and bias to dGain
// and dBias: with dh = dy * gain, dx = inverse * (dh - mean(dh) - hat * mean(dh * hat)).
func NormRowGrad(dy, hat, gain, dGain, dBias []float32, inverse float32) {
	for _, row := range [...][]float32{hat, gain, dGain, dBias} {
		sameLength("NormRowGrad", row, dy)
	}
	active.affineGrad(dy, hat, gain, dGain, dBias)
	n := float32(len(dy))
	active.normGrad(dy, hat, inverse, active.sum(dy)/n, active.dot(dy, hat)/n)
}

// ScaleWhere multiplies x by factor where mask, as long, is at least least, and makes it 0 elsewhere.
func ScaleWhere(factor float32, x []float32, mask []byte, least int) {
	whole := len(x) &^ 7
	active.scaleWhere(factor, x[:whole], mask[:whole], int32(least))
	portableScaleWhere(factor, x[whole:], mask[whole:len(x)], int32(least))
}
