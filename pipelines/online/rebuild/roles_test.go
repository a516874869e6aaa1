package rebuild_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/pipelines/offline/dataset/fromtopics"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/online/rebuild"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
)

func (w *world) fill() {
	w.t.Helper()
	for i := range shop {
		w.item(i, 1)
	}
	w.drain()
}

func (w *world) profile(user string) *profiles.Profile {
	w.t.Helper()
	connected, err := online.Connect(w.t.Context(), w.s, []online.Role{online.Interactions}, quiet()) // knows the tower
	require.NoError(w.t, err)
	defer func() { require.NoError(w.t, connected.Close()) }()
	loaded, err := connected.Profiles.Load(w.t.Context(), []string{user}, modelID)
	require.NoError(w.t, err)
	return loaded[0]
}

// exported are the ids of the events that an export, and so a training, has.
func (w *world) exported() (ids []string) {
	w.t.Helper()
	raw := schemas.NewKeys(schemas.KeyConfig{Format: schemas.KeyRaw}, "keys", schemas.DefaultLimits(), nil)
	reading, err := fromtopics.Open(w.t.Context(), fromtopics.Config{
		Kafka: w.s.Kafka, Reading: w.s.Consumers.Interactions.Reading, Registry: schemas.EmbeddedRegistry(),
		Interactions: w.s.Topics.Interactions.Name, Items: w.s.Topics.Items.Name, InteractionKeys: raw, ItemKeys: raw,
		Limits: schemas.DefaultLimits(), Log: quiet(),
	})
	require.NoError(w.t, err)
	require.NoError(w.t, reading.EachInteraction(w.t.Context(), func(e *schemas.Interaction, _ int64) error {
		ids = append(ids, e.EventID)
		return nil
	}))
	return ids
}

// at is the partition of a topic that a key belongs to.
func (w *world) at(topic topics.Topic, key string, value []byte) *kgo.Record {
	return &kgo.Record{Topic: topic.Name, Partition: kafkaio.JavaPartition([]byte(key), topic.Partitions), Key: []byte(key), Value: value}
}

// TestAbortedTransactionsHaveNoEffect on any role, nor on what is made from the topics afterwards: events, an erasure, a takedown
// and a request that were never committed. What commits counts as soon as it is.
func TestAbortedTransactionsHaveNoEffect(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.fill()
	events, err := schemas.NewSerde[schemas.Interaction](t.Context(), schemas.EmbeddedRegistry(), w.s.Topics.Interactions.Name)
	require.NoError(t, err)
	requests, err := schemas.NewSerde[schemas.RecommendationRequest](t.Context(), schemas.EmbeddedRegistry(), w.s.Topics.Requests.Name)
	require.NoError(t, err)
	event := func(id, user string) *kgo.Record {
		return w.at(w.s.Topics.Interactions, user, events.Append(nil, &schemas.Interaction{
			EventID: id, UserID: user, ItemID: "item3", Type: schemas.Click, OccurredAt: time.Now(),
		}))
	}
	request := func(id string) *kgo.Record {
		r := w.at(w.s.Topics.Requests, id, requests.Append(nil, &schemas.RecommendationRequest{
			RequestID: id, UserID: "txA", Count: 5, Deadline: time.Now().Add(patience),
		}))
		r.Headers = []kgo.RecordHeader{
			{Key: kafkaio.HeaderReplyTopic, Value: []byte(w.s.Topics.Replies.Name)}, {Key: kafkaio.HeaderCorrelationID, Value: []byte(id)},
		}
		return r
	}

	committed, aborted := w.stack.Kafka.Transactions(), w.stack.Kafka.Transactions()
	committed.Write(event("1", "txA"), event("2", "txA"), event("3", "txA"), event("4", "txD"), request("committed"))
	aborted.Write(event("5", "txA"), event("6", "txB"), w.at(w.s.Topics.Interactions, "txD", nil),
		w.at(w.s.Topics.Items, "item3", nil), request("aborted"))
	aborted.End(kgo.TryAbort)
	committed.End(kgo.TryCommit)
	aborted.Write(event("7", "txB"))
	aborted.End(kgo.TryAbort)
	w.drain()

	check := func(when string) {
		t.Helper()
		require.EqualValues(t, 3, w.profile("txA").Counters.Of(schemas.Click), when)
		require.EqualValues(t, 1, w.profile("txD").Counters.Of(schemas.Click), when)
		require.Nil(t, w.profile("txB"), when)
		item, err := w.stores.Items.Load(t.Context(), []string{"item3"})
		require.NoError(t, err)
		require.False(t, item[0].Deleted, when)
	}
	check("live")
	require.ElementsMatch(t, []string{"1", "2", "3", "4"}, w.exported())
	for range 2 {
		_, err = rebuild.Candidates(t.Context(), w.s, func(rebuild.Progress) {}, quiet())
		require.NoError(t, err)
		_, err = rebuild.Profiles(t.Context(), w.s, func(rebuild.Progress) {}, quiet())
		require.NoError(t, err)
		check("rebuilt")
	}
	require.Equal(t, []string{"committed"}, w.replies(1))
}

// replies waits for so many, and returns the correlation ids of all that are there.
func (w *world) replies(n int) (ids []string) {
	w.t.Helper()
	require.Eventually(w.t, func() bool {
		ids = nil
		lag, err := topics.Lag(w.t.Context(), w.s.Kafka, online.Recommendations.Group(w.s.Consumers.Group), w.s.Topics.Requests.Name)
		require.NoError(w.t, replay.Scan(w.t.Context(), w.s.Kafka, w.s.Topics.Replies.Name, func(r stream.Record) error {
			id, _ := r.Header(kafkaio.HeaderCorrelationID)
			ids = append(ids, string(id))
			return nil
		}))
		return err == nil && lag == 0 && len(ids) >= n
	}, patience, 10*time.Millisecond)
	return ids
}

// TestSixRatingsOfOneAreNoneOfFive: the two users have other embeddings, and what the first turned down is on no page of theirs,
// while the second one's may show it again.
func TestSixRatingsOfOneAreNoneOfFive(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.fill()
	rated := map[string]bool{}
	for i := range 6 {
		rated[fmt.Sprint("item", i)] = true
		for user, value := range map[string]float64{"low": 1, "high": 5} {
			w.published++
			_, err := w.publisher.PublishInteraction(t.Context(), &schemas.Interaction{
				EventID: fmt.Sprint(user, i), UserID: user, ItemID: fmt.Sprint("item", i), Type: schemas.Rating, Value: &value,
				OccurredAt: time.Now(),
			})
			require.NoError(t, err)
		}
	}
	w.drain()
	require.NotEqual(t, w.profile("high").Embedding, w.profile("low").Embedding)
	pages := map[string]int{}
	for _, user := range []string{"low", "high"} {
		reply := w.page(user, shop)
		require.Equal(t, schemas.StatusOK, reply.Status, reply.Error)
		for _, item := range reply.Items {
			if rated[item.ItemID] {
				pages[user]++
			}
		}
	}
	require.Equal(t, map[string]int{"high": 6}, pages, "of a page of the whole shop, with what was seen")
	w.check()
}
