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
	for _, f := range r.figures() {
		_ = c.Write([]string{
			f.Scorer, f.Metric, strconv.Itoa(int(f.K)), f.By, f.Segment, strconv.FormatInt(f.Cases, 10),
			number(f.Mean), number(f.Low), number(f.High),
		})
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
		{"map_all", m.MAPAll},
	}
}
