package page

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strconv"

	"github.com/freshet/freshet/pipelines/offline/evaluation"
)

//go:embed page.html
var markup string

//go:embed style.css
var style string

var page = template.Must(template.New("page").Funcs(template.FuncMap{
	"style":    func() template.CSS { return template.CSS(style) }, //nolint:gosec // our own file
	"four":     four,
	"interval": interval,
	"count":    thousands,
	"plus":     func(a, b int) int { return a + b },
}).Parse(markup))

// view is what the template shows.
type view struct {
	*evaluation.Report
	Model    *evaluation.Result
	Headline []string
	Tiles    []tile
	Rows     []row
	ByK      *lines
	Segments []*bars
	OverTime *lines
	// Several says that cases have several targets, without which hit rate, precision and MAP say nothing of their own.
	Several bool
	// Spans says that some scorer's figures depend on the order within moments.
	Spans bool
	// Series are the scorers that the charts of segments show.
	Series []series
	Runs   *lines
	Losses *bars
}

// tile is a figure in large type.
type tile struct{ Label, Value, Note string }

// row is a scorer in the first table.
type row struct {
	*evaluation.Result
	Series series
	// Low, Width and Mean place the interval of NDCG on a line of 100.
	Low, Width, Mean string
	IsModel          bool
}

// Write writes the page. past are earlier runs of the same protocol, oldest first, this one among them where it was kept.
func Write(w io.Writer, r *evaluation.Report, past []evaluation.Past) error {
	if len(r.Scorers) == 0 {
		return fmt.Errorf("writing a page: the report has no scorers")
	}
	v := &view{Report: r, Model: &r.Scorers[0], ByK: recallByK(r), Runs: overRuns(r, past), Losses: waterfall(r)}
	v.Headline, v.Tiles, v.Rows = headline(r), tiles(r), rows(r)
	v.Series = compared(r)
	v.Segments, v.OverTime = segments(r, v.Series)
	for i := range r.Scorers {
		v.Several = v.Several || r.Scorers[i].HitRate != r.Scorers[i].Recall || r.Scorers[i].MAP != r.Scorers[i].MRR
		v.Spans = v.Spans || r.Scorers[i].TieSpan != nil
	}
	if err := page.Execute(w, v); err != nil {
		return fmt.Errorf("writing a page: %w", err)
	}
	return nil
}

// bestBaseline is the scorer with the highest NDCG besides the first, nil where there is none.
func bestBaseline(r *evaluation.Report) *evaluation.Result {
	var best *evaluation.Result
	for i := range r.Scorers[1:] {
		if s := &r.Scorers[i+1]; best == nil || s.NDCG.Mean > best.NDCG.Mean {
			best = s
		}
	}
	return best
}

// headline is what a reader in a hurry should know, in sentences.
func headline(r *evaluation.Report) []string {
	m := &r.Scorers[0]
	said := []string{fmt.Sprintf("Of all %s items, the first %d hold what the user chose next in %.1f of 100 cases (%s to %s).",
		thousands(r.Items), r.K, 100*m.HitRate.Mean, percent(m.HitRate.Low), percent(m.HitRate.High))}
	if best := bestBaseline(r); best != nil && best.NDCG.Mean > 0 {
		said = append(said, fmt.Sprintf("The best baseline is %s with NDCG@%d %s; here it is %s, %.2f times as much%s.",
			best.Name, r.K, four(best.NDCG.Mean), four(m.NDCG.Mean), m.NDCG.Mean/best.NDCG.Mean, apart(r, best)))
	}
	if r.Earlier != nil {
		said = append(said, "Against the earlier run "+r.Earlier.A.Run+" (A), this one is B. "+r.Earlier.Headline())
	}
	return said
}

// apart says whether the model and the best baseline can be told apart: by the paired test where it was made, by the intervals else.
func apart(r *evaluation.Report, best *evaluation.Result) string {
	m := &r.Scorers[0]
	switch d := m.Difference; {
	case d != nil && r.Against == best.Name && d.NDCGP < .05:
		return fmt.Sprintf(": resolved by the paired test, p %s", four(d.NDCGP))
	case d != nil && r.Against == best.Name:
		return fmt.Sprintf(": not resolved by the paired test, p %s", four(d.NDCGP))
	case m.NDCG.Low == m.NDCG.High:
		return ""
	case m.NDCG.Low > best.NDCG.High || best.NDCG.Low > m.NDCG.High:
		return "; their intervals do not touch"
	}
	return fmt.Sprintf("; their intervals overlap, --against %q would pair them", best.Name)
}

func tiles(r *evaluation.Report) []tile {
	m := &r.Scorers[0]
	at := func(name string) string { return name + "@" + strconv.Itoa(r.K) }
	return []tile{
		{at("recall"), four(m.Recall.Mean), interval(m.Recall)},
		{at("NDCG"), four(m.NDCG.Mean), interval(m.NDCG)},
		{at("MRR"), four(m.MRR.Mean), interval(m.MRR)},
		{"coverage", percent(m.Coverage) + " %", fmt.Sprintf("of items stand in a list of %d", r.K)},
	}
}

func rows(r *evaluation.Report) []row {
	highest := 0.0
	for i := range r.Scorers {
		highest = max(highest, r.Scorers[i].NDCG.High)
	}
	var all []row
	for i := range r.Scorers {
		s := &r.Scorers[i]
		scale := 100 / max(highest, 1e-9)
		all = append(all, row{
			Result: s, Series: seriesOf(i, s.Name), IsModel: i == 0,
			Low: px(s.NDCG.Low * scale), Width: px(max(.8, (s.NDCG.High-s.NDCG.Low)*scale)), Mean: px(s.NDCG.Mean * scale),
		})
	}
	return all
}

// compared are the scorers that are shown by segment: the model, the best baseline, and popularity.
func compared(r *evaluation.Report) []series {
	all := []series{seriesOf(0, r.Scorers[0].Name)}
	add := func(name string) {
		at := slices.IndexFunc(r.Scorers, func(s evaluation.Result) bool { return s.Name == name })
		if at > 0 && !slices.ContainsFunc(all, func(s series) bool { return s.at == at }) {
			all = append(all, seriesOf(at, name))
		}
	}
	if best := bestBaseline(r); best != nil {
		add(best.Name)
	}
	add("popularity")
	for i := range all {
		all[i].Fill = i
	}
	return all
}

func four(v float64) string { return strconv.FormatFloat(v, 'f', 4, 64) }

func percent(share float64) string { return strconv.FormatFloat(100*share, 'f', 1, 64) }

// interval is empty where there is none.
func interval(m evaluation.Metric) string {
	if m.Low == m.Mean && m.High == m.Mean {
		return ""
	}
	return four(m.Low) + " to " + four(m.High)
}

func thousands(n int) string {
	s := strconv.Itoa(n)
	for at := len(s) - 3; at > 0; at -= 3 {
		s = s[:at] + "," + s[at:]
	}
	return s
}
