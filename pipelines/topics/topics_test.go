package topics_test

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers/kafkaio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start returns a broker and the wish for topics of the test's own.
func start(t *testing.T) (*servertest.Kafka, kafkaio.Config, topics.Config) {
	t.Helper()
	k := servertest.StartKafka(t)
	cfg, wish := kafkaio.DefaultConfig(), topics.DefaultConfig()
	cfg.Brokers = []string{k.Addr()}
	for _, topic := range []*topics.Topic{&wish.Interactions, &wish.Items, &wish.Requests, &wish.Replies, &wish.Recall} {
		topic.Name = k.Name(topic.Name)
	}
	return k, cfg, wish
}

func TestNames(t *testing.T) {
	require.Equal(t, []string{
		"freshet.interactions", "freshet.items", "freshet.requests", "freshet.replies", "freshet.recall",
		"freshet.interactions.dlt", "freshet.items.dlt", "freshet.requests.dlt",
	}, topics.DefaultConfig().Names())
}

func TestEnsureCreatesWhatIsMissing(t *testing.T) {
	_, cfg, wish := start(t)
	report, err := topics.Ensure(t.Context(), cfg, wish)
	require.NoError(t, err)
	require.Equal(t, topics.Report{Created: wish.Names()}, report)

	report, err = topics.Ensure(t.Context(), cfg, wish)
	require.NoError(t, err)
	require.Equal(t, topics.Report{}, report)

	got, err := topics.Describe(t.Context(), cfg, wish.Names()...)
	require.NoError(t, err)
	for i, want := range []struct {
		partitions         int
		cleanup, retention string
	}{
		{8, "delete", "15552000000"},
		{8, "compact", "604800000"}, // the broker's default, without effect
		{8, "delete", "3600000"},
		{8, "delete", "3600000"},
		{1, "compact", "604800000"},
		{1, "delete", "2592000000"},
		{1, "delete", "2592000000"},
		{1, "delete", "2592000000"},
	} {
		require.Equal(t, wish.Names()[i], got[i].Name)
		require.Len(t, got[i].Partitions, want.partitions)
		require.Equal(t, want.cleanup, got[i].Settings["cleanup.policy"], got[i].Name)
		require.Equal(t, want.retention, got[i].Settings["retention.ms"], got[i].Name)
		require.Equal(t, 1, got[i].Replication)
	}
}

func TestEnsureByManyAtOnce(t *testing.T) {
	_, cfg, wish := start(t)
	var wg sync.WaitGroup
	var mu sync.Mutex
	var created []string
	for range 8 {
		wg.Go(func() {
			report, err := topics.Ensure(t.Context(), cfg, wish)
			if err != nil || report.Err() != nil {
				t.Error(err, report.Err())
			}
			mu.Lock()
			defer mu.Unlock()
			created = append(created, report.Created...)
		})
	}
	wg.Wait()
	slices.Sort(created)
	want := wish.Names()
	slices.Sort(want)
	require.Equal(t, want, created, "each topic is created by one")
}

func TestEnsureReportsDifferencesAndChangesNothing(t *testing.T) {
	k, cfg, wish := start(t)
	items, requests := wish.Items.Name, wish.Requests.Name
	require.NoError(t, k.CreateTopic(items, 3, nil))
	require.NoError(t, k.CreateTopic(requests, 12, map[string]string{"retention.ms": "1000"}))
	wish.Replication = 1
	for range 2 {
		report, err := topics.Ensure(t.Context(), cfg, wish)
		require.NoError(t, err)
		require.Equal(t, []topics.Difference{
			{
				Topic: items, Property: "partitions", Want: "8", Have: "3",
				Remedy: "set items.partitions to 3, or add partitions with `kafka-topics --alter --topic " + items + " " +
					"--partitions 8`, which moves keys to other partitions",
			},
			{
				Topic: items, Property: "cleanup.policy", Want: "compact", Have: "delete",
				Remedy: "`kafka-configs --alter --entity-type topics --entity-name " + items + " " +
					"--add-config cleanup.policy=compact`",
			},
			{
				Topic: requests, Property: "partitions", Want: "8", Have: "12",
				Remedy: "Kafka cannot take partitions away, so set requests.partitions to 12",
			},
			{
				Topic: requests, Property: "retention.ms", Want: "3600000", Have: "1000",
				Remedy: "`kafka-configs --alter --entity-type topics --entity-name " + requests + " " +
					"--add-config retention.ms=3600000`, or set requests.retention to match",
			},
		}, report.Differences)
		require.ErrorContains(t, report.Err(), "topic "+items+" has cleanup.policy delete instead of compact: `kafka-configs")
	}
}

func TestEnsureNamesTheTopicThatCannotBeMade(t *testing.T) {
	_, cfg, wish := start(t)
	c := wish
	c.Replication = 3 // with one broker
	_, err := topics.Ensure(t.Context(), cfg, c)
	require.ErrorIs(t, err, kafka.InvalidReplicationFactor)
	require.ErrorContains(t, err, "creating topic "+wish.Interactions.Name)

	k, cfg, wish := start(t)
	k.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.CreateTopics}, Topic: wish.Items.Name, Err: kerr.TopicAuthorizationFailed})
	report, err := topics.Ensure(t.Context(), cfg, wish)
	require.ErrorIs(t, err, kafka.TopicAuthorizationFailed)
	require.ErrorContains(t, err, "creating topic "+wish.Items.Name)
	require.NotContains(t, report.Created, wish.Items.Name)
	require.Len(t, report.Created, len(wish.Names())-1)
}

func TestDescribe(t *testing.T) {
	k, cfg, _ := start(t)
	a := k.Name("a")
	require.NoError(t, k.CreateTopic(a, 2, nil))
	client := cfg.Client()
	defer kafkaio.CloseIdle(client)
	for range 3 {
		_, err := client.Produce(t.Context(), &kafka.ProduceRequest{
			Topic: a, Partition: 1, RequiredAcks: kafka.RequireAll,
			Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte("v"))}),
		})
		require.NoError(t, err)
	}
	require.NoError(t, k.DeleteRecords(a, 1, 1))

	got, err := topics.Describe(t.Context(), cfg, "nowhere", a)
	require.NoError(t, err)
	require.Equal(t, topics.Description{Name: "nowhere", Missing: true}, got[0])
	require.Equal(t, a, got[1].Name)
	require.EqualValues(t, 2, got[1].Records())
	leader := k.Leader(a, 1)
	require.Equal(t, topics.Partition{
		ID: 1, Leader: leader, Replicas: []int{leader}, InSync: []int{leader}, Begin: 1, End: 3,
	}, got[1].Partitions[1])
	require.EqualValues(t, 0, got[1].Partitions[0].End)
}

func TestBrokersOutOfReach(t *testing.T) {
	_, cfg, wish := start(t)
	cfg.Brokers = []string{servertest.Nobody(t)}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, err := topics.Ensure(ctx, cfg, wish)
	require.ErrorContains(t, err, "asking the brokers at "+cfg.Brokers[0])
	require.ErrorContains(t, err, "connection refused")
}

func TestValidate(t *testing.T) {
	require.NoError(t, topics.DefaultConfig().Validate())
	for want, change := range map[string]func(*topics.Config){
		`items.name is "a b"`:                          func(c *topics.Config) { c.Items.Name = "a b" },
		`replies.name is "x", as is interactions.name`: func(c *topics.Config) { c.Interactions.Name, c.Replies.Name = "x", "x" },
		"requests.partitions is 0":                     func(c *topics.Config) { c.Requests.Partitions = 0 },
		"dead_letters.partitions is -1":                func(c *topics.Config) { c.DeadLetters.Partitions = -1 },
		"interactions.retention is 1ms":                func(c *topics.Config) { c.Interactions.Retention = time.Millisecond },
		"replication is -2":                            func(c *topics.Config) { c.Replication = -2 },
	} {
		c := topics.DefaultConfig()
		change(&c)
		require.ErrorContains(t, c.Validate(), want)
	}
}
