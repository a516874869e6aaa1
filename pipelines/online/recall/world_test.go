package recall

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a broker with the topics, and all that was published.
type world struct {
	t      testing.TB
	kafka  *servertest.Kafka
	parts  Parts
	config Config
	serdes serdes
	base   time.Time
	// published are the records of each partition, by topic, as they lie there.
	published [3]map[int32][]published
}

// published is a record with what it says; none of it for a record that is poison.
type published struct {
	stream.Record
	event  *schemas.Interaction
	reply  *schemas.RecommendationReply
	change *schemas.ItemChange
}

const catalogueSize = 24

func itemID(i int) string { return fmt.Sprint("item", i) }

// itemChange is an item in one of eight kinds, which its vector depends on.
func itemChange(i, kind int, version int64, at time.Time) *schemas.ItemChange {
	return &schemas.ItemChange{
		ItemID: itemID(i), Op: schemas.UpsertItem, Version: version, OccurredAt: at, Title: fmt.Sprint("title ", i),
		Categories: []string{fmt.Sprint("kind ", kind)}, Available: true,
	}
}

func newWorld(t testing.TB, seed uint64) *world {
	t.Helper()
	w := &world{t: t, kafka: servertest.StartKafka(t), base: time.Now().Add(-time.Hour).Truncate(time.Minute).UTC()}
	for i := range w.published {
		w.published[i] = map[int32][]published{}
	}
	var features []towers.ItemFeatures
	for i := range catalogueSize {
		for kind := range 8 {
			features = append(features, towers.FeaturesOf(itemChange(i, kind, 1, w.base)))
		}
	}
	k := kafkaio.DefaultConfig()
	k.Brokers = []string{w.kafka.Addr()}
	names := topics.DefaultConfig()
	for _, topic := range []*topics.Topic{&names.Interactions, &names.Items, &names.Requests, &names.Replies, &names.Recall} {
		topic.Name = w.kafka.Name(topic.Name)
		topic.Partitions = min(topic.Partitions, 3)
	}
	_, err := topics.Ensure(t.Context(), k, names)
	require.NoError(t, err)
	reading := partition.DefaultReading()
	reading.Fetch.MaxWait = 50 * time.Millisecond
	w.parts = Parts{
		Kafka: k, Reading: reading, Topics: names, Registry: schemas.EmbeddedRegistry(), Limits: schemas.DefaultLimits(),
		Profiles: shortHistories(), Log: quiet(),
	}
	shape := towertest.Shape{Version: "m1", Dim: 8, Seed: seed, Unknown: map[string]bool{itemID(3): true}}
	bundle := towertest.Bundle(shape, unique(features))
	w.parts.ItemTower, w.parts.UserTower = towers.NewItemTower("m1", bundle.Items), towers.NewUserTower("m1", bundle.Users...)
	w.parts.Writer = kafkaio.NewWriter(k, kafkaio.DefaultWriterConfig(), quiet())
	t.Cleanup(func() { require.NoError(t, w.parts.Writer.Close(context.WithoutCancel(t.Context()))) })
	w.config = DefaultConfig()
	w.config.Period, w.config.Delay, w.config.At, w.config.SampleShare = 5*time.Second, 0, []int{1, 3, 10}, 1
	e := w.evaluator(w.base)
	w.serdes = e.observer.serdes
	return w
}

// unique leaves each item once, in all of its kinds.
func unique(features []towers.ItemFeatures) (items []towers.ItemFeatures) {
	for _, f := range features {
		if n := len(items); n > 0 && items[n-1].ItemID == f.ItemID {
			items[n-1].Categories = append(slices.Clip(items[n-1].Categories), f.Categories...)
			continue
		}
		items = append(items, f)
	}
	return items
}

// quiet logs nothing, or with FRESHET_TEST_LOG everything.
func quiet() *slog.Logger {
	if os.Getenv("FRESHET_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// evaluator is one that takes now for the present, and reports from the world's beginning on.
func (w *world) evaluator(now time.Time) *Evaluator {
	w.t.Helper()
	config := w.config
	if config.Backlog == DefaultConfig().Backlog {
		config.Backlog = now.Sub(w.base)
	}
	e, err := New(w.t.Context(), w.parts, config)
	require.NoError(w.t, err)
	e.clock = func() time.Time { return now }
	w.t.Cleanup(e.Close)
	return e
}

// evaluate reports all windows that are over at a moment, by an evaluator that begins anew.
func (w *world) evaluate(now time.Time) []schemas.Recall {
	w.t.Helper()
	require.NoError(w.t, w.evaluator(now).advance(w.t.Context()))
	return w.rows()
}

func (w *world) rows() []schemas.Recall {
	w.t.Helper()
	rows, err := Rows(w.t.Context(), w.parts.Kafka, w.parts.Topics.Recall.Name, w.serdes.rows, w.parts.Limits)
	require.NoError(w.t, err)
	return rows
}

// send publishes a record and notes it.
func (w *world) send(topic int, key string, value []byte, at time.Time, p published) {
	w.t.Helper()
	names := w.parts.Topics
	name := [3]string{interactionsTopic: names.Interactions.Name, repliesTopic: names.Replies.Name, itemsTopic: names.Items.Name}[topic]
	position, err := w.parts.Writer.Write(w.t.Context(), kafkaio.Message{
		Topic: name, Partition: kafkaio.AnyPartition, Key: []byte(key), Value: value, Time: at,
	})
	require.NoError(w.t, err)
	p.Record = stream.Record{Partition: position.Partition, Offset: position.Offset, Key: []byte(key), Value: value, Time: at}
	w.published[topic][position.Partition] = append(w.published[topic][position.Partition], p)
}

func (w *world) event(e schemas.Interaction, at time.Time) {
	w.t.Helper()
	w.send(interactionsTopic, e.UserID, w.serdes.interactions.Append(nil, &e), at, published{event: &e})
}

func (w *world) reply(user, request string, at time.Time, items ...int) {
	w.t.Helper()
	r := schemas.RecommendationReply{RequestID: request, UserID: user, Status: schemas.StatusOK}
	for _, i := range items {
		r.Items = append(r.Items, schemas.RecommendedItem{ItemID: itemID(i), Source: "retrieval"})
	}
	w.send(repliesTopic, user, w.serdes.replies.Append(nil, &r), at, published{reply: &r})
}

func (w *world) change(c *schemas.ItemChange, at time.Time) {
	w.t.Helper()
	w.send(itemsTopic, c.ItemID, w.serdes.items.Append(nil, c), at, published{change: c})
}

// like is an event of the simplest kind.
func (w *world) like(user string, item int, at time.Time) {
	w.t.Helper()
	w.event(schemas.Interaction{
		EventID: fmt.Sprint(user, "/", item, "/", at.UnixMilli()), UserID: user, ItemID: itemID(item), Type: schemas.Like, OccurredAt: at,
	}, at)
}

// fill publishes the catalogue, one change a millisecond.
func (w *world) fill(at time.Time) {
	w.t.Helper()
	for i := range catalogueSize {
		w.change(itemChange(i, i%8, 1, at), at.Add(time.Duration(i)*time.Millisecond))
	}
}

func shortHistories() profiles.Config {
	c := profiles.DefaultConfig()
	c.HistoryLength = 6
	return c
}
