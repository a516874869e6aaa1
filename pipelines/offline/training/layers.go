package training

import (
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/matrix"
)

// normTape is what a layer normalisation's backward pass needs: the normalised rows before gain and bias, and each row's
// inverse deviation.
type normTape struct{ hat, inverse []float32 }

// forward normalises the rows of x into dst, which may be x.
func (t *normTape) forward(dst, x []float32, n *towers.Norm) {
	d := len(n.Gain)
	for i := range t.inverse {
		t.inverse[i] = matrix.NormRow(dst[i*d:(i+1)*d], t.hat[i*d:(i+1)*d], x[i*d:(i+1)*d], n.Gain, n.Bias, towers.NormEpsilon)
	}
}

// backward turns dy, the gradient at the output, into that at the input, in place, and adds to gain's and bias's.
func (t *normTape) backward(dy []float32, n, grad *towers.Norm) {
	d := len(n.Gain)
	for i, inverse := range t.inverse {
		matrix.NormRowGrad(dy[i*d:(i+1)*d], t.hat[i*d:(i+1)*d], n.Gain, grad.Gain, grad.Bias, inverse)
	}
}

// linearForward computes dst = x W + b for n rows.
func linearForward(dst, x []float32, l *towers.Linear, n int) {
	for i := range n {
		copy(dst[i*l.Out:(i+1)*l.Out], l.B)
	}
	matrix.Gemm(false, false, n, l.Out, l.In, 1, x, l.In, l.W, l.Out, 1, dst, l.Out)
}

// linearBackward computes dx = dy W' and adds x' dy and the columns of dy to the gradient.
func linearBackward(dx, dy, x []float32, l, grad *towers.Linear, n int) {
	matrix.Gemm(true, false, l.In, l.Out, n, 1, x, l.In, dy, l.Out, 1, grad.W, l.Out)
	for i := range n {
		matrix.Axpy(1, dy[i*l.Out:(i+1)*l.Out], grad.B)
	}
	matrix.Gemm(false, true, n, l.In, l.Out, 1, dy, l.Out, l.W, l.Out, 0, dx, l.In)
}

// scanForward runs the recurrence h = f h + (1 - f) c over each window, with f = sigmoid of the first third of each row of
// gates, which it overwrites by f, and c the second third.
func scanForward(h, gates []float32, offsets []int32, d int) {
	for w := 1; w < len(offsets); w++ {
		previous := []float32(nil)
		for t := int(offsets[w-1]); t < int(offsets[w]); t++ {
			forget, candidate := gates[3*t*d:(3*t+1)*d], gates[(3*t+1)*d:(3*t+2)*d]
			matrix.Sigmoid(forget, forget)
			row := h[t*d : (t+1)*d]
			candidate = candidate[:len(forget)]
			row = row[:len(forget)]
			if previous == nil {
				for j, f := range forget {
					row[j] = candidate[j] - f*candidate[j]
				}
			} else {
				previous = previous[:len(forget)]
				for j, f := range forget {
					row[j] = candidate[j] + f*(previous[j]-candidate[j])
				}
			}
			previous = row
		}
	}
}

// scanBackward goes the same way from the end: dh is the gradient at the states from outside the recurrence, and the first
// two thirds of each row of dGates get those at the pre-activation of f and at c.
func scanBackward(dGates, dh, h, gates []float32, offsets []int32, carry []float32) {
	d := len(carry)
	for w := 1; w < len(offsets); w++ {
		clear(carry)
		first := int(offsets[w-1])
		for t := int(offsets[w]) - 1; t >= first; t-- {
			at := 3 * t * d
			forget, candidate := gates[at:at+d], gates[at+d:at+2*d]
			dForget, dCandidate := dGates[at:at+d], dGates[at+d:at+2*d]
			row := dh[t*d : (t+1)*d]
			if t == first {
				scanBackwardFirst(dForget, dCandidate, carry, row, forget, candidate)
				continue
			}
			previous := h[(t-1)*d : t*d]
			dForget, dCandidate, row = dForget[:len(carry)], dCandidate[:len(carry)], row[:len(carry)]
			forget, candidate, previous = forget[:len(carry)], candidate[:len(carry)], previous[:len(carry)]
			for j, c := range carry {
				g, f := row[j]+c, forget[j]
				keep := g * (1 - f)
				dCandidate[j] = keep
				dForget[j] = keep * f * (previous[j] - candidate[j])
				carry[j] = g * f
			}
		}
	}
}

// scanBackwardFirst is the step of a window's first row, whose previous state is zero.
func scanBackwardFirst(dForget, dCandidate, carry, dh, forget, candidate []float32) {
	for j, c := range carry {
		keep := (dh[j] + c) * (1 - forget[j])
		dCandidate[j] = keep
		dForget[j] = -keep * forget[j] * candidate[j]
	}
}
