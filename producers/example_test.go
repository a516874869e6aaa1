package producers_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas"
)

func Example() {
	ctx := context.Background()
	cluster, stop, err := exampleCluster(ctx) // an embedded Kafka; yours has an address of its own
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	cfg := producers.DefaultConfig()
	cfg.Kafka.Brokers = cluster.cfg.Kafka.Brokers

	publisher, err := producers.NewEventPublisher(ctx, cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = publisher.Close(ctx) }() // writes what is queued

	position, err := publisher.PublishInteraction(ctx, &schemas.Interaction{
		EventID:    "e-1",
		UserID:     "u-42",
		ItemID:     "i-7",
		Type:       schemas.Click,
		OccurredAt: time.Now(),
		Surface:    "home",
	})
	fmt.Println("written at offset", position.Offset, "error:", err)

	_, err = publisher.PublishInteraction(ctx, &schemas.Interaction{
		EventID: "e-2", UserID: "u-42", Type: schemas.Click, OccurredAt: time.Now(),
	})
	var invalid *schemas.InvalidError
	fmt.Println("refused:", errors.As(err, &invalid), invalid.Field)

	// Output:
	// written at offset 0 error: <nil>
	// refused: true item_id
}

// Events that nobody waits for one by one go faster: they share requests.
func ExampleEventPublisher_PublishInteractionAsync() {
	ctx := context.Background()
	cluster, stop, err := exampleCluster(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	publisher, err := producers.NewEventPublisher(ctx, cluster.cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	failures := make(chan error, 100)
	for i := range 100 {
		err := publisher.PublishInteractionAsync(ctx, &schemas.Interaction{
			EventID: fmt.Sprint("e-", i), UserID: "u-42", ItemID: "i-7", Type: schemas.View, OccurredAt: time.Now(),
		}, func(_ schemas.Position, err error) {
			if err != nil {
				failures <- err
			}
		})
		if err != nil {
			fmt.Println("not taken:", err)
		}
	}
	err = publisher.Close(ctx) // returns when each event has its answer
	fmt.Println("closed:", err, "failures:", len(failures))

	// Output: closed: <nil> failures: 0
}

func ExampleRecommendationClient_Recommend() {
	ctx := context.Background()
	cluster, stop, err := exampleCluster(ctx)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer stop()
	service, err := startService(ctx, cluster, func(s *service, m kafka.Message) { s.answer(m, echo) })
	if err != nil {
		fmt.Println(err)
		return
	}
	defer service.close()

	client, err := producers.NewRecommendationClient(ctx, cluster.cfg)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = client.Close(ctx) }()

	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	reply, err := client.Recommend(ctx, &schemas.RecommendationRequest{UserID: "u-42", Count: 10, Surface: "home"})
	var refused *producers.ReplyError
	switch {
	case errors.As(err, &refused):
		fmt.Println("no answer:", refused.Status, refused.Message)
	case err != nil:
		fmt.Println(err)
	case slices.Contains(reply.Degraded, schemas.DegradedUserProfile):
		fmt.Println("the page may hold what the user has seen")
	default:
		fmt.Println(reply.Status, reply.Items[0].ItemID)
	}

	// Output: ok for-u-42
}
