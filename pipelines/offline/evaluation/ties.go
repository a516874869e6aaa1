package evaluation

import (
	"slices"

	"github.com/freshet/freshet/pipelines/offline/dataset"
)

// Ties tell of cases whose first target was one of several things that the user did at one moment: which of them came first is
// nobody's knowledge, and any might have been asked for.
type Ties struct {
	// Cases is how many cases there are with other items of the moment.
	Cases int `json:"cases"`
	// Capped is how many of them had more items of the moment than MostAlternatives, of which only so many were tried.
	Capped int `json:"capped"`
}

// MostAlternatives is how many items of a moment are tried as the target, the one that was drawn among them.
const MostAlternatives = 32

// TieSpan is what a scorer's figures at the report's K would be if the order within each moment were the worst or the best for it.
type TieSpan struct {
	Recall Span `json:"recall"`
	NDCG   Span `json:"ndcg"`
}

// Span is from the worst to the best.
type Span struct {
	Worst float64 `json:"worst"`
	Best  float64 `json:"best"`
}

// wide is the share of a figure from which on a span is worth telling.
const wide = .01

func (s Span) isWide(figure float64) bool { return s.Best-s.Worst > wide*figure }

// alternativesOf are the items that might have been the first target as well, at most MostAlternatives with the target itself.
func alternativesOf(c *dataset.Case) (others []int32, capped bool) {
	for _, item := range c.Tied {
		if slices.Contains(c.Targets, item) || slices.Contains(others, item) {
			continue
		}
		if len(others) == MostAlternatives-1 {
			return others, true
		}
		others = append(others, item)
	}
	return others, false
}

// ties counts the cases that were decided within a tie; nil where there are none.
func ties(cases []dataset.Case) *Ties {
	var t Ties
	for i := range cases {
		others, capped := alternativesOf(&cases[i])
		t.Cases += oneIf(len(others) > 0)
		t.Capped += oneIf(capped)
	}
	if t.Cases == 0 {
		return nil
	}
	return &t
}

// inOrder is the case as it would be if the item had come where the first target did, and the target where the item did.
func inOrder(c *dataset.Case, item int32) dataset.Case {
	other := *c
	other.Targets = slices.Clone(c.Targets)
	other.Targets[0] = item
	for at := len(c.History) - 1; at >= 0; at-- {
		if c.History[at] == item {
			other.History = slices.Clone(c.History)
			other.History[at] = c.Targets[0]
			break
		}
	}
	for at := len(c.Timeline) - 1; at >= 0; at-- {
		if e := c.Timeline[at]; e.Item == item && e.At == c.At {
			other.Timeline = slices.Clone(c.Timeline)
			other.Timeline[at].Item, other.Timeline[at].Type = c.Targets[0], c.Type
			break
		}
	}
	return other
}

// The columns of what could have been.
const (
	worstRecall = iota
	bestRecall
	worstNDCG
	bestNDCG
	spans
)

// tieOf begins what could have been of case i with what is.
func (e *evaluation) tieOf(i int) {
	at := e.outcomes.row(i)[metrics*slices.Index(e.At, e.K):]
	row := e.tied.row(i)
	row[worstRecall], row[bestRecall], row[worstNDCG], row[bestNDCG] = at[recall], at[recall], at[ndcg], at[ndcg]
}

// widen takes in what another order of the moment gives.
func (e *evaluation) widen(i int, ranks []int32, targets int) {
	var of [metrics]float64
	measure(of[:], ranks, targets, e.K)
	row := e.tied.row(i)
	row[worstRecall], row[bestRecall] = min(row[worstRecall], of[recall]), max(row[bestRecall], of[recall])
	row[worstNDCG], row[bestNDCG] = min(row[worstNDCG], of[ndcg]), max(row[bestNDCG], of[ndcg])
}

// reorder scores the cases from one on, whose rows are done, in the other orders of their moments. scores has room for as many
// cases as a worker scores at a time.
func (e *evaluation) reorder(w *ranking, scores []float32, from int, cases []dataset.Case) {
	var others []dataset.Case
	var of []int
	size := len(scores) / len(e.shown)
	flush := func() {
		if len(others) == 0 {
			return
		}
		part := scores[:len(others)*len(e.shown)]
		scoreCases(e.scorer, part, others)
		for j := range others {
			w.scores = part[j*len(e.shown) : (j+1)*len(e.shown)]
			e.exclude(w, &others[j], func() { e.widen(of[j], w.ranks(others[j].Targets), len(others[j].Targets)) })
		}
		others, of = others[:0], of[:0]
	}
	for i := range cases {
		e.tieOf(from + i)
		items, _ := alternativesOf(&cases[i])
		for _, item := range items {
			others, of = append(others, inOrder(&cases[i], item)), append(of, from+i)
			if len(others) == size {
				flush()
			}
		}
	}
	flush()
}

// tieSpan is nil where nothing was tied, or where it hardly matters.
func (e *evaluation) tieSpan(of Metrics) *TieSpan {
	if e.tied == nil {
		return nil
	}
	m := e.tied.means(0, 0)
	s := &TieSpan{
		Recall: Span{m[worstRecall].Mean, m[bestRecall].Mean}, NDCG: Span{m[worstNDCG].Mean, m[bestNDCG].Mean},
	}
	if !s.Recall.isWide(of.Recall.Mean) && !s.NDCG.isWide(of.NDCG.Mean) {
		return nil
	}
	return s
}
