package erasure

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	user     = "ann"
	patience = time.Minute
)

// world is a topic of two partitions, and the role, played by hand.
type world struct {
	*testing.T
	kafka  *servertest.Kafka
	s      settings.Settings
	stores *online.Connections
	topic  string
}

func newWorld(t *testing.T) *world {
	stack := servertest.StartStack(t)
	s := settings.Default()
	s.Kafka.Brokers = []string{stack.Kafka.Addr()}
	s.Redis.Addresses = stack.Redis.Addresses
	s.Profiles.KeyPrefix, s.Items.KeyPrefix = stack.Redis.Prefix, stack.Redis.Prefix
	for _, topic := range []*topics.Topic{&s.Topics.Interactions, &s.Topics.Items, &s.Topics.Requests, &s.Topics.Replies, &s.Topics.Recall} {
		topic.Name, topic.Partitions = stack.Kafka.Name(topic.Name), 2
	}
	s.Consumers.Group = stack.Kafka.Name("erasure")
	require.NoError(t, s.Validate())
	_, err := topics.Ensure(t.Context(), s.Kafka, s.Topics)
	require.NoError(t, err)
	stores, err := online.OpenItems(t.Context(), s, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, stores.Close()) })
	return &world{t, stack.Kafka, s, stores, s.Topics.Interactions.Name}
}

// publish writes a record of the user, and returns its place.
func (w *world) publish(partition int32, key string) kafkaio.Position {
	writer := kafkaio.NewWriter(w.s.Kafka, w.s.Writer, slog.New(slog.DiscardHandler))
	at, err := writer.Write(w.Context(), kafkaio.Message{Topic: w.topic, Partition: partition, Key: []byte(key), Value: []byte("of ann")})
	require.NoError(w, err)
	require.NoError(w, writer.Close(w.Context()))
	return at
}

// apply has the role apply a record, a tombstone or a view, and commit it.
func (w *world) apply(at kafkaio.Position, erase bool) {
	report, err := w.stores.Profiles.Apply(w.Context(), []profiles.Event{{
		Interaction: schemas.Interaction{
			EventID: fmt.Sprint(at), UserID: user, ItemID: "boots", Type: schemas.View, OccurredAt: time.Now(),
		},
		Erase: erase, Partition: at.Partition, Offset: at.Offset, Time: time.Now(),
	}})
	require.NoError(w, err)
	require.Empty(w, report.Failed)
	client := w.s.Kafka.Client()
	defer kafkaio.CloseIdle(client)
	_, err = client.OffsetCommit(w.Context(), &kafka.OffsetCommitRequest{
		GroupID: online.Interactions.Group(w.s.Consumers.Group), GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{w.topic: {{Partition: int(at.Partition), Offset: at.Offset + 1}}},
	})
	require.NoError(w, err)
}

// awaitEnd waits until a partition has so many records.
func (w *world) awaitEnd(partition int32, end int64) {
	require.Eventually(w, func() bool { return w.kafka.End(w.topic, partition) >= end }, patience, time.Millisecond)
}

func rowsOf(r Report) map[string]Row {
	rows := map[string]Row{}
	for _, row := range r.Rows {
		rows[row.Where] = row
	}
	return rows
}

// TestEventsThatTheTombstoneOvertakesAreErasedToo: under another key they lie on another partition, whose reader is slower.
//
//	partition of key ann:   event, tombstone 1 ......... applied ............................ tombstone 2, applied: confirmed
//	the other partition:    event ................................. applied: ann is back
func TestEventsThatTheTombstoneOvertakesAreErasedToo(t *testing.T) {
	w := newWorld(t)
	own := w.publish(kafkaio.AnyPartition, user)
	other := w.publish(1-own.Partition, "another key")
	w.apply(own, false)
	type outcome struct {
		report Report
		err    error
	}
	erased := make(chan outcome, 1)
	go func() {
		report, err := Erase(t.Context(), w.s, user, patience, slog.New(slog.DiscardHandler))
		erased <- outcome{report, err}
	}()
	tombstone := func(offset int64) kafkaio.Position { return kafkaio.Position{Partition: own.Partition, Offset: offset} }
	w.awaitEnd(own.Partition, 2)
	w.apply(tombstone(1), true)
	w.apply(other, false)
	w.awaitEnd(own.Partition, 3)
	w.apply(tombstone(2), true)
	o := <-erased
	require.NoError(t, o.err)
	require.Equal(t, 2, o.report.Tombstones)
	require.True(t, o.report.Confirmed, "%+v", o.report.Rows)
	require.Equal(t, Gone, rowsOf(o.report)["profile in Redis"].State)
	loaded, err := w.stores.Profiles.Load(t.Context(), []string{user}, "")
	require.NoError(t, err)
	require.Empty(t, loaded[0].History)
}

// TestNothingIsPublishedWhileRedisIsAway: the command could not tell what became of it.
func TestNothingIsPublishedWhileRedisIsAway(t *testing.T) {
	w := newWorld(t)
	w.s.Redis.Addresses = []string{"127.0.0.1:1"}
	report, err := Erase(t.Context(), w.s, user, patience, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "connecting to Redis at 127.0.0.1:1")
	require.Zero(t, report.Tombstones)
	require.Zero(t, w.kafka.End(w.topic, 0)+w.kafka.End(w.topic, 1))
}

// TestAnErasureThatNobodyAppliesIsNotConfirmed, and says what to look at.
func TestAnErasureThatNobodyAppliesIsNotConfirmed(t *testing.T) {
	w := newWorld(t)
	own := w.publish(kafkaio.AnyPartition, user)
	w.apply(own, false)
	report, err := Erase(t.Context(), w.s, user, 10*time.Millisecond, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.False(t, report.Confirmed)
	row := rowsOf(report)["role interactions"]
	require.Equal(t, Unknown, row.State)
	require.True(t, strings.HasPrefix(row.Found, "the tombstone at "), row.Found)
	require.Contains(t, row.Remedy, "freshet topics describe")
	require.Equal(t, Left, rowsOf(report)["profile in Redis"].State)
}
