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
	// Ranked is what is ranked, TiedScores what counts where scores are equal, LeftOut whose cases there are not.
	Ranked     string `json:"ranked"`
	TiedScores string `json:"tied_scores"`
	LeftOut    string `json:"left_out"`
}

func definitions(includeSeen bool) Definitions {
	d := Definitions{
		Recall:     "targets in the list / all targets of the case",
		HitRate:    "1 with any target in the list",
		Precision:  "targets in the list / k, also where the list or the catalogue is shorter",
		NDCG:       "sum of 1 / log2(place + 1) over targets in the list / that of min(k, targets) on the first places; a target is one or not",
		MRR:        "1 / place of the first target, 0 beyond k",
		MAP:        "sum of the precision at each target's place in the list / min(k, targets)",
		MAPAll:     "the same sum / all targets, as trec_eval and ranx",
		Ranked:     "all items but those of the case's history",
		TiedScores: "against the model: an item with a target's score stands before it",
		LeftOut:    "users without a target, who are no cases; a case without a hit counts 0",
	}
	if includeSeen {
		d.Ranked = "all items, those of the case's history too"
	}
	return d
}

// Definition is one of them under its name for people.
type Definition struct{ Name, Meaning string }

// List has the definitions in the order of a report.
func (d *Definitions) List() []Definition {
	return []Definition{
		{"recall", d.Recall}, {"hit rate", d.HitRate}, {"precision", d.Precision}, {"NDCG", d.NDCG}, {"MRR", d.MRR}, {"MAP", d.MAP},
		{"MAP, all targets", d.MAPAll}, {"ranked", d.Ranked}, {"equal scores", d.TiedScores}, {"left out", d.LeftOut},
	}
}

// WholeCatalogue says of a length of list that it holds all that can be recommended: there, it says nothing of the scorer.
type WholeCatalogue struct {
	K int `json:"k"`
	// Cases is in how many cases that is so.
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
