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
	topic  string

	mu        sync.Mutex
	refreshed time.Time // when the client last forgot its view of the brokers
}

func newCluster(k kafkaio.Config, topic string) *cluster {
	return &cluster{client: k.Client(), topic: topic}
}

func (c *cluster) close() { kafkaio.CloseIdle(c.client) }

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

// span is the offsets of a partition: the oldest record, and one past the newest.
type span struct{ first, end int64 }

// spans returns the span of each partition.
func (c *cluster) spans(ctx context.Context, partitions ...int32) (map[int32]span, error) {
	if len(partitions) == 0 {
		return nil, nil
	}
	var asks []kafka.OffsetRequest
	for _, p := range partitions {
		asks = append(asks, kafka.FirstOffsetOf(int(p)), kafka.LastOffsetOf(int(p)))
	}
	asked := time.Now()
	resp, err := c.client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{c.topic: asks}})
	if err != nil {
		c.refresh(asked)
		return nil, fmt.Errorf("asking for the offsets of %s: %w", c.topic, err)
	}
	spans := make(map[int32]span, len(partitions))
	for _, p := range resp.Topics[c.topic] {
		if p.Error != nil {
			c.refresh(asked)
			return nil, fmt.Errorf("asking for the offsets of %s/%d: %w", c.topic, p.Partition, p.Error)
		}
		spans[int32(p.Partition)] = span{first: p.FirstOffset, end: p.LastOffset}
	}
	for _, p := range partitions {
		if _, ok := spans[p]; !ok {
			return nil, fmt.Errorf("asking for the offsets of %s/%d: the brokers did not answer for it", c.topic, p)
		}
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
