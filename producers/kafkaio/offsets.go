package kafkaio

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"
)

// Range is what a partition holds: the offsets from Begin up to, but not including, End.
type Range struct{ Begin, End int64 }

// Ranges asks for the ranges of a topic's partitions.
func Ranges(ctx context.Context, client *kafka.Client, topic string, partitions ...int32) (map[int32]Range, error) {
	var requests []kafka.OffsetRequest
	for _, p := range partitions {
		requests = append(requests, kafka.FirstOffsetOf(int(p)), kafka.LastOffsetOf(int(p)))
	}
	resp, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{topic: requests}})
	if err != nil {
		return nil, fmt.Errorf("asking for the offsets of %s: %w", topic, err)
	}
	ranges := make(map[int32]Range, len(partitions))
	for _, p := range resp.Topics[topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("asking for the offsets of %s/%d: %w", topic, p.Partition, p.Error)
		}
		ranges[int32(p.Partition)] = Range{Begin: p.FirstOffset, End: p.LastOffset}
	}
	return ranges, nil
}
