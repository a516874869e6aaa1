package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Scan calls each for every record that a topic holds as of now, partition by partition, oldest first, outside of any group.
// An error of each ends it.
func Scan(ctx context.Context, k kafkaio.Config, topic string, each func(Record) error) error {
	c, spans, err := openTopic(ctx, k, topic)
	if err != nil {
		return err
	}
	defer c.close()
	return scanSpans(ctx, c, spans, each)
}

// openTopic looks up what a topic holds as of now; that is nothing where there is no such topic. Close the cluster after use.
func openTopic(ctx context.Context, k kafkaio.Config, topic string) (*cluster, map[int32]span, error) {
	partitions, err := allPartitions(ctx, k, topic)
	if err != nil {
		return nil, nil, err
	}
	c := newCluster(k, topic)
	spans, err := c.spans(ctx, partitions...)
	if err != nil {
		c.close()
		return nil, nil, err
	}
	return c, spans, nil
}

// allPartitions lists the partitions of a topic.
func allPartitions(ctx context.Context, k kafkaio.Config, topic string) ([]int32, error) {
	count, err := countPartitions(ctx, k.Dialer(), k.Brokers, topic)
	if err != nil {
		return nil, err
	}
	partitions := make([]int32, count)
	for i := range partitions {
		partitions[i] = int32(i)
	}
	return partitions, nil
}

// errEnough ends a scan early, without an error.
var errEnough = errors.New("enough")

// scanSpans calls each for the records of spans, by partition.
func scanSpans(ctx context.Context, c *cluster, spans map[int32]span, each func(Record) error) error {
	for _, p := range slices.Sorted(maps.Keys(spans)) {
		err := readSpan(ctx, c, p, spans[p], each)
		switch {
		case errors.Is(err, errEnough):
			return nil
		case err != nil:
			return fmt.Errorf("reading %s/%d: %w", c.topic, p, err)
		}
	}
	return nil
}

// readSpan calls each for the records of a span of one partition.
func readSpan(ctx context.Context, c *cluster, partition int32, s span, each func(Record) error) error {
	cfg := DefaultRuntime()
	f := newFetcher(c, partition, s.first, cfg, slog.New(slog.DiscardHandler), &counters{})
	for f.next < s.end {
		records, err := f.poll(ctx)
		if err != nil {
			return err
		}
		for _, r := range records {
			if r.Offset >= s.end {
				return nil
			}
			if err := each(r); err != nil {
				return err
			}
		}
	}
	return nil
}
