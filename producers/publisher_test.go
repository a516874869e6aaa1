package producers_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

func (c *cluster) publisher(t testing.TB) *producers.EventPublisher {
	t.Helper()
	p, err := producers.NewEventPublisher(t.Context(), c.cfg)
	require.NoError(t, err)
	return p
}

// record returns what lies at a position.
func (c *cluster) record(t testing.TB, topic string, at schemas.Position) kafka.Message {
	t.Helper()
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{c.Addr()}, Topic: topic, Partition: int(at.Partition), MaxWait: 50 * time.Millisecond,
	})
	defer func() { require.NoError(t, r.Close()) }()
	require.NoError(t, r.SetOffset(at.Offset))
	m, err := r.ReadMessage(t.Context())
	require.NoError(t, err)
	return m
}

func click(user, event string) *schemas.Interaction {
	return &schemas.Interaction{
		EventID: event, UserID: user, ItemID: "i-7", Type: schemas.Click, OccurredAt: time.Now().Truncate(time.Millisecond),
	}
}

func hat(id string) *schemas.ItemChange {
	return &schemas.ItemChange{
		ItemID: id, Op: schemas.UpsertItem, Version: 3, OccurredAt: time.Now().Truncate(time.Millisecond), Title: "Hat",
		Available: true,
	}
}

func TestPublishAndReadBack(t *testing.T) {
	c := start(t)
	p := c.publisher(t)
	event := click("u-1", "e-1")
	at, err := p.PublishInteraction(t.Context(), event)
	require.NoError(t, err)
	require.Equal(t, kafkaio.JavaPartition([]byte("u-1"), partitions), at.Partition)
	m := c.record(t, c.cfg.Topics.Interactions, at)
	require.Equal(t, "u-1", string(m.Key))
	interactions, err := schemas.NewSerde[schemas.Interaction](t.Context(), schemas.EmbeddedRegistry(), c.cfg.Topics.Interactions)
	require.NoError(t, err)
	got, err := interactions.Decode(t.Context(), m.Value, nil)
	require.NoError(t, err)
	require.True(t, got.OccurredAt.Equal(event.OccurredAt))
	got.OccurredAt = event.OccurredAt
	require.Equal(t, *event, got)

	at, err = p.PublishItem(t.Context(), hat("i-9"))
	require.NoError(t, err)
	m = c.record(t, c.cfg.Topics.Items, at)
	require.Equal(t, "i-9", string(m.Key))
	items, err := schemas.NewSerde[schemas.ItemChange](t.Context(), schemas.EmbeddedRegistry(), c.cfg.Topics.Items)
	require.NoError(t, err)
	change, err := items.Decode(t.Context(), m.Value, nil)
	require.NoError(t, err)
	require.Equal(t, "Hat", change.Title)

	at, err = p.EraseUser(t.Context(), "u-1")
	require.NoError(t, err)
	require.EqualValues(t, 1, at.Offset, "the tombstone follows the user's events")
	m = c.record(t, c.cfg.Topics.Interactions, at)
	require.Equal(t, "u-1", string(m.Key))
	require.Nil(t, m.Value)

	at, err = p.RemoveItem(t.Context(), "i-9")
	require.NoError(t, err)
	m = c.record(t, c.cfg.Topics.Items, at)
	require.Equal(t, "i-9", string(m.Key))
	require.Nil(t, m.Value)
	require.NoError(t, p.Close(t.Context()))
}

func TestInvalidRecordsDoNotReachKafka(t *testing.T) {
	c := start(t)
	p := c.publisher(t)
	never := func(schemas.Position, error) { t.Error("done of a record that was refused") }
	noUser, noItem := click("", "e-1"), hat("")
	future := click("u-1", "e-1")
	future.OccurredAt = time.Now().Add(time.Hour)
	for name, err := range map[string]error{
		"user_id":           func() error { _, err := p.PublishInteraction(t.Context(), noUser); return err }(),
		"occurred_at":       p.PublishInteractionAsync(t.Context(), future, never),
		"item_id":           p.PublishItemAsync(t.Context(), noItem, never),
		`user_id ""`:        func() error { _, err := p.EraseUser(t.Context(), ""); return err }(),
		"(999 bytes)":       func() error { _, err := p.RemoveItem(t.Context(), string(make([]byte, 999))); return err }(),
		`user_id "a\nb"`:    func() error { _, err := p.EraseUser(t.Context(), "a\nb"); return err }(),
		"looks like a JSON": func() error { _, err := p.EraseUser(t.Context(), `"u-1"`); return err }(),
	} {
		require.True(t, schemas.IsInvalid(err), "%s: %v", name, err)
		require.ErrorContains(t, err, name)
	}
	require.NoError(t, p.Close(t.Context()))
	for partition := range int32(partitions) {
		require.Zero(t, c.End(c.cfg.Topics.Interactions, partition))
		require.Zero(t, c.End(c.cfg.Topics.Items, partition))
	}
}

func TestAsyncIsFlushedByCloseWhateverTheBrokerDoes(t *testing.T) {
	const events = 2000
	c := start(t)
	p := c.publisher(t)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: 5})
	var written, failed atomic.Int64
	for i := range events {
		done := func(_ schemas.Position, err error) {
			if err != nil {
				failed.Add(1)
				return
			}
			written.Add(1)
		}
		if i%2 == 0 {
			require.NoError(t, p.PublishInteractionAsync(t.Context(), click(fmt.Sprint("u-", i%50), fmt.Sprint(i)), done))
		} else {
			require.NoError(t, p.PublishItemAsync(t.Context(), hat(fmt.Sprint("i-", i%50)), done))
		}
	}
	require.NoError(t, p.Close(t.Context()))
	require.EqualValues(t, events, written.Load())
	require.Zero(t, failed.Load())
	_, err := p.PublishInteraction(t.Context(), click("u-1", "late"))
	require.ErrorIs(t, err, kafkaio.ErrClosed)
}

func TestConfigValidate(t *testing.T) {
	require.NoError(t, producers.DefaultConfig().Validate())
	for want, change := range map[string]func(*producers.Config){
		"kafka: brokers is empty":          func(c *producers.Config) { c.Kafka.Brokers = nil },
		"writer: max_batch_bytes":          func(c *producers.Config) { c.Writer.MaxBatchBytes = 0 },
		"topics: requests is empty":        func(c *producers.Config) { c.Topics.Requests = "" },
		"replies: partition is -2":         func(c *producers.Config) { c.Replies.Partition = -2 },
		"replies: timeout is 0s":           func(c *producers.Config) { c.Replies.Timeout = 0 },
		`replies: partition is 2 and inst`: func(c *producers.Config) { c.Replies.Partition, c.Replies.Instance = 2, "a" },
		"limits: ":                         func(c *producers.Config) { c.Limits.MaxCount = 0 },
		"registry: ":                       func(c *producers.Config) { c.Registry.URL = "nonsense" },
	} {
		cfg := producers.DefaultConfig()
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), want)
		_, err := producers.NewEventPublisher(t.Context(), cfg)
		require.ErrorContains(t, err, want)
		_, err = producers.NewRecommendationClient(t.Context(), cfg)
		require.ErrorContains(t, err, want)
	}
}

// TestKeysAreWrittenInTheTopicsFormat: events, items, erasures and removals alike, partitioned by the bytes.
func TestKeysAreWrittenInTheTopicsFormat(t *testing.T) {
	c := start(t)
	c.cfg.Topics.InteractionKeys = schemas.KeyConfig{Format: schemas.KeyJSON, Field: "user_id"}
	c.cfg.Topics.ItemKeys = schemas.KeyConfig{Format: schemas.KeyAvro}
	p := c.publisher(t)
	for _, publish := range []func() (schemas.Position, error){
		func() (schemas.Position, error) { return p.PublishInteraction(t.Context(), click("u-1", "e-1")) },
		func() (schemas.Position, error) { return p.EraseUser(t.Context(), "u-1") },
	} {
		at, err := publish()
		require.NoError(t, err)
		require.Equal(t, kafkaio.JavaPartition([]byte(`{"user_id":"u-1"}`), partitions), at.Partition)
		require.Equal(t, []byte("{\"user_id\":\"u-1\"}"), c.record(t, c.cfg.Topics.Interactions, at).Key) //nolint:testifylint // bytes count
	}
	for _, publish := range []func() (schemas.Position, error){
		func() (schemas.Position, error) { return p.PublishItem(t.Context(), hat("i-9")) },
		func() (schemas.Position, error) { return p.RemoveItem(t.Context(), "i-9") },
	} {
		at, err := publish()
		require.NoError(t, err)
		require.Equal(t, "\x06i-9", string(c.record(t, c.cfg.Topics.Items, at).Key))
	}
	require.NoError(t, p.Close(t.Context()))

	c.cfg.Topics.ItemKeys.Format = schemas.KeyConfluent
	_, err := producers.NewEventPublisher(t.Context(), c.cfg)
	require.ErrorContains(t, err, "preparing the keys of "+c.cfg.Topics.Items+" (topics.items.key_format: confluent)")
	c.cfg.Topics.ItemKeys.Format = "xml"
	require.ErrorContains(t, c.cfg.Validate(), `topics: item_keys.key_format is "xml"`)
}
