package servertest_test

import (
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/sr"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/infra/embedded/milvus"
	"github.com/freshet/freshet/infra/embedded/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestKafkaIsAskedAndChanged(t *testing.T) {
	k := servertest.StartKafka(t)
	topic, group := k.Name("topic"), k.Name("group")
	require.NoError(t, k.CreateTopic(topic, 2, map[string]string{"cleanup.policy": "compact,delete"}))
	require.Zero(t, k.End(topic, 1))
	require.GreaterOrEqual(t, k.Leader(topic, 1), 0)
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(k.Addr()), Transport: transport}
	for range 3 {
		resp, err := client.Produce(t.Context(), &kafka.ProduceRequest{
			Topic: topic, Partition: 1, RequiredAcks: kafka.RequireAll,
			Records: kafka.NewRecordReader(kafka.Record{Key: kafka.NewBytes([]byte("k")), Value: kafka.NewBytes([]byte("v"))}),
		})
		require.NoError(t, err)
		require.NoError(t, resp.Error)
	}
	require.EqualValues(t, 3, k.End(topic, 1))
	require.NoError(t, k.DeleteRecords(topic, 1, 2))

	require.Equal(t, servertest.Group{}, k.Group("no"+group))
	require.EqualValues(t, -1, k.Committed(group, topic, 1))
	members, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: group, Brokers: []string{k.Addr()}, Topics: []string{topic}, JoinGroupBackoff: 50 * time.Millisecond,
	})
	require.NoError(t, err)
	generation, err := members.Next(t.Context())
	require.NoError(t, err)
	require.NoError(t, generation.CommitOffsets(map[string]map[int]int64{topic: {1: 2}}))
	require.EqualValues(t, 2, k.Committed(group, topic, 1))
	require.EqualValues(t, -1, k.Committed(group, topic, 0))
	require.Eventually(t, func() bool { return k.Group(group) == servertest.Group{State: "Stable", Members: 1} },
		10*time.Second, 10*time.Millisecond)
	require.NoError(t, members.Close())
	require.NoError(t, k.DeleteTopic(topic))
	require.NoError(t, k.CreateTopic(topic, 1, nil), "made anew at once")
	require.Zero(t, k.End(topic, 0))
}

func TestRedisFaults(t *testing.T) {
	r := servertest.StartRedis(t)
	if len(r.Addresses) > 1 {
		r.Fail("SET", 1, "")
	}
	rdb := redis.NewClient(&redis.Options{Addr: r.Addresses[0], MaxRetries: -1})
	t.Cleanup(func() { _ = rdb.Close() })
	ctx, key := t.Context(), r.Prefix+":a"
	require.NoError(t, rdb.Set(ctx, key, "1", 0).Err())
	r.Fail("SET", 2, "OOM command not allowed")
	before := r.Calls("SET")
	_, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, key, "2", 0)
		p.Set(ctx, key, "3", 0)
		p.HSet(ctx, key+"h", "f", "v", "g", "w")
		p.HGetAll(ctx, key+"h")
		return nil
	})
	require.ErrorContains(t, err, "OOM")
	require.Equal(t, 2, r.Calls("SET")-before)
	require.Equal(t, "2", r.Client.Get(ctx, key).Val(), "the failed one has not run, those after it have")
	require.Equal(t, map[string]string{"f": "v", "g": "w"}, rdb.HGetAll(ctx, key+"h").Val())
	require.ElementsMatch(t, []string{key, key + "h"}, r.Keys(t))
	r.Sever("GET", 1)
	require.Error(t, rdb.Get(ctx, key).Err())
	r.Delay("GET", 1, 20*time.Millisecond)
	begin := time.Now()
	require.NoError(t, rdb.Get(ctx, key).Err())
	require.GreaterOrEqual(t, time.Since(begin), 20*time.Millisecond)
	r.FailNext("GET", "ERR x")
	r.ClearFaults()
	require.ErrorIs(t, rdb.Get(ctx, "nothing").Err(), redis.Nil)
	r.Stop()
	require.Error(t, rdb.Get(ctx, key).Err())
	require.NoError(t, r.Restart())
	require.Equal(t, "2", rdb.Get(ctx, key).Val())
}

// The proxy is what tests meet of a real server; here it stands before the embedded one.
func TestRedisProxy(t *testing.T) {
	server, err := embedded.StartRedis(t.Context(), embedded.Config{})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	t.Setenv("FRESHET_TEST_REDIS", server.Addr())
	TestRedisFaults(t)
}

func TestMilvusFaults(t *testing.T) {
	m := servertest.StartMilvus(t)
	conn, err := grpc.NewClient(m.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	client := milvuspb.NewMilvusServiceClient(conn)
	m.Fail("HasCollection", 2, &milvus.StatusError{Code: 101, Reason: "collection not loaded"})
	before := m.Calls("HasCollection")
	ask := func() *milvuspb.BoolResponse {
		resp, err := client.HasCollection(t.Context(), &milvuspb.HasCollectionRequest{CollectionName: m.Collection})
		require.NoError(t, err)
		return resp
	}
	require.Zero(t, ask().Status.GetCode())
	require.EqualValues(t, 101, ask().Status.GetCode())
	require.False(t, ask().Value)
	require.Equal(t, 3, m.Calls("HasCollection")-before)
	m.Stop()
	_, err = client.HasCollection(t.Context(), &milvuspb.HasCollectionRequest{CollectionName: m.Collection})
	require.Error(t, err)
	require.NoError(t, m.Restart(t.Context()))
	require.Eventually(t, func() bool {
		_, err := client.HasCollection(t.Context(), &milvuspb.HasCollectionRequest{CollectionName: m.Collection})
		return err == nil
	}, 10*time.Second, 10*time.Millisecond)
}

func TestMilvusProxy(t *testing.T) {
	server, err := embedded.StartMilvus(t.Context(), embedded.Config{})
	require.NoError(t, err)
	t.Cleanup(server.Close)
	t.Setenv("FRESHET_TEST_MILVUS", server.Addr())
	TestMilvusFaults(t)
}

func TestRegistry(t *testing.T) {
	client := servertest.RegistryClient(t, servertest.Registry(t))
	id, err := client.RegisterSchema(t.Context(), servertest.Name()+"-value", sr.Schema{Schema: `"string"`}, -1, -1)
	require.NoError(t, err)
	got, err := client.SchemaByID(t.Context(), id)
	require.NoError(t, err)
	require.Equal(t, `"string"`, got.Schema)
}
