package recall

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/towers"
)

// Parts is what an Evaluator works with.
type Parts struct {
	Kafka kafkaio.Config
	// Reading bounds the fetches and says how to wait out errors.
	Reading  partition.Reading
	Topics   topics.Config
	Registry schemas.Registry
	Limits   schemas.Limits
	// ItemTower and UserTower are of one bundle.
	ItemTower *towers.ItemTower
	UserTower *towers.UserTower
	// Profiles is what the profiles keep.
	Profiles profiles.Config
	Writer   *kafkaio.Writer
	Log      *slog.Logger
}

// Evaluator is the role recall. It is for one call of Run.
type Evaluator struct {
	parts    Parts
	config   Config
	timeline *replay.Timeline
	observer *observer
	told     *instruments
	clock    func() time.Time
	// folded says that the past is folded, up to the open window.
	folded bool
	ready  atomic.Bool
	abort  context.Context
	kill   context.CancelCauseFunc
}

// New prepares an Evaluator; Close gives back what it holds.
func New(ctx context.Context, parts Parts, config Config) (*Evaluator, error) {
	if parts.ItemTower.Version() != parts.UserTower.Version() {
		return nil, fmt.Errorf("the item tower is of model %s, the user tower of %s: load both from one bundle",
			parts.ItemTower.Version(), parts.UserTower.Version())
	}
	e := &Evaluator{parts: parts, config: config, clock: time.Now}
	o := &observer{
		config: config, profiles: parts.Profiles, limits: parts.Limits, tower: parts.UserTower,
		userKeys: parts.Topics.InteractionKeys(parts.Limits, parts.Registry), itemKeys: parts.Topics.ItemKeys(parts.Limits, parts.Registry),
		catalogue: newCatalogue(parts.ItemTower), sample: newSample(config.SampleShare, config.MaxUsers),
	}
	var err error
	t := parts.Topics
	if o.serdes.interactions, err = schemas.NewSerde[schemas.Interaction](ctx, parts.Registry, t.Interactions.Name); err != nil {
		return nil, err
	}
	if o.serdes.replies, err = schemas.NewSerde[schemas.RecommendationReply](ctx, parts.Registry, t.Replies.Name); err != nil {
		return nil, err
	}
	if o.serdes.items, err = schemas.NewSerde[schemas.ItemChange](ctx, parts.Registry, t.Items.Name); err != nil {
		return nil, err
	}
	if o.serdes.rows, err = schemas.NewSerde[schemas.Recall](ctx, parts.Registry, t.Recall.Name); err != nil {
		return nil, err
	}
	e.observer = o
	e.timeline = replay.NewTimeline(parts.Kafka, parts.Reading, parts.Limits.MaxFutureSkew, parts.Log,
		t.Interactions.Name, t.Replies.Name, t.Items.Name) // in the order of the constants in observer.go
	e.abort, e.kill = context.WithCancelCause(context.WithoutCancel(ctx))
	e.told = newInstruments(e)
	return e, nil
}

// Close gives the connections back. Call it after Run has returned.
func (e *Evaluator) Close() {
	e.told.close()
	e.kill(nil)
	e.timeline.Close()
}

// Ready says that the topics were read to their ends once.
func (e *Evaluator) Ready() bool { return e.ready.Load() }

// Abort stops Run as if the process had died.
func (e *Evaluator) Abort() { e.kill(stream.ErrAborted) }

// Run reports each window once it is over, until ctx ends. What fails for now is tried again; an error is one that will not go away.
func (e *Evaluator) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(e.abort, func() { cancel(context.Cause(e.abort)) })()
	for {
		wait := e.parts.Reading.Backoff.Max
		switch err := e.advance(ctx); {
		case ctx.Err() != nil:
		case err == nil:
			e.ready.Store(true)
			wait = e.due().Sub(e.clock())
		case kafkaio.IsRefused(err):
			return err
		default:
			e.parts.Log.Warn("computing recall failed, trying again", slog.Any("error", err), slog.Duration("in", wait))
		}
		select {
		case <-ctx.Done():
			if cause := context.Cause(ctx); errors.Is(cause, stream.ErrAborted) {
				return cause
			}
			return nil
		case <-time.After(wait):
		}
	}
}

// due is when the open window is to be counted.
func (e *Evaluator) due() time.Time {
	return e.end().Add(e.config.Delay)
}

// end is that of the open window.
func (e *Evaluator) end() time.Time { return e.observer.open.start.Add(e.config.Period) }

// advance folds all that is over by now, and reports the windows in it.
func (e *Evaluator) advance(ctx context.Context) error {
	if !e.folded {
		if err := e.foldPast(ctx); err != nil {
			return err
		}
	}
	limit := e.clock().Add(-e.config.Delay).Truncate(e.config.Period)
	err := e.timeline.Until(ctx, limit, func(topic int, moment time.Time, r *stream.Record) error {
		if err := e.closeUntil(ctx, moment); err != nil {
			return err
		}
		return e.observer.fold(ctx, topic, r)
	})
	if err != nil {
		return err
	}
	if err := e.closeUntil(ctx, limit); err != nil {
		return err
	}
	e.told.passed(e.observer.open.start, e.observer.sample)
	return nil
}

// foldPast folds what comes before the first window to report: the catalogue as of then, and the users by it.
func (e *Evaluator) foldPast(ctx context.Context) error {
	rows, err := Rows(ctx, e.parts.Kafka, e.parts.Topics.Recall.Name, e.observer.serdes.rows, e.parts.Limits)
	if err != nil {
		return err
	}
	from := e.clock().Add(-e.config.Backlog).Truncate(e.config.Period)
	if last := reported(rows, e.parts.UserTower.Version()); !last.IsZero() {
		if from = last.Truncate(e.config.Period); from.Before(last) { // the period was another one
			from = from.Add(e.config.Period)
		}
	}
	fold := func(topic int, _ time.Time, r *stream.Record) error { return e.observer.fold(ctx, topic, r) }
	if err := e.timeline.Until(ctx, from, fold, itemsTopic); err != nil {
		return err
	}
	if err := e.timeline.Until(ctx, from, fold, interactionsTopic, repliesTopic); err != nil {
		return err
	}
	e.observer.open, e.folded = newWindow(from.UTC(), e.config.At), true
	return nil
}

// closeUntil reports the open window, if it is over at a moment, and opens the one that holds the moment.
func (e *Evaluator) closeUntil(ctx context.Context, moment time.Time) error {
	if moment.Before(e.end()) {
		return nil
	}
	e.observer.settle()
	if w := e.observer.open; w.tallies[allUsers].events > 0 {
		if err := e.report(ctx, w); err != nil {
			return err
		}
	}
	e.observer.open = newWindow(moment.Truncate(e.config.Period).UTC(), e.config.At)
	return nil
}

// report writes the rows of a window, one after the other, so that the last one says that all are there.
func (e *Evaluator) report(ctx context.Context, w *window) error {
	rows := w.rows(e.parts.UserTower.Version(), e.end(), e.observer.share, e.config.At)
	for i := range rows {
		row := &rows[i]
		if err := e.parts.Limits.Recall(row, e.clock()); err != nil {
			return stream.Permanent(fmt.Errorf("checking a row of recall: %w", err))
		}
		_, err := e.parts.Writer.Write(ctx, kafkaio.Message{
			Topic: e.parts.Topics.Recall.Name, Partition: kafkaio.AnyPartition, Key: []byte(row.Key()),
			Value: e.observer.serdes.rows.Append(nil, row),
		})
		if err != nil {
			return fmt.Errorf("writing a row of recall: %w", err)
		}
	}
	e.told.window(ctx, w, e.config.At)
	return nil
}
