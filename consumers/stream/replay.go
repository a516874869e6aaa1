package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Replay reads a topic from its first records on, outside of any group: nothing is committed, and nobody's partitions move.
// It is for whoever makes something anew from a topic while the roles go on.
//
// Records come in the order of their times, over all partitions. The order within a partition would not do where partitions
// were added: user u's events lie on partition 0; partition 1 is added and takes u; u is erased, on partition 1. Whoever reads
// partition 1 first forgets what is not there yet, and then brings u back from partition 0.
//
// It is for one goroutine, Progress apart.
type Replay struct {
	*cluster
	kafka kafkaio.Config
	cfg   Config
	log   *slog.Logger

	next map[int32]int64 // the next offset to read, of the partitions that were looked at
	// done and total count offsets, those without a record among them.
	done, total atomic.Int64
	records     atomic.Int64
}

// NewReplay returns a Replay that stands at the beginning of a topic. cfg bounds the batches and says how to wait out errors.
func NewReplay(k kafkaio.Config, cfg Config, topic string, log *slog.Logger) *Replay {
	return &Replay{
		cluster: newCluster(k, topic), kafka: k, cfg: cfg, log: log.With(slog.String("topic", topic)), next: map[int32]int64{},
	}
}

// Close gives the connections back.
func (r *Replay) Close() { r.close() }

// Progress tells how far the Advance under way, or else the last one, has come, in offsets since the Replay was made.
func (r *Replay) Progress() (done, total int64) { return r.done.Load(), r.total.Load() }

// Records tells how many records were handled so far.
func (r *Replay) Records() int64 { return r.records.Load() }

// Passed says whether a record at an offset was handled, or is not in the topic any more.
func (r *Replay) Passed(partition int32, offset int64) bool { return offset < r.next[partition] }

// End returns the offset at which the next record of a partition will lie. What open transactions hold lies before it.
func (r *Replay) End(ctx context.Context, partition int32) (int64, error) {
	spans, err := r.spans(ctx, partition)
	return spans[partition].log, err
}

// Advance hands the records that the topic holds as of now, and that were not handed over before, to h: in batches of records
// of any partitions, several at a time, but all records of one subject in their order (of one key, where h is no Subjects). What
// h fails with a permanent error is counted as refused and left out: the role that consumes the topic has made a dead letter of it.
// Anything else is tried
// again until it succeeds or ctx ends. Advance may be called again to follow the topic, after an error too: the batch in work
// is then handed over a second time.
func (r *Replay) Advance(ctx context.Context, h Handler) (refused int64, err error) {
	partitions, err := allPartitions(ctx, r.kafka, r.topic)
	if err != nil {
		return 0, err
	}
	spans, err := r.spans(ctx, partitions...)
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(ctx)
	readers := new(errgroup.Group)
	m := merge{}
	for _, t := range r.tails(spans) {
		readers.Go(func() error { return t.read(ctx) })
		m.tails = append(m.tails, t)
	}
	defer func() {
		cancel()
		_ = readers.Wait() // what made them fail is in err already, or is the end of ctx
	}()
	for {
		batch, more, err := m.next(r.cfg.MaxRecords * shards())
		if err != nil {
			return refused, err
		}
		if len(batch) > 0 {
			n, err := r.handleSharded(ctx, h, batch)
			refused += n
			if err != nil {
				return refused, err
			}
			r.moveTo(batch)
		}
		if !more {
			break
		}
	}
	if err := ctx.Err(); err != nil {
		return refused, err
	}
	for p, s := range spans { // behind the last record there may be offsets without one
		r.move(p, s.end)
	}
	return refused, nil
}

// shards is how many batches are in work at a time.
func shards() int { return runtime.GOMAXPROCS(0) }

// mostBuffered bounds the bytes that all partitions together have fetched ahead, leastFetch what one fetch asks for.
const (
	mostBuffered = 64 << 20
	leastFetch   = 64 << 10
)

// tails returns what is to be read of each partition.
func (r *Replay) tails(spans map[int32]span) []*tail {
	runtime := r.cfg.Runtime
	runtime.Fetch.MaxBytes = min(runtime.Fetch.MaxBytes, max(leastFetch, mostBuffered/(2*max(1, len(spans)))))
	total := r.done.Load()
	var tails []*tail
	for p, s := range spans {
		r.next[p] = max(r.next[p], s.first)
		if left := s.end - r.next[p]; left > 0 {
			total += left
			f := newFetcher(r.cluster, p, r.next[p], runtime, r.log, &counters{})
			tails = append(tails, &tail{fetcher: f, end: s.end, fetched: make(chan []Record, 1)})
		}
	}
	r.total.Store(total)
	return tails
}

// moveTo notes that a batch is done; it has the records of each partition in their order.
func (r *Replay) moveTo(batch []Record) {
	r.records.Add(int64(len(batch)))
	for i := range batch {
		r.move(batch[i].Partition, batch[i].Offset+1)
	}
}

func (r *Replay) move(partition int32, next int64) {
	if moved := next - r.next[partition]; moved > 0 {
		r.done.Add(moved)
		r.next[partition] = next
	}
}

// tail is one partition up to an end.
type tail struct {
	*fetcher
	end     int64
	fetched chan []Record
	queued  []Record // of the merge: fetched, and not in a batch yet
	drained bool     // of the merge: nothing more will be fetched
	err     error    // why fetching ended before the end; for whoever finds fetched closed
}

func (t *tail) read(ctx context.Context) error {
	defer close(t.fetched)
	t.err = t.fetch(ctx)
	return t.err
}

func (t *tail) fetch(ctx context.Context) error {
	for t.next < t.end {
		records, err := t.poll(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return fmt.Errorf("reading %s/%d: %w", t.topic, t.partition, err)
		}
		// What lies beyond the end is left for the next Advance, so that one comes to its end while the topic grows.
		if beyond := slices.IndexFunc(records, func(rec Record) bool { return rec.Offset >= t.end }); beyond >= 0 {
			records = records[:beyond]
			t.next = t.end
		}
		if len(records) == 0 {
			continue
		}
		select {
		case t.fetched <- records:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// merge brings the records of several partitions into the order of their times. Those of one partition keep their order,
// whatever their times.
type merge struct{ tails []*tail }

// next returns up to n records, and whether there may be more. Where a partition cannot be read to its end, none of the others is
// read further: what they hold may only make sense after what is missing.
func (m *merge) next(n int) (batch []Record, more bool, err error) {
	for len(batch) < n {
		var oldest *tail
		for _, t := range m.tails {
			if err := t.fill(); err != nil {
				return nil, false, err
			}
			if !t.drained && (oldest == nil || t.queued[0].Time.Before(oldest.queued[0].Time)) {
				oldest = t
			}
		}
		if oldest == nil {
			return batch, false, nil
		}
		batch = append(batch, oldest.queued[0])
		oldest.queued = oldest.queued[1:]
	}
	return batch, true, nil
}

// fill waits for the next record of the partition. An error says that there are more, which cannot be read.
func (t *tail) fill() error {
	if len(t.queued) == 0 && !t.drained {
		t.queued = <-t.fetched
		t.drained = len(t.queued) == 0
	}
	if t.drained {
		return t.err
	}
	return nil
}

// handleSharded has a batch handled in parts, all records of one subject in the same part.
func (r *Replay) handleSharded(ctx context.Context, h Handler, batch []Record) (refused int64, err error) {
	parts := sharded(ctx, h, batch, shards())
	var count atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		group.Go(func() error { return r.handle(ctx, h, part, &count) })
	}
	err = group.Wait()
	return count.Load(), err
}

// handle has one part handled, again and again until only refused records are left of it.
func (r *Replay) handle(ctx context.Context, h Handler, part []Record, refused *atomic.Int64) error {
	failures := r.cfg.Backoff.retry()
	for len(part) > 0 {
		err := r.attempt(ctx, h, part)
		var panicked *panicError
		var failed Failures
		switch {
		case err == nil:
			return nil
		case errors.As(err, &panicked) && len(part) > 1: // the record that panics alone is refused, as it is a dead letter elsewhere
			for i := range part {
				if err := r.handle(ctx, h, part[i:i+1], refused); err != nil {
					return err
				}
			}
			return nil
		case errors.As(err, &panicked):
			failed = Failures{{Index: 0, Err: Permanent(panicked)}}
		case errors.As(err, &failed):
		case IsPermanent(err):
			return err
		default:
			failed = all(part, err)
		}
		if part = r.remaining(part, failed, refused); len(part) == 0 {
			return nil
		}
		wait := failures.NextBackOff()
		r.log.Warn("handling failed, trying again", slog.Int("records", len(part)), slog.Any("error", err), slog.Duration("in", wait))
		if !pause(ctx, wait) {
			return fmt.Errorf("%w: %w", context.Cause(ctx), err)
		}
	}
	return nil
}

func (r *Replay) attempt(ctx context.Context, h Handler, part []Record) (err error) {
	ctx, cancel := context.WithTimeout(ctx, r.cfg.HandleTimeout)
	defer cancel()
	defer func() {
		if v := recover(); v != nil {
			err = &panicError{value: v, stack: debug.Stack()}
		}
	}()
	return h.Handle(ctx, part)
}

// remaining returns the records to try again, in their order.
func (r *Replay) remaining(part []Record, failed Failures, refused *atomic.Int64) []Record {
	failed = slices.Clone(failed)
	slices.SortStableFunc(failed, func(a, b Failure) int { return a.Index - b.Index })
	var rest []Record
	for _, f := range failed {
		switch {
		case f.Err == nil:
		case IsPermanent(f.Err):
			refused.Add(1)
			r.log.Debug("a record is left out", slog.Int("partition", int(part[f.Index].Partition)),
				slog.Int64("offset", part[f.Index].Offset), slog.String("reason", string(ReasonOf(f.Err))))
		default:
			rest = append(rest, part[f.Index])
		}
	}
	return rest
}
