package commands

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/description"
	"github.com/freshet/freshet/pipelines/offline/training"
	"github.com/freshet/freshet/services/build"
	"github.com/freshet/freshet/services/terminal"
	"github.com/freshet/freshet/services/towers"
)

// Train trains towers.
type Train struct {
	data
	Out     string         `short:"o" type:"path" placeholder:"BUNDLE" help:"Folder to write the bundle to; the configuration's bundle by default. A folder of other files is refused."`
	Replace bool           `help:"Keep nothing of the bundle that is in the folder. Without it that one is kept as BUNDLE.previous."`
	All     bool           `help:"Learn from what validation would ask for too, for exactly as many epochs as given: a last run, once validation has settled the recipe."`
	Epochs  *int           `placeholder:"N" help:"Passes over the data, at the most; the configuration's by default."`
	Seed    *uint64        `placeholder:"N" help:"Seed of all that is drawn by lot; the configuration's by default."`
	Workers *int           `placeholder:"N" help:"Goroutines that share a step; the configuration's by default."`
	Budget  *time.Duration `placeholder:"TIME" help:"End training after this time, such as 5m, with the best weights so far."`

	DespiteMarks bool `help:"Train on data that freshet describe marks red."`

	Checkpoint string `type:"path" placeholder:"FILE" help:"File that keeps the training after each epoch, and that the same command goes on from; BUNDLE.checkpoint by default. It goes when training has come to its end."`
	Restart    bool   `help:"Train anew where a checkpoint is, instead of going on from it."`

	From    string `type:"existingdir" placeholder:"BUNDLE" help:"Begin with the weights of an earlier bundle, for new events and new items: a shorter training (training.warm_start)."`
	Compare bool   `help:"With --from: train anew as well, and compare quality and time of the earlier bundle, of training on from it, and of training anew."`
}

// Validate is called by the parser.
func (c *Train) Validate() error {
	if c.Compare && c.From == "" {
		return errors.New("--compare needs --from: name the earlier bundle to compare with")
	}
	return nil
}

// Run trains and writes the bundle. Ctrl-C ends training and keeps the best weights so far; the same command goes on from there.
func (c *Train) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	config := s.Training
	place := towers.Place{Dir: s.Bundle, Replace: c.Replace}
	if c.Out != "" {
		place.Dir = c.Out
	}
	if err := place.Check(); err != nil { // not after an hour of training
		return err
	}
	input, parts, err := c.input(env, &config)
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
	if c.Checkpoint == "" {
		c.Checkpoint = filepath.Clean(place.Dir) + ".checkpoint"
	}
	options := training.Options{
		Progress: training.NewPrinter(env.Err).Print, Say: func(line string) { _, _ = terminal.Fprintln(env.Err, line) },
		Parted:     func(p training.Parts) { parts.print(env.Err, p, config.MinItemEvents) },
		Checkpoint: c.Checkpoint, Restart: c.Restart,
	}
	options.Commit = build.Read().Source()
	warm := config
	if c.From != "" {
		if options.From, err = towers.ReadWeights(c.From); err != nil {
			return err
		}
		input.HoldOutAfter = options.From.Data.To
		if why := knows(&options.From.Data, &input.Data, parts.asked); why != "" {
			_, _ = terminal.Fprintf(env.Err, "bundle %s %s: evaluate will flatter what comes of it\n", c.From, why)
		}
		if c.Epochs != nil {
			warm.WarmStart.Epochs = 1 // so many as were asked for
		}
	}
	result, err := c.train(env, input, warm, options, place)
	if err != nil || !c.Compare {
		return err
	}
	return compareStarts(env, input, config, options.From, result)
}

// train trains, writes the bundle to its place, and takes the checkpoint away when there is nothing to go on with.
func (c *Train) train(env *Env, input training.Input, config training.Config, options training.Options, place towers.Place) (
	training.Result, error,
) {
	model, result, err := training.TrainWith(env.Context, input, config, options)
	if err != nil {
		return result, err
	}
	if result.Stop == training.StopCaller && result.Cases > 0 && result.Recall == 0 {
		return result, errors.New("stopped before the model had learnt anything: no bundle was written, an earlier one stays")
	}
	manifest, err := model.WriteBundle(place)
	if err != nil {
		if _, kept := os.Stat(c.Checkpoint); kept == nil {
			err = fmt.Errorf("%w; the training is kept: give the command --out FOLDER --checkpoint %s", err, c.Checkpoint)
		}
		return result, err
	}
	_, _ = terminal.Fprintf(env.Out, "%s\nmodel %s written to %s\n", result, manifest.Version, place.Dir)
	if result.Stop != training.StopCaller {
		return result, training.RemoveCheckpoint(c.Checkpoint)
	}
	if _, err := os.Stat(c.Checkpoint); err == nil {
		_, _ = terminal.Fprintf(env.Out, "the same command goes on from %s\n", c.Checkpoint)
	}
	return result, nil
}

// input reads what to learn from, tells what becomes of the rest, and suits the configuration to it.
func (c *Train) input(env *Env, config *training.Config) (training.Input, *parts, error) {
	split, err := c.published()
	if err != nil {
		return training.Input{}, nil, err
	}
	if c.All {
		config.ValidationUsers = 0
	}
	if split != nil {
		config.Repeats = config.Repeats || split.IncludeSeen
		if c.All {
			split.Train, split.Validation = split.Known, nil
		}
		if err := c.refuse(description.OfSequences(split, filepath.Base(c.Data))); err != nil {
			return training.Input{}, nil, err
		}
		in := training.FromSequences(split)
		return in, publishedParts(split, &in), nil
	}
	all, held, err := c.heldOut(env, false)
	if err != nil {
		return training.Input{}, nil, err
	}
	if err := c.refuse(c.describe(all, &held)); err != nil {
		return training.Input{}, nil, err
	}
	config.Repeats = config.Repeats || held.Repeats == dataset.AskRepeats
	in := learntFrom(&held)
	return in, c.partsOf(&held, &in), nil
}

// refuse holds that nothing about the data makes training on it worth nothing.
func (c *Train) refuse(d *description.Description) error {
	if err := d.Refusal(); err != nil && !c.DespiteMarks {
		return fmt.Errorf("looking at the data: %w; `freshet describe` shows all of it, --despite-marks trains nevertheless", err)
	}
	return nil
}

// override puts a flag over a setting where the flag was given.
func override[T any](setting, flag *T) {
	if flag != nil {
		*setting = *flag
	}
}
