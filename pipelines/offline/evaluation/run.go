package evaluation

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"

	"github.com/freshet/freshet/pipelines/offline/dataset"
)

// Run is an evaluation as it is kept: the report, and where each scorer put each case's targets, from which all metrics of
// ranking follow at any k, so that a later run can be compared with it case by case.
type Run struct {
	Report *Report `json:"report"`
	// Targets is how many targets each case has.
	Targets []int32 `json:"targets"`
	// Outcomes are in the order of the report's scorers.
	Outcomes []Outcome `json:"outcomes"`
}

// Outcome is what one scorer did, case by case.
type Outcome struct {
	Scorer string `json:"scorer"`
	// Ranks are the ranks of each case's targets among all items, from 1, ascending; one that cannot be recommended has none.
	Ranks [][]int32 `json:"ranks"`
	// Lists tell what the lists of the report's K are like.
	Lists []ListMetric `json:"lists,omitempty"`
}

// UnmarshalJSON takes files of version 1 as well, in which the ranks were called places.
func (o *Outcome) UnmarshalJSON(b []byte) error {
	type outcome Outcome
	file := struct {
		*outcome
		Places [][]int32 `json:"places"`
	}{outcome: (*outcome)(o)}
	if err := json.Unmarshal(b, &file); err != nil {
		return err
	}
	if o.Ranks == nil {
		o.Ranks = file.Places
	}
	return nil
}

// ListMetric is one figure of the lists, to four decimals.
type ListMetric struct {
	Name string `json:"name"`
	// Cases are those that have the figure, ascending; nil means all of them.
	Cases  []int32   `json:"cases,omitempty"`
	Values []float64 `json:"values"`
}

// The list metrics' names, which are their fields' in JSON.
var listMetricNames = [listMetrics]string{
	popularity: "popularity", novelty: "novelty", diversity: "diversity", popularityBias: "popularity_bias", miscalibration: "miscalibration",
}

// Run is the report as it can be kept.
func (r *Report) Run() *Run {
	run := r.run
	run.Report = r
	return &run
}

func newRun(done []*evaluation) Run {
	var run Run
	for i := range done[0].cases {
		run.Targets = append(run.Targets, int32(len(done[0].cases[i].Targets)))
	}
	for _, e := range done {
		o := Outcome{Scorer: e.scorer.Name(), Ranks: e.ranks}
		if e.popular != nil {
			o.Lists = append(o.Lists, e.listMetric(popularity), e.listMetric(popularityBias), e.listMetric(novelty))
		}
		if e.catalogue.Categories != nil {
			o.Lists = append(o.Lists, e.listMetric(diversity), e.listMetric(miscalibration))
		}
		o.Lists = slices.DeleteFunc(o.Lists, func(c ListMetric) bool { return len(c.Values) == 0 })
		run.Outcomes = append(run.Outcomes, o)
	}
	return run
}

func (e *evaluation) listMetric(which int) ListMetric {
	c := ListMetric{Name: listMetricNames[which]}
	column := metrics*len(e.At) + which
	keep := func(i int) { c.Values = append(c.Values, math.Round(e.outcomes.row(i)[column]*1e4)/1e4) }
	if which != popularityBias && which != miscalibration {
		for i := range e.cases {
			keep(i)
		}
		return c
	}
	for _, i := range e.has(which) {
		keep(i)
		c.Cases = append(c.Cases, int32(i))
	}
	if len(c.Cases) == len(e.cases) {
		c.Cases = nil
	}
	return c
}

// checksum is of all that decides whether two evaluations ask the same questions.
func checksum(cases []dataset.Case, items int, includeSeen bool) string {
	h := sha256.New()
	b := binary.LittleEndian.AppendUint64(nil, uint64(items))
	b = append(b, byte(oneIf(includeSeen)))
	list := func(items []int32) {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(items)))
		for _, item := range items {
			b = binary.LittleEndian.AppendUint32(b, uint32(item))
		}
	}
	for i := range cases {
		b = binary.LittleEndian.AppendUint32(b, uint32(cases[i].User))
		list(cases[i].History)
		list(cases[i].Targets)
		_, _ = h.Write(b) // never fails
		b = b[:0]
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Validate refuses a run that comparisons cannot rely on.
func (r *Run) Validate() error {
	switch {
	case r.Report == nil:
		return errors.New("it has no report")
	case r.Report.K < 1 || r.Report.K > mostK:
		return fmt.Errorf("its k is %d, not 1 to %d", r.Report.K, mostK)
	case r.Report.Cases < 1 || len(r.Targets) != r.Report.Cases:
		return fmt.Errorf("it has targets of %d cases, but the report says %d", len(r.Targets), r.Report.Cases)
	case len(r.Outcomes) == 0 || len(r.Outcomes) != len(r.Report.Scorers):
		return fmt.Errorf("it has outcomes of %d scorers, but the report has %d", len(r.Outcomes), len(r.Report.Scorers))
	}
	for i := range r.Outcomes {
		o := &r.Outcomes[i]
		if o.Scorer != r.Report.Scorers[i].Name {
			return fmt.Errorf("outcome %d is of scorer %q, but the report has %q there", i, o.Scorer, r.Report.Scorers[i].Name)
		}
		if err := r.check(o); err != nil {
			return fmt.Errorf("scorer %q: %w", o.Scorer, err)
		}
	}
	return nil
}

func (r *Run) check(o *Outcome) error {
	if len(o.Ranks) != len(r.Targets) {
		return fmt.Errorf("ranks of %d cases instead of %d", len(o.Ranks), len(r.Targets))
	}
	for i, ranks := range o.Ranks {
		ascending := slices.IsSorted(ranks) && len(slices.Compact(slices.Clone(ranks))) == len(ranks)
		if !ascending || len(ranks) > 0 && ranks[0] < 1 || len(ranks) > int(r.Targets[i]) {
			return fmt.Errorf("case %d has ranks %v for %d targets", i, ranks, r.Targets[i])
		}
	}
	for _, c := range o.Lists {
		has := len(r.Targets)
		if c.Cases != nil {
			has = len(c.Cases)
			outside := has > 0 && (c.Cases[0] < 0 || int(c.Cases[has-1]) >= len(r.Targets))
			if !slices.IsSorted(c.Cases) || outside {
				return fmt.Errorf("%s names cases that there are not", c.Name)
			}
		}
		if len(c.Values) != has || has == 0 {
			return fmt.Errorf("%s has %d values for %d cases", c.Name, len(c.Values), has)
		}
	}
	return nil
}
