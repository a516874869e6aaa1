package recommendations

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/recommender"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/rules"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Topics go by these names in the tests; on the server they have a prefix of the test's own, which the rig adds and takes away.
const (
	requestTopic = "freshet.requests"
	replyTopic   = "freshet.replies"
	partitions   = 4
	patience     = 20 * time.Second
	poll         = 5 * time.Millisecond
)

// rig is a Handler behind a real Gatherer, with everything that it needs, and a catalogue of some items.
type rig struct {
	t        testing.TB
	kafka    *servertest.Kafka
	redis    *servertest.Redis
	milvus   *servertest.Milvus
	cfg      kafkaio.Config
	writer   *kafkaio.Writer
	requests *schemas.Serde[schemas.RecommendationRequest]
	replies  *schemas.Serde[schemas.RecommendationReply]
	service  *recommender.Service
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{
		t: t, kafka: servertest.StartKafka(t), redis: servertest.StartRedis(t), milvus: servertest.StartMilvus(t),
		cfg: kafkaio.DefaultConfig(),
	}
	r.cfg.Brokers = []string{r.kafka.Addr()}
	for _, topic := range []string{requestTopic, replyTopic, "freshet.interactions"} {
		require.NoError(t, r.kafka.CreateTopic(r.kafka.Name(topic), partitions, nil))
	}
	require.NoError(t, r.kafka.CreateTopic(stream.DeadLetterTopic(r.kafka.Name(requestTopic)), 1, nil))
	r.writer = kafkaio.NewWriter(r.cfg, kafkaio.DefaultWriterConfig(), quiet())
	t.Cleanup(func() { require.NoError(t, r.writer.Close(context.WithoutCancel(t.Context()))) })
	var err error
	r.requests, err = schemas.NewSerde[schemas.RecommendationRequest](t.Context(), schemas.EmbeddedRegistry(), requestTopic)
	require.NoError(t, err)
	r.replies, err = schemas.NewSerde[schemas.RecommendationReply](t.Context(), schemas.EmbeddedRegistry(), replyTopic)
	require.NoError(t, err)
	r.makeService()
	return r
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (r *rig) makeService() {
	redisConfig := redisdb.DefaultConfig()
	redisConfig.Addresses = r.redis.Addresses
	rdb, err := redisdb.Connect(r.t.Context(), redisConfig)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { require.NoError(r.t, rdb.Close()) })
	milvusConfig := candidates.DefaultConfig()
	milvusConfig.Address, milvusConfig.Collection, milvusConfig.Alias = r.milvus.Addr(), r.milvus.Collection, r.milvus.Alias
	milvusConfig.DialTimeout = servertest.MilvusDialTimeout
	index, err := candidates.Connect(r.t.Context(), milvusConfig)
	require.NoError(r.t, err)
	r.t.Cleanup(func() { require.NoError(r.t, index.Close()) })

	itemsConfig, profilesConfig := items.DefaultConfig(), profiles.DefaultConfig()
	itemsConfig.KeyPrefix, profilesConfig.KeyPrefix = r.redis.Prefix, r.redis.Prefix
	store := items.New(rdb, itemsConfig)
	itemTower, userTower := towertest.Towers(towertest.Shape{Dim: 8}, nil)
	r.fill(store, index, itemTower)
	live := func() []*towers.UserTower { return []*towers.UserTower{userTower} }
	set := rules.Default()
	r.service = recommender.New(recommender.Parts{
		Profiles: profiles.New(rdb, store, live, profilesConfig), Items: store, Index: index,
		Ranker: ranking.NewLinear(ranking.DefaultConfig()), Towers: live, Rules: func() *rules.Set { return set },
		Limits: schemas.DefaultLimits(),
	}, recommender.DefaultConfig(), quiet())
	r.t.Cleanup(r.service.Close)
}

func (r *rig) fill(store *items.Store, index *candidates.Index, tower *towers.ItemTower) {
	ctx := r.t.Context()
	require.NoError(r.t, index.Ensure(ctx, tower.Version(), tower.Dim()))
	require.NoError(r.t, index.SwitchLive(ctx, tower.Version()))
	var changes []items.Change
	var rows []candidates.Row
	for i := range 20 {
		record := schemas.ItemChange{
			ItemID: fmt.Sprint("item", i), Op: schemas.UpsertItem, Version: 1, OccurredAt: time.Now(), PublishedAt: time.Now(),
			Title: fmt.Sprint("title ", i), Categories: []string{fmt.Sprint("kind ", i)}, Available: true,
		}
		vector := make([]float32, tower.Dim())
		features := towers.FeaturesOf(&record)
		tower.Encode(vector, &features)
		row := candidates.RowOf(&record, vector)
		changes = append(changes, items.Change{
			Record: record, Model: tower.Version(), Vector: vector, FilterDigest: row.FilterDigest(),
		})
		rows = append(rows, row)
	}
	_, err := store.Write(ctx, changes)
	require.NoError(r.t, err)
	require.NoError(r.t, index.Upsert(ctx, tower.Version(), rows))
	r.milvus.Settle(r.t)
}

// run answers requests until the test ends.
func (r *rig) run(writer *kafkaio.Writer) {
	cfg := stream.DefaultGatherConfig()
	cfg.Fetch.MaxWait = 50 * time.Millisecond
	cfg.Group.HeartbeatInterval = 20 * time.Millisecond
	cfg.Backoff = partition.Backoff{Initial: time.Millisecond, Max: 20 * time.Millisecond}
	replies := DefaultConfig()
	replies.ReplyTopicPrefixes = []string{r.kafka.Name(replyTopic)}
	handler := New(replies, r.requests, r.replies, r.service, writer, quiet())
	gatherer := stream.NewGatherer(
		r.cfg, cfg, r.kafka.Name("group"), r.kafka.Name(requestTopic), handler, stream.NewDeadLetters(r.cfg, r.writer), quiet())
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- gatherer.Run(ctx) }()
	r.t.Cleanup(func() {
		cancel()
		require.NoError(r.t, <-ended)
	})
}

func request(user string) schemas.RecommendationRequest {
	return schemas.RecommendationRequest{
		RequestID: "request of " + user, UserID: user, Count: 5, Deadline: time.Now().Add(patience),
	}
}

// headers are those of Spring's ReplyingKafkaTemplate.
func headers(topic string, partition int32, correlation string) []kafkaio.Header {
	return []kafkaio.Header{
		{Key: kafkaio.HeaderReplyTopic, Value: []byte(topic)},
		{Key: kafkaio.HeaderReplyPartition, Value: kafkaio.EncodePartition(partition)},
		{Key: kafkaio.HeaderCorrelationID, Value: []byte(correlation)},
	}
}

func (r *rig) ask(q schemas.RecommendationRequest, h []kafkaio.Header) {
	r.t.Helper()
	r.askRaw(q.UserID, r.requests.Append(nil, &q), h)
}

func (r *rig) askRaw(key string, value []byte, h []kafkaio.Header) {
	r.t.Helper()
	r.askAt(time.Time{}, key, value, h)
}

func (r *rig) askAt(at time.Time, key string, value []byte, h []kafkaio.Header) {
	r.t.Helper()
	own := slices.Clone(h)
	for i, header := range own {
		if header.Key == kafkaio.HeaderReplyTopic {
			own[i].Value = []byte(r.kafka.Name(string(header.Value)))
		}
	}
	_, err := r.writer.Write(r.t.Context(), kafkaio.Message{
		Topic: r.kafka.Name(requestTopic), Partition: kafkaio.AnyPartition, Key: []byte(key), Value: value, Headers: own, Time: at,
	})
	require.NoError(r.t, err)
}

// records returns all that a topic holds.
func (r *rig) records(topic string) []stream.Record {
	r.t.Helper()
	var all []stream.Record
	require.NoError(r.t, replay.Scan(r.t.Context(), r.cfg, r.kafka.Name(topic), func(record stream.Record) error {
		all = append(all, record)
		return nil
	}))
	return all
}

func (r *rig) decode(record stream.Record) schemas.RecommendationReply {
	r.t.Helper()
	reply, err := r.replies.Decode(r.t.Context(), record.Value, nil)
	require.NoError(r.t, err)
	return reply
}

// settle waits until everything that was asked so far is done and returns the replies by correlation id, of which each has
// one only.
func (r *rig) settle() map[string]stream.Record {
	r.t.Helper()
	require.Eventually(r.t, func() bool {
		topic := r.kafka.Name(requestTopic)
		for p := range int32(partitions) {
			if end := r.kafka.End(topic, p); end > 0 && r.kafka.Committed(r.kafka.Name("group"), topic, p) != end {
				return false
			}
		}
		return true
	}, patience, poll, "all requests must be done")
	answers := map[string]stream.Record{}
	for _, record := range r.records(replyTopic) {
		correlation, _ := kafkaio.HeaderValue(record.Headers, kafkaio.HeaderCorrelationID)
		_, again := answers[string(correlation)]
		require.False(r.t, again, "a second reply to %q", correlation)
		answers[string(correlation)] = record
	}
	return answers
}

// letters returns the reasons of the dead letters, by correlation id.
func (r *rig) letters() map[string]string {
	r.t.Helper()
	reasons := map[string]string{}
	list := func(l stream.DeadLetter) error {
		correlation, _ := kafkaio.HeaderValue(l.Original.Headers, kafkaio.HeaderCorrelationID)
		reasons[string(correlation)] = l.Reason
		return nil
	}
	require.NoError(r.t, stream.NewDeadLetters(r.cfg, r.writer).List(r.t.Context(), r.kafka.Name(requestTopic), stream.Selection{}, list))
	return reasons
}
