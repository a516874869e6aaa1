package kafkaio_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/producers/kafkaio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// broker is a Kafka with one topic.
type broker struct {
	*servertest.Kafka
	topic string
}

func startBroker(t testing.TB, partitions int32, topicConfig map[string]string) broker {
	t.Helper()
	k := servertest.StartKafka(t)
	b := broker{k, k.Name("events")}
	require.NoError(t, k.CreateTopic(b.topic, partitions, topicConfig))
	return b
}

func (b broker) config() kafkaio.Config {
	cfg := kafkaio.DefaultConfig()
	cfg.Brokers = []string{b.Addr()}
	return cfg
}

// writer returns a Writer that is closed with the test.
func (b broker) writer(t testing.TB, change func(*kafkaio.WriterConfig)) *kafkaio.Writer {
	t.Helper()
	wc := kafkaio.DefaultWriterConfig()
	wc.BackoffInitial = time.Millisecond
	if change != nil {
		change(&wc)
	}
	require.NoError(t, wc.Validate())
	w := kafkaio.NewWriter(b.config(), wc, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { require.NoError(t, w.Close(context.WithoutCancel(t.Context()))) })
	return w
}

// read returns the first n records of a partition.
func (b broker) read(t testing.TB, partition, n int) []kafka.Message {
	t.Helper()
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{b.Addr()}, Topic: b.topic, Partition: partition, MaxWait: 50 * time.Millisecond,
	})
	defer func() { require.NoError(t, r.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	out := make([]kafka.Message, 0, n)
	for range n {
		m, err := r.ReadMessage(ctx)
		require.NoError(t, err)
		out = append(out, m)
	}
	return out
}

func (b broker) message(key, value string) kafkaio.Message {
	return kafkaio.Message{Topic: b.topic, Partition: kafkaio.AnyPartition, Key: []byte(key), Value: []byte(value)}
}

func TestWriteKeepsEverythingOfAMessage(t *testing.T) {
	b := startBroker(t, 8, nil)
	w := b.writer(t, nil)
	at := time.UnixMilli(1_700_000_000_123)
	sent := kafkaio.Message{
		Topic: b.topic, Partition: kafkaio.AnyPartition, Key: []byte("user-7"), Value: []byte("hello"), Time: at,
		Headers: []kafkaio.Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: nil}},
	}
	p, err := w.Write(t.Context(), sent)
	require.NoError(t, err)
	require.Equal(t, kafkaio.Position{Partition: kafkaio.JavaPartition([]byte("user-7"), 8), Offset: 0}, p)

	tombstone := kafkaio.Message{Topic: b.topic, Partition: p.Partition, Key: []byte("user-7")}
	p2, err := w.Write(t.Context(), tombstone)
	require.NoError(t, err)
	require.Equal(t, kafkaio.Position{Partition: p.Partition, Offset: 1}, p2)

	got := b.read(t, int(p.Partition), 2)
	require.Equal(t, "user-7", string(got[0].Key))
	require.Equal(t, "hello", string(got[0].Value))
	require.True(t, got[0].Time.Equal(at))
	require.Equal(t, "a", got[0].Headers[0].Key)
	require.Equal(t, "1", string(got[0].Headers[0].Value))
	require.Len(t, got[0].Headers, 2)
	require.Nil(t, got[1].Value)
	require.WithinDuration(t, time.Now(), got[1].Time, time.Minute)
}

func TestMessagesWithoutKeyTakeTurns(t *testing.T) {
	b := startBroker(t, 4, nil)
	w := b.writer(t, nil)
	perPartition := make(map[int32]int)
	for range 12 {
		p, err := w.Write(t.Context(), kafkaio.Message{Topic: b.topic, Partition: kafkaio.AnyPartition, Value: []byte("v")})
		require.NoError(t, err)
		perPartition[p.Partition]++
	}
	require.Equal(t, map[int32]int{0: 3, 1: 3, 2: 3, 3: 3}, perPartition)
}

func TestEnqueueAnswersEachMessageOnceInOrder(t *testing.T) {
	const messages = 20_000
	b := startBroker(t, 3, nil)
	w := b.writer(t, func(c *kafkaio.WriterConfig) {
		c.MaxBatchMessages = 97
		c.QueueBytes = c.MaxBatchBytes // so that Enqueue has to wait, too
	})
	answers := newAnswers()
	for i := range messages {
		require.NoError(t, w.Enqueue(t.Context(), b.message(fmt.Sprint(i%50), fmt.Sprint(i)), answers.expect(i)))
	}
	require.NoError(t, w.Close(t.Context()))
	answers.requireAllWritten(t, messages)
	answers.requireLogInOrder(t, b, 3)
}

// answers collects what done was called with.
type answers struct {
	mu        sync.Mutex
	positions map[int]kafkaio.Position // by message
	calls     map[int]int
	errs      map[int]error
	next      map[int32]int64 // the offset that the next answer of a partition must exceed or equal
	disorder  error
}

func newAnswers() *answers {
	return &answers{
		positions: map[int]kafkaio.Position{}, calls: map[int]int{}, errs: map[int]error{}, next: map[int32]int64{},
	}
}

func (a *answers) expect(message int) func(kafkaio.Position, error) {
	return func(p kafkaio.Position, err error) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.calls[message]++
		if err != nil {
			a.errs[message] = err
			return
		}
		a.positions[message] = p
		if p.Offset < a.next[p.Partition] {
			a.disorder = fmt.Errorf("message %d answered with %v after offset %d", message, p, a.next[p.Partition]-1)
		}
		a.next[p.Partition] = p.Offset + 1
	}
}

func (a *answers) requireAllWritten(t *testing.T, messages int) {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	require.NoError(t, a.disorder)
	require.Empty(t, a.errs)
	require.Len(t, a.calls, messages)
	for message, n := range a.calls {
		require.Equal(t, 1, n, "answers to message %d", message)
	}
}

// requireLogInOrder reads the log and compares it with the answers: each message lies where its answer says, messages of one
// partition in the order of Enqueue, and there is nothing else.
func (a *answers) requireLogInOrder(t *testing.T, b broker, partitions int) {
	t.Helper()
	byPartition := make(map[int32]int)
	for _, p := range a.positions {
		byPartition[p.Partition]++
	}
	for partition := range partitions {
		n := byPartition[int32(partition)]
		require.EqualValues(t, n, b.End(b.topic, int32(partition)))
		last := -1
		for _, m := range b.read(t, partition, n) {
			var message int
			_, err := fmt.Sscan(string(m.Value), &message)
			require.NoError(t, err)
			require.Greater(t, message, last)
			require.Equal(t, kafkaio.Position{Partition: int32(partition), Offset: m.Offset}, a.positions[message])
			last = message
		}
	}
}

func TestTooLargeIsRefusedAlone(t *testing.T) {
	b := startBroker(t, 1, nil)
	w := b.writer(t, func(c *kafkaio.WriterConfig) { c.MaxBatchBytes = 2000 })
	_, err := w.Write(t.Context(), b.message("k", strings.Repeat("x", 2000)))
	require.True(t, kafkaio.IsMessageTooLarge(err), "%v", err)
	require.ErrorContains(t, err, "the most is 1939")
	_, err = w.Write(t.Context(), b.message("k", "small"))
	require.NoError(t, err)
}

func TestLargestMessageIsAccepted(t *testing.T) {
	const limit = 2000
	b := startBroker(t, 1, map[string]string{"max.message.bytes": fmt.Sprint(limit)})
	w := b.writer(t, func(c *kafkaio.WriterConfig) { c.MaxBatchBytes = limit })
	for size := limit - 200; ; size++ {
		_, err := w.Write(t.Context(), b.message("k", strings.Repeat("x", size)))
		if kafkaio.IsMessageTooLarge(err) {
			require.ErrorContains(t, err, "the most is", "the Writer's own limit must come before the broker's")
			return
		}
		require.NoError(t, err)
	}
}

// The broker takes less than the Writer allows: a batch is halved until the large message stands alone.
func TestBrokerRefusesOneMessageOfABatch(t *testing.T) {
	b := startBroker(t, 1, map[string]string{"max.message.bytes": "3000"})
	w := b.writer(t, nil)
	release := b.holdProduce(t)
	answers := newAnswers()
	const messages, large = 40, 17
	for i := range messages {
		m := b.message("k", fmt.Sprint(i))
		if i == large {
			m.Headers = []kafkaio.Header{{Key: "padding", Value: make([]byte, 4000)}}
		}
		require.NoError(t, w.Enqueue(t.Context(), m, answers.expect(i)))
	}
	release()
	require.NoError(t, w.Close(t.Context()))
	require.Len(t, answers.calls, messages)
	require.Len(t, answers.errs, 1)
	require.True(t, kafkaio.IsMessageTooLarge(answers.errs[large]), "%v", answers.errs[large])
	require.NoError(t, answers.disorder)
	answers.requireLogInOrder(t, b, 1)
}

func TestFullQueueWaitsForRoom(t *testing.T) {
	b := startBroker(t, 1, nil)
	w := b.writer(t, func(c *kafkaio.WriterConfig) { c.MaxBatchBytes, c.QueueBytes = 1100, 1100 })
	_, err := w.Write(t.Context(), b.message("k", "warm"))
	require.NoError(t, err)
	release := b.holdProduce(t)

	first := make(chan error, 1)
	large := b.message("k", strings.Repeat("x", 600))
	require.NoError(t, w.Enqueue(t.Context(), large, func(_ kafkaio.Position, err error) { first <- err }))

	short, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err = w.Enqueue(short, large, func(kafkaio.Position, error) { t.Error("done of a message that was not taken") })
	require.ErrorIs(t, err, context.DeadlineExceeded)

	second := make(chan error, 1)
	go func() {
		_, err := w.Write(t.Context(), large)
		second <- err
	}()
	release()
	require.NoError(t, <-first)
	require.NoError(t, <-second)
}

func TestUnknownDestinations(t *testing.T) {
	b := startBroker(t, 2, nil)
	w := b.writer(t, nil)
	for _, c := range []struct {
		topic     string
		partition int32
		want      string
	}{
		{"nowhere", kafkaio.AnyPartition, `there is no topic "nowhere"`},
		{"nowhere", 3, `there is no topic "nowhere"`},
		{b.topic, 2, "events has no partition 2: it has 0 to 1"},
		{b.topic, -7, "events has no partition -7"},
	} {
		_, err := w.Write(t.Context(), kafkaio.Message{Topic: c.topic, Partition: c.partition, Key: []byte("k")})
		require.True(t, kafkaio.IsUnknownDestination(err), "%v", err)
		require.ErrorContains(t, err, c.want)
	}
}

func TestNewTopicsAndPartitionsAreFound(t *testing.T) {
	b := startBroker(t, 1, nil)
	w := b.writer(t, nil)
	n, err := w.PartitionCount(t.Context(), b.topic)
	require.NoError(t, err)
	require.Equal(t, 1, n)

	require.NoError(t, b.CreateTopic(b.Name("later"), 5, nil))
	p, err := w.Write(t.Context(), kafkaio.Message{Topic: b.Name("later"), Partition: 4})
	require.NoError(t, err)
	require.Equal(t, kafkaio.Position{Partition: 4}, p)

	client := b.config().Client()
	defer kafkaio.CloseIdle(client)
	resp, err := client.CreatePartitions(t.Context(), &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: b.topic, Count: 3}},
	})
	require.NoError(t, err)
	require.NoError(t, resp.Errors[b.topic])
	require.Eventually(t, func() bool {
		_, err = w.Write(t.Context(), kafkaio.Message{Topic: b.topic, Partition: 2})
		return !kafkaio.IsUnknownDestination(err)
	}, 10*time.Second, 20*time.Millisecond)
	require.NoError(t, err)
}

// Somebody asks for replies at places that do not exist, thousands of times: the Writer refuses them without asking the
// brokers each time, and writes to others as before.
func TestInventedDestinationsDoNotStormTheBrokers(t *testing.T) {
	b := startBroker(t, 2, nil)
	w := b.writer(t, nil)
	asked := b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Metadata}, Count: -1, Observe: true})
	defer asked.Remove()
	start := time.Now()
	for range 2000 {
		for _, m := range []kafkaio.Message{{Topic: "nowhere", Partition: 3}, {Topic: b.topic, Partition: 99}} {
			_, err := w.Write(t.Context(), m)
			require.True(t, kafkaio.IsUnknownDestination(err), "%v", err)
		}
	}
	_, err := w.Write(t.Context(), b.message("k", "v"))
	require.NoError(t, err)
	require.LessOrEqual(t, asked.Hits(), 10+4*int(time.Since(start)/time.Second))
}

func TestCancelledContextTakesNothing(t *testing.T) {
	b := startBroker(t, 1, nil)
	w := b.writer(t, nil)
	_, err := w.Write(t.Context(), b.message("k", "v"))
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = w.Write(ctx, b.message("k", "v"))
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, w.Close(t.Context()))
	require.EqualValues(t, 1, b.End(b.topic, 0))
}

func TestCloseRefusesAndFlushes(t *testing.T) {
	b := startBroker(t, 1, nil)
	w := b.writer(t, nil)
	release := b.holdProduce(t)
	answers := newAnswers()
	for i := range 10 {
		require.NoError(t, w.Enqueue(t.Context(), b.message("k", fmt.Sprint(i)), answers.expect(i)))
	}
	closed := make(chan error, 1)
	go func() { closed <- w.Close(t.Context()) }()
	require.Eventually(t, func() bool {
		_, err := w.PartitionCount(t.Context(), b.topic)
		return errors.Is(err, kafkaio.ErrClosed)
	}, 5*time.Second, time.Millisecond)
	require.Empty(t, closed, "Close must wait for the answers")
	release()
	require.NoError(t, <-closed)
	answers.requireAllWritten(t, 10)
	_, err := w.Write(t.Context(), b.message("k", "late"))
	require.ErrorIs(t, err, kafkaio.ErrClosed)
}
