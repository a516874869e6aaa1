package stream

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/producers/kafkaio"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 20 * time.Second
	tick     = 2 * time.Millisecond
)

// testTopic and testGroup are those of the world made last: tests run one after the other.
var testTopic, testGroup string

// world is a broker with a topic and its dead-letter topic.
type world struct {
	*servertest.Kafka
	t      testing.TB
	cfg    kafkaio.Config
	client *kafka.Client
	writer *kafkaio.Writer
}

func newWorld(t testing.TB, partitions int) *world {
	t.Helper()
	k := servertest.StartKafka(t)
	testTopic, testGroup = k.Name("events"), k.Name("workers")
	cfg := kafkaio.DefaultConfig()
	cfg.Brokers = []string{k.Addr()}
	w := &world{Kafka: k, t: t, cfg: cfg, client: cfg.Client()}
	w.writer = kafkaio.NewWriter(cfg, kafkaio.DefaultWriterConfig(), quiet())
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = w.writer.Close(ctx)
		kafkaio.CloseIdle(w.client)
	})
	w.createTopic(testTopic, partitions)
	w.createTopic(DeadLetterTopic(testTopic), 2)
	return w
}

func (w *world) createTopic(name string, partitions int, settings ...kafka.ConfigEntry) {
	w.t.Helper()
	values := map[string]string{}
	for _, s := range settings {
		values[s.ConfigName] = s.ConfigValue
	}
	require.NoError(w.t, w.CreateTopic(name, int32(partitions), values))
}

func (w *world) letters() *DeadLetters { return NewDeadLetters(w.cfg, w.writer) }

// write writes values to one partition.
func (w *world) write(partition int32, values ...string) {
	w.t.Helper()
	for _, v := range values {
		w.send(kafkaio.Message{Partition: partition, Key: []byte("k-" + v), Value: []byte(v)})
	}
}

func (w *world) send(m kafkaio.Message) kafkaio.Position {
	w.t.Helper()
	if m.Topic == "" {
		m.Topic = testTopic
	}
	at, err := w.writer.Write(w.t.Context(), m)
	require.NoError(w.t, err)
	return at
}

// fill writes n numbered records to the partitions in turn, many at a time.
func (w *world) fill(from, n, partitions int) {
	w.t.Helper()
	var acks sync.WaitGroup
	acks.Add(n)
	for i := from; i < from+n; i++ {
		m := kafkaio.Message{Topic: testTopic, Partition: int32(i % partitions), Value: number(i)}
		require.NoError(w.t, w.writer.Enqueue(w.t.Context(), m, func(_ kafkaio.Position, err error) {
			defer acks.Done()
			if err != nil {
				w.t.Error(err)
			}
		}))
	}
	acks.Wait()
}

func number(i int) []byte { return binary.BigEndian.AppendUint32(nil, uint32(i)) }

func numberOf(value []byte) int { return int(binary.BigEndian.Uint32(value)) }

// committed returns what the group has committed for a partition, -1 for nothing.
func (w *world) committed(partition int) int64 {
	return w.Committed(testGroup, testTopic, int32(partition))
}

func (w *world) requireCommitted(partition int, offset int64) {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.committed(partition) == offset }, patience, 5*time.Millisecond,
		"partition %d must be committed up to %d", partition, offset)
}

// deadLetters returns all dead letters of the topic.
func (w *world) deadLetters() []DeadLetter {
	w.t.Helper()
	var all []DeadLetter
	require.NoError(w.t, w.letters().List(w.t.Context(), testTopic, Selection{}, func(l DeadLetter) error {
		all = append(all, l)
		return nil
	}))
	return all
}

// quiet logs nothing, or with -v everything.
func quiet() *slog.Logger {
	if testing.Verbose() {
		return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	return slog.New(slog.DiscardHandler)
}

// fastRuntime notices rebalances and dead members within a test's patience.
func fastRuntime() Runtime {
	r := DefaultRuntime()
	r.Backoff = Backoff{Initial: time.Millisecond, Max: 20 * time.Millisecond}
	r.CommitInterval = time.Millisecond
	r.DrainTimeout = 500 * time.Millisecond
	r.Fetch.MaxWait = 100 * time.Millisecond
	r.Group.SessionTimeout = servertest.SessionTimeout(time.Second)
	r.Group.HeartbeatInterval = 20 * time.Millisecond
	r.Group.RebalanceTimeout = 3 * time.Second
	r.Group.JoinBackoff = 20 * time.Millisecond
	r.Group.PartitionCheckInterval = 20 * time.Millisecond
	return r
}

func fastConfig() Config {
	c := DefaultConfig()
	c.Runtime = fastRuntime()
	return c
}

func fastGatherConfig() GatherConfig {
	c := DefaultGatherConfig()
	c.Runtime = fastRuntime()
	return c
}

func (w *world) consumer(cfg Config, h HandlerFunc) *Consumer {
	return NewConsumer(w.cfg, cfg, testGroup, testTopic, h, w.letters(), quiet())
}

func (w *world) gatherer(cfg GatherConfig, h GatherFunc) *Gatherer {
	return NewGatherer(w.cfg, cfg, testGroup, testTopic, h, w.letters(), quiet())
}

// running is a Consumer or Gatherer in its Run.
type running struct {
	t      testing.TB
	cancel context.CancelFunc
	ended  chan struct{}
	err    error
}

type runner interface{ Run(context.Context) error }

func start(t testing.TB, r runner) *running {
	ctx, cancel := context.WithCancel(context.Background())
	run := &running{t: t, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(run.ended)
		run.err = r.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-run.ended
	})
	return run
}

// wait returns what Run returned.
func (r *running) wait() error {
	r.t.Helper()
	select {
	case <-r.ended:
		return r.err
	case <-time.After(patience):
		require.Fail(r.t, "Run did not return")
		return nil
	}
}

// drain ends Run's context and waits.
func (r *running) drain() error {
	r.t.Helper()
	r.cancel()
	return r.wait()
}

// tally counts how often each value was handled.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
	order  []string
}

func (c *tally) add(values ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = make(map[string]int)
	}
	for _, v := range values {
		c.counts[v]++
		c.order = append(c.order, v)
	}
}

func (c *tally) addBatch(batch []Record) {
	for _, r := range batch {
		c.add(string(r.Value))
	}
}

func (c *tally) distinct() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.counts)
}

func (c *tally) inOrder() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.order...)
}

func values(n int) []string {
	v := make([]string, n)
	for i := range v {
		v[i] = fmt.Sprintf("v%03d", i)
	}
	return v
}
