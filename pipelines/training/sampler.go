package training

import (
	"math"
	"math/rand/v2"
)

// popularityPower flattens popularity for sampling: between uniform (0), which wastes most draws on items that nobody would
// confuse with the target, and proportional (1), which hardly ever draws the tail.
const popularityPower = 0.5

// sampler draws candidates, each item for itself with a known probability.
type sampler struct {
	items       []int32
	probability []float64
	raise       []float32 // -log probability
}

// newSampler spreads want expected draws over the items; events is by item.
func newSampler(items []int32, events []int, want int) *sampler {
	s := &sampler{items: items, probability: make([]float64, len(items)), raise: make([]float32, len(items))}
	weights := make([]float64, len(items))
	for i, item := range items {
		weights[i] = math.Pow(float64(events[item]), popularityPower)
	}
	s.spread(weights, float64(min(want, len(items))))
	for i, p := range s.probability {
		s.raise[i] = float32(-math.Log(p))
	}
	return s
}

// spread makes probabilities in proportion to the weights that sum to want. Those beyond 1 are cut to 1 and what they lose goes
// to the others, until none is beyond.
func (s *sampler) spread(weights []float64, want float64) {
	certain := make([]bool, len(weights))
	for {
		sum, left := 0.0, want
		for i, w := range weights {
			if certain[i] {
				left--
			} else {
				sum += w
			}
		}
		again := false
		for i, w := range weights {
			switch p := w * left / sum; {
			case certain[i]:
			case p >= 1:
				certain[i], again = true, true
				s.probability[i] = 1
			default:
				s.probability[i] = p
			}
		}
		if !again {
			return
		}
	}
}

// draw appends a step's candidates to items and their corrections to raise.
func (s *sampler) draw(items []int32, raise []float32, rng *rand.Rand) ([]int32, []float32) {
	for i, p := range s.probability {
		if p >= 1 || rng.Float64() < p {
			items = append(items, s.items[i])
			raise = append(raise, s.raise[i])
		}
	}
	return items, raise
}
