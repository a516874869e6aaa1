package tuning

import "math"

// The methods of a search.
const (
	Random  = "random"
	Halving = "halving"
)

// keep is one over the share of trials that a rung passes on. Successive halving got its name from 2; 3 is the value with
// which its authors' analysis fares about the best.
const keep = 3

// leastEpochs is how many epochs tell a trial's promise at all: the first one is the learning rate's warm-up.
const leastEpochs = 2

// Rung is how many trials are trained for how many epochs.
type Rung struct{ Trials, Epochs int }

// Rungs plans a search. Random trains all trials to the end. Halving (the inner loop of Hyperband: Li and others, 2018) trains all
// of them for a few epochs, the best third of them for three times as many, and so on, the last rung to the end. A rung is
// a training of its own, with a learning rate that falls to its end: half a cosine would say little of where a whole one
// leads, and favours small rates.
func Rungs(method string, trials, epochs int) []Rung {
	last := 0
	if method == Halving {
		for n, e := trials/keep, float64(epochs)/keep; n >= 1 && e >= leastEpochs; n, e = n/keep, e/keep {
			last++
		}
	}
	var rungs []Rung
	for i := range last + 1 {
		share := math.Pow(keep, float64(last-i))
		rungs = append(rungs, Rung{
			Trials: max(1, int(float64(trials)/math.Pow(keep, float64(i))+1e-9)),
			Epochs: int(math.Round(float64(epochs) / share)),
		})
	}
	return rungs
}
