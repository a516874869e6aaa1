package stream

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Snapshot is what a topic held at one moment. It can be read as often as needed, outside of any group: nothing is committed.
// It is for whoever must know the end before judging the beginning, and so reads twice.
//
// Records come in the order of Replay, one by one, and in the same order each time.
type Snapshot struct {
	*cluster
	runtime Runtime
	spans   map[int32]span
	log     *slog.Logger
	done    atomic.Int64
}

// NewSnapshot looks up what a topic holds now. A topic that does not exist is an error.
func NewSnapshot(ctx context.Context, k kafkaio.Config, runtime Runtime, topic string, log *slog.Logger) (*Snapshot, error) {
	partitions, err := allPartitions(ctx, k, topic)
	if err != nil {
		return nil, err
	}
	if len(partitions) == 0 {
		return nil, fmt.Errorf("topic %s does not exist: run `freshet topics create`, or correct its name", topic)
	}
	s := &Snapshot{cluster: newCluster(k, topic), runtime: runtime, log: log.With(slog.String("topic", topic))}
	if s.spans, err = s.cluster.spans(ctx, partitions...); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close gives the connections back.
func (s *Snapshot) Close() { s.close() }

// Progress tells how far the Each under way, or else the last one, has come, in offsets. It may be called at any time.
func (s *Snapshot) Progress() (done, total int64) {
	for _, has := range s.spans {
		total += has.end - has.first
	}
	return min(s.done.Load(), total), total
}

// atOnce is how many records are brought into order before they are handed over.
const atOnce = 1024

// Each calls each for every record. It waits out errors of the brokers, unless they refuse us, and ends with ctx or with an error
// of each. What retention removes meanwhile is passed over.
func (s *Snapshot) Each(ctx context.Context, each func(*Record) error) (err error) {
	s.done.Store(0)
	ctx, cancel := context.WithCancel(ctx)
	readers := new(errgroup.Group)
	m := merge{}
	next := make(map[int32]int64, len(s.spans))
	for _, p := range slices.Sorted(maps.Keys(s.spans)) { // of records of one time, those of the lower partition come first
		next[p] = s.spans[p].first
		t := s.tail(p)
		readers.Go(func() error { return t.read(ctx) })
		m.tails = append(m.tails, t)
	}
	defer func() {
		cancel()
		_ = readers.Wait() // what made them fail is in err already, or is the end of ctx
	}()
	for more := true; more; {
		var batch []Record
		if batch, more, err = m.next(atOnce); err != nil {
			break
		}
		for i := range batch {
			r := &batch[i]
			if err := each(r); err != nil {
				return err
			}
			s.done.Add(r.Offset + 1 - next[r.Partition])
			next[r.Partition] = r.Offset + 1
		}
	}
	if ctx.Err() != nil {
		return fmt.Errorf("reading %s: %w", s.topic, context.Cause(ctx))
	}
	if err != nil {
		return err
	}
	_, total := s.Progress()
	s.done.Store(total) // behind the last record there may be offsets without one
	return nil
}

func (s *Snapshot) tail(partition int32) *tail {
	runtime := s.runtime
	runtime.Fetch.MaxBytes = min(runtime.Fetch.MaxBytes, max(leastFetch, mostBuffered/(2*len(s.spans))))
	has := s.spans[partition]
	f := newFetcher(s.cluster, partition, has.first, runtime, s.log, &counters{})
	return &tail{fetcher: f, end: has.end, fetched: make(chan []Record, 1)}
}
