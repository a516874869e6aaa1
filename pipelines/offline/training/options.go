package training

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet/freshet/services/towers"
)

// Options are what a training may have beyond its input and its configuration.
type Options struct {
	// Progress, if not nil, is called some times a second from the calling goroutine.
	Progress func(Progress)
	// Parted, if not nil, is told what becomes of the input's events, once, before training begins.
	Parted func(Parts)
	// Say, if not nil, gets each line that people should read before training goes on.
	Say func(line string)

	// Checkpoint is the file that keeps what is trained after each epoch; empty keeps nothing. Where it exists, training goes on
	// from it, to the same bits that it would have come to without a pause. RemoveCheckpoint takes it away.
	Checkpoint string
	// Restart overwrites a checkpoint that is there instead of going on from it.
	Restart bool

	// From, if not nil, is an earlier bundle to begin with, of the configuration's heads, dim and layers; the catalogue may
	// have new items. Config.WarmStart says how much is trained then.
	From *towers.Bundle

	// Commit is of the program's source, for the manifest; empty where it is not known.
	Commit string
}

// TrainWith is Train with options.
func TrainWith(ctx context.Context, in Input, cfg Config, o Options) (*Model, Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, Result{}, fmt.Errorf("training: %w", err)
	}
	if err := in.validate(); err != nil {
		return nil, Result{}, fmt.Errorf("reading what to train on: %w", err)
	}
	fingerprint, recipe := FingerprintOf(&in, &cfg), cfg.Recipe()
	var from *start
	if o.From != nil {
		var err error
		if from, err = newStart(o.From, &cfg); err != nil {
			return nil, Result{}, fmt.Errorf("beginning with an earlier bundle: %w", err)
		}
		fingerprint["the earlier bundle"] = from.version
		cfg = cfg.warm()
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	if o.Parted == nil {
		o.Parted = func(Parts) {}
	}
	if o.Say == nil {
		o.Say = func(string) {}
	}
	reads, err := in.reads(&cfg)
	if err != nil {
		return nil, Result{}, fmt.Errorf("training: %w", err)
	}
	if from != nil {
		reads = from.reads()
	}
	sequences, cases := in.split(&cfg, reads)
	table := newItemTable(in.Items, sequences, &cfg)
	if from != nil {
		table.keepIDs(in.Items, from)
	}
	split := sequences
	sequences = table.known(sequences)
	o.Parted(in.parts(reads, split, sequences))
	learnt, err := prepare(sequences, table, &cfg, in.OneChoice)
	if err != nil {
		return nil, Result{}, fmt.Errorf("reading what to train on: %w", err)
	}
	table.w.ID, table.w.Content = nil, nil // each head has its own
	e := &ensemble{
		cfg: &cfg, reads: reads, table: table, sequences: sequences, learnt: learnt, cases: cases, from: from,
		progress: o.Progress, say: o.Say, begin: time.Now(),
	}
	e.say(EstimateMemory(cfg, e.shape()).String())
	if o.Checkpoint != "" {
		if err := e.keepAt(o.Checkpoint, o.Restart, fingerprint); err != nil {
			return nil, Result{}, fmt.Errorf("resuming training: %w", err)
		}
	}
	if err := e.train(ctx); err != nil {
		return nil, e.result, fmt.Errorf("training: %w", err)
	}
	model := e.model(&in)
	e.trainQueries(ctx, model, &in)
	e.sayLast()
	model.commit, model.recipe = o.Commit, recipe
	if from != nil {
		model.from = from.version
	}
	return model, e.result, nil
}
