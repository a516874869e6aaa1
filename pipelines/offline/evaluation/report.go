package evaluation

import (
	"slices"
	"time"
)

// Report is the outcome of an evaluation; it encodes to JSON as it stands.
type Report struct {
	// Subject is what was measured, for whoever finds the report later; nil where nobody said.
	Subject     *Subject `json:"subject,omitempty"`
	K           int      `json:"k"`
	Cases       int      `json:"cases"`
	Items       int      `json:"items"`
	IncludeSeen bool     `json:"include_seen"`
	Resamples   int      `json:"resamples"`
	Against     string   `json:"against,omitempty"`
	// Checksum is of the protocol: the cases, the items and whether seen ones are ranked. Reports with the same one can be
	// compared case by case.
	Checksum string `json:"checksum"`
	// TargetPopularity is the mean percentile of what users chose, to hold the lists' beside.
	TargetPopularity *Metric  `json:"target_popularity,omitempty"`
	Scorers          []Result `json:"scorers"`
	// Definitions say what the figures mean, for words mean different things in different tools.
	Definitions Definitions `json:"definitions"`
	// Baselines say how those scorers are set that have settings to choose.
	Baselines []Chosen `json:"baselines,omitempty"`
	// WholeCatalogue are the lengths of list that hold all that can be recommended, in some cases at least.
	WholeCatalogue []WholeCatalogue `json:"whole_catalogue,omitempty"`
	// Ties tell of cases that were decided by lot; nil where there are none.
	Ties *Ties `json:"ties,omitempty"`
	// LeftOut names baselines that could not be measured.
	LeftOut []LeftOut `json:"left_out,omitempty"`
	// Waterfall is where what the first scorer finds gets lost on the way to a served page, stage by stage; nil where it was
	// not measured.
	Waterfall []Loss `json:"waterfall,omitempty"`
	// Earlier compares the first scorer with that of an earlier run.
	Earlier *Comparison `json:"earlier,omitempty"`
	Samples []Sample    `json:"samples,omitempty"`

	run Run // what comparisons need, case by case
}

// Subject is what a report is about.
type Subject struct {
	At time.Time `json:"at"`
	// Model is the version of the towers, Bundle the folder that they came from.
	Model  string `json:"model"`
	Bundle string `json:"bundle"`
	// Data names the data set, Split the protocol that parted it.
	Data  string `json:"data"`
	Split string `json:"split"`
}

// LeftOut is a baseline that is not in the table.
type LeftOut struct {
	Name string `json:"name"`
	Why  string `json:"why"`
}

// Loss is one stage of a waterfall. The first stage is the model with all items ranked; what a later one has fewer, it lost.
type Loss struct {
	Stage string `json:"stage"`
	// Hits is how many cases still have a target in the list of K after the stage, Share those of all cases.
	Hits  int     `json:"hits"`
	Share float64 `json:"share"`
}

// Result is one scorer's row.
type Result struct {
	Name string `json:"name"`
	// Metrics are those at the report's K.
	Metrics
	// At are the metrics at each length, K among them.
	At []AtK `json:"at"`
	// Coverage is the share of all items that stand in any list of K, Gini how unequally they stand in them (0 to 1).
	Coverage float64 `json:"coverage"`
	Gini     float64 `json:"gini"`
	// Popularity is the mean percentile of the listed items by how often they occur in the histories: .5 is what chance gives.
	Popularity *Metric `json:"popularity,omitempty"`
	// PopularityBias is by how much that percentile exceeds the one of the user's own history, over the cases with a history
	// (after Abdollahpouri et al., 2019, who compare counts, which a few hits decide): 0 where lists are as popular as tastes.
	PopularityBias *Metric `json:"popularity_bias,omitempty"`
	// Novelty is the mean self-information of the listed items, in bits (Zhou et al., PNAS 2010).
	Novelty *Metric `json:"novelty,omitempty"`
	// Diversity is the mean share of categories in which two items of a list differ (1 - Jaccard).
	Diversity *Metric `json:"diversity,omitempty"`
	// Miscalibration is how far the categories of lists are from those of histories, over the cases whose history has any: the
	// smoothed Kullback-Leibler divergence in nats (Steck, RecSys 2018), from 0, where both have the same, to 4.6.
	Miscalibration *Metric `json:"miscalibration,omitempty"`
	// TieSpan is between which figures the order within moments decides; nil where that is less than a hundredth of both.
	TieSpan *TieSpan `json:"tie_span,omitempty"`
	// Segments are parts of the cases, those without any left out.
	Segments []Segment `json:"segments"`
	// Difference is what the scorer does better than the report's Against, nil for that one itself.
	Difference *Difference `json:"difference,omitempty"`
}

// Metrics are means over the cases, from 0 to 1, of lists of k.
type Metrics struct {
	// Recall is the share of a case's targets that are in its list.
	Recall Metric `json:"recall"`
	// HitRate (HR) is 1 for a case with any target in its list; with one target a case it equals Recall.
	HitRate Metric `json:"hit_rate"`
	// Precision is the share of k that are targets.
	Precision Metric `json:"precision"`
	// NDCG is the list's discounted cumulative gain, divided by that of the best list there could be.
	NDCG Metric `json:"ndcg"`
	// MRR is one over the rank of the list's first target, 0 for none.
	MRR Metric `json:"mrr"`
	// MAP is the sum of the precision at each target's rank, over as many targets as the list could hold.
	MAP Metric `json:"map"`
	// MAPAll is the same sum over all targets, as trec_eval and ranx have it.
	MAPAll Metric `json:"map_all"`
}

// AtK are the metrics of lists of K.
type AtK struct {
	K int `json:"k"`
	Metrics
}

// Segment is a part of the cases.
type Segment struct {
	By     string `json:"by"`
	Name   string `json:"name"`
	Cases  int    `json:"cases"`
	Recall Metric `json:"recall"`
	NDCG   Metric `json:"ndcg"`
}

// Difference compares two scorers case by case. Its P are two-sided probabilities by the paired randomization test.
type Difference struct {
	Recall  Metric  `json:"recall"`
	RecallP float64 `json:"recall_p"`
	NDCG    Metric  `json:"ndcg"`
	NDCGP   float64 `json:"ndcg_p"`
}

// Metric is a mean with the bounds of its 95 % bootstrap interval, which are the mean itself where none was asked for.
type Metric struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

// Sample is a case in full, as the first scorer answers it. Items and users have the catalogue's names.
type Sample struct {
	User string `json:"user"`
	// History are the newest items, oldest first; Earlier is how many came before them.
	History []string `json:"history"`
	Earlier int      `json:"earlier"`
	Targets []string `json:"targets"`
	// Rank is the rank of the best target among all items, 0 where none can be recommended.
	Rank int      `json:"rank"`
	List []Listed `json:"list"`
}

// Listed is an item of a list.
type Listed struct {
	Item string `json:"item"`
	Hit  bool   `json:"hit"`
}

func newReport(done []*evaluation, baseline int) *Report {
	if len(done) == 0 {
		return &Report{}
	}
	e := done[0]
	r := &Report{
		K: e.K, Cases: len(e.cases), Items: e.catalogue.Items, IncludeSeen: e.IncludeSeen, Resamples: e.Resamples, Against: e.Against,
		Checksum: checksum(e.cases, e.catalogue.Items, e.IncludeSeen), TargetPopularity: e.targetPopularity(), Samples: e.samples(),
		Definitions: definitions(e.IncludeSeen), WholeCatalogue: e.wholeCatalogue(),
	}
	parts := splits(e.cases, e.catalogue, e.popular)
	for i, e := range done {
		result := e.result(parts)
		if e.Against != "" && i != baseline {
			result.Difference = e.difference(done[baseline])
		}
		r.Scorers = append(r.Scorers, result)
	}
	r.run = newRun(done)
	return r
}

func (e *evaluation) targetPopularity() *Metric {
	if e.popular == nil {
		return nil
	}
	of := newOutcomes(len(e.cases), 1)
	for i := range e.cases {
		of.row(i)[0] = e.popular.mean(e.popular.percentile, e.cases[i].Targets)
	}
	return &of.means(e.Resamples, e.Seed)[0]
}

func (e *evaluation) result(parts []split) Result {
	of := e.outcomes.means(e.Resamples, e.Seed)
	covered := 0
	for _, lists := range e.shown {
		if lists > 0 {
			covered++
		}
	}
	r := Result{Name: e.scorer.Name(), Coverage: float64(covered) / float64(len(e.shown)), Gini: gini(e.shown)}
	for i, k := range e.At {
		m := of[metrics*i:]
		at := AtK{k, Metrics{
			Recall: m[recall], HitRate: m[hitRate], Precision: m[precision], NDCG: m[ndcg], MRR: m[mrr], MAP: m[averagePrecision],
			MAPAll: m[averagePrecisionAll],
		}}
		r.At = append(r.At, at)
		if k == e.K {
			r.Metrics = at.Metrics
		}
	}
	lists := of[metrics*len(e.At):]
	if e.popular != nil {
		r.Popularity, r.Novelty = &lists[popularity], &lists[novelty]
		r.PopularityBias = e.meanOver(popularityBias, e.has(popularityBias))
	}
	if e.catalogue.Categories != nil {
		r.Diversity = &lists[diversity]
		r.Miscalibration = e.meanOver(miscalibration, e.has(miscalibration))
	}
	r.TieSpan = e.tieSpan(r.Metrics)
	r.Segments = e.segments(parts)
	return r
}

// has lists the cases that have the character of a list that is compared with the history.
func (e *evaluation) has(character int) (cases []int) {
	for i := range e.cases {
		with := func(item int32) bool { return character != miscalibration || len(e.catalogue.Categories[item]) > 0 }
		if slices.ContainsFunc(e.cases[i].History, with) {
			cases = append(cases, i)
		}
	}
	return cases
}

// meanOver is a character's mean over some cases, nil where there are none.
func (e *evaluation) meanOver(character int, cases []int) *Metric {
	if len(cases) == 0 {
		return nil
	}
	return &e.outcomes.pick(cases, []int{metrics*len(e.At) + character}).means(e.Resamples, e.Seed)[0]
}

// atK are the columns of recall and NDCG at K.
func (e *evaluation) atK() []int {
	group := metrics * slices.Index(e.At, e.K)
	return []int{group + recall, group + ndcg}
}

func (e *evaluation) segments(parts []split) []Segment {
	segments := []Segment{}
	for _, s := range parts {
		for i, cases := range s.cases(e.cases) {
			if len(cases) == 0 {
				continue
			}
			of := e.outcomes.pick(cases, e.atK()).means(e.Resamples, e.Seed)
			segments = append(segments, Segment{By: s.by, Name: s.names[i], Cases: len(cases), Recall: of[0], NDCG: of[1]})
		}
	}
	return segments
}

func (e *evaluation) difference(baseline *evaluation) *Difference {
	d := e.outcomes.pick(nil, e.atK()).less(baseline.outcomes.pick(nil, e.atK()))
	of := d.means(e.Resamples, e.Seed)
	draws := max(e.Resamples, leastDraws)
	return &Difference{Recall: of[0], RecallP: d.chance(0, draws, e.Seed), NDCG: of[1], NDCGP: d.chance(1, draws, e.Seed)}
}

// leastDraws is how many draws a randomization test has at the least: its smallest P is one over that.
const leastDraws = 1000
