package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/producers/kafkaio"
)

// worker works off one partition for one generation.
type worker struct {
	consumer *Consumer
	member   *member
	gen      *generation
	id       int32
	log      *slog.Logger
	reader   *partition.Reader
	progress *progress
	reached  reached
	handling partition.Handling

	tries   attempts        // of the first record of the batch in work that is not done
	refused map[int64]error // why records of the batch in work became dead letters, by offset
}

func newWorker(c *Consumer, g *generation, id int32, start int64) *worker {
	w := &worker{
		consumer: c, member: c.member, gen: g, id: id,
		log:      c.member.log.With(slog.Int("partition", int(id))),
		reader:   g.reader(id, start),
		progress: g.owned[id],
		reached:  reached{done: start, handed: start, next: start},
	}
	w.tries = attempts{member: c.member, log: w.log}
	w.handling = partition.Handling{
		Handler: HandlerFunc(w.attempt), Timeout: c.cfg.HandleTimeout, Backoff: c.cfg.Backoff, Log: c.member.log,
		GiveUp: w.bury, Retry: w.retry,
	}
	return w
}

// run handles batch after batch until intake ends, while the next fetch is on its way. It returns an error only when the
// handler refused a batch, and then ends the generation.
func (w *worker) run() error {
	fetched, asks := make(chan []Record), make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() { w.feed(fetched, asks) })
	defer reading.Wait()
	defer w.gen.stop()
	batches := &batcher{cfg: w.consumer.cfg, fetched: fetched, asks: asks}
	for {
		batch := batches.next(w.gen.intake)
		if batch == nil || w.member.aborts.Err() != nil {
			return nil
		}
		w.progress.begun(batch[0].Arrived)
		next, err := w.handle(batch)
		if next > batch[0].Offset {
			w.reached.finish(next, w.mark)
		}
		switch {
		case err == nil:
			w.progress.done(len(batch))
		case errors.Is(err, partition.ErrUnfinished):
			w.log.Warn("giving up the partition before its batch was done: the next owner goes on with it",
				slog.Int64("offset", next), slog.Any("error", err))
			return nil
		default:
			return fmt.Errorf("handling %s/%d from offset %d on: %w", w.member.topic, w.id, next, err)
		}
	}
}

// mark has an offset committed.
func (w *worker) mark(next int64) { w.gen.commits.mark(w.id, next) }

// handle handles a batch, and measures and traces it. All records below next are done in any case; a hole in the offsets counts
// as done.
func (w *worker) handle(batch []Record) (next int64, err error) {
	headers := func(i int) []kafkaio.Header { return batch[i].Headers }
	ctx, span := w.member.startBatch(w.gen.work, len(batch), headers)
	if span.Span != nil {
		span.SetAttributes(placeAttributes(&batch[0])...)
	}
	w.refused = nil
	w.member.telemetry.began(len(batch))
	left, err := w.handling.Run(ctx, w.gen.intake, batch)
	w.tries.over()
	next = batch[len(batch)-1].Offset + 1
	if len(left) > 0 {
		next = left[0].Offset
	}
	w.member.stats.records.Add(int64(len(batch) - len(left)))
	w.member.telemetry.processed(span.began, err != nil || len(w.refused) > 0)
	if span.Span != nil {
		w.endBatch(&span, batch, next, err)
	}
	return next, err
}

// endBatch ends a batch's span, and makes those of its records that are in traces of their own.
func (w *worker) endBatch(span *batchSpan, batch []Record, next int64, err error) {
	failed := err
	for i := range batch {
		failure := w.refused[batch[i].Offset]
		if failure == nil && batch[i].Offset >= next {
			failure = err
		}
		if failed == nil {
			failed = failure
		}
		if i == span.first {
			continue
		}
		if own := span.startRecord(w.gen.work, &batch[i]); own != nil {
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

// attempt calls the handler once.
func (w *worker) attempt(ctx context.Context, batch []Record) error {
	w.tries.moveTo(recordAt{w.id, batch[0].Offset}) // those before it are done: this one has a time of its own
	w.member.stats.batches.Add(1)
	return w.consumer.handler.Handle(ctx, batch)
}

// retry tells that records are tried again.
func (w *worker) retry(ctx context.Context, rest []Record, failure error, wait time.Duration) {
	w.member.stats.retries.Add(1)
	event(trace.SpanFromContext(ctx), "retry", failure, attribute.Int("records", len(rest)))
	w.tries.moveTo(recordAt{w.id, rest[0].Offset})
	w.tries.failed("handling failed, trying again", failure, time.Now(),
		slog.Int64("offset", rest[0].Offset), slog.Int("records", len(rest)), slog.Duration("in", wait))
}

// bury writes the dead letter of a record that failed for good, for as long as it takes: without it the record must not be committed.
//
// It returns before the offset is committed, so a record may have two dead letters: the letter is written; the member dies,
// or its commit is refused; the next owner handles the record, which fails again, and writes a second letter. Both name the
// same original offset. The other order would lose the record.
func (w *worker) bury(ctx context.Context, r *Record, reason error) error {
	event(trace.SpanFromContext(ctx), "dead letter", reason, placeAttributes(r)...)
	if w.refused == nil {
		w.refused = map[int64]error{}
	}
	w.refused[r.Offset] = reason
	return w.gen.bury(ctx, w.consumer.letters, r, reason)
}

// reached is how far one partition was read and handled. What lies behind the last record and is none (the end of a transaction,
// say) must be committed too, or whoever compares the committed offset with the log's end sees a lag for ever. It may be
// committed only once the records before it are done.
type reached struct {
	mu           sync.Mutex
	done, handed int64 // behind the last record that is done; that was handed over to be handled
	next         int64 // where reading goes on
}

// hand notes a fetch: its records are about to be handed over, and reading goes on at next.
func (r *reached) hand(records []Record, next int64, mark func(int64)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	moved := next > r.next
	r.next = next
	switch {
	case len(records) > 0:
		r.handed = records[len(records)-1].Offset + 1
	case moved && r.done == r.handed:
		mark(next)
	}
}

// finish notes that what lies before done is done.
func (r *reached) finish(done int64, mark func(int64)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = done
	if r.done == r.handed {
		done = max(done, r.next)
	}
	mark(done)
}

// feed sends what is fetched until intake ends. It fetches ahead of the handler only where the log goes on. At its end that
// would halve the batches:
//
//	handler: batch of 40 ............................. batch of 1, as dear as one of 40 ...
//	feed:    asks at once, and gets the 1 record that has come | waits to hand it over, while 40 more come
func (w *worker) feed(to chan<- []Record, asks <-chan struct{}) {
	for {
		records, err := w.reader.Poll(w.gen.intake)
		if err != nil {
			return
		}
		w.member.telemetry.fetched(len(records))
		w.reached.hand(records, w.reader.Next(), w.mark)
		if len(records) == 0 {
			continue
		}
		select {
		case to <- records:
		case <-w.gen.intake.Done():
			return
		}
		if w.reader.Behind() {
			continue
		}
		select {
		case <-asks:
		case <-w.gen.intake.Done():
			return
		}
	}
}
