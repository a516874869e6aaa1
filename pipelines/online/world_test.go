package online

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 30 * time.Second
	poll     = 5 * time.Millisecond
	modelID  = "m1"
	// known items are in the catalogue; users also act on some that are not.
	knownItems   = 24
	unknownItems = 4
)

// world is the servers, a model and the settings of all members, and a writer of the test's own.
type world struct {
	t        testing.TB
	stack    *servertest.Stack
	settings settings.Settings
	writer   *kafkaio.Writer
	events   *schemas.Serde[schemas.Interaction]
	items    *schemas.Serde[schemas.ItemChange]
	requests *schemas.Serde[schemas.RecommendationRequest]
	replies  *schemas.Serde[schemas.RecommendationReply]
}

func newWorld(t testing.TB, changes ...func(*settings.Settings)) *world {
	t.Helper()
	w := &world{t: t, stack: servertest.StartStack(t)}
	w.settings = testSettings(w.stack)
	w.settings.Consumers.Group = w.stack.Kafka.Name(strings.ReplaceAll(t.Name(), "/", "-")) // to be told apart in logs
	w.settings.Bundle = towertest.Write(t, towertest.Shape{Version: modelID, Dim: 16, Reads: towertest.Everything}, nil)
	for _, change := range changes {
		change(&w.settings)
	}
	require.NoError(t, w.settings.Validate())
	_, err := topics.Ensure(t.Context(), w.settings.Kafka, w.settings.Topics)
	require.NoError(t, err)

	w.writer = kafkaio.NewWriter(w.settings.Kafka, w.settings.Writer, quiet())
	t.Cleanup(func() { require.NoError(t, w.writer.Close(context.WithoutCancel(t.Context()))) })
	registry := schemas.EmbeddedRegistry()
	w.events, err = schemas.NewSerde[schemas.Interaction](t.Context(), registry, w.settings.Topics.Interactions.Name)
	require.NoError(t, err)
	w.items, err = schemas.NewSerde[schemas.ItemChange](t.Context(), registry, w.settings.Topics.Items.Name)
	require.NoError(t, err)
	w.requests, err = schemas.NewSerde[schemas.RecommendationRequest](t.Context(), registry, w.settings.Topics.Requests.Name)
	require.NoError(t, err)
	w.replies, err = schemas.NewSerde[schemas.RecommendationReply](t.Context(), registry, w.settings.Topics.Replies.Name)
	require.NoError(t, err)
	return w
}

// quiet logs nothing, or with FRESHET_TEST_LOG everything.
func quiet() *slog.Logger {
	if os.Getenv("FRESHET_TEST_LOG") != "" {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// testSettings notice rebalances and added partitions within a test's patience. The session timeout is the usual one; tests
// that kill members shorten it.
func testSettings(stack *servertest.Stack) settings.Settings {
	s := settings.Default()
	s.Kafka.Brokers = []string{stack.Kafka.Addr()}
	s.Kafka.MetadataTTL = time.Second // also kafka-go's timeout for asking
	s.Redis.Addresses = stack.Redis.Addresses
	s.Profiles.KeyPrefix, s.Items.KeyPrefix = stack.Redis.Prefix, stack.Redis.Prefix
	s.Milvus.Address, s.Milvus.Collection, s.Milvus.Alias = stack.Milvus.Addr(), stack.Milvus.Collection, stack.Milvus.Alias
	s.Milvus.DialTimeout = servertest.MilvusDialTimeout
	for _, t := range []*topics.Topic{&s.Topics.Interactions, &s.Topics.Items, &s.Topics.Requests, &s.Topics.Replies, &s.Topics.Recall} {
		t.Name, t.Partitions = stack.Kafka.Name(t.Name), 4
	}
	s.Consumers.Replies.ReplyTopicPrefixes = []string{s.Topics.Replies.Name}
	for _, r := range runtimes(&s) {
		r.Backoff = partition.Backoff{Initial: time.Millisecond, Max: 50 * time.Millisecond}
		r.CommitInterval = 5 * time.Millisecond
		r.Fetch.MaxWait = 100 * time.Millisecond
		r.Group.HeartbeatInterval = 20 * time.Millisecond
		r.Group.JoinBackoff = 20 * time.Millisecond
		r.Group.PartitionCheckInterval = 30 * time.Millisecond
	}
	// What is slow because the machine is busy must not look like a server that is away.
	s.Redis.ReadTimeout, s.Redis.WriteTimeout, s.Milvus.CallTimeout, s.Recommender.StageTimeout = patience, patience, patience, patience
	return s
}

func runtimes(s *settings.Settings) []*stream.Runtime {
	return []*stream.Runtime{&s.Consumers.Interactions.Runtime, &s.Consumers.Catalogue.Runtime, &s.Consumers.Requests.Runtime}
}

// shortSessions has a dead member missed soon. Requests have a short timeout too: when members die while the group rebalances,
// the embedded Kafka now and then leaves the join of another one unanswered until it tries again.
func shortSessions(s *settings.Settings) {
	s.Kafka.RequestTimeout = 2 * time.Second
	for _, r := range runtimes(s) {
		r.Group.SessionTimeout, r.DrainTimeout = servertest.SessionTimeout(700*time.Millisecond), 400*time.Millisecond
		r.Group.RebalanceTimeout = time.Second
	}
}

// member is a System in its Run.
type member struct {
	*System
	t      testing.TB
	cancel context.CancelFunc
	ended  chan struct{}
	err    error
	once   sync.Once
}

// join opens and runs a member; when the test ends it is stopped.
func (w *world) join(roles ...Role) *member {
	w.t.Helper()
	y, err := Open(w.t.Context(), w.settings, roles, quiet())
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	m := &member{System: y, t: w.t, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(m.ended)
		m.err = y.Run(ctx)
	}()
	w.t.Cleanup(m.end)
	return m
}

// end waits for Run and closes the member, once.
func (m *member) end() {
	m.once.Do(func() {
		m.cancel()
		<-m.ended
		require.NoError(m.t, m.Close())
	})
}

// leave stops the member as SIGTERM does.
func (m *member) leave() {
	m.t.Helper()
	m.end()
	require.NoError(m.t, m.err)
}

// kill stops the member as if its process had died.
func (m *member) kill() {
	m.t.Helper()
	m.Abort()
	m.end()
	require.ErrorIs(m.t, m.err, stream.ErrAborted)
}

func (m *member) awaitReady() {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	require.NoError(m.t, m.AwaitReady(ctx))
}

// send writes one message.
func (w *world) send(m kafkaio.Message) kafkaio.Position {
	w.t.Helper()
	at, err := w.writer.Write(w.t.Context(), m)
	require.NoError(w.t, err)
	return at
}

func (w *world) keyed(topic topics.Topic, key string, value []byte) kafkaio.Message {
	return kafkaio.Message{Topic: topic.Name, Partition: kafkaio.AnyPartition, Key: []byte(key), Value: value}
}

// awaitDone waits until a role's group has committed all that its topic holds.
func (w *world) awaitDone(role Role, topic topics.Topic) {
	w.t.Helper()
	group := w.settings.Consumers.Group + "." + string(role)
	var lag int64
	var err error
	if !assert.Eventually(w.t, func() bool {
		lag, err = topics.Lag(w.t.Context(), w.settings.Kafka, group, topic.Name)
		return err == nil && lag == 0
	}, patience, poll) {
		require.Fail(w.t, "the topic is not worked off", "%s: lag %d (%v), group %+v",
			topic.Name, lag, err, w.stack.Kafka.Group(group))
	}
}

func itemID(i int) string { return fmt.Sprint("item", i) }

func itemChange(i int, version int64) schemas.ItemChange {
	price := float64(5 + i)
	return schemas.ItemChange{
		ItemID: itemID(i), Op: schemas.UpsertItem, Version: version, OccurredAt: time.Now().Add(-time.Hour),
		Title: fmt.Sprint("title ", i), Categories: []string{fmt.Sprint("kind ", i)}, Price: &price, Available: true,
		PublishedAt: time.Now().Add(-time.Duration(i) * time.Hour),
	}
}

// fillCatalogue publishes the known items and has a member of the catalogue role index them.
func (w *world) fillCatalogue() {
	w.t.Helper()
	for i := range knownItems {
		c := itemChange(i, 1)
		w.send(w.keyed(w.settings.Topics.Items, c.ItemID, w.items.Append(nil, &c)))
	}
	m := w.join(Catalogue)
	w.awaitDone(Catalogue, w.settings.Topics.Items)
	w.stack.Milvus.Settle(w.t)
	n, err := m.Index.Count(w.t.Context(), modelID)
	require.NoError(w.t, err)
	require.EqualValues(w.t, knownItems, n)
	m.leave()
}

// inspect connects to the stores alone.
func (w *world) inspect() *Connections {
	w.t.Helper()
	c, err := Inspect(w.t.Context(), w.settings, quiet())
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, c.Close()) })
	return c
}

func (w *world) userTower() *towers.UserTower {
	w.t.Helper()
	tower, err := towers.LoadUserTower(w.settings.Bundle)
	require.NoError(w.t, err)
	return tower
}

// letters returns the dead letters of a topic, by original position; a letter that was written twice counts once.
func (w *world) letters(topic topics.Topic) map[kafkaio.Position]stream.DeadLetter {
	w.t.Helper()
	found := map[kafkaio.Position]stream.DeadLetter{}
	list := func(l stream.DeadLetter) error {
		found[kafkaio.Position{Partition: l.Original.Partition, Offset: l.Original.Offset}] = l
		return nil
	}
	dead := stream.NewDeadLetters(w.settings.Kafka, w.writer)
	require.NoError(w.t, dead.List(w.t.Context(), topic.Name, stream.Selection{}, list))
	return found
}
