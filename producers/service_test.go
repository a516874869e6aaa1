package producers_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const partitions = 4

// cluster is a Kafka with Freshet's topics.
type cluster struct {
	*servertest.Kafka // nil in examples
	cfg               producers.Config
}

// exampleCluster is an embedded Kafka, for examples.
func exampleCluster(ctx context.Context) (c *cluster, stop func(), err error) {
	k, err := embedded.StartKafka(ctx, embedded.Config{})
	if err != nil {
		return nil, nil, err
	}
	c = &cluster{cfg: producers.DefaultConfig()}
	if err := c.prepare(k.Addr(), k.CreateTopic); err != nil {
		k.Close()
		return nil, nil, err
	}
	return c, k.Close, nil
}

func start(t testing.TB) *cluster {
	t.Helper()
	c := &cluster{Kafka: servertest.StartKafka(t), cfg: producers.DefaultConfig()}
	c.cfg.Topics = producers.Topics{
		Interactions: c.Name("interactions"), Items: c.Name("items"), Requests: c.Name("requests"), Replies: c.Name("replies"),
	}
	require.NoError(t, c.prepare(c.Addr(), c.CreateTopic))
	return c
}

func (c *cluster) prepare(addr string, createTopic func(string, int32, map[string]string) error) error {
	c.cfg.Kafka.Brokers = []string{addr}
	c.cfg.Writer.BackoffInitial = time.Millisecond
	c.cfg.Replies.Timeout = 20 * time.Second
	for _, topic := range []string{c.cfg.Topics.Interactions, c.cfg.Topics.Items, c.cfg.Topics.Requests, c.cfg.Topics.Replies} {
		if err := createTopic(topic, partitions, nil); err != nil {
			return err
		}
	}
	return nil
}

// service answers requests, as the recommendations consumer does, in a way that a test decides.
type service struct {
	writer *kafkaio.Writer
	stop   context.CancelFunc
	wg     sync.WaitGroup

	requests *schemas.Serde[schemas.RecommendationRequest]
	replies  *schemas.Serde[schemas.RecommendationReply]
	handle   func(s *service, request kafka.Message)
}

// startService calls handle for each request, from several goroutines.
func startService(ctx context.Context, c *cluster, handle func(*service, kafka.Message)) (*service, error) {
	ctx, stop := context.WithCancel(ctx)
	s := &service{
		writer: kafkaio.NewWriter(c.cfg.Kafka, c.cfg.Writer, slog.New(slog.DiscardHandler)),
		stop:   stop, handle: handle,
	}
	var err error
	if s.requests, err = schemas.NewSerde[schemas.RecommendationRequest](ctx, schemas.EmbeddedRegistry(), "requests"); err != nil {
		return nil, err
	}
	if s.replies, err = schemas.NewSerde[schemas.RecommendationReply](ctx, schemas.EmbeddedRegistry(), "replies"); err != nil {
		return nil, err
	}
	for partition := range partitions {
		s.wg.Go(func() { s.consume(ctx, c, partition) })
	}
	return s, nil
}

func (s *service) consume(ctx context.Context, c *cluster, partition int) {
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: c.cfg.Kafka.Brokers, Topic: c.cfg.Topics.Requests, Partition: partition, MaxWait: 100 * time.Millisecond,
		ReadBackoffMin: time.Millisecond, ReadBackoffMax: 20 * time.Millisecond,
	})
	defer func() { _ = r.Close() }()
	for {
		m, err := r.ReadMessage(ctx)
		if err != nil {
			return
		}
		s.handle(s, m)
	}
}

func (s *service) close() {
	s.stop()
	s.wg.Wait()
	_ = s.writer.Close(context.Background())
}

// answer replies with what reply makes of the request, keeping the wire contract.
func (s *service) answer(m kafka.Message, reply func(*schemas.RecommendationRequest) schemas.RecommendationReply) {
	q, err := s.requests.Decode(context.Background(), m.Value, nil)
	if err != nil {
		return
	}
	r := reply(&q)
	r.RequestID, r.UserID = q.RequestID, q.UserID
	s.send(m, s.replies.Append(nil, &r))
}

// send writes a reply's bytes to where the request asks for.
func (s *service) send(m kafka.Message, value []byte) {
	correlation, _ := kafkaio.HeaderValue(m.Headers, kafkaio.HeaderCorrelationID)
	topic, _ := kafkaio.HeaderValue(m.Headers, kafkaio.HeaderReplyTopic)
	encoded, _ := kafkaio.HeaderValue(m.Headers, kafkaio.HeaderReplyPartition)
	partition, err := kafkaio.DecodePartition(encoded)
	if err != nil {
		return
	}
	_ = s.writer.Enqueue(context.Background(), kafkaio.Message{
		Topic: string(topic), Partition: partition, Key: m.Key, Value: value,
		Headers: []kafkaio.Header{{Key: kafkaio.HeaderCorrelationID, Value: correlation}},
	}, func(kafkaio.Position, error) {})
}

// serve starts a service for a test.
func (c *cluster) serve(t testing.TB, handle func(*service, kafka.Message)) *service {
	t.Helper()
	s, err := startService(t.Context(), c, handle)
	require.NoError(t, err)
	t.Cleanup(s.close)
	return s
}

// client returns a client that is closed with the test.
func (c *cluster) client(t testing.TB, change func(*producers.Config)) *producers.RecommendationClient {
	t.Helper()
	cfg := c.cfg
	if change != nil {
		change(&cfg)
	}
	client, err := producers.NewRecommendationClient(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), 5*time.Second)
		defer cancel()
		if err := client.Close(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	return client
}

// echo answers with one item that is named after the user.
func echo(q *schemas.RecommendationRequest) schemas.RecommendationReply {
	return schemas.RecommendationReply{
		Status: schemas.StatusOK, Items: []schemas.RecommendedItem{{ItemID: "for-" + q.UserID, Score: 1, Source: "retrieval"}},
	}
}

// reportWaits reports the median and the 99th percentile of all callers' waits.
func reportWaits(b *testing.B, waits [][]time.Duration) {
	all := slices.Concat(waits...)
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-us")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-us")
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "calls/s")
}
