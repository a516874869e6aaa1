package kafkaio_test

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/producers/kafkaio"
)

// Leaders move between three brokers all the while: the Writer groups partitions by leaders that are no longer right, and
// still loses, repeats and reorders nothing, since a broker that does not lead a partition appends nothing to it.
func TestLeadersThatMove(t *testing.T) {
	const messages, partitions = 5000, 6
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(partitions, "events"))
	require.NoError(t, err)
	t.Cleanup(cluster.Close)
	cfg := kafkaio.DefaultConfig()
	cfg.Brokers = cluster.ListenAddrs()
	wc := kafkaio.DefaultWriterConfig()
	wc.BackoffInitial = time.Millisecond
	wc.MaxBatchMessages = 20
	w := kafkaio.NewWriter(cfg, wc, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { require.NoError(t, w.Close(context.WithoutCancel(t.Context()))) })

	answers := newAnswers()
	for i := range messages {
		if i%500 == 0 {
			cluster.ShufflePartitionLeaders()
		}
		require.NoError(t, w.Enqueue(t.Context(), kafkaio.Message{
			Topic: "events", Partition: kafkaio.AnyPartition, Key: fmt.Append(nil, i%97), Value: fmt.Append(nil, i),
		}, answers.expect(i)))
	}
	require.NoError(t, w.Close(t.Context()))
	answers.requireAllWritten(t, messages)
	b := broker{servertest.KafkaOf(t, cluster), "events"}
	answers.requireLogInOrder(t, b, partitions)
}
