package partition

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"
)

// Handler works off records, one batch after the other.
type Handler interface {
	// Handle handles records, those of one partition in the order of their offsets. It must be idempotent: after a crash or a
	// rebalance records come again. For different partitions it is called at the same time. ctx is not that of the caller's Run: it
	// ends after HandleTimeout, and when a drain took too long.
	//
	// It returns nil, or empty Failures, when all records are done. Failures names the records that are not: those with a
	// permanent error are given up (a role makes dead letters of them), the others are given to Handle again, without those that are
	// done; a handler whose records build on each other must name all that follow as well. Any other error has the whole batch
	// tried again, until it succeeds; a permanent one ends the reading, with nothing of the batch committed: it is for what an
	// operator must mend. A panic has the records tried one by one, and the one that panics alone is given up.
	Handle(ctx context.Context, batch []Record) error
}

// HandlerFunc is a function that is a Handler.
type HandlerFunc func(ctx context.Context, batch []Record) error

// Handle implements Handler.
func (f HandlerFunc) Handle(ctx context.Context, batch []Record) error { return f(ctx, batch) }

// Handling has batches handled, whatever their handler does. Roles and replays share it; they differ in what becomes of a record that
// is given up.
type Handling struct {
	Handler Handler
	Timeout time.Duration // of one call of the handler
	Backoff Backoff
	Log     *slog.Logger
	// GiveUp takes a record that failed for good. Where it fails, that record and those behind it are not done.
	GiveUp func(ctx context.Context, r *Record, reason error) error
	// Retry is told of the records that are tried again, after wait.
	Retry func(ctx context.Context, rest []Record, failure error, wait time.Duration)
}

// ErrUnfinished says that a batch was left before it was done, because nothing new may be begun.
var ErrUnfinished = errors.New("the batch is not done")

// Run returns once every record of the batch is done or given up. Otherwise it returns what is not done, in its order, with
// ErrUnfinished when intake ended while something had to be tried again, with the error of GiveUp, with the handler's permanent error,
// or with an error about a handler that named a record that it was not given. The handler is called on ctx, which outlives intake.
func (h *Handling) Run(ctx, intake context.Context, batch []Record) (left []Record, err error) {
	pauses := h.Backoff.Pauses()
	for {
		failure := h.attempt(ctx, batch)
		panicked, isPanic := errors.AsType[*PanicError](failure)
		failed, named := errors.AsType[Failures](failure)
		switch {
		case failure == nil:
			return nil, nil
		case isPanic && len(batch) > 1:
			return h.oneByOne(ctx, intake, batch)
		case isPanic:
			failed = Failures{{Index: 0, Err: PermanentFor(ReasonPanic, panicked)}}
		case named:
		case IsPermanent(failure):
			return batch, failure
		default:
			failed = all(batch, failure)
		}
		if batch, err = h.sort(ctx, batch, failed); err != nil || len(batch) == 0 {
			return batch, err
		}
		wait := pauses.NextBackOff()
		h.Retry(ctx, batch, failure, wait)
		if !Pause(intake, wait) {
			return batch, fmt.Errorf("%w: %w", ErrUnfinished, failure)
		}
	}
}

// oneByOne finds the record that makes the handler panic: it alone is lost to the stream, not its neighbours.
func (h *Handling) oneByOne(ctx, intake context.Context, batch []Record) (left []Record, err error) {
	for i := range batch {
		if intake.Err() != nil {
			return batch[i:], fmt.Errorf("%w: a handler's panic is being narrowed down", ErrUnfinished)
		}
		if _, err := h.Run(ctx, intake, batch[i:i+1]); err != nil {
			return batch[i:], err
		}
	}
	return nil, nil
}

// attempt calls the handler once.
func (h *Handling) attempt(ctx context.Context, batch []Record) (err error) {
	ctx, cancel := context.WithTimeout(ctx, h.Timeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = Panicked(h.Log, v, &batch[0], len(batch))
		}
	}()
	return h.Handler.Handle(ctx, batch)
}

// sort gives up the records that failed for good, and returns those to try again, in their order.
func (h *Handling) sort(ctx context.Context, batch []Record, failed Failures) (rest []Record, err error) {
	if failed, err = failed.of(batch); err != nil {
		return batch, err
	}
	for _, f := range failed {
		switch {
		case f.Err == nil:
		case !IsPermanent(f.Err):
			rest = append(rest, batch[f.Index])
		default:
			if err := h.GiveUp(ctx, &batch[f.Index], f.Err); err != nil {
				return append(rest, batch[f.Index:]...), err
			}
		}
	}
	return rest, nil
}

// all fails every record for the same reason.
func all(batch []Record, err error) Failures {
	failed := make(Failures, len(batch))
	for i := range failed {
		failed[i] = Failure{Index: i, Err: err}
	}
	return failed
}
