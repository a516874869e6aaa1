package evaluation

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/freshet/freshet/services/terminal"
)

// Side is a scorer of a run in a comparison.
type Side struct {
	Run    string `json:"run"`
	Scorer string `json:"scorer"`
}

// Comparison holds scorer B beside scorer A of an earlier run, over the same cases.
type Comparison struct {
	A     Side `json:"a"`
	B     Side `json:"b"`
	Cases int  `json:"cases"`
	// Figures are the metrics of ranking, then the list metrics that both runs have.
	Figures []Compared `json:"figures"`
}

// Compared is one figure of both. The difference is B's minus A's, case by case, with the 95 % bootstrap interval of its mean,
// and P is the two-sided probability of one as large by the paired randomization test.
type Compared struct {
	Name       string  `json:"name"`
	K          int     `json:"k"`
	A          float64 `json:"a"`
	B          float64 `json:"b"`
	Difference Metric  `json:"difference"`
	P          float64 `json:"p"`
	// Ranking says that more is better; of a list's character, more is only different.
	Ranking bool `json:"ranking"`
}

// Resolved says that the cases suffice to tell A and B apart, at the level of 5 %.
func (c *Compared) Resolved() bool { return c.P < .05 }

// Verdict is "A better", "B better", "A more", "B more", or "not resolved".
func (c *Compared) Verdict() string {
	side, how := "A ", "more"
	if c.Difference.Mean > 0 {
		side = "B "
	}
	if c.Ranking {
		how = "better"
	}
	if !c.Resolved() {
		return "not resolved"
	}
	return side + how
}

// Comparing says what to compare.
type Comparing struct {
	// ScorerA and ScorerB name scorers of the runs, or begin the name of exactly one; "" is the first.
	ScorerA, ScorerB string
	// K is the length of the list for the metrics of ranking; 0 means that of B's report.
	K         int
	Resamples int
	Seed      uint64
}

// Compare pairs two runs that asked the same questions, case by case. nameA and nameB are the runs' names.
func Compare(nameA string, a *Run, nameB string, b *Run, how Comparing) (*Comparison, error) {
	if a.Report.Checksum != b.Report.Checksum || !slices.Equal(a.Targets, b.Targets) {
		return nil, fmt.Errorf("comparing runs: %s and %s asked different questions (protocols %s and %s): compare runs on the same data, "+
			"parted alike", nameA, nameB, a.Report.Checksum, b.Report.Checksum)
	}
	of, err := a.scorer(how.ScorerA)
	if err != nil {
		return nil, fmt.Errorf("comparing runs: %s: %w", nameA, err)
	}
	with, err := b.scorer(how.ScorerB)
	if err != nil {
		return nil, fmt.Errorf("comparing runs: %s: %w", nameB, err)
	}
	k := how.K
	if k == 0 {
		k = b.Report.K
	}
	if k < 1 || k > mostK {
		return nil, fmt.Errorf("comparing runs: k is %d: give 1 to %d", k, mostK)
	}
	c := &Comparison{A: Side{nameA, of.Scorer}, B: Side{nameB, with.Scorer}, Cases: len(a.Targets)}
	left, right := of.metrics(a.Targets, k), with.metrics(b.Targets, k)
	for column, name := range metricNames {
		c.add(name, k, true, left.pick(nil, []int{column}), right.pick(nil, []int{column}), how)
	}
	if a.Report.K == b.Report.K && k == b.Report.K {
		for _, l := range of.Lists {
			at := slices.IndexFunc(with.Lists, func(r ListMetric) bool { return r.Name == l.Name && slices.Equal(r.Cases, l.Cases) })
			if at >= 0 {
				c.add(l.Name, k, false, column(l.Values), column(with.Lists[at].Values), how)
			}
		}
	}
	return c, nil
}

func column(values []float64) *outcomes { return &outcomes{columns: 1, values: values} }

func (c *Comparison) add(name string, k int, ranking bool, a, b *outcomes, how Comparing) {
	d := b.less(a)
	c.Figures = append(c.Figures, Compared{
		Name: name, K: k, A: a.means(0, 0)[0].Mean, B: b.means(0, 0)[0].Mean, Ranking: ranking,
		Difference: d.means(how.Resamples, how.Seed)[0], P: d.chance(0, max(how.Resamples, leastDraws), how.Seed),
	})
}

// scorer finds an outcome by its scorer's name or the beginning of it.
func (r *Run) scorer(name string) (*Outcome, error) {
	var found []*Outcome
	var names []string
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		names = append(names, o.Scorer)
		if o.Scorer == name {
			return o, nil
		}
		if strings.HasPrefix(o.Scorer, name) {
			found = append(found, o)
		}
	}
	if name == "" {
		return &r.Outcomes[0], nil
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("scorer %q fits %d of those that there are: choose one of %s", name, len(found), strings.Join(names, ", "))
	}
	return found[0], nil
}

// metrics recomputes the metrics at k from the ranks.
func (o *Outcome) metrics(targets []int32, k int) *outcomes {
	of := newOutcomes(len(targets), metrics)
	for i, ranks := range o.Ranks {
		measure(of.row(i), ranks, int(targets[i]), k)
	}
	return of
}

// figure finds a figure by its name.
func (c *Comparison) figure(name string) *Compared {
	at := slices.IndexFunc(c.Figures, func(f Compared) bool { return f.Name == name })
	return &c.Figures[at]
}

// Headline says in a sentence which is better, judged by NDCG, or that the cases cannot tell.
func (c *Comparison) Headline() string {
	n, r := c.figure("ndcg"), c.figure("recall")
	by := fmt.Sprintf("NDCG@%d by %s, p %.4f", n.K, n.Difference.signed(), n.P)
	switch {
	case !n.Resolved():
		return fmt.Sprintf("The difference is not resolved: %s; %d cases cannot tell A and B apart.", by, c.Cases)
	case r.Resolved() && (r.Difference.Mean > 0) != (n.Difference.Mean > 0):
		return fmt.Sprintf("%s: %s; but recall@%d says the opposite.", n.Verdict(), by, r.K)
	case n.Difference.Mean > 0:
		return fmt.Sprintf("B is better: %s.", by)
	}
	return fmt.Sprintf("A is better: %s.", by)
}

// WriteTable writes the comparison for people.
func (c *Comparison) WriteTable(w io.Writer) error {
	t := terminal.NewTable(nil, terminal.Row{"figure", "A", "B", "B - A", "p", ""})
	ranking := true
	for i := range c.Figures {
		f := &c.Figures[i]
		if ranking && !f.Ranking {
			t.AppendSeparator()
		}
		ranking = f.Ranking
		t.AppendRow(terminal.Row{
			fmt.Sprintf("%s@%d", f.Name, f.K), fmt.Sprintf("%.4f", f.A), fmt.Sprintf("%.4f", f.B), f.Difference.signed(),
			fmt.Sprintf("%.4f", f.P), f.Verdict(),
		})
	}
	rightFrom(t, 2, 5)
	const how = "cases, paired; in brackets: 95 % by bootstrap; p by the randomization test"
	_, err := terminal.Fprintf(w, "A: %s of %s\nB: %s of %s\n%s\n%d %s\n\n%s\n",
		c.A.Scorer, c.A.Run, c.B.Scorer, c.B.Run, terminal.Block(t.Render()), c.Cases, how, c.Headline())
	return err
}
