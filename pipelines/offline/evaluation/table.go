package evaluation

import (
	"fmt"
	"io"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/freshet/freshet/services/terminal"
)

// WriteTable writes the report for people, a row a scorer: how well they rank, what their lists are like, and parts of the
// cases. With one target a case, hit rate, precision and both MAP are left out: they say the same as recall, a k-th of it, and MRR.
func (r *Report) WriteTable(w io.Writer) error {
	at := func(name string) string { return fmt.Sprintf("%s@%d", name, r.K) }
	t := terminal.NewTable(nil, terminal.Row{
		"scorer", at("recall"), at("hit rate"), at("precision"), at("NDCG"), at("MRR"), at("MAP"), at("MAP") + " of all",
	})
	several := false // targets a case
	for _, s := range r.Scorers {
		t.AppendRow(terminal.Row{s.Name, s.Recall, s.HitRate, s.Precision, s.NDCG, s.MRR, s.MAP, s.MAPAll})
		several = several || s.HitRate != s.Recall || s.MAP != s.MRR
	}
	var columns []table.ColumnConfig
	for i := 2; i <= 8; i++ {
		hidden := !several && (i == 3 || i == 4 || i >= 7)
		columns = append(columns, table.ColumnConfig{Number: i, Hidden: hidden, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(columns)
	parts := []string{t.Render(), r.footnote(), r.definitions(several)}
	for i := range r.Baselines {
		parts = append(parts, terminal.Text(r.Baselines[i].String()))
	}
	for _, w := range r.WholeCatalogue {
		parts = append(parts, w.String(r.Cases))
	}
	for _, l := range r.LeftOut {
		parts = append(parts, terminal.Sprintf("%s is left out: %s", l.Name, l.Why))
	}
	if r.Ties != nil {
		parts = append(parts, "", r.tiesTable())
	}
	if len(r.Scorers) > 0 {
		parts = append(parts, "", r.listsTable())
	}
	if len(r.Scorers) > 0 && len(r.Scorers[0].Segments) > 0 {
		parts = append(parts, "", r.segmentsTable())
	}
	if r.Against != "" {
		parts = append(parts, "", r.differencesTable())
	}
	if len(r.Waterfall) > 0 {
		parts = append(parts, "", r.waterfallTable())
	}
	if r.Earlier != nil {
		var earlier strings.Builder
		_ = r.Earlier.WriteTable(&earlier) // never fails
		parts = append(parts, "", strings.TrimRight(earlier.String(), "\n"))
	}
	_, err := terminal.Fprintln(w, terminal.Block(strings.Join(parts, "\n")))
	return err
}

// rightFrom aligns the columns from the nth on to the right.
func rightFrom(t terminal.Table, n, columns int) {
	var configs []table.ColumnConfig
	for i := n; i <= columns; i++ {
		configs = append(configs, table.ColumnConfig{Number: i, Align: text.AlignRight, AlignHeader: text.AlignRight})
	}
	t.SetColumnConfigs(configs)
}

// definitions are those of the figures in the table, without which the names mean little.
func (r *Report) definitions(several bool) string {
	var said []string
	for _, d := range r.Definitions.List() {
		switch d.Name {
		case "hit rate", "precision", "MAP", "MAP, all targets":
			if !several {
				continue
			}
		case "ranked": // the line above says it
			continue
		}
		said = append(said, d.Name+": "+d.Meaning)
	}
	return strings.Join(said, "\n")
}

// String warns of what such a list says.
func (w WholeCatalogue) String(cases int) string {
	const warning = "k %d reaches the end of the catalogue in %d of %d cases: there, any list holds all that can be recommended"
	return fmt.Sprintf(warning, w.K, w.Cases, cases)
}

// tiesTable says how much of the figures the lot decided.
func (r *Report) tiesTable() string {
	said := r.Ties.String(r.Cases)
	t := terminal.NewTable(nil, terminal.Row{"worst to best order", fmt.Sprintf("recall@%d", r.K), fmt.Sprintf("NDCG@%d", r.K)})
	wideOnes := false
	for i := range r.Scorers {
		if s := r.Scorers[i].TieSpan; s != nil {
			wideOnes = true
			t.AppendRow(terminal.Row{r.Scorers[i].Name, s.Recall, s.NDCG})
		}
	}
	if !wideOnes {
		return said + "; the order makes less than 1 % of recall and NDCG"
	}
	rightFrom(t, 2, 3)
	return t.Render() + "\n" + said + "\n" + tiesMeaning
}

// tiesMeaning is what a reader of spans must know.
const tiesMeaning = "histories and targets take each other order; what was learnt keeps the order that was drawn, which widens the span"

// Meaning is what a reader of the spans must know.
func (*Ties) Meaning() string { return tiesMeaning }

// String says how many cases there are with ties.
func (t *Ties) String(cases int) string {
	said := fmt.Sprintf("ties: %d of %d cases ask for one of several items of one moment", t.Cases, cases)
	if t.Capped > 0 {
		said += fmt.Sprintf(" (%d of them for one of more than %d, of which only so many were tried)", t.Capped, MostAlternatives)
	}
	return said
}

// String is the span to four places.
func (s Span) String() string { return fmt.Sprintf("%.4f-%.4f", s.Worst, s.Best) }

// listsTable tells what the lists are like.
func (r *Report) listsTable() string {
	t := terminal.NewTable(nil, terminal.Row{
		fmt.Sprintf("lists of %d", r.K), "coverage", "Gini", "popularity", "bias", "novelty, bits", "diversity", "miscalibration",
	})
	mean := func(m *Metric, format string) string {
		if m == nil {
			return "-"
		}
		return fmt.Sprintf(format, m.Mean)
	}
	for i := range r.Scorers {
		s := &r.Scorers[i]
		t.AppendRow(terminal.Row{s.Name, fmt.Sprintf("%.1f %%", 100*s.Coverage), fmt.Sprintf("%.3f", s.Gini),
			mean(s.Popularity, "%.3f"), mean(s.PopularityBias, "%+.3f"), mean(s.Novelty, "%.2f"), mean(s.Diversity, "%.3f"),
			mean(s.Miscalibration, "%.3f")})
	}
	if r.TargetPopularity != nil {
		t.AppendSeparator()
		t.AppendRow(terminal.Row{"what users chose", "", "", mean(r.TargetPopularity, "%.3f"), "", "", "", ""})
	}
	rightFrom(t, 2, 8)
	const meaning = "bias: popularity above that of the user's history; miscalibration: how far categories are from the history's, 0 to 4.6"
	return t.Render() + "\n" + meaning
}

// segmentsTable has a column of NDCG for each scorer, without intervals, which would not fit.
func (r *Report) segmentsTable() string {
	header := terminal.Row{"cases by", "", "cases"}
	for i := range r.Scorers {
		header = append(header, r.Scorers[i].Name)
	}
	t := terminal.NewTable(nil, header)
	for at, first := range r.Scorers[0].Segments {
		if at > 0 && r.Scorers[0].Segments[at-1].By != first.By {
			t.AppendSeparator()
		}
		row := terminal.Row{first.By, first.Name, first.Cases}
		for i := range r.Scorers {
			row = append(row, fmt.Sprintf("%.4f", r.Scorers[i].Segments[at].NDCG.Mean))
		}
		t.AppendRow(row)
	}
	rightFrom(t, 3, len(header))
	const meaning = "head: the most popular items with half of all events, tail: the least popular with a fifth; intervals in the other forms"
	return fmt.Sprintf("%s\nNDCG@%d; %s", t.Render(), r.K, meaning)
}

func (r *Report) differencesTable() string {
	t := terminal.NewTable(nil, terminal.Row{"against " + r.Against, fmt.Sprintf("recall@%d", r.K), "p", fmt.Sprintf("NDCG@%d", r.K), "p"})
	for i := range r.Scorers {
		if d := r.Scorers[i].Difference; d != nil {
			t.AppendRow(terminal.Row{
				r.Scorers[i].Name, d.Recall.signed(), fmt.Sprintf("%.4f", d.RecallP), d.NDCG.signed(), fmt.Sprintf("%.4f", d.NDCGP),
			})
		}
	}
	rightFrom(t, 2, 5)
	return t.Render()
}

func (r *Report) waterfallTable() string {
	t := terminal.NewTable(nil, terminal.Row{"stage", fmt.Sprintf("hits@%d", r.K), "share", "lost"})
	for i, l := range r.Waterfall {
		lost := ""
		if i > 0 {
			lost = fmt.Sprintf("%+d", l.Hits-r.Waterfall[i-1].Hits)
		}
		t.AppendRow(terminal.Row{l.Stage, l.Hits, fmt.Sprintf("%.4f", l.Share), lost})
	}
	rightFrom(t, 2, 4)
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
