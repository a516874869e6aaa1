package replay

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync/atomic"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/producers/kafkaio"
)

// Snapshot is what a topic held at one moment. It can be read as often as needed. It is for whoever must know the end before
// judging the beginning, and so reads twice.
//
// Records come in the order of Replay, one by one, and in the same order each time.
type Snapshot struct {
	topic *partition.Topic
	cfg   partition.Reading
	spans map[int32]partition.Span
	log   *slog.Logger
	done  atomic.Int64
}

// NewSnapshot looks up what a topic holds now. A topic that does not exist is an error.
func NewSnapshot(ctx context.Context, k kafkaio.Config, cfg partition.Reading, topic string, log *slog.Logger) (*Snapshot, error) {
	t, spans, err := partition.Open(ctx, k, topic)
	if err != nil {
		return nil, err
	}
	if len(spans) == 0 {
		t.Close()
		return nil, fmt.Errorf("topic %s does not exist: run `freshet topics create`, or correct its name", topic)
	}
	return &Snapshot{topic: t, cfg: cfg, spans: spans, log: log.With(slog.String("topic", topic))}, nil
}

// Close gives the connections back.
func (s *Snapshot) Close() { s.topic.Close() }

// Progress tells how far the Each under way, or else the last one, has come, in offsets. It may be called at any time.
func (s *Snapshot) Progress() (done, total int64) {
	for _, has := range s.spans {
		total += has.End - has.First
	}
	return min(s.done.Load(), total), total
}

// Each calls each for every record. It waits out errors of the brokers, unless they refuse us, and ends with ctx or with an error
// of each. What retention removes meanwhile is passed over.
func (s *Snapshot) Each(ctx context.Context, each func(*partition.Record) error) error {
	s.done.Store(0)
	m := newMerge(ctx, byTime)
	defer m.close()
	next := make(map[int32]int64, len(s.spans))
	for _, p := range slices.Sorted(maps.Keys(s.spans)) { // of records of one time, those of the lower partition come first
		next[p] = s.spans[p].First
		m.add(s.topic, p, next[p], s.spans[p].End, shared(s.cfg, len(s.spans)), s.log)
	}
	for {
		h, err := m.next()
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("reading %s: %w", s.topic.Name, context.Cause(ctx))
		case err != nil:
			return err
		case h == nil:
			_, total := s.Progress()
			s.done.Store(total) // behind the last record there may be offsets without one
			return nil
		}
		r := h.record()
		if err := each(r); err != nil {
			return err
		}
		s.done.Add(r.Offset + 1 - next[r.Partition])
		next[r.Partition] = r.Offset + 1
		h.take()
	}
}
