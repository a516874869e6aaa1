package matrix

import "math"

// portable is the twin of the assembly in plain Go. Products are converted to float32 before they are added, which forbids
// the compiler to fuse the two in one function and not in another.
var portable = kernels{
	name: "portable", heights: []int{4, 1}, cols: 4, tile: portableTile,
	expSum: portableExpSum, sigmoid: portableSigmoid, silu: portableSiLU, siluGrad: portableSiLUGrad,
	gelu: portableGELU, geluGrad: portableGELUGrad, dot: portableDot, sum: portableSum, max: portableMax,
	axpy: portableAxpy, scale: portableScale,
	scaleWhere: portableScaleWhere, shift: portableShift, affine: portableAffine, affineGrad: portableAffineGrad,
	normGrad: portableNormGrad,
}

func portableTile(rows, kc int, a []float32, aRow, aStep int, b []float32, bStep int, c []float32, ldc int, alpha float32, add bool) {
	if rows == 4 {
		portableTile4(kc, a, aRow, aStep, b, bStep, c, ldc, alpha, add)
		return
	}
	var s0, s1, s2, s3 float32
	for p := range kc {
		x, y := a[p*aStep], b[p*bStep:p*bStep+4:p*bStep+4]
		s0 += float32(x * y[0])
		s1 += float32(x * y[1])
		s2 += float32(x * y[2])
		s3 += float32(x * y[3])
	}
	portableStore(c, s0, s1, s2, s3, alpha, add)
}

func portableTile4(kc int, a []float32, aRow, aStep int, b []float32, bStep int, c []float32, ldc int, alpha float32, add bool) {
	var s [4][4]float32
	s0, s1, s2, s3 := &s[0], &s[1], &s[2], &s[3]
	for p := range kc {
		x, y := a[p*aStep:], b[p*bStep:p*bStep+4:p*bStep+4]
		y0, y1, y2, y3 := y[0], y[1], y[2], y[3]
		portableStep(s0, x[0], y0, y1, y2, y3)
		portableStep(s1, x[aRow], y0, y1, y2, y3)
		portableStep(s2, x[2*aRow], y0, y1, y2, y3)
		portableStep(s3, x[3*aRow], y0, y1, y2, y3)
	}
	for i := range s {
		portableStore(c[i*ldc:], s[i][0], s[i][1], s[i][2], s[i][3], alpha, add)
	}
}

func portableStep(s *[4]float32, x, y0, y1, y2, y3 float32) {
	s[0] += float32(x * y0)
	s[1] += float32(x * y1)
	s[2] += float32(x * y2)
	s[3] += float32(x * y3)
}

func portableStore(c []float32, s0, s1, s2, s3, alpha float32, add bool) {
	c = c[:4]
	s0, s1, s2, s3 = float32(alpha*s0), float32(alpha*s1), float32(alpha*s2), float32(alpha*s3)
	if add {
		s0, s1, s2, s3 = c[0]+s0, c[1]+s1, c[2]+s2, c[3]+s3
	}
	c[0], c[1], c[2], c[3] = s0, s1, s2, s3
}

// The constants of exp, after Cephes' expf: e^x = 2^n * p(r) with n = round(x / ln 2) and r = x - n ln 2, ln 2 in two parts
// so that n times the larger one is exact. The assembly uses the same.
const (
	expHigh  = 88.722831  // e^x is held at its value here, close below the largest float32
	expLow   = -86.643394 // below, 0: close above where the smallest normal numbers begin
	log2e    = 1.44269504088896341
	ln2High  = 0.693359375
	ln2Low   = -2.12194440e-4
	expPoly0 = 1.9875691500e-4
	expPoly1 = 1.3981999507e-3
	expPoly2 = 8.3334519073e-3
	expPoly3 = 4.1665795894e-2
	expPoly4 = 1.6666665459e-1
	expPoly5 = 5.0000001201e-1
)

func exp32(x float32) float32 {
	switch {
	case x != x:
		return x
	case x < expLow:
		return 0
	case x > expHigh:
		x = expHigh
	}
	n := float32(math.RoundToEven(float64(float32(x * log2e))))
	r := x - float32(n*ln2High)
	r -= float32(n * ln2Low)
	p := float32(expPoly0)
	p = float32(p*r) + expPoly1
	p = float32(p*r) + expPoly2
	p = float32(p*r) + expPoly3
	p = float32(p*r) + expPoly4
	p = float32(p*r) + expPoly5
	p = float32(float32(p*r)*r) + r + 1
	// Half the power of two first: 2^128, which the largest x needs, is no float32.
	return 2 * float32(p*math.Float32frombits(uint32(int32(n)-1+127)<<23))
}

func sigmoid32(x float32) float32 { return 1 / (1 + exp32(-x)) }

// geluArgument is twice the argument of GELU's tanh, as 0.5 (1 + tanh(u/2)) = sigmoid(u).
func geluArgument(x float32) float32 {
	return x * (geluLinear + float32(geluCubic*float32(x*x)))
}

const (
	geluLinear = 1.5957691216057308 // 2 sqrt(2/pi)
	geluCubic  = geluLinear * 0.044715
)

// far is where sigmoids have vanished but for 3e-39, the inverse of the largest float32: held there, a huge factor leaves
// nothing of them.
const far = 100

func portableExpSum(dst, src []float32, shift float32) float32 {
	sum := float32(0)
	for i, x := range src {
		y := exp32(x - shift)
		dst[i] = y
		sum += y
	}
	return sum
}

func portableSigmoid(dst, src []float32) {
	for i, x := range src {
		dst[i] = sigmoid32(x)
	}
}

func portableSiLU(dst, src []float32) {
	for i, x := range src {
		dst[i] = max(x, -far) * sigmoid32(x)
	}
}

func portableSiLUGrad(dst, x, dy []float32) {
	for i, v := range x {
		v = min(max(v, -far), far)
		s := sigmoid32(v)
		dst[i] = dy[i] * float32(s*(1+float32(v*(1-s))))
	}
}

func portableGELU(dst, src []float32) {
	for i, x := range src {
		dst[i] = max(x, -far) * sigmoid32(geluArgument(x))
	}
}

func portableGELUGrad(dst, x, dy []float32) {
	for i, v := range x {
		v = min(max(v, -far), far)
		s := sigmoid32(geluArgument(v))
		slope := geluLinear + float32(3*geluCubic*float32(v*v))
		dst[i] = dy[i] * (s + float32(float32(v*slope)*float32(s*(1-s))))
	}
}

func portableDot(x, y []float32) float32 {
	var s [4]float32
	y = y[:len(x)]
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s[0] += float32(x[i] * y[i])
		s[1] += float32(x[i+1] * y[i+1])
		s[2] += float32(x[i+2] * y[i+2])
		s[3] += float32(x[i+3] * y[i+3])
	}
	for ; i < len(x); i++ {
		s[0] += float32(x[i] * y[i])
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func portableSum(x []float32) float32 {
	var s [4]float32
	i := 0
	for ; i+4 <= len(x); i += 4 {
		s[0] += x[i]
		s[1] += x[i+1]
		s[2] += x[i+2]
		s[3] += x[i+3]
	}
	for ; i < len(x); i++ {
		s[0] += x[i]
	}
	return (s[0] + s[1]) + (s[2] + s[3])
}

func portableMax(x []float32) float32 {
	most := float32(math.Inf(-1))
	for _, v := range x {
		if v > most {
			most = v
		}
	}
	return most
}

func portableAxpy(alpha float32, x, y []float32) {
	for i, v := range x {
		y[i] += float32(alpha * v)
	}
}

func portableScale(alpha float32, x []float32) {
	for i := range x {
		x[i] *= alpha
	}
}

func portableScaleWhere(factor float32, x []float32, mask []byte, least int32) {
	for i, m := range mask {
		if int32(m) >= least {
			x[i] *= factor
		} else {
			x[i] = 0
		}
	}
}

func portableShift(dst, x []float32, by float32) {
	for i, v := range x {
		dst[i] = v - by
	}
}

func portableAffine(dst, hat, gain, bias []float32, inverse float32) {
	for i, v := range hat {
		v *= inverse
		hat[i] = v
		dst[i] = float32(v*gain[i]) + bias[i]
	}
}

func portableAffineGrad(dy, hat, gain, dGain, dBias []float32) {
	for i, g := range dy {
		dGain[i] += float32(g * hat[i])
		dBias[i] += g
		dy[i] = g * gain[i]
	}
}

func portableNormGrad(dh, hat []float32, inverse, mean, along float32) {
	for i, g := range dh {
		dh[i] = inverse * (g - mean - float32(hat[i]*along))
	}
}
