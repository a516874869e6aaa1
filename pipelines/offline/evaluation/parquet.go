package evaluation

import (
	"fmt"
	"io"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
)

// figure is a line of CSV and a row of Parquet: a figure of a scorer over all cases or over a segment of them.
type figure struct {
	Scorer string `parquet:"scorer,dict"`
	Metric string `parquet:"metric,dict"`
	K      int32  `parquet:"k"`
	// By and Segment are empty for all cases.
	By      string  `parquet:"by,dict"`
	Segment string  `parquet:"segment,dict"`
	Cases   int64   `parquet:"cases"`
	Mean    float64 `parquet:"mean"`
	Low     float64 `parquet:"low"`
	High    float64 `parquet:"high"`
}

// figures are those of each scorer, without the comparison of Against.
func (r *Report) figures() []figure {
	var all []figure
	for i := range r.Scorers {
		s := &r.Scorers[i]
		add := func(metric string, k int, by, segment string, cases int, m Metric) {
			all = append(all, figure{s.Name, metric, int32(k), by, segment, int64(cases), m.Mean, m.Low, m.High})
		}
		for _, at := range s.At {
			for _, m := range at.named() {
				add(m.name, at.K, "", "", r.Cases, m.Metric)
			}
		}
		for _, m := range []struct {
			name string
			*Metric
		}{
			{"popularity", s.Popularity}, {"popularity_bias", s.PopularityBias}, {"novelty", s.Novelty},
			{"diversity", s.Diversity}, {"miscalibration", s.Miscalibration},
		} {
			if m.Metric != nil {
				add(m.name, r.K, "", "", r.Cases, *m.Metric)
			}
		}
		add("coverage", r.K, "", "", r.Cases, exactly(s.Coverage))
		add("gini", r.K, "", "", r.Cases, exactly(s.Gini))
		for _, part := range s.Segments {
			add("recall", r.K, part.By, part.Name, part.Cases, part.Recall)
			add("ndcg", r.K, part.By, part.Name, part.Cases, part.NDCG)
		}
	}
	return all
}

// WriteParquet writes what WriteCSV writes.
func (r *Report) WriteParquet(w io.Writer) error {
	if err := writeParquet(w, r.figures()); err != nil {
		return fmt.Errorf("writing the report as Parquet: %w", err)
	}
	return nil
}

func writeParquet[T any](w io.Writer, rows []T) error {
	p := parquet.NewGenericWriter[T](w, parquet.Compression(&parquet.Zstd))
	if _, err := p.Write(rows); err != nil {
		return err
	}
	return p.Close()
}

// caseRow is what one scorer did in one case.
type caseRow struct {
	Scorer string `parquet:"scorer,dict"`
	Case   int32  `parquet:"case,delta"`
	User   string `parquet:"user,dict"`
	// At and Interaction are of the first target; null where the data has none.
	At          *time.Time `parquet:"at,optional,timestamp(millisecond)"`
	Interaction *string    `parquet:"interaction,optional,dict"`
	History     int32      `parquet:"history"`
	Targets     []string   `parquet:"targets,list"`
	// Ranks are the ranks of the targets that can be recommended, ascending.
	Ranks  []int32 `parquet:"ranks,list"`
	Recall float64 `parquet:"recall"`
	NDCG   float64 `parquet:"ndcg"`
	MRR    float64 `parquet:"mrr"`
}

// WriteCases writes a row for each scorer and each of the cases that the report was made from, with metrics at its K.
func (r *Report) WriteCases(w io.Writer, cases []dataset.Case, catalogue *Catalogue) error {
	if len(cases) != r.Cases {
		return fmt.Errorf("writing cases as Parquet: there are %d, but the report is of %d", len(cases), r.Cases)
	}
	rows := make([]caseRow, 0, len(cases)*len(r.run.Outcomes))
	for i := range r.run.Outcomes {
		o := &r.run.Outcomes[i]
		of := o.metrics(r.run.Targets, r.K)
		for at := range cases {
			row := caseRow{
				Scorer: o.Scorer, Case: int32(at), User: nameOf(catalogue.Users, cases[at].User), History: int32(len(cases[at].History)),
				Ranks: o.Ranks[at], Recall: of.row(at)[recall], NDCG: of.row(at)[ndcg], MRR: of.row(at)[mrr],
			}
			for _, target := range cases[at].Targets {
				row.Targets = append(row.Targets, nameOf(catalogue.IDs, target))
			}
			if ms := cases[at].At; ms != 0 {
				moment := time.UnixMilli(ms).UTC()
				row.At = &moment
			}
			if t := cases[at].Type; t != schemas.UnknownInteraction {
				name := t.String()
				row.Interaction = &name
			}
			rows = append(rows, row)
		}
	}
	if err := writeParquet(w, rows); err != nil {
		return fmt.Errorf("writing cases as Parquet: %w", err)
	}
	return nil
}
