package funnel

import (
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/freshet/freshet/services/recommender"
	"github.com/freshet/freshet/services/terminal"
)

// outcome is what became of one case.
type outcome struct {
	model     bool // the target is among the first k by the towers, asked exactly over the window
	embedding bool // it is among the first k by the embedding that production has
	page      bool // it is on the page
	lost      recommender.Loss
	rule      string
}

// Report tells where targets were lost.
type Report struct {
	Model string `json:"model"`
	Items int    `json:"items"`
	Cases int    `json:"cases"`
	K     int    `json:"k"`
	// Recalls are the shares of targets among the first k: of the towers asked exactly, of production's embedding asked exactly, and
	// of the page.
	Recalls struct {
		Model      Recall `json:"model"`
		Embedding  Recall `json:"embedding"`
		Production Recall `json:"production"`
	} `json:"recalls"`
	// Outcomes part the cases: each is of one.
	Outcomes []Count `json:"outcomes"`
	// Steps lead from the hits of the towers to those of production: Model.Hits less what each step lost and more what it gained is
	// Production.Hits.
	Steps []Step `json:"steps"`
	// Rules part the losses to rules; index:NAME is a rule that the index applied.
	Rules []Count `json:"rules"`
}

// Recall is a share of the cases, with its 95 % interval by bootstrap.
type Recall struct {
	Hits  int     `json:"hits"`
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Count is how many cases are of a name, and which share of all.
type Count struct {
	Name  string  `json:"name"`
	Cases int     `json:"cases"`
	Share float64 `json:"share"`
}

// Step is what a step lost of what came before it, and what it gained.
type Step struct {
	Name   string `json:"name"`
	Lost   int    `json:"lost"`
	Gained int    `json:"gained"`
	// Hits are those after it.
	Hits int `json:"hits"`
}

// The outcomes of a case, in the order of a report.
const (
	Hit         = "hit"
	ModelLoss   = "model loss"
	HistoryLoss = "history loss"
	ANNLoss     = "ANN loss"
	FilterLoss  = "filter loss"
	RankingLoss = "ranking loss"
)

var outcomeNames = []string{Hit, ModelLoss, HistoryLoss, ANNLoss, FilterLoss, RankingLoss}

// name is the outcome of a case.
func (o *outcome) name() string {
	switch {
	case o.page:
		return Hit
	case !o.embedding && o.model:
		return HistoryLoss
	case !o.embedding:
		return ModelLoss
	case o.lost == recommender.LostToRule:
		return FilterLoss
	case o.lost == recommender.LostByRanking:
		return RankingLoss
	default:
		return ANNLoss
	}
}

func newReport(model string, items int, outcomes []outcome, c Config) *Report {
	r := &Report{Model: model, Items: items, Cases: len(outcomes), K: c.K}
	of := func(hit func(o *outcome) bool) Recall { return recallOf(outcomes, hit, c) }
	r.Recalls.Model = of(func(o *outcome) bool { return o.model })
	r.Recalls.Embedding = of(func(o *outcome) bool { return o.embedding })
	r.Recalls.Production = of(func(o *outcome) bool { return o.page })
	count := map[string]int{}
	rules := map[string]int{}
	var history, serving Step
	for i := range outcomes {
		o := &outcomes[i]
		count[o.name()]++
		if o.name() == FilterLoss {
			rules[o.rule]++
		}
		switch {
		case o.model && !o.embedding:
			history.Lost++
		case !o.model && o.embedding:
			history.Gained++
		}
		if o.page && !o.embedding {
			serving.Gained++
		}
	}
	for _, name := range outcomeNames {
		r.Outcomes = append(r.Outcomes, r.count(name, count[name]))
	}
	for name, n := range rules {
		r.Rules = append(r.Rules, r.count(name, n))
	}
	slices.SortFunc(r.Rules, func(a, b Count) int {
		if a.Cases != b.Cases {
			return b.Cases - a.Cases
		}
		return strings.Compare(a.Name, b.Name)
	})
	hits := r.Recalls.Model.Hits
	for _, s := range []Step{
		{Name: "history kept", Lost: history.Lost, Gained: history.Gained},
		{Name: "index", Lost: count[ANNLoss]},
		{Name: "filters and rules", Lost: count[FilterLoss]},
		{Name: "ranking", Lost: count[RankingLoss]},
		{Name: "page filled up", Gained: serving.Gained},
	} {
		hits += s.Gained - s.Lost
		s.Hits = hits
		r.Steps = append(r.Steps, s)
	}
	return r
}

func (r *Report) count(name string, n int) Count {
	return Count{Name: name, Cases: n, Share: float64(n) / float64(r.Cases)}
}

// recallOf is a share with its percentile bootstrap (Efron, 1979). All shares of a report meet the same draws.
func recallOf(outcomes []outcome, hit func(o *outcome) bool, c Config) Recall {
	n := len(outcomes)
	hits := make([]int, n)
	r := Recall{}
	for i := range outcomes {
		if hit(&outcomes[i]) {
			hits[i] = 1
			r.Hits++
		}
	}
	r.Value = float64(r.Hits) / float64(n)
	rng := rand.New(rand.NewPCG(c.Seed, 0))
	drawn := make([]int, c.Resamples)
	for i := range drawn {
		for range n {
			drawn[i] += hits[rng.IntN(n)]
		}
	}
	slices.Sort(drawn)
	last := float64(c.Resamples - 1)
	r.Low = float64(drawn[int(.025*last+.5)]) / float64(n)
	r.High = float64(drawn[int(.975*last+.5)]) / float64(n)
	return r
}

// WriteTable prints the report for people.
func (r *Report) WriteTable(w io.Writer) error {
	var out strings.Builder
	_, _ = terminal.Fprintf(&out, "%d cases through production: pages of %d among %d items, model %s\n", r.Cases, r.K, r.Items, r.Model)
	write := func(header terminal.Row, rows ...terminal.Row) {
		t := terminal.NewTable(&out, header)
		t.AppendRows(rows)
		t.Render()
	}
	var recalls []terminal.Row
	for _, s := range []struct {
		name string
		Recall
	}{{"towers, exact", r.Recalls.Model}, {"production's embedding, exact", r.Recalls.Embedding}, {"production", r.Recalls.Production}} {
		recalls = append(recalls, terminal.Row{s.name, s.Hits, fmt.Sprintf("%.4f (%.4f-%.4f)", s.Value, s.Low, s.High)})
	}
	write(terminal.Row{"ranked by", "hits", fmt.Sprintf("recall@%d", r.K)}, recalls...)
	steps := []terminal.Row{{"towers, exact", "", "", r.Recalls.Model.Hits}}
	for _, s := range r.Steps {
		steps = append(steps, terminal.Row{s.Name, signed("-", s.Lost), signed("+", s.Gained), s.Hits})
	}
	write(terminal.Row{"step", "lost", "gained", "hits"}, steps...)
	var outcomes []terminal.Row
	for _, o := range r.Outcomes {
		outcomes = append(outcomes, terminal.Row{o.Name, o.Cases, fmt.Sprintf("%.1f %%", 100*o.Share)})
		if o.Name != FilterLoss {
			continue
		}
		for _, rule := range r.Rules {
			outcomes = append(outcomes, terminal.Row{"  " + rule.Name, rule.Cases, fmt.Sprintf("%.1f %%", 100*rule.Share)})
		}
	}
	write(terminal.Row{"outcome", "cases", "share"}, outcomes...)
	_, err := io.WriteString(w, out.String())
	return err
}

func signed(sign string, n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprint(sign, n)
}
