package evaluation

import "math"

// tastes is one worker's room for distributions over categories.
type tastes struct{ history, list []float64 }

// smoothing is how much of the history's distribution is mixed into the list's, so that a category that the list lacks costs
// much but not without end: Steck's value.
const smoothing = .01

// miscalibration is how far the categories of a list are from those of the history, by the Kullback-Leibler divergence of
// the list's distribution q, smoothed to .99 q + .01 p, from the history's p, in nats (Steck, RecSys 2018): 0 where both
// are the same, at most -ln(.01) = 4.6 where they share nothing. Each event and each listed item counts 1, dealt out to its
// categories in equal parts; items without categories do not count. A history without any category has no such figure.
func (t *tastes) miscalibration(categories [][]int32, history, list []int32) (float64, bool) {
	events := t.deal(&t.history, categories, history)
	if events == 0 {
		return 0, false
	}
	listed := max(t.deal(&t.list, categories, list), 1)
	t.list = append(t.list, make([]float64, max(0, len(t.history)-len(t.list)))...)
	sum := 0.0
	for category, weight := range t.history {
		if weight == 0 {
			continue
		}
		p, q := weight/events, t.list[category]/listed
		sum += p * math.Log(p/((1-smoothing)*q+smoothing*p))
	}
	return max(sum, 0), true // rounding may fall short of 0
}

// deal fills weights, by category, and returns their sum.
func (t *tastes) deal(weights *[]float64, categories [][]int32, items []int32) (sum float64) {
	clear(*weights)
	for _, item := range items {
		of := categories[item]
		for _, category := range of {
			if more := int(category) + 1 - len(*weights); more > 0 {
				*weights = append(*weights, make([]float64, more)...)
			}
			(*weights)[category] += 1 / float64(len(of))
		}
		if len(of) > 0 {
			sum++
		}
	}
	return sum
}
