package topics

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Lag is how many records of a topic a consumer group has yet to commit, over all partitions. Where the group has committed
// nothing, all records of the partition count.
func Lag(ctx context.Context, k kafkaio.Config, group, topic string) (int64, error) {
	return behind(ctx, k, group, topic, func(p Partition) int64 { return p.End })
}

// Behind is how many records before ends a consumer group has yet to commit. Where it has committed nothing, all records count that
// are still there.
func Behind(ctx context.Context, k kafkaio.Config, group, topic string, ends map[int32]int64) (int64, error) {
	return behind(ctx, k, group, topic, func(p Partition) int64 { return ends[p.ID] })
}

func behind(ctx context.Context, k kafkaio.Config, group, topic string, end func(Partition) int64) (n int64, err error) {
	client := k.Client()
	defer kafkaio.CloseIdle(client)
	partitions, err := partitionsOf(ctx, client, topic)
	if err != nil {
		return 0, err
	}
	committed, err := committedOffsets(ctx, client, group, topic, partitions)
	if err != nil {
		return 0, err
	}
	for _, p := range partitions {
		n += max(0, end(p)-max(p.Begin, committed[p.ID]))
	}
	return n, nil
}

// Ends returns the offset at which the next record of each partition of a topic will lie.
func Ends(ctx context.Context, k kafkaio.Config, topic string) (map[int32]int64, error) {
	client := k.Client()
	defer kafkaio.CloseIdle(client)
	partitions, err := partitionsOf(ctx, client, topic)
	if err != nil {
		return nil, err
	}
	ends := make(map[int32]int64, len(partitions))
	for _, p := range partitions {
		ends[p.ID] = p.End
	}
	return ends, nil
}

// partitionsOf returns the partitions of a topic with their offsets.
func partitionsOf(ctx context.Context, client *kafka.Client, topic string) ([]Partition, error) {
	described, err := look(ctx, client, []string{topic})
	if err != nil {
		return nil, err
	}
	if err := addOffsets(ctx, client, &described[0]); err != nil {
		return nil, err
	}
	return described[0].Partitions, nil
}

// committedOffsets returns -1 for a partition of which the group has committed nothing.
func committedOffsets(
	ctx context.Context, client *kafka.Client, group, topic string, partitions []Partition,
) (map[int32]int64, error) {
	ids := make([]int, len(partitions))
	for i, p := range partitions {
		ids[i] = int(p.ID)
	}
	resp, err := client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: ids}})
	if err == nil {
		err = resp.Error
	}
	if errors.Is(err, kafka.GroupIdNotFound) {
		return nil, nil // a group that never was has committed nothing
	}
	if err != nil {
		return nil, fmt.Errorf("asking for the offsets of group %s: %w", group, err)
	}
	committed := make(map[int32]int64, len(partitions))
	var errs []error
	for _, p := range resp.Topics[topic] {
		if p.Error != nil {
			errs = append(errs, fmt.Errorf("asking for the offset of group %s on %s/%d: %w", group, topic, p.Partition, p.Error))
		}
		committed[int32(p.Partition)] = p.CommittedOffset
	}
	return committed, errors.Join(errs...)
}

// EverCommitted tells whether a consumer group has committed an offset of any partition of a topic. A group that has not will
// read the topic from its first records on.
func EverCommitted(ctx context.Context, k kafkaio.Config, group, topic string) (bool, error) {
	client := k.Client()
	defer kafkaio.CloseIdle(client)
	described, err := look(ctx, client, []string{topic})
	if err != nil {
		return false, err
	}
	committed, err := committedOffsets(ctx, client, group, topic, described[0].Partitions)
	if err != nil {
		return false, err
	}
	for _, offset := range committed {
		if offset >= 0 {
			return true, nil
		}
	}
	return false, nil
}
