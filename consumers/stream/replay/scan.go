package replay

import (
	"context"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/producers/kafkaio"
)

// Scan calls each for every record that a topic holds as of now, partition by partition, oldest first. An error of each ends it.
func Scan(ctx context.Context, k kafkaio.Config, topic string, each func(partition.Record) error) error {
	t, spans, err := partition.Open(ctx, k, topic)
	if err != nil {
		return err
	}
	defer t.Close()
	return t.Scan(ctx, spans, each)
}
