package evaluation

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Report is the outcome of an evaluation; it encodes to JSON as it stands.
type Report struct {
	K           int    `json:"k"`
	Cases       int    `json:"cases"`
	Items       int    `json:"items"`
	IncludeSeen bool   `json:"include_seen"`
	Resamples   int    `json:"resamples"`
	Against     string `json:"against,omitempty"`
	// TargetPopularity is the mean percentile of what users chose, to hold the lists' beside.
	TargetPopularity *Metric  `json:"target_popularity,omitempty"`
	Scorers          []Result `json:"scorers"`
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
	// Novelty is the mean self-information of the listed items, in bits (Zhou et al., PNAS 2010).
	Novelty *Metric `json:"novelty,omitempty"`
	// Diversity is the mean share of categories in which two items of a list differ (1 - Jaccard).
	Diversity *Metric `json:"diversity,omitempty"`
	// Segments are parts of the cases, those without any left out.
	Segments []Segment `json:"segments"`
	// Difference is what the scorer does better than the report's Against, nil for that one itself.
	Difference *Difference `json:"difference,omitempty"`
}

// Metrics are means over the cases, from 0 to 1, of lists of k.
type Metrics struct {
	// Recall is the share of a case's targets that are in its list.
	Recall Metric `json:"recall"`
	// HitRate is 1 for a case with any target in its list; with one target a case it equals Recall.
	HitRate Metric `json:"hit_rate"`
	// Precision is the share of k that are targets.
	Precision Metric `json:"precision"`
	// NDCG is the list's discounted cumulative gain, divided by that of the best list there could be.
	NDCG Metric `json:"ndcg"`
	// MRR is one over the place of the list's first target, 0 for none.
	MRR Metric `json:"mrr"`
	// MAP is the mean of the precision at each target's place, over as many targets as the list could hold.
	MAP Metric `json:"map"`
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

func newReport(done []*evaluation, baseline int) *Report {
	if len(done) == 0 {
		return &Report{}
	}
	e := done[0]
	r := &Report{
		K: e.K, Cases: len(e.cases), Items: e.catalogue.Items, IncludeSeen: e.IncludeSeen, Resamples: e.Resamples, Against: e.Against,
		TargetPopularity: e.targetPopularity(),
	}
	for i, e := range done {
		result := e.result()
		if e.Against != "" && i != baseline {
			result.Difference = e.difference(done[baseline])
		}
		r.Scorers = append(r.Scorers, result)
	}
	return r
}

func (e *evaluation) targetPopularity() *Metric {
	if e.popular == nil {
		return nil
	}
	of := newOutcomes(len(e.cases), 1)
	for i := range e.cases {
		for _, target := range e.cases[i].Targets {
			of.row(i)[0] += e.popular.percentile[target] / float64(len(e.cases[i].Targets))
		}
	}
	return &of.means(e.Resamples, e.Seed)[0]
}

func (e *evaluation) result() Result {
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
		}}
		r.At = append(r.At, at)
		if k == e.K {
			r.Metrics = at.Metrics
		}
	}
	lists := of[metrics*len(e.At):]
	if e.popular != nil {
		r.Popularity, r.Novelty = &lists[popularity], &lists[novelty]
	}
	if e.catalogue.Categories != nil {
		r.Diversity = &lists[diversity]
	}
	r.Segments = e.segments()
	return r
}

// atK are the columns of recall and NDCG at K.
func (e *evaluation) atK() []int {
	group := metrics * slices.Index(e.At, e.K)
	return []int{group + recall, group + ndcg}
}

func (e *evaluation) segments() []Segment {
	var segments []Segment
	for _, s := range splits(e.popular) {
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
	all := make([]int, len(e.cases))
	for i := range all {
		all[i] = i
	}
	d := e.outcomes.pick(all, e.atK()).less(baseline.outcomes.pick(all, e.atK()))
	of := d.means(e.Resamples, e.Seed)
	draws := max(e.Resamples, 1000)
	return &Difference{Recall: of[0], RecallP: d.chance(0, draws, e.Seed), NDCG: of[1], NDCGP: d.chance(1, draws, e.Seed)}
}

// WriteTable writes the report for people, a row a scorer: how well they rank, what their lists are like, and parts of the
// cases. Hit rate and MAP are left out where they say the same as recall and MRR.
func (r *Report) WriteTable(w io.Writer) error {
	at := func(name string) string { return fmt.Sprintf("%s@%d", name, r.K) }
	t := newTable(table.Row{"scorer", at("recall"), at("hit rate"), at("NDCG"), at("MRR"), at("MAP")})
	hits, maps := false, false // whether they differ from recall and MRR
	for _, s := range r.Scorers {
		t.AppendRow(table.Row{s.Name, s.Recall, s.HitRate, s.NDCG, s.MRR, s.MAP})
		hits, maps = hits || s.HitRate != s.Recall, maps || s.MAP != s.MRR
	}
	columns := []table.ColumnConfig{{Number: 3, Hidden: !hits, Align: text.AlignRight, AlignHeader: text.AlignRight}}
	columns = append(columns, table.ColumnConfig{Number: 6, Hidden: !maps, Align: text.AlignRight, AlignHeader: text.AlignRight})
	for _, i := range []int{2, 4, 5} {
		columns = append(columns, table.ColumnConfig{Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	parts := []string{t.Render(), r.footnote()}
	if len(r.Scorers) > 0 {
		parts = append(parts, "", r.listsTable(), "", r.segmentsTable())
	}
	if r.Against != "" {
		parts = append(parts, "", r.differencesTable())
	}
	_, err := fmt.Fprintln(w, strings.Join(parts, "\n"))
	return err
}

func newTable(header table.Row) table.Writer {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	t.AppendHeader(header)
	return t
}

// rightFrom aligns the columns from the nth on to the right.
func rightFrom(t table.Writer, n, columns int) {
	var configs []table.ColumnConfig
	for i := n; i <= columns; i++ {
		configs = append(configs, table.ColumnConfig{Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(configs)
}

// listsTable tells what the lists are like.
func (r *Report) listsTable() string {
	t := newTable(table.Row{fmt.Sprintf("lists of %d", r.K), "coverage", "Gini", "popularity", "novelty, bits", "diversity"})
	mean := func(m *Metric, format string) string {
		if m == nil {
			return "-"
		}
		return fmt.Sprintf(format, m.Mean)
	}
	for i := range r.Scorers {
		s := &r.Scorers[i]
		t.AppendRow(table.Row{s.Name, fmt.Sprintf("%.1f %%", 100*s.Coverage), fmt.Sprintf("%.3f", s.Gini),
			mean(s.Popularity, "%.3f"), mean(s.Novelty, "%.2f"), mean(s.Diversity, "%.3f")})
	}
	if r.TargetPopularity != nil {
		t.AppendSeparator()
		t.AppendRow(table.Row{"what users chose", "", "", mean(r.TargetPopularity, "%.3f"), "", ""})
	}
	rightFrom(t, 2, 6)
	return t.Render()
}

// segmentsTable has a column of NDCG for each scorer, without intervals, which would not fit.
func (r *Report) segmentsTable() string {
	header := table.Row{"cases by", "", "cases"}
	for i := range r.Scorers {
		header = append(header, r.Scorers[i].Name)
	}
	t := newTable(header)
	for at, first := range r.Scorers[0].Segments {
		if at > 0 && r.Scorers[0].Segments[at-1].By != first.By {
			t.AppendSeparator()
		}
		row := table.Row{first.By, first.Name, first.Cases}
		for i := range r.Scorers {
			row = append(row, fmt.Sprintf("%.4f", r.Scorers[i].Segments[at].NDCG.Mean))
		}
		t.AppendRow(row)
	}
	rightFrom(t, 3, len(header))
	const meaning = "head: the most popular items with half of all events, tail: the least popular with a fifth; intervals in JSON and CSV"
	return fmt.Sprintf("%s\nNDCG@%d; %s", t.Render(), r.K, meaning)
}

func (r *Report) differencesTable() string {
	t := newTable(table.Row{"against " + r.Against, fmt.Sprintf("recall@%d", r.K), "p", fmt.Sprintf("NDCG@%d", r.K), "p"})
	for i := range r.Scorers {
		if d := r.Scorers[i].Difference; d != nil {
			t.AppendRow(table.Row{
				r.Scorers[i].Name, d.Recall.signed(), fmt.Sprintf("%.4f", d.RecallP), d.NDCG.signed(), fmt.Sprintf("%.4f", d.NDCGP),
			})
		}
	}
	rightFrom(t, 2, 5)
	return t.Render()
}

func (r *Report) footnote() string {
	seen, intervals := "without", ""
	if r.IncludeSeen {
		seen = "with"
	}
	if r.Resamples > 0 {
		intervals = "; in brackets: 95 % by bootstrap"
	}
	return fmt.Sprintf("%d cases, all %d items ranked, %s seen ones%s", r.Cases, r.Items, seen, intervals)
}

// String is the mean to four places, with the interval where there is one.
func (m Metric) String() string {
	if m.Low == m.Mean && m.High == m.Mean {
		return fmt.Sprintf("%.4f", m.Mean)
	}
	return fmt.Sprintf("%.4f (%.4f-%.4f)", m.Mean, m.Low, m.High)
}

// signed is String with a sign.
func (m Metric) signed() string {
	if m.Low == m.Mean && m.High == m.Mean {
		return fmt.Sprintf("%+.4f", m.Mean)
	}
	return fmt.Sprintf("%+.4f (%+.4f to %+.4f)", m.Mean, m.Low, m.High)
}
