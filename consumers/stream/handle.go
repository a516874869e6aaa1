package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/producers/kafkaio"
)

// errUnfinished says that a batch was left before it was done, because the partition must be given up.
var errUnfinished = errors.New("the batch is not done")

// handling gets batches of one partition handled, whatever their handler does.
type handling struct {
	*Consumer
	intake, work context.Context
	log          *slog.Logger

	refused map[int64]error // why records of the batch in work became dead letters, by offset
}

// handle handles a batch as handleRest does, and measures and traces it.
func (h *handling) handle(batch []Record) (next int64, err error) {
	headers := func(i int) []kafkaio.Header { return batch[i].Headers }
	ctx, span := h.startBatch(h.work, len(batch), headers)
	if span.Span != nil {
		span.SetAttributes(placeAttributes(&batch[0])...)
	}
	h.refused = nil
	h.telemetry.began(len(batch))
	next, err = h.handleRest(ctx, batch)
	h.telemetry.processed(span.began, err != nil || len(h.refused) > 0)
	if span.Span != nil {
		h.endBatch(&span, batch, next, err)
	}
	return next, err
}

// endBatch ends a batch's span, and makes those of its records that are in traces of their own.
func (h *handling) endBatch(span *batchSpan, batch []Record, next int64, err error) {
	failed := err
	for i := range batch {
		failure := h.refused[batch[i].Offset]
		if failure == nil && batch[i].Offset >= next {
			failure = err
		}
		if failed == nil {
			failed = failure
		}
		if i == span.first {
			continue
		}
		if own := span.startRecord(h.work, &batch[i]); own != nil {
			if failure != nil {
				fail(own, failure)
			}
			own.End()
		}
	}
	if failed != nil {
		fail(span, failed)
	}
	span.End()
}

// handleRest returns once every record of the batch is done or a dead letter. Otherwise it returns errUnfinished, when intake
// ended while something had to be tried again, or the handler's permanent error. All records below next are done in any
// case; a hole in the offsets counts as done.
func (h *handling) handleRest(ctx context.Context, batch []Record) (next int64, err error) {
	failures := h.cfg.Backoff.retry()
	tries := attempts{member: h.member, log: h.log, at: recordAt{batch[0].Partition, batch[0].Offset}}
	defer func() { tries.over() }()
	rest := batch // what is not done
	for {
		failure := h.attempt(ctx, rest)
		var panicked *panicError
		var failed Failures
		switch {
		case failure == nil:
		case errors.As(failure, &panicked) && len(rest) > 1:
			if next, err := h.handleOneByOne(ctx, rest); err != nil {
				return next, err
			}
		case errors.As(failure, &panicked):
			failed = Failures{{Index: 0, Err: PermanentFor(ReasonPanic, panicked)}}
		case errors.As(failure, &failed):
		case IsPermanent(failure):
			return rest[0].Offset, failure
		default:
			failed = all(rest, failure)
		}
		left, err := h.bury(ctx, rest, failed)
		h.stats.records.Add(int64(len(rest) - len(left)))
		if err != nil {
			return left[0].Offset, err
		}
		if len(left) == 0 {
			return batch[len(batch)-1].Offset + 1, nil
		}
		rest = left
		h.stats.retries.Add(1)
		wait := failures.NextBackOff()
		event(trace.SpanFromContext(ctx), "retry", failure, attribute.Int("records", len(rest)))
		if first := (recordAt{rest[0].Partition, rest[0].Offset}); first != tries.at { // others are done: this one has a time of its own
			tries.over()
			tries = attempts{member: h.member, log: h.log, at: first}
		}
		tries.failed("handling failed, trying again", failure, time.Now(),
			slog.Int64("offset", rest[0].Offset), slog.Int("records", len(rest)), slog.Duration("in", wait))
		if !pause(h.intake, wait) {
			return rest[0].Offset, fmt.Errorf("%w: %w", errUnfinished, failure)
		}
	}
}

// handleOneByOne finds the record that makes the handler panic: it alone is lost to the stream, not its neighbours.
func (h *handling) handleOneByOne(ctx context.Context, batch []Record) (next int64, err error) {
	for i := range batch {
		if h.intake.Err() != nil {
			return batch[i].Offset, fmt.Errorf("%w: a handler's panic is being narrowed down", errUnfinished)
		}
		if next, err = h.handleRest(ctx, batch[i:i+1]); err != nil {
			return next, err
		}
		h.stats.records.Add(-1) // the caller counts it
	}
	return next, nil
}

// attempt calls the handler once, on a context that does not end with Run's.
func (h *handling) attempt(ctx context.Context, batch []Record) (err error) {
	ctx, cancel := context.WithTimeout(ctx, h.cfg.HandleTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			p := &panicError{value: v, stack: debug.Stack()}
			h.log.Error(p.Error(), slog.Int64("offset", batch[0].Offset), slog.Int("records", len(batch)),
				slog.String("stack", string(p.stack)))
			err = p
		}
	}()
	h.stats.batches.Add(1)
	return h.handler.Handle(ctx, batch)
}

// bury writes the records that failed for good to the dead-letter topic and returns those to try again, in their order.
//
// It returns before the offset is committed, so a record may have two dead letters: the letter is written; the member dies,
// or its commit is refused; the next owner handles the record, which fails again, and writes a second letter. Both name the
// same original offset. The other order would lose the record.
//
// When it fails, intake ended before a letter could be written; then the records from that one on count as not done.
func (h *handling) bury(ctx context.Context, batch []Record, failed Failures) (rest []Record, err error) {
	failed = slices.Clone(failed)
	slices.SortStableFunc(failed, func(a, b Failure) int { return a.Index - b.Index })
	for i, f := range failed {
		switch {
		case f.Index < 0 || f.Index >= len(batch):
			return batch, fmt.Errorf("the handler named record %d of a batch of %d: its code must be mended", f.Index, len(batch))
		case f.Err == nil || i > 0 && f.Index == failed[i-1].Index:
			continue
		case !IsPermanent(f.Err):
			rest = append(rest, batch[f.Index])
			continue
		}
		if err := h.writeLetter(ctx, &batch[f.Index], f.Err); err != nil {
			return append(rest, batch[f.Index:]...), err
		}
	}
	return rest, nil
}

// writeLetter writes one dead letter, for as long as it takes: without it the record must not be committed.
func (h *handling) writeLetter(ctx context.Context, r *Record, reason error) error {
	event(trace.SpanFromContext(ctx), "dead letter", reason, placeAttributes(r)...)
	if h.refused == nil {
		h.refused = map[int64]error{}
	}
	h.refused[r.Offset] = reason
	return buryUntil(h.intake, ctx, h.member, h.letters, r, reason)
}

// buryUntil writes a dead letter, again and again, until intake ends. An attempt that has begun goes on while work does.
func buryUntil(intake, work context.Context, m *member, letters *DeadLetters, r *Record, reason error) error {
	failures := m.cfg.Backoff.retry()
	tries := attempts{member: m, log: m.log, at: recordAt{r.Partition, r.Offset}}
	defer tries.over()
	for {
		ctx, cancel := context.WithTimeout(work, m.cfg.HandleTimeout)
		err := letters.Write(ctx, r, m.group, reason)
		cancel()
		if err == nil {
			m.buried(reason)
			return nil
		}
		m.stats.retries.Add(1)
		wait := failures.NextBackOff()
		tries.failed("writing a dead letter failed, trying again; its partition waits", err, time.Now(),
			slog.Int("partition", int(r.Partition)), slog.Int64("offset", r.Offset), slog.Duration("in", wait))
		if !pause(intake, wait) {
			return fmt.Errorf("%w: %w", errUnfinished, err)
		}
	}
}

// all fails every record for the same reason.
func all(batch []Record, err error) Failures {
	failed := make(Failures, len(batch))
	for i := range failed {
		failed[i] = Failure{Index: i, Err: err}
	}
	return failed
}
