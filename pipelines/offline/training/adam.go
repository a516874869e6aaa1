package training

import "math"

// Adam of Kingma and Ba (2015) with beta2 .98, without weight decay.
const (
	beta1       = 0.9
	beta2       = 0.98
	adamEpsilon = 1e-8
)

// adam keeps the moments of one slice of weights. Rows of an embedding table that a step did not touch keep weights and
// moments as they are (the sparse variant: a step costs what its batch touches, not what the catalogue holds).
type adam struct{ first, second []float32 }

func newAdam(n int) *adam { return &adam{first: make([]float32, n), second: make([]float32, n)} }

// pace is one step's rate with Adam's bias corrections folded in.
type pace struct{ rate, epsilon float32 }

// newPace is for step number step, counted from 1.
func newPace(rate float64, step int) pace {
	undo := math.Sqrt(1 - math.Pow(beta2, float64(step)))
	return pace{float32(rate * undo / (1 - math.Pow(beta1, float64(step)))), float32(adamEpsilon * undo)}
}

// update moves weights, which lie at from in the slice that the moments are of, against their gradient.
func (a *adam) update(weights, gradient []float32, from int, p pace) {
	first, second := a.first[from:from+len(weights)], a.second[from:from+len(weights)]
	gradient = gradient[:len(weights)]
	for i, g := range gradient {
		m := first[i] + (1-beta1)*(g-first[i])
		v := second[i] + (1-beta2)*(g*g-second[i])
		first[i], second[i] = m, v
		weights[i] -= p.rate * m / (float32(math.Sqrt(float64(v))) + p.epsilon)
	}
}

// learningRate is the share of the full rate at a step: one epoch of linear warm-up under a cosine that falls from 1 to
// 0.02 as done, the share of training that is over, goes from 0 to 1.
func learningRate(step, stepsPerEpoch int, done float64) float64 {
	warm := min(1, float64(step+1)/float64(stepsPerEpoch))
	return warm * (0.5*(1+math.Cos(math.Pi*min(1, done)))*0.98 + 0.02)
}
