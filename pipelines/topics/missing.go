package topics

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Missing lists those of names that are no topics, or that the user may not see: the brokers tell both alike. It asks for nothing
// that needs a right beyond that to describe topics.
func Missing(ctx context.Context, k kafkaio.Config, names ...string) ([]string, error) {
	client := k.Client()
	defer kafkaio.CloseIdle(client)
	resp, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: slices.Clone(names)})
	if err != nil {
		return nil, fmt.Errorf("asking the brokers at %s for topics: %w", client.Addr, err)
	}
	var missing []string
	for _, t := range resp.Topics {
		switch {
		case errors.Is(t.Error, kafka.UnknownTopicOrPartition), errors.Is(t.Error, kafka.TopicAuthorizationFailed):
			missing = append(missing, t.Name)
		case t.Error != nil && !errors.Is(t.Error, kafka.LeaderNotAvailable):
			return nil, fmt.Errorf("asking for topic %s: %w", t.Name, t.Error)
		}
	}
	return missing, nil
}
