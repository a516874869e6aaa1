package replay

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/freshet/freshet/consumers/stream/partition"
)

// merge brings the records of several partitions into the order of their moments. Those of one partition keep their order,
// whatever their moments. Of records of one moment those of the head that was added first come first.
type merge struct {
	// moment returns when a record was, given the moment of the one before it in its partition.
	moment  func(before time.Time, r *partition.Record) time.Time
	heads   []*head
	ctx     context.Context
	cancel  context.CancelFunc
	readers sync.WaitGroup
}

// head is a partition that is being read up to an end, and its next record.
type head struct {
	topic     int // which of several; a Timeline's
	partition int32
	end       int64
	fetched   chan []partition.Record
	failed    error // why fetching ended before the end; for whoever finds fetched closed

	queued  []partition.Record // fetched, and not taken yet
	drained bool               // nothing more will be fetched
	moment  time.Time          // of queued[0] if that is known, else of the one before it
	known   bool
}

// newMerge returns a merge of no partitions. Close it.
func newMerge(ctx context.Context, moment func(time.Time, *partition.Record) time.Time) *merge {
	m := &merge{moment: moment}
	m.ctx, m.cancel = context.WithCancel(ctx)
	return m
}

// add has a partition read from an offset to an end.
func (m *merge) add(t *partition.Topic, id int32, from, end int64, cfg partition.Reading, log *slog.Logger) *head {
	h := &head{partition: id, end: end, fetched: make(chan []partition.Record, 1)}
	m.heads = append(m.heads, h)
	r := partition.NewReader(t, id, from, cfg, log, new(partition.Losses))
	m.readers.Go(func() {
		defer close(h.fetched)
		h.failed = r.ReadTo(m.ctx, end, func(records []partition.Record) error {
			select {
			case h.fetched <- records:
				return nil
			case <-m.ctx.Done():
				return m.ctx.Err()
			}
		})
	})
	return h
}

// close ends the reading.
func (m *merge) close() {
	m.cancel()
	m.readers.Wait()
}

// next returns the partition whose next record is the oldest of all, which take takes; nil when all were read to their ends.
// Where one cannot be read to its end, none of the others is read further: what they hold may only make sense after what is missing.
func (m *merge) next() (oldest *head, err error) {
	for _, h := range m.heads {
		if err := m.fill(h); err != nil {
			return nil, err
		}
		if !h.drained && (oldest == nil || h.moment.Before(oldest.moment)) {
			oldest = h
		}
	}
	return oldest, m.ctx.Err()
}

// fill waits for the next record of a partition. An error says that there are more, which cannot be read.
func (m *merge) fill(h *head) error {
	if h.known {
		return nil
	}
	if len(h.queued) == 0 && !h.drained {
		h.queued = <-h.fetched
		h.drained = len(h.queued) == 0
	}
	if h.drained {
		return h.failed
	}
	h.moment, h.known = m.moment(h.moment, &h.queued[0]), true
	return nil
}

// record is the next one of the partition.
func (h *head) record() *partition.Record { return &h.queued[0] }

// take takes the next record off.
func (h *head) take() { h.queued, h.known = h.queued[1:], false }

// byTime has records ordered by their timestamps.
func byTime(_ time.Time, r *partition.Record) time.Time { return r.Time }

// mostBuffered bounds the bytes that all partitions together have fetched ahead, leastFetch what one fetch asks for.
const (
	mostBuffered = 64 << 20
	leastFetch   = 64 << 10
)

// shared bounds the fetches of so many partitions that are read at a time.
func shared(cfg partition.Reading, partitions int) partition.Reading {
	cfg.Fetch.MaxBytes = min(cfg.Fetch.MaxBytes, max(leastFetch, mostBuffered/(2*max(1, partitions))))
	return cfg
}
