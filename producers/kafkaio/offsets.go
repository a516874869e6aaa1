package kafkaio

import (
	"context"
	"fmt"

	"github.com/segmentio/kafka-go"
)

// Range is what a partition holds: the offsets from Begin up to, but not including, End. Stable is where the first open
// transaction begins, End where there is none: a Fetcher does not get beyond it.
type Range struct{ Begin, End, Stable int64 }

// Ranges asks for the ranges of a topic's partitions.
func Ranges(ctx context.Context, client *kafka.Client, topic string, partitions ...int32) (map[int32]Range, error) {
	if len(partitions) == 0 {
		return nil, nil
	}
	ranges := make(map[int32]Range, len(partitions))
	// Stable is asked for before End, so that it is at most that.
	if err := listOffsets(ctx, client, topic, kafka.ReadCommitted, partitions, func(p kafka.PartitionOffsets) {
		ranges[int32(p.Partition)] = Range{Begin: p.FirstOffset, Stable: p.LastOffset}
	}); err != nil {
		return nil, err
	}
	if err := listOffsets(ctx, client, topic, kafka.ReadUncommitted, partitions, func(p kafka.PartitionOffsets) {
		r := ranges[int32(p.Partition)]
		r.End = p.LastOffset
		ranges[int32(p.Partition)] = r
	}); err != nil {
		return nil, err
	}
	return ranges, nil
}

// listOffsets calls each for every partition.
func listOffsets(
	ctx context.Context, client *kafka.Client, topic string, isolation kafka.IsolationLevel, partitions []int32,
	each func(kafka.PartitionOffsets),
) error {
	var requests []kafka.OffsetRequest
	for _, p := range partitions {
		requests = append(requests, kafka.LastOffsetOf(int(p)))
		if isolation == kafka.ReadCommitted { // one of the two is enough
			requests = append(requests, kafka.FirstOffsetOf(int(p)))
		}
	}
	resp, err := client.ListOffsets(ctx, &kafka.ListOffsetsRequest{
		Topics: map[string][]kafka.OffsetRequest{topic: requests}, IsolationLevel: isolation,
	})
	if err != nil {
		return fmt.Errorf("asking for the offsets of %s: %w", topic, err)
	}
	answered := map[int]bool{}
	for _, p := range resp.Topics[topic] {
		if p.Error != nil {
			return fmt.Errorf("asking for the offsets of %s/%d: %w", topic, p.Partition, p.Error)
		}
		answered[p.Partition] = true
		each(p)
	}
	for _, p := range partitions {
		if !answered[int(p)] {
			return fmt.Errorf("asking for the offsets of %s/%d: the brokers did not answer for it", topic, p)
		}
	}
	return nil
}
