package evaluation

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
)

// WriteCSV writes the figures of each scorer, without the comparison of Against, one a line: scorer, metric, k, by and segment
// (empty for all cases), number of cases, mean, low, high (the mean itself where there is no interval).
func (r *Report) WriteCSV(w io.Writer) error {
	c := csv.NewWriter(w)
	_ = c.Write([]string{"scorer", "metric", "k", "by", "segment", "cases", "mean", "low", "high"}) // Error tells
	number := func(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }
	line := func(scorer, metric string, k int, by, segment string, cases int, m Metric) {
		_ = c.Write([]string{
			scorer, metric, strconv.Itoa(k), by, segment, strconv.Itoa(cases), number(m.Mean), number(m.Low), number(m.High),
		})
	}
	for i := range r.Scorers {
		s := &r.Scorers[i]
		for _, at := range s.At {
			for _, m := range at.named() {
				line(s.Name, m.name, at.K, "", "", r.Cases, m.Metric)
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
				line(s.Name, m.name, r.K, "", "", r.Cases, *m.Metric)
			}
		}
		line(s.Name, "coverage", r.K, "", "", r.Cases, exactly(s.Coverage))
		line(s.Name, "gini", r.K, "", "", r.Cases, exactly(s.Gini))
		for _, part := range s.Segments {
			line(s.Name, "recall", r.K, part.By, part.Name, part.Cases, part.Recall)
			line(s.Name, "ndcg", r.K, part.By, part.Name, part.Cases, part.NDCG)
		}
	}
	c.Flush()
	if err := c.Error(); err != nil {
		return fmt.Errorf("writing the report as CSV: %w", err)
	}
	return nil
}

func exactly(v float64) Metric { return Metric{v, v, v} }

type namedMetric struct {
	name string
	Metric
}

// named are the metrics under the names that they have in JSON.
func (m *Metrics) named() []namedMetric {
	return []namedMetric{
		{"recall", m.Recall}, {"hit_rate", m.HitRate}, {"precision", m.Precision}, {"ndcg", m.NDCG}, {"mrr", m.MRR}, {"map", m.MAP},
	}
}
