package commands

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/freshet/freshet/pipelines/offline/tuning"
	"github.com/freshet/freshet/services/terminal"
)

// Tune searches a recipe for train.
type Tune struct {
	data
	Trials  int    `default:"27" placeholder:"N" help:"Recipes to try; the first is the configuration's own."`
	Method  string `enum:"halving,random" default:"halving" placeholder:"METHOD" help:"How epochs are spent: ${enum}. halving gives all recipes a few epochs, and the better thirds three times as many; random trains each to the end."`
	Epochs  *int   `placeholder:"N" help:"Epochs of the recipes that come to the end; the configuration's by default."`
	Space   string `type:"existingfile" placeholder:"FILE" help:"YAML file of the settings to search and their ranges, such as {learning_rate: {min: 0.003, max: 0.03, log: true}, dim: {values: [32, 64]}}; a built-in space by default."`
	Seed    uint64 `default:"1" placeholder:"N" help:"Seed by which recipes are drawn."`
	Workers *int   `placeholder:"N" help:"Goroutines that share a step; the configuration's by default."`
	Out     string `short:"o" type:"path" default:"tuning" placeholder:"FOLDER" help:"Folder for the trials: trials.jsonl (the same search goes on from it), trials.csv, trials.svg and best.yaml (for --config of train)."`
	Top     int    `default:"10" placeholder:"N" help:"Rows of the table that is printed."`
}

// Run searches on the validation cases, never on the test's, and prints the best recipes. Ctrl-C keeps what is done.
func (c *Tune) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	base := s.Training
	input, parts, err := (&Train{data: c.data}).input(env, &base)
	if err != nil {
		return err
	}
	parts.printGiven(env.Err)
	override(&base.Epochs, c.Epochs)
	override(&base.Workers, c.Workers)
	if err := base.Validate(); err != nil {
		return usageError{fmt.Errorf("checking the flags: training: %w", err)}
	}
	config := tuning.Config{Space: tuning.DefaultSpace(), Method: c.Method, Trials: c.Trials, Seed: c.Seed, Folder: c.Out}
	if c.Space != "" {
		text, err := os.ReadFile(c.Space)
		if err != nil {
			return fmt.Errorf("reading the space: %w", err)
		}
		if config.Space, err = tuning.ReadSpace(text); err != nil {
			return fmt.Errorf("%s: %w", c.Space, err)
		}
	}
	outcome, err := tuning.Search(env.Context, input, base, config, c.progress(env, time.Now()))
	if err != nil {
		return err
	}
	if err := outcome.Write(c.Out); err != nil {
		return err
	}
	c.print(env, outcome)
	return nil
}

// progress prints a line for each trial that is done.
func (c *Tune) progress(env *Env, begin time.Time) func(tuning.Step) {
	return func(s tuning.Step) {
		if s.Done == nil {
			return
		}
		figures := fmt.Sprintf("recall@10 %.4f  ndcg@10 %.4f", s.Done.Recall, s.Done.NDCG)
		if s.Done.Diverged {
			figures = "diverged"
		}
		_, _ = terminal.Fprintf(env.Err, "rung %d/%d  trial %d/%d  number %d, %d epochs  %s  %.1f s, %v in all\n",
			s.Rung, s.Rungs, s.Trial, s.Trials, s.Done.Number, s.Epochs, figures, s.Done.Seconds, time.Since(begin).Round(time.Second))
	}
}

func (c *Tune) print(env *Env, o *tuning.Outcome) {
	head := terminal.Row{"trial", "epochs"}
	for _, name := range o.Names {
		head = append(head, name)
	}
	t := terminal.NewTable(env.Out, append(head, "recall@10", "NDCG@10", "NDCG", "time"))
	for _, trial := range o.Trials[:min(max(c.Top, 0), len(o.Trials))] {
		row := terminal.Row{trial.Number, trial.Epochs}
		for _, name := range o.Names {
			row = append(row, strconv.FormatFloat(trial.Values[name], 'g', 4, 64))
		}
		t.AppendRow(append(row, figure(trial.Recall), figure(trial.NDCG), figure(trial.WholeNDCG),
			(time.Duration(trial.Seconds * float64(time.Second))).Round(100*time.Millisecond)))
	}
	t.Render()
	if o.Stopped {
		_, _ = terminal.Fprintf(env.Out, "stopped after %d trainings; the same command goes on from %s\n", len(o.Trials), c.Out)
	}
	if len(o.Trials) > 0 {
		_, _ = terminal.Fprintf(env.Out, "the best as a configuration: %s, all as a picture: %s\n",
			filepath.Join(c.Out, "best.yaml"), filepath.Join(c.Out, "trials.svg"))
	}
}
