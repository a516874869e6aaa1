package fromtopics_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/dataset/fromtopics"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is the two topics of a test.
type world struct {
	t         *testing.T
	broker    *servertest.Kafka
	cfg       fromtopics.Config
	publisher *producers.EventPublisher
}

var raw = schemas.KeyConfig{Format: schemas.KeyRaw}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, broker: servertest.StartKafka(t)}
	config := producers.DefaultConfig()
	config.Kafka.Brokers = []string{w.broker.Addr()}
	config.Topics.Interactions, config.Topics.Items = w.broker.Name("interactions"), w.broker.Name("items")
	for _, topic := range []string{config.Topics.Interactions, config.Topics.Items} {
		require.NoError(t, w.broker.CreateTopic(topic, 3, nil))
	}
	w.cfg = fromtopics.Config{
		Kafka: config.Kafka, Reading: partition.DefaultReading(), Registry: schemas.EmbeddedRegistry(),
		Interactions: config.Topics.Interactions, Items: config.Topics.Items, Limits: schemas.DefaultLimits(),
		InteractionKeys: schemas.NewKeys(raw, "topics.interactions", schemas.DefaultLimits(), nil),
		ItemKeys:        schemas.NewKeys(raw, "topics.items", schemas.DefaultLimits(), nil),
		Log:             slog.New(slog.DiscardHandler),
	}
	var err error
	w.publisher, err = producers.NewEventPublisher(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.publisher.Close(context.WithoutCancel(t.Context()))) })
	return w
}

// day is a moment of the test's past.
func day(n int) time.Time { return time.Date(2026, 1, n, 0, 0, 0, 0, time.UTC) }

func (w *world) event(id, user, item string, kind schemas.InteractionType, at time.Time) {
	w.t.Helper()
	_, err := w.publisher.PublishInteraction(w.t.Context(), &schemas.Interaction{
		EventID: id, UserID: user, ItemID: item, Type: kind, OccurredAt: at, Surface: "home",
	})
	require.NoError(w.t, err)
}

func (w *world) erase(user string) {
	w.t.Helper()
	_, err := w.publisher.EraseUser(w.t.Context(), user)
	require.NoError(w.t, err)
}

func (w *world) item(id string, op schemas.ItemOp, version int64, title string) {
	w.t.Helper()
	_, err := w.publisher.PublishItem(w.t.Context(), &schemas.ItemChange{
		ItemID: id, Op: op, Version: version, OccurredAt: day(1), Title: title, Available: true,
	})
	require.NoError(w.t, err)
}

// raw writes bytes that no producer of ours would, to a topic of events.
func (w *world) raw(topic string, key, value []byte) {
	w.t.Helper()
	client := w.cfg.Kafka.Client()
	defer kafkaio.CloseIdle(client)
	r, err := client.Produce(w.t.Context(), &kafka.ProduceRequest{
		Topic: topic, RequiredAcks: kafka.RequireAll,
		Records: kafka.NewRecordReader(kafka.Record{Key: bytesOf(key), Value: bytesOf(value)}),
	})
	require.NoError(w.t, err)
	require.NoError(w.t, r.Error)
}

func bytesOf(b []byte) kafka.Bytes {
	if b == nil {
		return nil
	}
	return kafka.NewBytes(b)
}

// read takes a data set from the topics.
func (w *world) read(change func(*fromtopics.Config)) (*dataset.Dataset, *fromtopics.Topics, *dataset.Once) {
	w.t.Helper()
	cfg := w.cfg
	if change != nil {
		change(&cfg)
	}
	topics, err := fromtopics.Open(w.t.Context(), cfg)
	require.NoError(w.t, err)
	once := &dataset.Once{Records: topics}
	d, err := dataset.FromRecords(w.t.Context(), "topics", once)
	require.NoError(w.t, err)
	return d, topics, once
}

// told lists the events of a data set.
func told(d *dataset.Dataset) (events []string) {
	for i := range d.Events {
		e := d.Interaction(i)
		events = append(events, fmt.Sprintf("%s %v %s %d", e.UserID, e.Type, e.ItemID, e.OccurredAt.Day()))
	}
	return events
}

func TestTopics(t *testing.T) {
	w := newWorld(t)
	w.item("lamp", schemas.UpsertItem, 2, "A Lamp")
	w.item("lamp", schemas.UpsertItem, 1, "An older lamp") // overtaken
	w.item("lamp", schemas.UpsertItem, 2, "A replay")
	w.item("chair", schemas.UpsertItem, 1, "A Chair")
	w.item("chair", schemas.DeleteItem, 2, "")
	w.item("table", schemas.UpsertItem, 1, "A Table")
	_, err := w.publisher.RemoveItem(t.Context(), "table")
	require.NoError(t, err)
	w.item("shelf", schemas.UpsertItem, 1, "A Shelf")
	w.raw(w.cfg.Items, []byte("x"), []byte("no item"))

	w.event("1", "ann", "lamp", schemas.View, day(3))
	w.event("2", "ann", "chair", schemas.Purchase, day(2)) // late
	w.event("1", "ann", "lamp", schemas.View, day(3))      // redelivered
	w.event("3", "bob", "lamp", schemas.Click, day(4))
	w.event("4", "bob", "lamp", schemas.Impression, day(5))
	w.erase("bob")
	w.event("5", "cy", "lamp", schemas.Click, day(4))
	w.erase("cy")
	w.event("5", "cy", "shelf", schemas.Like, day(6)) // anew, under the id of what was erased
	w.erase("stranger")
	w.event("6", "dee", "attic", schemas.Dislike, day(7)) // of no catalogue
	for _, value := range [][]byte{{}, []byte("{}"), {0, 1, 2, 3, 4, 5}, {0, 0x46, 0x52, 0, 1, 0xff, 0xff}} {
		w.raw(w.cfg.Interactions, []byte("ann"), value)
	}
	w.raw(w.cfg.Interactions, nil, nil) // a tombstone of nobody
	serde, err := schemas.NewSerde[schemas.Interaction](t.Context(), schemas.EmbeddedRegistry(), w.cfg.Interactions)
	require.NoError(t, err)
	w.raw(w.cfg.Interactions, []byte("ann"), serde.Append(nil, &schemas.Interaction{EventID: "7", UserID: "ann", Type: schemas.View}))

	d, topics, once := w.read(nil)
	require.Equal(t, []string{"ann purchase chair 2", "ann view lamp 3", "cy like shelf 6", "dee dislike attic 7"}, told(d))
	var items []string
	for _, item := range d.Items {
		items = append(items, item.ItemID+" "+item.Title)
	}
	require.Equal(t, []string{"lamp A Lamp", "shelf A Shelf", "chair ", "attic "}, items)
	require.Equal(t, fromtopics.Counts{Records: 9, Malformed: 1, Kept: 2, Tombstones: 1, Deleted: 2}, topics.Catalogue)
	require.Equal(t, fromtopics.Counts{
		Records: 17, Malformed: 4, Invalid: 2, Kept: 5, Erased: 3, Tombstones: 3,
	}, topics.Events)
	require.EqualValues(t, 1, once.Repeated)

	again, _, _ := w.read(nil)
	require.Equal(t, told(d), told(again), "the same topics give the same data set")
	require.Equal(t, d.Users, again.Users)

	t.Run("between two times", func(t *testing.T) {
		var seen []string
		d, topics, _ := w.read(func(c *fromtopics.Config) {
			c.Since, c.Until = day(3), day(5)
			c.Progress = func(what string, done, total int64) { seen = append(seen, fmt.Sprint(what, done == total)) }
		})
		require.Equal(t, []string{"ann view lamp 3"}, told(d), "bob's and cy's are erased, though later than asked for")
		require.EqualValues(t, 3, topics.Events.Outside)
		require.Equal(t, []string{"itemstrue", "erasurestrue", "interactionstrue"}, seen)
	})
	t.Run("impossible times", func(t *testing.T) {
		cfg := w.cfg
		cfg.Since, cfg.Until = day(5), day(5)
		_, err := fromtopics.Open(t.Context(), cfg)
		require.ErrorContains(t, err, "since 2026-01-05T00:00:00Z is not before until")
	})
	t.Run("no topic", func(t *testing.T) {
		cfg := w.cfg
		cfg.Items = w.broker.Name("nowhere")
		topics, err := fromtopics.Open(t.Context(), cfg)
		require.NoError(t, err)
		err = topics.EachItem(t.Context(), func(*schemas.ItemChange) error { return nil })
		require.ErrorContains(t, err, "does not exist: run `freshet topics create`")
	})
	t.Run("an error of the reader ends it", func(t *testing.T) {
		topics, err := fromtopics.Open(t.Context(), w.cfg)
		require.NoError(t, err)
		require.ErrorIs(t, topics.EachInteraction(t.Context(), func(*schemas.Interaction, int64) error { return context.Canceled }), context.Canceled)
	})
}

// TestOrderOfTheTopic: what a user did at one moment has the order in which it was published, whatever else there is.
func TestOrderOfTheTopic(t *testing.T) {
	w := newWorld(t)
	var want []string
	for i := range 12 {
		for _, user := range []string{"ann", "bob", "cy"} {
			item := fmt.Sprint("item-", i*7%12)
			w.event(fmt.Sprint(i), user, item, schemas.View, day(3))
			want = append(want, fmt.Sprintf("%s view %s 3", user, item))
		}
	}
	d, _, _ := w.read(nil)
	byUser := map[string][]string{}
	for _, event := range want {
		byUser[event[:3]] = append(byUser[event[:3]], event)
	}
	got := map[string][]string{}
	for i, event := range told(d) {
		got[event[:3]] = append(got[event[:3]], event)
		require.False(t, d.Events[i].Tied)
	}
	require.Equal(t, byUser, got)
	d.DrawTies(2)
	again, _, _ := w.read(nil)
	require.Equal(t, told(again), told(d), "there is nothing to draw")
}
