package rebuild_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/pipelines/offline/dataset/fromtopics"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/online/rebuild"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers/towertest"
)

// late is a system whose items topic is compacted as soon as the broker can, with items whose older versions come late.
type late struct {
	*world
	servers *servertest.Stack
	// live is what the catalogue holds of each item before the loss: its version, and "gone" or its title.
	live map[string]string
	ids  []string
}

func newLate(t *testing.T) *late {
	t.Helper()
	l := &late{world: &world{t: t, s: settings.Default()}, servers: servertest.StartStack(t)}
	s := &l.s
	s.Kafka.Brokers, s.Redis.Addresses, s.Milvus.Address = []string{l.servers.Kafka.Addr()}, l.servers.Redis.Addresses, l.servers.Milvus.Addr()
	s.Milvus.Collection, s.Milvus.Alias, s.Milvus.DialTimeout = l.servers.Milvus.Collection, l.servers.Milvus.Alias, servertest.MilvusDialTimeout
	s.Profiles.KeyPrefix, s.Items.KeyPrefix = l.servers.Redis.Prefix, l.servers.Redis.Prefix
	s.Consumers.Group = l.servers.Kafka.Name("group")
	for _, topic := range []*topics.Topic{&s.Topics.Interactions, &s.Topics.Items, &s.Topics.Requests, &s.Topics.Replies, &s.Topics.Recall} {
		topic.Name, topic.Partitions = l.servers.Kafka.Name(topic.Name), 2
	}
	s.Consumers.Replies.ReplyTopicPrefixes = []string{s.Topics.Replies.Name}
	s.Bundle = towertest.Write(t, towertest.Shape{Version: modelID, Dim: 16, Reads: towertest.Everything}, nil)
	l.createItems(s.Topics.Items.Name)
	_, err := topics.Ensure(t.Context(), s.Kafka, s.Topics)
	require.NoError(t, err)
	l.publisher, err = producers.NewEventPublisher(t.Context(), s.Producer(quiet()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, l.publisher.Close(context.WithoutCancel(t.Context()))) })
	return l
}

func (l *late) createItems(name string) {
	l.t.Helper()
	require.NoError(l.t, l.servers.Kafka.CreateTopic(name, 2, map[string]string{
		"cleanup.policy": "compact", "segment.ms": "1000", "min.cleanable.dirty.ratio": "0.01", "delete.retention.ms": "100",
		"max.compaction.lag.ms": "1000",
	}))
}

func (l *late) change(id string, op schemas.ItemOp, version int64, title string) {
	l.t.Helper()
	if !slices.Contains(l.ids, id) {
		l.ids = append(l.ids, id)
	}
	_, err := l.publisher.PublishItem(l.t.Context(), &schemas.ItemChange{
		ItemID: id, Op: op, Version: version, OccurredAt: time.Now(), Title: title, Categories: []string{"Tea"}, Available: true,
	})
	require.NoError(l.t, err)
}

func (l *late) remove(id string) {
	l.t.Helper()
	_, err := l.publisher.RemoveItem(l.t.Context(), id)
	require.NoError(l.t, err)
}

// publish plays in the case, and cases beside it.
func (l *late) publish() {
	l.change("late", schemas.UpsertItem, 5, "version five")
	l.change("late", schemas.UpsertItem, 3, "version three, came late")
	l.change("gone", schemas.UpsertItem, 5, "was here")
	l.remove("gone")
	l.change("gone", schemas.UpsertItem, 2, "a straggler of version 2")
	l.change("down", schemas.UpsertItem, 5, "taken down")
	l.change("down", schemas.DeleteItem, 6, "")
	l.change("down", schemas.UpsertItem, 4, "a straggler of version 4")
	l.change("up", schemas.UpsertItem, 5, "still there")
	l.change("up", schemas.DeleteItem, 4, "")
	l.change("twice", schemas.UpsertItem, 1, "first content")
	l.change("twice", schemas.UpsertItem, 1, "second content")
	l.change("back", schemas.UpsertItem, 5, "was here")
	l.remove("back")
	l.change("back", schemas.UpsertItem, 4, "a straggler")
	l.change("back", schemas.UpsertItem, 6, "listed again")
	l.change("plain", schemas.UpsertItem, 1, "first")
	l.change("plain", schemas.UpsertItem, 2, "second")
}

// holds is what the catalogue under a key prefix holds.
func (l *late) holds(s settings.Settings) map[string]string {
	l.t.Helper()
	c, err := online.Inspect(l.t.Context(), s, quiet())
	require.NoError(l.t, err)
	defer func() { require.NoError(l.t, c.Close()) }()
	loaded, err := c.Items.Load(l.t.Context(), l.ids)
	require.NoError(l.t, err)
	all := map[string]string{}
	for i, it := range loaded {
		switch {
		case it == nil:
			all[l.ids[i]] = "unknown"
		case it.Deleted:
			all[l.ids[i]] = fmt.Sprint(it.Version, " gone")
		default:
			all[l.ids[i]] = fmt.Sprint(it.Version, " ", it.Title)
		}
	}
	return all
}

// exported is what training and export make of a topic: the live items.
func (l *late) exported(topic string) map[string]string {
	l.t.Helper()
	reader, err := fromtopics.Open(l.t.Context(), fromtopics.Config{
		Kafka: l.s.Kafka, Reading: l.s.Consumers.Catalogue.Reading, Registry: schemas.EmbeddedRegistry(), Interactions: l.s.Topics.Interactions.Name,
		Items: topic, ItemKeys: l.s.Topics.ItemKeys(l.s.Limits, nil), InteractionKeys: l.s.Topics.InteractionKeys(l.s.Limits, nil),
		Limits: l.s.Limits, Log: quiet(),
	})
	require.NoError(l.t, err)
	all := map[string]string{}
	require.NoError(l.t, reader.EachItem(l.t.Context(), func(i *schemas.ItemChange) error {
		if slices.Contains(l.ids, i.ItemID) {
			all[i.ItemID] = fmt.Sprint(i.Version, " ", i.Title)
		}
		return nil
	}))
	return all
}

// keys counts the records of each key in a topic.
func (l *late) keys(topic string) map[string]int {
	l.t.Helper()
	all := map[string]int{}
	require.NoError(l.t, replay.Scan(l.t.Context(), l.s.Kafka, topic, func(r stream.Record) error {
		all[string(r.Key)]++
		return nil
	}))
	return all
}

// elsewhere is the settings of a system with a Redis and a Milvus that hold nothing, and a group that has read nothing.
func (l *late) elsewhere(name string) settings.Settings {
	s := l.s
	s.Profiles.KeyPrefix, s.Items.KeyPrefix = s.Profiles.KeyPrefix+name, s.Items.KeyPrefix+name
	s.Milvus.Collection, s.Milvus.Alias = s.Milvus.Collection+name, s.Milvus.Alias+name
	s.Consumers.Group += name
	return s
}

// requireRestored compares what is made of a topic with what was live.
func (l *late) requireRestored(name, topic string) {
	l.t.Helper()
	lost := l.elsewhere(name + "rebuilt")
	lost.Topics.Items.Name = topic
	result, err := rebuild.Candidates(l.t.Context(), lost, stages(map[rebuild.Stage]rebuild.Progress{}), quiet())
	require.NoError(l.t, err)
	require.Zero(l.t, result.Settled)
	require.Equal(l.t, l.live, l.holds(lost), "after a rebuild")
	shown := maps.Clone(l.live)
	maps.DeleteFunc(shown, func(_, holds string) bool { return strings.HasSuffix(holds, " gone") })
	require.Equal(l.t, shown, l.exported(topic), "exported and trained on")
}

// TestCompactionKeepsWhatWasLive: what was live, and what was taken down, is the same after compaction and a loss of Redis, for a
// rebuild, a new group, export and training.
func TestCompactionKeepsWhatWasLive(t *testing.T) {
	l := newLate(t)
	l.startWith(l.s, online.Catalogue)
	topic := l.s.Topics.Items.Name
	l.publish()
	l.drainItems(l.s)
	l.live = l.holds(l.s)
	require.Equal(t, map[string]string{
		"late": "5 version five", "gone": "5 gone", "down": "6 gone", "up": "5 still there", "twice": "1 first content",
		"back": "6 listed again", "plain": "2 second",
	}, l.live)
	l.requireRestored("whole", topic)

	byHand := l.servers.Kafka.Name("by-hand")
	l.compactByHand(topic, byHand)
	l.requireRestored("hand", byHand)

	l.compact(topic)
	l.requireRestored("compacted", topic)
	group := l.elsewhere("anew")
	l.startWith(group, online.Catalogue)
	l.drainItems(group)
	require.Equal(t, l.live, l.holds(group), "a new group")
	l.drainItems(l.s)
	require.Equal(t, l.live, l.holds(l.s), "the first one")
}

func (l *late) drainItems(s settings.Settings) {
	l.t.Helper()
	require.Eventually(l.t, func() bool {
		lag, err := topics.Lag(l.t.Context(), s.Kafka, online.Catalogue.Group(s.Consumers.Group), s.Topics.Items.Name)
		return err == nil && lag == 0
	}, patience, 5*time.Millisecond)
}

// compact has the broker compact the topic: the embedded one when it is told to, a real one once its segments are old.
func (l *late) compact(topic string) {
	l.t.Helper()
	fillers, compacted := 0, func() bool {
		for _, id := range l.ids {
			if n := l.keys(topic)[id]; n > 1 {
				return false
			}
		}
		return true
	}
	require.Eventually(l.t, func() bool {
		if compacted() {
			return true
		}
		for range 8 { // what closes the segments, on both partitions
			fillers++
			_, err := l.publisher.PublishItem(l.t.Context(), &schemas.ItemChange{
				ItemID: fmt.Sprint("filler", fillers), Op: schemas.UpsertItem, Version: 1, OccurredAt: time.Now(), Title: "filler",
			})
			if err != nil {
				l.t.Error(err)
			}
		}
		if !l.servers.Kafka.Real() {
			l.servers.Kafka.Compact()
		}
		return compacted()
	}, 3*time.Minute, time.Second)
}

// compactByHand writes what compaction would leave: of each key the last record, and no tombstones.
func (l *late) compactByHand(from, to string) {
	l.t.Helper()
	l.createItems(to)
	require.NoError(l.t, l.servers.Kafka.CreateTopic(stream.DeadLetterTopic(to), 1, nil))
	last := map[string]stream.Record{}
	require.NoError(l.t, replay.Scan(l.t.Context(), l.s.Kafka, from, func(r stream.Record) error {
		last[string(r.Key)] = r
		return nil
	}))
	writer := kafkaio.NewWriter(l.s.Kafka, l.s.Writer, quiet())
	defer func() { require.NoError(l.t, writer.Close(context.WithoutCancel(l.t.Context()))) }()
	for _, r := range last {
		if r.Value == nil {
			continue
		}
		_, err := writer.Write(l.t.Context(), kafkaio.Message{Topic: to, Partition: r.Partition, Key: r.Key, Value: r.Value, Headers: r.Headers})
		require.NoError(l.t, err)
	}
}

// TestARebuildSettlesALogFromBefore: refused changes that nobody answered, as an earlier release left them, are answered by a rebuild.
func TestARebuildSettlesALogFromBefore(t *testing.T) {
	l := newLate(t)
	l.publish()
	lost := l.elsewhere("rebuilt")
	result, err := rebuild.Candidates(t.Context(), lost, stages(map[rebuild.Stage]rebuild.Progress{}), quiet())
	require.NoError(t, err)
	require.Equal(t, 5, result.Settled, "late, gone, down, up and twice")
	l.live = l.holds(lost)
	byHand := l.servers.Kafka.Name("by-hand")
	l.compactByHand(l.s.Topics.Items.Name, byHand)
	l.requireRestored("hand", byHand)
}
