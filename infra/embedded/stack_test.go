package embedded_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestStackAnswersAndStops(t *testing.T) {
	stack, err := embedded.Start(t.Context(), embedded.Config{})
	require.NoError(t, err)
	defer stack.Close()

	rdb := redis.NewClient(&redis.Options{Addr: stack.Redis.Addr()})
	defer rdb.Close()
	require.NoError(t, rdb.Set(t.Context(), "k", "v", 0).Err())

	conn, err := kafka.DialContext(t.Context(), "tcp", stack.Kafka.Addr())
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.CreateTopics(kafka.TopicConfig{Topic: "t", NumPartitions: 3, ReplicationFactor: 1}))
	partitions, err := conn.ReadPartitions("t")
	require.NoError(t, err)
	require.Len(t, partitions, 3)
	stack.Close()
	stack.Close()
}

func TestConfigRefusals(t *testing.T) {
	for name, cfg := range map[string]embedded.Config{
		"kafka_addr":         {KafkaAddr: "nowhere"},
		"redis_addr":         {RedisAddr: "nowhere"},
		"milvus_addr":        {MilvusAddr: "nowhere"},
		"partitions":         {Partitions: -1},
		"retention_interval": {RetentionInterval: -time.Second},
	} {
		_, err := embedded.Start(t.Context(), cfg)
		require.ErrorContains(t, err, name)
	}
}

func TestDataDirKeepsTopicsAndIsLocked(t *testing.T) {
	cfg := embedded.Config{DataDir: filepath.Join(t.TempDir(), "data")}
	first, err := embedded.StartKafka(t.Context(), cfg)
	require.NoError(t, err)
	defer first.Close()
	require.NoError(t, first.CreateTopic("kept", 2, nil))

	_, err = embedded.StartKafka(t.Context(), cfg)
	require.ErrorContains(t, err, "in use by another process")

	first.Close()
	second, err := embedded.StartKafka(t.Context(), cfg)
	require.NoError(t, err)
	defer second.Close()
	require.NotNil(t, second.TopicInfo("kept"))
}

func TestRetentionTicks(t *testing.T) {
	k, err := embedded.StartKafka(t.Context(), embedded.Config{RetentionInterval: 10 * time.Millisecond})
	require.NoError(t, err)
	defer k.Close()
	retention := "1"
	require.NoError(t, k.CreateTopic("short", 1, map[string]string{"retention.ms": retention}))
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	w := &kafka.Writer{Transport: transport, Addr: kafka.TCP(k.Addr()), Topic: "short",
		RequiredAcks: kafka.RequireAll, BatchSize: 1}
	defer w.Close()
	require.NoError(t, w.WriteMessages(t.Context(), kafka.Message{Value: []byte("v"), Time: time.Now().Add(-time.Hour)}))
	require.Eventually(t, func() bool {
		p := k.PartitionInfo("short", 0)
		return p.LogStartOffset == p.HighWatermark && p.HighWatermark > 0
	}, 5*time.Second, 5*time.Millisecond)
}

func TestKafkaMakesNoTopicByItself(t *testing.T) {
	k, err := embedded.StartKafka(t.Context(), embedded.Config{})
	require.NoError(t, err)
	defer k.Close()
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	w := &kafka.Writer{
		Transport: transport, Addr: kafka.TCP(k.Addr()), Topic: "nobody_made_me", RequiredAcks: kafka.RequireAll,
		BatchSize: 1, MaxAttempts: 1, AllowAutoTopicCreation: true,
	}
	defer w.Close()
	require.ErrorIs(t, w.WriteMessages(t.Context(), kafka.Message{Value: []byte("v")}), kafka.UnknownTopicOrPartition)
	require.Nil(t, k.TopicInfo("nobody_made_me"))
}

func TestKafkaFaultsPassThrough(t *testing.T) {
	k, err := embedded.StartKafka(t.Context(), embedded.Config{})
	require.NoError(t, err)
	defer k.Close()
	require.NoError(t, k.CreateTopic("t", 1, nil))
	k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotEnoughReplicas})
	transport := &kafka.Transport{}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(k.Addr()), Transport: transport}
	produce := func() error {
		resp, err := client.Produce(t.Context(), &kafka.ProduceRequest{
			Topic: "t", RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte("v"))}),
		})
		if err != nil {
			return err
		}
		return resp.Error
	}
	require.ErrorIs(t, produce(), kafka.NotEnoughReplicas)
	require.NoError(t, produce())
}
