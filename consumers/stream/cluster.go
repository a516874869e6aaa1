package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/producers/kafkaio"
)

// cluster asks the brokers for one topic's records and offsets, over connections of its own.
type cluster struct {
	client *kafka.Client
	reader *kafkaio.Fetcher
	topic  string

	mu        sync.Mutex
	refreshed time.Time // when the client last forgot its view of the brokers
}

func newCluster(k kafkaio.Config, topic string) *cluster {
	client := k.Client()
	return &cluster{client: client, reader: k.NewFetcher(client), topic: topic}
}

func (c *cluster) close() {
	c.reader.Close()
	kafkaio.CloseIdle(c.client)
}

// refresh makes the client learn anew who leads what. An error of a request that was sent before the last refresh says
// nothing about the view that the refresh brought, so the partitions of a broker that died cause one refresh, not one each.
func (c *cluster) refresh(asked time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.refreshed.After(asked) {
		kafkaio.CloseIdle(c.client)
		c.refreshed = time.Now()
	}
}

// span is the offsets of a partition: the oldest record, one past the newest that readers get, and one past the newest of
// the log. Between the two lie open transactions.
type span struct{ first, end, log int64 }

// spans returns the span of each partition.
func (c *cluster) spans(ctx context.Context, partitions ...int32) (map[int32]span, error) {
	asked := time.Now()
	ranges, err := kafkaio.Ranges(ctx, c.client, c.topic, partitions...)
	if err != nil {
		c.refresh(asked)
		return nil, err
	}
	spans := make(map[int32]span, len(ranges))
	for p, r := range ranges {
		spans[p] = span{first: r.Begin, end: r.Stable, log: r.End}
	}
	return spans, nil
}

// countPartitions asks the brokers, not a cached view, how many partitions a topic has; 0 when there is no such topic.
func countPartitions(ctx context.Context, dialer *kafka.Dialer, brokers []string, topic string) (int, error) {
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
