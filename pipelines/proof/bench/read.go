package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
	"golang.org/x/sync/errgroup"

	"github.com/freshet/freshet/producers/kafkaio"
)

const (
	// rawFetchBytes and rawFetchWait are of the floors' fetches.
	rawFetchBytes = 1 << 20
	rawFetchWait  = 250 * time.Millisecond
)

// fetch reads what a partition has from an offset on, or waits a moment for it, and passes each record to handle. It returns
// the next offset. This is the floor of all consumers: kafka-go's plain request, without group, queue or commit.
func fetch(
	ctx context.Context, client *kafka.Client, topic string, partition int32, offset int64, handle func(*kafka.Record) error,
) (int64, error) {
	resp, err := client.Fetch(ctx, &kafka.FetchRequest{
		Topic: topic, Partition: int(partition), Offset: offset, MinBytes: 1, MaxBytes: rawFetchBytes, MaxWait: rawFetchWait,
	})
	if err == nil {
		err = resp.Error
	}
	if err != nil {
		return offset, fmt.Errorf("fetching from %s/%d: %w", topic, partition, err)
	}
	for {
		r, err := resp.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return offset, nil
		}
		if err != nil {
			return offset, fmt.Errorf("reading a record of %s/%d: %w", topic, partition, err)
		}
		if r.Offset < offset { // a batch may begin before what was asked for
			continue
		}
		if err := handle(r); err != nil {
			return offset, err
		}
		offset = r.Offset + 1
	}
}

// readBytes takes a record's bytes out, which a consumer of any use must do.
func readBytes(b kafka.Bytes) ([]byte, error) {
	if b == nil {
		return nil, nil
	}
	defer func() { _ = b.Close() }()
	return kafka.ReadAll(b)
}

// consumeNothing reads all records of a part of a topic, partitions side by side, does nothing with them, and returns how
// long it took.
func (l *lab) consumeNothing(ctx context.Context, topic string, part *published) (time.Duration, error) {
	client := l.base.Kafka.Client() // one with connections of its own, as a consumer has
	defer kafkaio.CloseIdle(client)
	begin := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	for partition, end := range part.ends() {
		group.Go(func() error {
			next := part.first[partition]
			for next < end {
				var err error
				next, err = fetch(ctx, client, topic, partition, next, func(r *kafka.Record) error {
					_, keyErr := readBytes(r.Key)
					_, valueErr := readBytes(r.Value)
					return errors.Join(keyErr, valueErr)
				})
				if err != nil {
					return err
				}
			}
			return nil
		})
	}
	err := group.Wait()
	return time.Since(begin), err
}
