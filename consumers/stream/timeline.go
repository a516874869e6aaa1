package stream

import (
	"context"
	"log/slog"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Timeline reads several topics as one sequence in the order of broker time, outside of any group: nothing is committed, and
// nobody's partitions move. It is for whoever asks what was known at a moment.
//
// A record's moment is its timestamp, or that of an earlier record of its partition where that is later: within a partition the
// order of offsets stands, and moments never go back. A timestamp that lies more than skew ahead of this machine's clock is not
// believed: one producer with a wrong clock would otherwise hold up its partition until then. Records of one moment come in
// the order in which NewTimeline named their topics, then by partition.
//
// It is for one goroutine.
type Timeline struct {
	kafka    kafkaio.Config
	cfg      Runtime
	log      *slog.Logger
	skew     time.Duration
	clusters []*cluster
	places   []map[int32]*place // by topic, by partition
}

// place is how far a partition was read.
type place struct {
	next   int64
	moment time.Time // of the last record that was read
}

// NewTimeline returns a Timeline that stands at the beginning of the topics. cfg bounds the fetches and says how to wait out errors.
func NewTimeline(k kafkaio.Config, cfg Runtime, skew time.Duration, log *slog.Logger, topics ...string) *Timeline {
	t := &Timeline{kafka: k, cfg: cfg, log: log, skew: skew}
	for _, topic := range topics {
		t.clusters, t.places = append(t.clusters, newCluster(k, topic)), append(t.places, map[int32]*place{})
	}
	return t
}

// Close gives the connections back.
func (t *Timeline) Close() {
	for _, c := range t.clusters {
		c.close()
	}
}

// Until calls each for the records that the topics hold as of now and whose moment lies before limit, of those topics only that
// are named, or of all where none is. What one call does not reach the next one finds. A record that comes with a moment before the
// limit of a call that is over is given by the next call, before all others. An error of each ends it; the record is then given again.
// So does a broker that refuses us.
func (t *Timeline) Until(
	ctx context.Context, limit time.Time, each func(topic int, moment time.Time, r *Record) error, topics ...int,
) error {
	if len(topics) == 0 {
		for i := range t.clusters {
			topics = append(topics, i)
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	readers := new(errgroup.Group)
	defer func() {
		cancel()
		_ = readers.Wait() // what made them fail is told by fill
	}()
	var heads []*head
	for _, topic := range topics {
		found, err := t.heads(ctx, topic)
		if err != nil {
			return err
		}
		heads = append(heads, found...)
	}
	for _, h := range heads {
		readers.Go(func() error { return h.read(ctx) })
	}
	for {
		var first *head
		for _, h := range heads {
			more, err := h.fill(t)
			if err != nil {
				return err
			}
			if more && (first == nil || h.moment.Before(first.moment)) {
				first = h
			}
		}
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case first == nil || !first.moment.Before(limit):
			for _, h := range heads {
				if h.drained { // behind the last record there may be offsets without one
					h.place.next = max(h.place.next, h.end)
				}
			}
			return nil
		}
		r := &first.queued[0]
		if err := each(first.topic, first.moment, r); err != nil {
			return err
		}
		first.place.next, first.place.moment = r.Offset+1, first.moment
		first.queued, first.known = first.queued[1:], false
	}
}

// heads are the partitions of a topic that hold something to read.
func (t *Timeline) heads(ctx context.Context, topic int) (heads []*head, err error) {
	c := t.clusters[topic]
	partitions, err := allPartitions(ctx, t.kafka, c.topic)
	if err != nil {
		return nil, err
	}
	spans, err := c.spans(ctx, partitions...)
	if err != nil {
		return nil, err
	}
	cfg := t.cfg
	cfg.Fetch.MaxBytes = min(cfg.Fetch.MaxBytes, max(leastFetch, mostBuffered/(2*max(1, len(spans)*len(t.clusters)))))
	for _, p := range partitions {
		at := t.places[topic][p]
		if at == nil {
			at = &place{next: spans[p].first}
			t.places[topic][p] = at
		}
		at.next = settle(at.next, spans[p], t.log.With(slog.String("topic", c.topic), slog.Int("partition", int(p))), &counters{})
		if at.next < spans[p].end {
			f := newFetcher(c, p, at.next, cfg, t.log, &counters{})
			heads = append(heads, &head{tail: &tail{fetcher: f, end: spans[p].end, fetched: make(chan []Record, 1)}, topic: topic, place: at})
		}
	}
	return heads, nil
}

// head is a partition that is being read, and the moment of its next record, once that is known.
type head struct {
	*tail
	topic  int
	place  *place
	moment time.Time
	known  bool
}

// fill waits for the next record of the partition; false means that there is none.
func (h *head) fill(t *Timeline) (bool, error) {
	if err := h.tail.fill(); err != nil || h.drained || h.known {
		return !h.drained, err
	}
	h.known, h.moment = true, h.place.moment
	if at := h.queued[0].Time; at.After(h.moment) && !at.After(time.Now().Add(t.skew)) {
		h.moment = at
	}
	return true, nil
}
