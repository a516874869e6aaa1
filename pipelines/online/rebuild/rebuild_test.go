package rebuild_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/infra/embedded/faults"
	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/online/oracle"
	"github.com/freshet/freshet/pipelines/online/rebuild"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	modelID  = "m1"
	shop     = 24
	people   = 40
	patience = 2 * time.Minute // of the long oracle beside other work
)

// world is a running system.
type world struct {
	t         *testing.T
	stack     *servertest.Stack
	s         settings.Settings
	stores    *online.Connections
	publisher *producers.EventPublisher
	// published are records of the interactions topic, of which aborted ones are not to be read.
	published, aborted int
}

func newWorld(t *testing.T, before ...func(*servertest.Stack, *settings.Settings)) *world {
	t.Helper()
	stack := servertest.StartStack(t)
	s := settings.Default()
	s.Kafka.Brokers, s.Redis.Addresses, s.Milvus.Address = []string{stack.Kafka.Addr()}, stack.Redis.Addresses, stack.Milvus.Addr()
	s.Profiles.KeyPrefix, s.Items.KeyPrefix = stack.Redis.Prefix, stack.Redis.Prefix
	s.Milvus.Collection, s.Milvus.Alias, s.Milvus.DialTimeout = stack.Milvus.Collection, stack.Milvus.Alias, servertest.MilvusDialTimeout
	for _, topic := range []*topics.Topic{&s.Topics.Interactions, &s.Topics.Items, &s.Topics.Requests, &s.Topics.Replies} {
		topic.Name, topic.Partitions = stack.Kafka.Name(topic.Name), 3
	}
	s.Consumers.Group = stack.Kafka.Name(s.Consumers.Group)
	s.Consumers.Replies.ReplyTopicPrefixes = []string{s.Topics.Replies.Name}
	s.Consumers.Interactions.MaxRecords = 16 // several batches
	s.Bundle = towertest.Write(t, towertest.Shape{Version: modelID, Dim: 16, Reads: towertest.Everything}, nil)
	for _, prepare := range before {
		prepare(stack, &s)
	}
	_, err := topics.Ensure(t.Context(), s.Kafka, s.Topics)
	require.NoError(t, err)
	w := &world{t: t, stack: stack, s: s}
	w.publisher, err = producers.NewEventPublisher(t.Context(), s.Producer(quiet()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.publisher.Close(context.WithoutCancel(t.Context()))) })
	w.stores, err = online.Inspect(t.Context(), s, quiet())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.stores.Close()) })
	return w
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// start runs all roles until the test ends.
func (w *world) start() { w.startWith(w.s, online.AllRoles()...) }

func (w *world) startWith(s settings.Settings, roles ...online.Role) {
	w.t.Helper()
	w.startLogged(s, quiet(), roles...)
}

func (w *world) startLogged(s settings.Settings, log *slog.Logger, roles ...online.Role) {
	w.t.Helper()
	system, err := online.Open(w.t.Context(), s, roles, log)
	require.NoError(w.t, err)
	ctx, cancel := context.WithCancel(context.WithoutCancel(w.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- system.Run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		require.NoError(w.t, <-ended)
		require.NoError(w.t, system.Close())
	})
	waiting, done := context.WithTimeout(w.t.Context(), patience)
	defer done()
	require.NoError(w.t, system.AwaitReady(waiting))
}

func (w *world) item(i int, version int64) {
	w.t.Helper()
	_, err := w.publisher.PublishItem(w.t.Context(), &schemas.ItemChange{
		ItemID: fmt.Sprint("item", i), Op: schemas.UpsertItem, Version: version, OccurredAt: time.Now(), Available: true,
		Title: fmt.Sprint("title ", i), Categories: []string{fmt.Sprint("kind ", i%5)},
	})
	require.NoError(w.t, err)
}

func (w *world) events(n int) {
	w.t.Helper()
	for range n {
		w.published++
		i := w.published
		_, err := w.publisher.PublishInteraction(w.t.Context(), &schemas.Interaction{
			EventID: fmt.Sprint("e", i), UserID: fmt.Sprint("user", i%people), ItemID: fmt.Sprint("item", (i*7)%shop),
			Type: schemas.View, OccurredAt: time.Now(),
		})
		require.NoError(w.t, err)
	}
}

func (w *world) drain() {
	w.t.Helper()
	for role, topic := range map[online.Role]string{
		online.Catalogue: w.s.Topics.Items.Name, online.Interactions: w.s.Topics.Interactions.Name,
	} {
		require.Eventually(w.t, func() bool {
			lag, err := topics.Lag(w.t.Context(), w.s.Kafka, role.Group(w.s.Consumers.Group), topic)
			return err == nil && lag == 0
		}, patience, 5*time.Millisecond)
	}
}

// check compares all profiles with the fold over the topic.
func (w *world) check() {
	w.t.Helper()
	require.NoError(w.t, w.compare())
}

// compare says how the first profile that is another one differs from the fold over the topic.
func (w *world) compare() error {
	w.t.Helper()
	by := &oracle.World{Vectors: map[string][]float32{}, HistoryLength: w.s.Profiles.HistoryLength, Ratings: w.s.Profiles.Ratings}
	for i := range shop {
		by.Items = append(by.Items, fmt.Sprint("item", i))
	}
	vectors, err := w.stores.Items.Vectors(w.t.Context(), modelID, by.Items)
	require.NoError(w.t, err)
	for i, id := range by.Items {
		by.Vectors[id] = vectors[i]
		require.NotNil(w.t, vectors[i], id)
	}
	by.Tower, err = towers.LoadUserTower(w.s.Bundle)
	require.NoError(w.t, err)
	serde, err := schemas.NewSerde[schemas.Interaction](w.t.Context(), schemas.EmbeddedRegistry(), w.s.Topics.Interactions.Name)
	require.NoError(w.t, err)
	keys := w.s.Topics.InteractionKeys(w.s.Limits, schemas.EmbeddedRegistry())
	topic, err := oracle.FoldTopic(w.t.Context(), w.s.Kafka, w.s.Topics.Interactions.Name, serde, keys, by)
	require.NoError(w.t, err)
	require.Equal(w.t, w.published-w.aborted, topic.Events)
	connected, err := online.Connect(w.t.Context(), w.s, []online.Role{online.Interactions}, quiet()) // knows the tower
	require.NoError(w.t, err)
	defer func() { require.NoError(w.t, connected.Close()) }()
	for user, f := range topic.Users {
		p, err := connected.Profiles.Load(w.t.Context(), []string{user}, modelID)
		require.NoError(w.t, err)
		if err := f.Compare(p[0]); err != nil {
			return fmt.Errorf("%s: %w", user, err)
		}
	}
	return nil
}

func (w *world) ask() schemas.RecommendationReply {
	w.t.Helper()
	return w.page("user1", 5)
}

// page asks for a user's, with what the user has seen.
func (w *world) page(user string, count int32) schemas.RecommendationReply {
	w.t.Helper()
	reply, err := w.tryPage(user, count)
	require.NoError(w.t, err)
	return reply
}

func (w *world) tryPage(user string, count int32) (schemas.RecommendationReply, error) {
	w.t.Helper()
	client, err := producers.NewRecommendationClient(w.t.Context(), w.s.Producer(quiet()))
	require.NoError(w.t, err)
	defer func() { require.NoError(w.t, client.Close(context.WithoutCancel(w.t.Context()))) }()
	return client.Recommend(w.t.Context(), &schemas.RecommendationRequest{
		RequestID: "r", UserID: user, Count: count, Deadline: time.Now().Add(10 * time.Second), IncludeSeen: true,
	})
}

// stages collects which stages were reported.
func stages(into map[rebuild.Stage]rebuild.Progress) rebuild.Reporter {
	return func(p rebuild.Progress) { into[p.Stage] = p }
}

// TestRedisIsEmptied while the roles go on: nothing is whole until both rebuilds are done, replies say so, and then all is as
// if nothing had been lost.
func TestRedisIsEmptied(t *testing.T) {
	w := newWorld(t)
	w.start()
	for i := range shop {
		w.item(i, 1)
	}
	w.drain()
	w.events(300)
	_, err := w.publisher.EraseUser(t.Context(), "user3")
	require.NoError(t, err)
	w.published++
	w.drain()
	time.Sleep(1500 * time.Millisecond) // for so long popularity may wait to be written
	before, err := w.stores.Items.Popular(t.Context(), shop)
	require.NoError(t, err)
	require.Equal(t, schemas.StatusOK, w.ask().Status)

	for _, key := range w.stack.Redis.Keys(t) {
		require.NoError(t, w.stack.Redis.Client.Unlink(t.Context(), key).Err())
	}
	w.events(50) // the role applies them to profiles that are not there
	w.drain()
	time.Sleep(200 * time.Millisecond) // for so long an answer about what is lost may be old
	reply := w.ask()
	require.Equal(t, schemas.StatusDegraded, reply.Status)
	require.Contains(t, reply.Error, "freshet rebuild profiles")
	require.Contains(t, reply.Error, "freshet rebuild candidates")
	require.NotEmpty(t, reply.Items, "the shelf has copies")

	_, err = rebuild.Profiles(t.Context(), w.s, stages(map[rebuild.Stage]rebuild.Progress{}), quiet())
	require.ErrorContains(t, err, "run `freshet rebuild candidates` first")

	seen := map[rebuild.Stage]rebuild.Progress{}
	items, err := rebuild.Candidates(t.Context(), w.s, stages(seen), quiet())
	require.NoError(t, err)
	require.Equal(t, rebuild.CandidatesResult{Records: shop, Model: modelID, Live: modelID}, items)
	require.EqualValues(t, shop, seen[rebuild.StageReplay].Done)

	meanwhile := make(chan struct{})
	go func() {
		defer close(meanwhile)
		w.events(200)
	}()
	users, err := rebuild.Profiles(t.Context(), w.s, stages(seen), quiet())
	<-meanwhile
	require.NoError(t, err)
	require.Equal(t, people, users.Users)
	require.Zero(t, users.Kept+users.Expired)
	require.EqualValues(t, people, seen[rebuild.StageReplace].Done)
	w.drain()
	w.check()
	after, err := w.stores.Items.Popular(t.Context(), shop)
	require.NoError(t, err)
	require.Len(t, after, len(before))
	time.Sleep(200 * time.Millisecond)
	require.Equal(t, schemas.StatusOK, w.ask().Status)
}

// TestABatchInHandGoesOnAfterARebuild: Redis is away for the role alone, which holds what it fetched, while the rebuild takes all
// profiles beyond the end of the log that the role knows.
func TestABatchInHandGoesOnAfterARebuild(t *testing.T) {
	w := newWorld(t)
	w.startWith(w.s, online.Catalogue)
	for i := range shop {
		w.item(i, 1)
	}
	role := w.s
	door, err := embedded.StartRedisProxy(t.Context(), w.s.Redis.Addresses[0])
	require.NoError(t, err)
	t.Cleanup(door.Close)
	role.Redis.Addresses = []string{door.Addr()}
	role.Consumers.Interactions.Backoff = partition.Backoff{Initial: time.Millisecond, Max: 10 * time.Millisecond}
	w.startWith(role, online.Interactions)
	w.events(people)
	w.drain()

	door.Fail("HMGET", faults.Every, "LOADING Redis is loading the dataset in memory")
	door.Fail("EVALSHA", faults.Every, "LOADING Redis is loading the dataset in memory")
	w.events(people)
	tried := func() int { return door.Calls("HMGET") + door.Calls("EVALSHA") }
	before := tried()
	require.Eventually(t, func() bool { return tried() > before+20 }, patience, time.Millisecond, "the role has a batch in hand")
	w.events(5 * people)
	_, err = rebuild.Profiles(t.Context(), w.s, stages(map[rebuild.Stage]rebuild.Progress{}), quiet())
	require.NoError(t, err)
	door.ClearFaults()
	w.drain()
	w.check()
}

// TestPopularityIsCountedOnce: of a shelf that was never lost, a rebuild makes the same again.
func TestPopularityIsCountedOnce(t *testing.T) {
	w := newWorld(t)
	w.start()
	for i := range shop {
		w.item(i, 1)
	}
	w.drain()
	w.events(200)
	w.drain()
	time.Sleep(1500 * time.Millisecond) // for so long popularity may wait to be written
	before, err := w.stores.Items.Popular(t.Context(), shop)
	require.NoError(t, err)
	_, err = rebuild.Profiles(t.Context(), w.s, stages(map[rebuild.Stage]rebuild.Progress{}), quiet())
	require.NoError(t, err)
	after, err := w.stores.Items.Popular(t.Context(), shop)
	require.NoError(t, err)
	weights := map[string]float64{}
	for _, p := range before {
		weights[p.ItemID] = p.Score
	}
	require.Len(t, after, len(before))
	for _, p := range after {
		require.InEpsilon(t, weights[p.ItemID], p.Score, 1e-3, p.ItemID)
	}
	w.check()
}

// TestMilvusIsEmptied: Redis still says that all is indexed.
func TestMilvusIsEmptied(t *testing.T) {
	w := newWorld(t)
	w.start()
	for i := range shop {
		w.item(i, 1)
	}
	w.drain()
	stale := candidates.Row{ItemID: `a"ghost`, Vector: make([]float32, 16)}
	require.NoError(t, w.stores.Index.Upsert(t.Context(), modelID, []candidates.Row{stale}))
	for i := range shop {
		require.NoError(t, w.stores.Index.Delete(t.Context(), modelID, []string{fmt.Sprint("item", i)}))
	}
	w.item(0, 2) // nearly as it was
	w.drain()
	r, err := rebuild.Candidates(t.Context(), w.s, stages(map[rebuild.Stage]rebuild.Progress{}), quiet())
	require.NoError(t, err)
	require.EqualValues(t, 1, r.Stale)
	n, err := w.stores.Index.Count(t.Context(), modelID)
	require.NoError(t, err)
	require.EqualValues(t, shop, n)
}

// TestACollectionIsLost: what the catalogue role makes in place of a lost collection is not live; a rebuild fills it, makes it
// live and marks it as whole.
func TestACollectionIsLost(t *testing.T) {
	w := newWorld(t)
	w.startWith(w.s, online.Interactions, online.Recommendations, online.Catalogue)
	for i := range shop {
		w.item(i, 1)
	}
	w.drain()
	require.NoError(t, w.stores.Index.Discard(t.Context(), modelID))
	restarted, err := online.Open(t.Context(), w.s, []online.Role{online.Catalogue}, quiet())
	require.NoError(t, err)
	defer func() { require.NoError(t, restarted.Close()) }()
	require.Len(t, restarted.Degraded(t.Context()), 1)
	require.Eventually(t, func() bool { return w.ask().Status == schemas.StatusDegraded }, patience, 10*time.Millisecond)

	r, err := rebuild.Candidates(t.Context(), w.s, stages(map[rebuild.Stage]rebuild.Progress{}), quiet())
	require.NoError(t, err)
	require.Equal(t, modelID, r.Live)
	require.Empty(t, restarted.Degraded(t.Context()))
	require.Eventually(t, func() bool { return w.ask().Status == schemas.StatusOK }, patience, 10*time.Millisecond)
}
