package replay

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/producers/kafkaio"
)

// Timeline reads several topics as one sequence in the order of broker time. It is for whoever asks what was known at a moment.
//
// A record's moment is its timestamp, or that of an earlier record of its partition where that is later: within a partition the
// order of offsets stands, and moments never go back. A timestamp that lies more than skew ahead of this machine's clock is not
// believed: one producer with a wrong clock would otherwise hold up its partition until then. Records of one moment come in
// the order in which NewTimeline named their topics, then by partition.
//
// It is for one goroutine.
type Timeline struct {
	cfg    partition.Reading
	log    *slog.Logger
	skew   time.Duration
	topics []*partition.Topic
	places []map[int32]*place // by topic, by partition
}

// place is how far a partition was read.
type place struct {
	next   int64
	moment time.Time // of the last record that was read
}

// NewTimeline returns a Timeline that stands at the beginning of the topics. cfg bounds the fetches and says how to wait out errors.
func NewTimeline(k kafkaio.Config, cfg partition.Reading, skew time.Duration, log *slog.Logger, topics ...string) *Timeline {
	t := &Timeline{cfg: cfg, log: log, skew: skew}
	for _, topic := range topics {
		t.topics, t.places = append(t.topics, partition.NewTopic(k, topic)), append(t.places, map[int32]*place{})
	}
	return t
}

// Close gives the connections back.
func (t *Timeline) Close() {
	for _, topic := range t.topics {
		topic.Close()
	}
}

// Until calls each for the records that the topics hold as of now and whose moment lies before limit, of those topics only that
// are named, or of all where none is. What one call does not reach the next one finds. A record that comes with a moment before the
// limit of a call that is over is given by the next call, before all others. An error of each ends it; the record is then given again.
// So does a broker that refuses us.
func (t *Timeline) Until(
	ctx context.Context, limit time.Time, each func(topic int, moment time.Time, r *partition.Record) error, topics ...int,
) error {
	if len(topics) == 0 {
		for i := range t.topics {
			topics = append(topics, i)
		}
	}
	m := newMerge(ctx, t.moment)
	defer m.close()
	for _, topic := range topics {
		if err := t.add(ctx, m, topic); err != nil {
			return err
		}
	}
	for {
		h, err := m.next()
		switch {
		case err != nil:
			return err
		case h == nil || !h.moment.Before(limit):
			for _, h := range m.heads {
				if at := t.places[h.topic][h.partition]; h.drained { // behind the last record there may be offsets without one
					at.next = max(at.next, h.end)
				}
			}
			return nil
		}
		r := h.record()
		if err := each(h.topic, h.moment, r); err != nil {
			return err
		}
		*t.places[h.topic][h.partition] = place{next: r.Offset + 1, moment: h.moment}
		h.take()
	}
}

// add has the partitions of a topic read that hold something to read.
func (t *Timeline) add(ctx context.Context, m *merge, topic int) error {
	from, places := t.topics[topic], t.places[topic]
	spans, err := from.AllSpans(ctx)
	if err != nil {
		return err
	}
	cfg := shared(t.cfg, len(spans)*len(t.topics))
	for _, p := range slices.Sorted(maps.Keys(spans)) {
		at := places[p]
		if at == nil {
			at = &place{next: spans[p].First}
			places[p] = at
		}
		log := t.log.With(slog.String("topic", from.Name), slog.Int("partition", int(p)))
		if at.next = spans[p].Settle(at.next, log, new(partition.Losses)); at.next < spans[p].End {
			h := m.add(from, p, at.next, spans[p].End, cfg, t.log)
			h.topic, h.moment = topic, at.moment
		}
	}
	return nil
}

// moment is the moment of a record, given that of the one before it.
func (t *Timeline) moment(before time.Time, r *partition.Record) time.Time {
	if r.Time.After(before) && !r.Time.After(time.Now().Add(t.skew)) {
		return r.Time
	}
	return before
}
