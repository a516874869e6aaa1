package evaluation

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Report is the outcome of an evaluation; it encodes to JSON as it stands.
type Report struct {
	K           int      `json:"k"`
	Cases       int      `json:"cases"`
	Items       int      `json:"items"`
	IncludeSeen bool     `json:"include_seen"`
	Resamples   int      `json:"resamples"`
	Scorers     []Result `json:"scorers"`
}

// Result is one scorer's row. All metrics are means over the cases, from 0 to 1.
type Result struct {
	Name string `json:"name"`
	// Recall is the share of a case's targets that are in its list of K.
	Recall Metric `json:"recall"`
	// HitRate is 1 for a case with any target in its list; with one target a case it equals Recall.
	HitRate Metric `json:"hit_rate"`
	// NDCG is the list's discounted cumulative gain, divided by that of the best list there could be.
	NDCG Metric `json:"ndcg"`
	// MRR is one over the place of the list's first target, 0 for none.
	MRR Metric `json:"mrr"`
	// Coverage is the share of all items that stand in any list.
	Coverage float64 `json:"coverage"`
}

// Metric is a mean with the bounds of its 95 % bootstrap interval, which are the mean itself where none was asked for.
type Metric struct {
	Mean float64 `json:"mean"`
	Low  float64 `json:"low"`
	High float64 `json:"high"`
}

func (e *evaluation) result() Result {
	of := bootstrap(e.outcomes, e.Resamples, e.Seed)
	shown := 0
	for _, s := range e.shown {
		if s {
			shown++
		}
	}
	return Result{
		Name: e.scorer.Name(), Recall: of[recall], HitRate: of[hitRate], NDCG: of[ndcg], MRR: of[mrr],
		Coverage: float64(shown) / float64(len(e.shown)),
	}
}

// bootstrap draws as many cases as there are, with replacement, again and again, and takes the percentiles of the means (Efron,
// 1979). All scorers meet the same draws.
func bootstrap(outcomes []outcome, resamples int, seed uint64) [metrics]Metric {
	mean := func(pick func(i int) int) (m outcome) {
		for i := range outcomes {
			o := &outcomes[pick(i)]
			for j := range m {
				m[j] += o[j]
			}
		}
		for j := range m {
			m[j] /= float64(len(outcomes))
		}
		return m
	}
	var of [metrics]Metric
	for j, m := range mean(func(i int) int { return i }) {
		of[j] = Metric{m, m, m}
	}
	if resamples == 0 {
		return of
	}
	r := rand.New(rand.NewPCG(seed, 0))
	var means [metrics][]float64
	for range resamples {
		for j, m := range mean(func(int) int { return r.IntN(len(outcomes)) }) {
			means[j] = append(means[j], m)
		}
	}
	for j := range of {
		slices.Sort(means[j])
		last := float64(resamples - 1)
		of[j].Low, of[j].High = means[j][int(.025*last+.5)], means[j][int(.975*last+.5)]
	}
	return of
}

// WriteTable writes the report for people, a row a scorer. The hit rate is left out where it says the same as recall.
func (r *Report) WriteTable(w io.Writer) error {
	t := table.NewWriter()
	t.SetStyle(table.StyleLight)
	t.Style().Format.Header = text.FormatDefault
	at := func(name string) string { return fmt.Sprintf("%s@%d", name, r.K) }
	t.AppendHeader(table.Row{"scorer", at("recall"), at("hit rate"), at("NDCG"), at("MRR"), at("coverage")})
	differs := false
	for _, s := range r.Scorers {
		t.AppendRow(table.Row{s.Name, s.Recall, s.HitRate, s.NDCG, s.MRR, fmt.Sprintf("%.1f %%", 100*s.Coverage)})
		differs = differs || s.HitRate != s.Recall
	}
	columns := []table.ColumnConfig{{Number: 3, Hidden: !differs, Align: text.AlignRight, AlignHeader: text.AlignRight}}
	for _, i := range []int{2, 4, 5, 6} {
		columns = append(columns, table.ColumnConfig{Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	_, err := fmt.Fprintf(w, "%s\n%s\n", t.Render(), r.footnote())
	return err
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
