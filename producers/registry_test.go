package producers_test

import (
	"context"
	"encoding/binary"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas"
)

// With a registry, records carry the ids that it gave to the subjects of their topics.
func TestRecordsCarryTheRegistrysIDs(t *testing.T) {
	c := start(t)
	c.cfg.Registry = schemas.RegistryConfig{URL: servertest.Registry(t)}
	publisher, err := producers.NewEventPublisher(t.Context(), c.cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, publisher.Close(context.WithoutCancel(t.Context()))) })
	event := schemas.Interaction{EventID: "e", UserID: "ann", ItemID: "i", Type: schemas.Like, OccurredAt: time.Now()}
	at, err := publisher.PublishInteraction(t.Context(), &event)
	require.NoError(t, err)
	change := schemas.ItemChange{ItemID: "i", Op: schemas.UpsertItem, Version: 1, OccurredAt: time.Now(), Available: true}
	changeAt, err := publisher.PublishItem(t.Context(), &change)
	require.NoError(t, err)

	registry := servertest.RegistryClient(t, c.cfg.Registry.URL)
	for topic, position := range map[string]schemas.Position{c.cfg.Topics.Interactions: at, c.cfg.Topics.Items: changeAt} {
		subject, err := registry.SchemaByVersion(t.Context(), topic+"-value", -1)
		require.NoError(t, err)
		value := c.record(t, topic, position).Value
		require.Zero(t, value[0])
		require.EqualValues(t, subject.ID, binary.BigEndian.Uint32(value[1:]))
	}
	// Another program asks the registry for the schema and reads the record.
	client, err := schemas.NewRegistry(c.cfg.Registry, nil)
	require.NoError(t, err)
	serde, err := schemas.NewSerde[schemas.Interaction](t.Context(), client, c.Name("elsewhere"))
	require.NoError(t, err)
	back, err := serde.Decode(t.Context(), c.record(t, c.cfg.Topics.Interactions, at).Value, nil)
	require.NoError(t, err)
	require.Equal(t, "ann", back.UserID)
}
