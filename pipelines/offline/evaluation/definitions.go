package evaluation

import "slices"

// Definitions say what the figures mean: other tools mean other things by the same words (docs/evaluation.md has which).
type Definitions struct {
	Recall    string `json:"recall"`
	HitRate   string `json:"hit_rate"`
	Precision string `json:"precision"`
	NDCG      string `json:"ndcg"`
	MRR       string `json:"mrr"`
	MAP       string `json:"map"`
	MAPAll    string `json:"map_all"`
	// Ranked says what is ranked, TiedScores how equal scores count, LeftOut which users are not test cases.
	Ranked     string `json:"ranked"`
	TiedScores string `json:"tied_scores"`
	LeftOut    string `json:"left_out"`
}

func definitions(includeSeen bool) Definitions {
	d := Definitions{
		Recall:     "targets in the list / all targets of the case",
		HitRate:    "1 if any target is in the list, else 0",
		Precision:  "targets in the list / k, even if the list or the catalogue is shorter than k",
		NDCG:       "sum of 1 / log2(rank + 1) over targets in the list / the same sum for the ideal list; relevance is binary",
		MRR:        "1 / rank of the first target, or 0 if it is beyond k",
		MAP:        "sum of the precision at each target's rank in the list / min(k, targets)",
		MAPAll:     "the same sum / all targets, as in trec_eval and ranx",
		Ranked:     "all items except those in the case's history",
		TiedScores: "count against the model: an item with the same score as a target ranks before it",
		LeftOut:    "users without a target, since they are not test cases; a case without a hit counts as 0",
	}
	if includeSeen {
		d.Ranked = "all items, including those in the case's history"
	}
	return d
}

// Definition is one definition with the name that people read.
type Definition struct{ Name, Meaning string }

// List has the definitions in the order of a report.
func (d *Definitions) List() []Definition {
	return []Definition{
		{"recall", d.Recall}, {"hit rate", d.HitRate}, {"precision", d.Precision}, {"NDCG", d.NDCG}, {"MRR", d.MRR}, {"MAP", d.MAP},
		{"MAP, all targets", d.MAPAll}, {"ranked", d.Ranked}, {"equal scores", d.TiedScores}, {"left out", d.LeftOut},
	}
}

// WholeCatalogue marks a k at which the list holds everything that can be recommended, so that it tells nothing about the scorer.
type WholeCatalogue struct {
	K int `json:"k"`
	// Cases is the number of cases for which this is so.
	Cases int `json:"cases"`
}

// wholeCatalogue finds the lengths of list that reach the end of what is ranked.
func (e *evaluation) wholeCatalogue() []WholeCatalogue {
	rankable := make([]int, len(e.cases))
	for i := range e.cases {
		rankable[i] = e.catalogue.Items
		if !e.IncludeSeen {
			rankable[i] -= len(slices.Compact(slices.Sorted(slices.Values(e.cases[i].History))))
		}
	}
	var all []WholeCatalogue
	for _, k := range e.At {
		whole := WholeCatalogue{K: k}
		for _, n := range rankable {
			whole.Cases += oneIf(k >= n)
		}
		if whole.Cases > 0 {
			all = append(all, whole)
		}
	}
	return all
}
