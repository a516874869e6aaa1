package partition

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Topic asks the brokers for one topic's records and offsets, over connections of its own.
type Topic struct {
	Name string

	kafka   kafkaio.Config
	client  *kafka.Client
	fetcher *kafkaio.Fetcher

	mu        sync.Mutex
	refreshed time.Time // when the client last forgot its view of the brokers
}

// NewTopic returns a Topic, about which nobody is asked yet. Close it after use.
func NewTopic(k kafkaio.Config, name string) *Topic {
	client := k.Client()
	return &Topic{Name: name, kafka: k, client: client, fetcher: k.NewFetcher(client)}
}

// Open looks up what a topic holds as of now; that is nothing where there is no such topic.
func Open(ctx context.Context, k kafkaio.Config, name string) (*Topic, map[int32]Span, error) {
	t := NewTopic(k, name)
	spans, err := t.AllSpans(ctx)
	if err != nil {
		t.Close()
		return nil, nil, err
	}
	return t, spans, nil
}

// Close gives the connections back.
func (t *Topic) Close() {
	t.fetcher.Close()
	kafkaio.CloseIdle(t.client)
}

// refresh makes the client learn anew who leads what. An error of a request that was sent before the last refresh says
// nothing about the view that the refresh brought, so the partitions of a broker that died cause one refresh, not one each.
func (t *Topic) refresh(asked time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.refreshed.After(asked) {
		kafkaio.CloseIdle(t.client)
		t.refreshed = time.Now()
	}
}

// Span is the offsets of a partition: the oldest record, one past the newest that readers get, and one past the newest of
// the log. Between the two lie open transactions.
type Span struct{ First, End, Log int64 }

// Spans returns the span of each partition.
func (t *Topic) Spans(ctx context.Context, partitions ...int32) (map[int32]Span, error) {
	asked := time.Now()
	ranges, err := kafkaio.Ranges(ctx, t.client, t.Name, partitions...)
	if err != nil {
		t.refresh(asked)
		return nil, err
	}
	spans := make(map[int32]Span, len(ranges))
	for p, r := range ranges {
		spans[p] = Span{First: r.Begin, End: r.Stable, Log: r.End}
	}
	return spans, nil
}

// AllSpans returns the span of each partition that the topic has now; none where there is no such topic.
func (t *Topic) AllSpans(ctx context.Context) (map[int32]Span, error) {
	count, err := Count(ctx, t.kafka.Dialer(), t.kafka.Brokers, t.Name)
	if err != nil {
		return nil, err
	}
	partitions := make([]int32, count)
	for i := range partitions {
		partitions[i] = int32(i)
	}
	return t.Spans(ctx, partitions...)
}

// Count asks the brokers, not a cached view, how many partitions a topic has; 0 when there is no such topic.
func Count(ctx context.Context, dialer *kafka.Dialer, brokers []string, topic string) (int, error) {
	var err error
	for _, broker := range brokers {
		var partitions []kafka.Partition
		partitions, err = dialer.LookupPartitions(ctx, "tcp", broker, topic)
		if err == nil || errors.Is(err, kafka.UnknownTopicOrPartition) {
			return len(partitions), nil
		}
	}
	return 0, fmt.Errorf("counting the partitions of %s: %w", topic, err)
}

// OffsetsAt returns the first offset of each partition that is not before a time, which is the end where there is none.
func (t *Topic) OffsetsAt(ctx context.Context, at time.Time, spans map[int32]Span) (map[int32]int64, error) {
	if at.UnixMilli() < 0 {
		at = time.UnixMilli(0) // brokers give negative times a meaning of their own
	}
	var asks []kafka.OffsetRequest
	offsets := make(map[int32]int64, len(spans))
	for p, has := range spans {
		asks = append(asks, kafka.TimeOffsetOf(int(p), at))
		offsets[p] = has.End
	}
	resp, err := t.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{t.Name: asks}})
	if err != nil {
		return nil, fmt.Errorf("asking for the offsets of %s at %s: %w", t.Name, at.UTC().Format(time.RFC3339), err)
	}
	for _, p := range resp.Topics[t.Name] {
		if p.Error != nil {
			return nil, fmt.Errorf("asking for the offsets of %s/%d at %s: %w", t.Name, p.Partition, at.UTC().Format(time.RFC3339), p.Error)
		}
		for offset := range p.Offsets {
			offsets[int32(p.Partition)] = min(offsets[int32(p.Partition)], max(offset, 0))
		}
	}
	return offsets, nil
}

// Scan calls each for the records of spans, partition by partition. An error of each ends it.
func (t *Topic) Scan(ctx context.Context, spans map[int32]Span, each func(Record) error) error {
	for _, p := range slices.Sorted(maps.Keys(spans)) {
		r := NewReader(t, p, spans[p].First, DefaultReading(), slog.New(slog.DiscardHandler), new(Losses))
		err := r.ReadTo(ctx, spans[p].End, func(records []Record) error {
			for _, record := range records {
				if err := each(record); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Losses counts what readers could not read.
type Losses struct {
	// Records were removed by retention before they were read.
	Records atomic.Int64
	// Rewinds are the partitions that were found to be shorter than what was read of them.
	Rewinds atomic.Int64
}

// Settle returns the offset to read instead of next in a partition that has the span.
//
// Before the span: retention removed records that were not read. After it: the topic was deleted and made again,
// or an unclean election cut the log; what is in it now was not read, so it is read from the first on.
func (s Span) Settle(next int64, log *slog.Logger, losses *Losses) int64 {
	switch {
	case next < s.First:
		losses.Records.Add(s.First - next)
		log.Warn("records were removed before they were read, going on with the first that is left: "+
			"raise the topic's retention or the number of consumers",
			slog.Int64("lost", s.First-next), slog.Int64("from", next), slog.Int64("first", s.First))
		return s.First
	case next > s.Log:
		losses.Rewinds.Add(1)
		log.Warn("the log ends before what was read, so it is another one: the topic was made again, or an unclean election "+
			"cut it; reading it from its first record on", slog.Int64("read", next), slog.Int64("end", s.Log))
		return s.First
	default:
		return next
	}
}
