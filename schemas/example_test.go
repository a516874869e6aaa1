package schemas_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/freshet/freshet/schemas"
)

// A Serde writes and reads the values of one topic. Without a registry, schemas have the ids of the contract.
func ExampleSerde() {
	ctx := context.Background()
	registry, err := schemas.NewRegistry(schemas.RegistryConfig{}, slog.New(slog.DiscardHandler))
	if err != nil {
		fmt.Println(err)
		return
	}
	serde, err := schemas.NewSerde[schemas.Interaction](ctx, registry, "freshet.interactions")
	if err != nil {
		fmt.Println(err)
		return
	}
	value := serde.Append(nil, &schemas.Interaction{
		EventID: "e-1", UserID: "u-42", ItemID: "i-7", Type: schemas.Like, OccurredAt: time.UnixMilli(1769860800000),
	})
	fmt.Printf("frame %x\n", value[:5])

	event, err := serde.Decode(ctx, value, nil)
	fmt.Println(event.UserID, event.Type, event.ItemID, err)

	_, err = serde.Decode(ctx, value[:8], nil)
	fmt.Println("malformed:", schemas.IsMalformed(err))

	// Output:
	// frame 0046520001
	// u-42 like i-7 <nil>
	// malformed: true
}

// Bytes that are a record may still make no sense.
func ExampleLimits_Interaction() {
	now := time.UnixMilli(1769860800000).UTC()
	err := schemas.DefaultLimits().Interaction(&schemas.Interaction{
		EventID: "e-1", UserID: "u-42", ItemID: "i-7", Type: schemas.Like, OccurredAt: now.Add(time.Hour),
	}, now)
	if invalid, is := errors.AsType[*schemas.InvalidError](err); is {
		fmt.Println(invalid.Field)
		fmt.Println(invalid.Remedy)
	}

	// Output:
	// occurred_at
	// give a time at most 5m0s ahead of now (2026-01-31T12:00:00.000Z), in milliseconds since 1970
}
