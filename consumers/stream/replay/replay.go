package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/producers/kafkaio"
)

// Config is the settings of a Replay. One that hands records to the handler of a role has that role's.
type Config struct {
	// MaxRecords bounds one call of the handler, on average.
	MaxRecords int
	// HandleTimeout bounds one call of the handler in time.
	HandleTimeout time.Duration
	partition.Reading
}

// Replay hands a topic from its first records on to a Handler. It is for whoever makes something anew from a topic while the
// roles go on.
//
// Records come in the order of their times, over all partitions. The order within a partition would not do where partitions
// were added: user u's events lie on partition 0; partition 1 is added and takes u; u is erased, on partition 1. Whoever reads
// partition 1 first forgets what is not there yet, and then brings u back from partition 0.
//
// It is for one goroutine, Progress apart.
type Replay struct {
	topic *partition.Topic
	cfg   Config
	log   *slog.Logger

	next map[int32]int64 // the next offset to read, of the partitions that were looked at
	// done and total count offsets, those without a record among them.
	done, total atomic.Int64
	records     atomic.Int64
}

// New returns a Replay that stands at the beginning of a topic.
func New(k kafkaio.Config, cfg Config, topic string, log *slog.Logger) *Replay {
	return &Replay{topic: partition.NewTopic(k, topic), cfg: cfg, log: log.With(slog.String("topic", topic)), next: map[int32]int64{}}
}

// Close gives the connections back.
func (r *Replay) Close() { r.topic.Close() }

// Progress tells how far the Advance under way, or else the last one, has come, in offsets since the Replay was made.
func (r *Replay) Progress() (done, total int64) { return r.done.Load(), r.total.Load() }

// Records tells how many records were handled so far.
func (r *Replay) Records() int64 { return r.records.Load() }

// Passed reports whether a record at an offset was handled, or is not in the topic any more.
func (r *Replay) Passed(partition int32, offset int64) bool { return offset < r.next[partition] }

// End returns the offset at which the next record of a partition will lie. What open transactions hold lies before it.
func (r *Replay) End(ctx context.Context, partition int32) (int64, error) {
	spans, err := r.topic.Spans(ctx, partition)
	return spans[partition].Log, err
}

// Advance hands the records that the topic holds as of now, and that were not handed over before, to h: in batches of records
// of any partitions, several at a time, but all records of one subject in their order (of one key, where h is no Subjects). What
// h fails with a permanent error is counted as refused and left out: the role that consumes the topic has made a dead letter of it.
// Anything else is tried again until it succeeds or ctx ends. Advance may be called again to follow the topic, after an error too:
// the batch in work is then handed over a second time.
func (r *Replay) Advance(ctx context.Context, h partition.Handler) (refused int64, err error) {
	spans, err := r.topic.AllSpans(ctx)
	if err != nil {
		return 0, err
	}
	m := newMerge(ctx, byTime)
	defer m.close()
	r.begin(m, spans)
	var count atomic.Int64
	handling := r.handling(h, &count)
	for more := true; more; {
		var batch []partition.Record
		if batch, more, err = nextBatch(m, r.cfg.MaxRecords*shards()); err != nil {
			return count.Load(), err
		}
		if err := handleSharded(ctx, handling, batch); err != nil {
			return count.Load(), err
		}
		r.records.Add(int64(len(batch)))
		for i := range batch { // it has the records of each partition in their order
			r.move(batch[i].Partition, batch[i].Offset+1)
		}
	}
	for p, s := range spans { // behind the last record there may be offsets without one
		r.move(p, s.End)
	}
	return count.Load(), nil
}

// begin has what was not handed over yet read of each partition.
func (r *Replay) begin(m *merge, spans map[int32]partition.Span) {
	cfg, total := shared(r.cfg.Reading, len(spans)), r.done.Load()
	for _, p := range slices.Sorted(maps.Keys(spans)) {
		r.next[p] = max(r.next[p], spans[p].First)
		if left := spans[p].End - r.next[p]; left > 0 {
			total += left
			m.add(r.topic, p, r.next[p], spans[p].End, cfg, r.log)
		}
	}
	r.total.Store(total)
}

func (r *Replay) move(partition int32, next int64) {
	if moved := next - r.next[partition]; moved > 0 {
		r.done.Add(moved)
		r.next[partition] = next
	}
}

// nextBatch returns up to n records, and whether there may be more.
func nextBatch(m *merge, n int) (batch []partition.Record, more bool, err error) {
	for len(batch) < n {
		h, err := m.next()
		if err != nil || h == nil {
			return batch, false, err
		}
		batch = append(batch, *h.record())
		h.take()
	}
	return batch, true, nil
}

// shards is how many batches are in work at a time.
func shards() int { return runtime.GOMAXPROCS(0) }

// handling leaves out the records that fail for good, and counts them.
func (r *Replay) handling(h partition.Handler, refused *atomic.Int64) *partition.Handling {
	return &partition.Handling{
		Handler: h, Timeout: r.cfg.HandleTimeout, Backoff: r.cfg.Backoff, Log: r.log,
		GiveUp: func(_ context.Context, record *partition.Record, reason error) error {
			refused.Add(1)
			r.log.Debug("a record is left out", slog.Int("partition", int(record.Partition)),
				slog.Int64("offset", record.Offset), slog.String("reason", string(partition.ReasonOf(reason))))
			return nil
		},
		Retry: func(_ context.Context, rest []partition.Record, failure error, wait time.Duration) {
			r.log.Warn("handling failed, trying again", slog.Int("records", len(rest)), slog.Any("error", failure), slog.Duration("in", wait))
		},
	}
}

// handleSharded has a batch handled in parts, all records of one subject in the same part.
func handleSharded(ctx context.Context, handling *partition.Handling, batch []partition.Record) error {
	parts := sharded(ctx, handling.Handler, batch, shards())
	group, ctx := errgroup.WithContext(ctx)
	for _, part := range parts {
		if len(part) == 0 {
			continue
		}
		group.Go(func() error {
			_, err := handling.Run(ctx, ctx, part)
			if errors.Is(err, partition.ErrUnfinished) {
				return fmt.Errorf("%w: %w", context.Cause(ctx), err)
			}
			return err
		})
	}
	return group.Wait()
}
