package rules

import (
	"slices"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/ranking"
)

// diversifyRule arranges the page by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998): each place goes to
// the item with the largest lambda·relevance − (1−lambda)·similarity to the most similar item already placed. Relevance is
// the score, from 0 for the lowest of the pool to 1 for the highest.
type diversifyRule struct {
	named
	condition condition
	lambda    float64
	by        []aspect
}

// The pool are the best items by score, poolFactor for each place: whatever lies further down cannot gain enough to be worth
// the work, which grows with places × pool.
const (
	poolFactor = 5
	minPool    = 50
)

func (d *diversifyRule) apply(p *pass, list []ranking.Candidate) []ranking.Candidate {
	if !d.condition.holds(p.evaluator) || len(list) < 2 {
		return list
	}
	a := arrange(p, list)
	pool := list[:min(len(list), max(minPool, poolFactor*a.places))]
	low, high := float64(pool[0].Score), float64(pool[0].Score)
	for i := range pool {
		low, high = min(low, float64(pool[i].Score)), max(high, float64(pool[i].Score))
	}
	nearest := make([]float64, len(pool))
	for len(a.placed) < a.places {
		best, worth := -1, 0.0
		for i := range pool {
			if a.taken[i] {
				continue
			}
			relevance := 1.0
			if high > low {
				relevance = (float64(pool[i].Score) - low) / (high - low)
			}
			if w := d.lambda*relevance - (1-d.lambda)*nearest[i]; best < 0 || w > worth {
				best, worth = i, w
			}
		}
		if best < 0 {
			break
		}
		a.place(best)
		for i := range pool {
			if !a.taken[i] {
				nearest[i] = max(nearest[i], d.similarity(pool[i].Item, pool[best].Item))
			}
		}
	}
	return a.finish()
}

// similarity is the mean over the aspects: the Jaccard index of the categories, 1 or 0 for the same brand or another.
func (d *diversifyRule) similarity(a, b *schemas.ItemChange) float64 {
	sum := 0.0
	for _, by := range d.by {
		if by == byCategory {
			sum += jaccard(a.Categories, b.Categories)
		} else if a.Brand != "" && a.Brand == b.Brand {
			sum++
		}
	}
	return sum / float64(len(d.by))
}

// jaccard takes lists of a few entries; a repeated entry counts once for each time.
func jaccard(a, b []string) float64 {
	common := 0
	for _, x := range a {
		if slices.Contains(b, x) {
			common++
		}
	}
	if common == 0 {
		return 0
	}
	return min(1, float64(common)/float64(len(a)+len(b)-common))
}
