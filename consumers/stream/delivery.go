package stream

import (
	"context"
	"sync/atomic"

	"github.com/cenkalti/backoff/v5"
	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Delivery is one record that a Gatherer gives to its handler.
type Delivery struct {
	Record
	// Attempt is 1, and one more each time that the record is delivered again after a transient error.
	Attempt int

	from     *gathering
	source   *gatherSource
	ticket   int
	cost     int64
	alone    bool                        // in a batch of its own, to find out whether it is the one that panics
	failures *backoff.ExponentialBackOff // nil until the first
	tries    *attempts                   // nil until the first failure
	batch    *gatherBatch
	span     trace.Span // nil where nobody records it
	done     atomic.Bool
}

// Trace returns ctx in the record's own trace, so that what is sent on it continues that: in the record's `process` span,
// where it has one, which ends with Done.
func (d *Delivery) Trace(ctx context.Context) context.Context {
	if d.span != nil {
		return trace.ContextWithSpan(ctx, d.span)
	}
	return kafkaio.ExtractTrace(ctx, d.Headers)
}

// Done tells what became of the record; it returns at once, and only the first call counts. Nil: it is done. A permanent
// error: it goes to the dead-letter topic, and is done then. Any other error: it is delivered again after a back-off, as a
// new Delivery.
func (d *Delivery) Done(err error) {
	if d.done.Swap(true) {
		return
	}
	d.endSpan(err)
	d.batch.left(err)
	d.from.settle(d, err)
}

// again returns the delivery for the next attempt.
func (d *Delivery) again() *Delivery {
	return &Delivery{
		Record: d.Record, Attempt: d.Attempt + 1, from: d.from, source: d.source, ticket: d.ticket, cost: d.cost,
		alone: d.alone, failures: d.failures, tries: d.tries,
	}
}

// endSpan gives the record's span its outcome. That of the batch's first record is the batch's too, which goes on.
func (d *Delivery) endSpan(err error) {
	if d.span == nil {
		return
	}
	if err != nil {
		name := "retry"
		if IsPermanent(err) {
			name = "dead letter"
		}
		event(d.span, name, err, placeAttributes(&d.Record)...)
		fail(d.span, err)
	}
	if d.span != d.batch.span.Span {
		d.span.End()
	}
}

// gatherBatch ends its context and its span when all of its deliveries are done.
type gatherBatch struct {
	open   atomic.Int64
	failed atomic.Bool
	cancel func()
	span   batchSpan
}

func (b *gatherBatch) left(err error) {
	if err != nil {
		b.failed.Store(true)
	}
	if b.open.Add(-1) > 0 {
		return
	}
	b.cancel()
	b.span.member.telemetry.processed(b.span.began, b.failed.Load())
	if b.span.Span != nil {
		b.span.End()
	}
}
