package rules

import (
	"math"
	"time"

	"github.com/freshet/freshet/services/filter"
	"github.com/freshet/freshet/services/ranking"
)

// scorer is a rule that moves scores; the list is sorted again after the last of a row of them.
type scorer interface{ movesScores() }

// boostRule moves the scores of the items for which an expression holds: up (boost) or down (bury).
type boostRule struct {
	named
	when *expression
	// factor is 1 where the rule adds. Scores may be negative; a factor above 1 always moves up, below 1 always down.
	factor, add float64
}

func (b *boostRule) movesScores() {}

func (b *boostRule) apply(p *pass, list []ranking.Candidate) []ranking.Candidate {
	bound := b.when.root.bind(p.evaluator)
	if bound == filter.Never {
		return list
	}
	up := b.factor > 1 || b.add > 0
	for i := range list {
		c := &list[i]
		// An expression that fails moves nothing: a promotion is no reason to lose an item.
		if holds, err := bound.Holds(c.Item, p.evaluator.nowMillis); err != nil || !holds {
			continue
		}
		score := float64(c.Score)
		if score >= 0 {
			score *= b.factor
		} else {
			score /= b.factor
		}
		c.Score = toScore(score + b.add)
		p.unsorted = true
		if up && p.request.Explain {
			c.Reasons = append(c.Reasons, "promoted by rule "+b.name())
		}
	}
	return list
}

// freshnessRule takes up to weight from an item's score as it ages: half of it at halfLife.
type freshnessRule struct {
	named
	halfLife time.Duration
	weight   float64
}

func (f *freshnessRule) movesScores() {}

func (f *freshnessRule) apply(p *pass, list []ranking.Candidate) []ranking.Candidate {
	days := f.halfLife.Hours() / 24
	for i := range list {
		lost := 1.0 // what is yet to come is not fresh
		if age := filter.AgeInDays(list[i].Item, p.evaluator.nowMillis); age >= 0 {
			lost -= math.Exp2(-age / days)
		}
		list[i].Score = toScore(float64(list[i].Score) - f.weight*lost)
	}
	p.unsorted = p.unsorted || len(list) > 0
	return list
}

// toScore keeps scores finite, so that an order is always defined.
func toScore(x float64) float32 {
	if math.IsNaN(x) {
		return -math.MaxFloat32
	}
	return float32(min(math.MaxFloat32, max(-math.MaxFloat32, x)))
}
