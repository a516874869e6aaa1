package commands

import (
	"fmt"
	"time"

	"github.com/freshet/freshet/pipelines/offline/training"
	"github.com/freshet/freshet/services/terminal"
	"github.com/freshet/freshet/services/towers"
)

// compareStarts trains anew as well and prints, by the same validation cases, the earlier bundle as it is, what a warm start made
// of it, and what training anew comes to.
func compareStarts(env *Env, input training.Input, config training.Config, from *towers.Bundle, warm training.Result) error {
	earlier, err := training.Rate(input, config, from)
	if err != nil {
		return err
	}
	if earlier.Cases == 0 {
		return usage("--compare needs cases to compare by: leave out --all, and set training.validation_users above 0")
	}
	_, _ = terminal.Fprintln(env.Err, "training anew, to compare")
	_, anew, err := training.Train(env.Context, input, config, training.NewPrinter(env.Err).Print)
	if err != nil {
		return err
	}
	t := terminal.NewTable(env.Out, terminal.Row{"weights", "epochs", "best epoch", "time", "recall@10", "NDCG@10"})
	t.AppendRow(terminal.Row{"bundle " + from.Version, "", "", "", figure(earlier.Recall), figure(earlier.NDCG)})
	for _, row := range []struct {
		name string
		r    training.Result
	}{{"trained on from it", warm}, {"trained anew", anew}} {
		if row.r.Stop == training.StopCaller {
			row.name += " (stopped)"
		}
		t.AppendRow(terminal.Row{row.name, row.r.Epochs, row.r.BestEpoch, row.r.Elapsed.Round(100 * time.Millisecond),
			figure(row.r.Recall), figure(row.r.NDCG)})
	}
	t.Render()
	which := fmt.Sprintf("all later than %s, up to which the bundle was trained", from.Data.To.Format(time.DateTime))
	if from.Data.To.IsZero() || input.Times == nil || len(input.Validation) > 0 {
		which = "the bundle may have learnt from some of them: their times are not known"
	}
	_, err = terminal.Fprintf(env.Out, "on %d validation cases, %s\n", earlier.Cases, which)
	return err
}

func figure(v float64) string { return fmt.Sprintf("%.4f", v) }
