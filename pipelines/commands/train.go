package commands

import (
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet/pipelines/training"
)

// Train trains towers.
type Train struct {
	data
	Out     string         `short:"o" type:"path" placeholder:"BUNDLE" help:"Folder to write the bundle to; the configuration's bundle by default."`
	All     bool           `help:"Learn from what validation would ask for too, for exactly as many epochs as given: a last run, once validation has settled the recipe."`
	Epochs  *int           `placeholder:"N" help:"Passes over the data, at the most; the configuration's by default."`
	Seed    *uint64        `placeholder:"N" help:"Seed of all that is drawn by lot; the configuration's by default."`
	Workers *int           `placeholder:"N" help:"Goroutines that share a step; the configuration's by default."`
	Budget  *time.Duration `placeholder:"TIME" help:"End training after this time, such as 5m, with the best weights so far."`
}

// Run trains and writes the bundle. Ctrl-C ends training and keeps the best weights so far.
func (c *Train) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	config := s.Training
	input, err := c.input(env, &config)
	if err != nil {
		return err
	}
	override(&config.Epochs, c.Epochs)
	override(&config.Seed, c.Seed)
	override(&config.Workers, c.Workers)
	override(&config.TimeBudget, c.Budget)
	if err := config.Validate(); err != nil {
		return usageError{fmt.Errorf("checking the flags: training: %w", err)}
	}
	model, result, err := training.Train(env.Context, input, config, training.NewPrinter(env.Err).Print)
	if err != nil {
		return err
	}
	if result.Stop == training.StopCaller && result.Cases > 0 && result.Recall == 0 {
		return errors.New("stopped before the model had learnt anything: no bundle was written, an earlier one stays")
	}
	out := s.Bundle
	if c.Out != "" {
		out = c.Out
	}
	manifest, err := model.WriteBundle(out)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(env.Out, "%s\nmodel %s written to %s\n", result, manifest.Version, out)
	return err
}

// input reads what to learn from, and suits the configuration to it.
func (c *Train) input(env *Env, config *training.Config) (training.Input, error) {
	split, err := c.published()
	if err != nil {
		return training.Input{}, err
	}
	if c.All {
		config.ValidationUsers = 0
	}
	if split != nil {
		config.Repeats = config.Repeats || split.IncludeSeen
		if c.All {
			split.Train, split.Validation = split.Known, nil
		}
		return training.FromSequences(split), nil
	}
	_, held, err := c.heldOut(env)
	if err != nil {
		return training.Input{}, err
	}
	return training.FromDataset(held.Past), nil
}

// override puts a flag over a setting where the flag was given.
func override[T any](setting, flag *T) {
	if flag != nil {
		*setting = *flag
	}
}
