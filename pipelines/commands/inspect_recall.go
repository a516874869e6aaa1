package commands

import (
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/online/recall"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/terminal"
)

// InspectRecall shows what the role recall has found.
type InspectRecall struct {
	Last    int    `default:"10" help:"Windows to show of each model, the newest ones."`
	Segment string `enum:"all,known,new" default:"all" help:"Users to show: all, known (with some history), new."`
}

// Run prints a table, a row for each window and k.
func (c *InspectRecall) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	if c.Last < 1 {
		return usageError{fmt.Errorf("--last is %d: give at least 1", c.Last)}
	}
	if err := online.RequireTopics(env.Context, s, s.Topics.Recall.Name); err != nil {
		return err
	}
	registry, err := schemas.NewRegistry(s.Registry, nil)
	if err != nil {
		return online.Explain(err)
	}
	serde, err := schemas.NewSerde[schemas.Recall](env.Context, registry, s.Topics.Recall.Name)
	if err != nil {
		return online.Explain(err)
	}
	rows, err := recall.Rows(env.Context, s.Kafka, s.Topics.Recall.Name, serde, s.Limits)
	if err != nil {
		return online.Explain(err)
	}
	shown := c.newest(rows)
	if len(shown) == 0 {
		return errors.New("there are no rows: start `freshet run recall`, and publish interactions")
	}
	t := terminal.NewTable(env.Out, terminal.Row{
		"model", "window", "k", "events", "unlisted", "recall of embedding", "with page", "recall of page",
	})
	for i := range shown {
		r := &shown[i]
		window := r.WindowStart.UTC().Format("2006-01-02 15:04:05") + " + " + r.WindowEnd.Sub(r.WindowStart).Round(time.Second).String()
		t.AppendRow(terminal.Row{
			r.ModelVersion, window, r.K, r.Events, r.Unlisted, interval(r.EmbeddingRecall, r.EmbeddingLow, r.EmbeddingHigh),
			r.Paged, interval(r.PageRecall, r.PageLow, r.PageHigh),
		})
	}
	t.Render()
	return nil
}

// newest leaves the rows of the segment's last windows of each model.
func (c *InspectRecall) newest(rows []schemas.Recall) (shown []schemas.Recall) {
	windows := map[string][]time.Time{} // by model, ascending
	for i := range rows {
		known := windows[rows[i].ModelVersion]
		if n := len(known); n == 0 || !known[n-1].Equal(rows[i].WindowStart) {
			windows[rows[i].ModelVersion] = append(known, rows[i].WindowStart)
		}
	}
	for i := range rows {
		known := windows[rows[i].ModelVersion]
		if rows[i].Segment == c.Segment && !rows[i].WindowStart.Before(known[max(0, len(known)-c.Last)]) {
			shown = append(shown, rows[i])
		}
	}
	return shown
}

// interval shows a share with its bounds; nothing of nothing.
func interval(share, low, high *float64) string {
	if share == nil || low == nil || high == nil {
		return ""
	}
	return fmt.Sprintf("%.4f (%.4f-%.4f)", *share, *low, *high)
}
