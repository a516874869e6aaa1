package stream

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/consumers/stream/streamtest"
	"github.com/freshet/freshet/infra/embedded/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 20 * time.Second
	tick     = 2 * time.Millisecond
)

// testTopic and testGroup are those of the world made last: tests run one after the other.
var testTopic, testGroup string

// world is a broker with a topic and its dead-letter topic.
type world struct{ *streamtest.World }

func newWorld(t testing.TB, partitions int) *world {
	t.Helper()
	w := &world{streamtest.New(t, partitions)}
	testTopic, testGroup = w.Topic, w.Name("workers")
	w.Create(DeadLetterTopic(testTopic), 2)
	return w
}

func (w *world) letters() *DeadLetters { return NewDeadLetters(w.Config, w.Writer) }

// committed returns what the group has committed for a partition, -1 for nothing.
func (w *world) committed(partition int) int64 {
	return w.Committed(testGroup, testTopic, int32(partition))
}

func (w *world) requireCommitted(partition int, offset int64) {
	w.T.Helper()
	require.Eventually(w.T, func() bool { return w.committed(partition) == offset }, patience, 5*time.Millisecond,
		"partition %d must be committed up to %d", partition, offset)
}

// deadLetters returns all dead letters of the topic.
func (w *world) deadLetters() []DeadLetter {
	w.T.Helper()
	var all []DeadLetter
	require.NoError(w.T, w.letters().List(w.T.Context(), testTopic, Selection{}, func(l DeadLetter) error {
		all = append(all, l)
		return nil
	}))
	return all
}

// fastRuntime notices rebalances and dead members within a test's patience.
func fastRuntime() Runtime {
	r := DefaultRuntime()
	r.Backoff = partition.Backoff{Initial: time.Millisecond, Max: 20 * time.Millisecond}
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
	return NewConsumer(w.Config, cfg, testGroup, testTopic, h, w.letters(), streamtest.Quiet())
}

func (w *world) gatherer(cfg GatherConfig, h GatherFunc) *Gatherer {
	return NewGatherer(w.Config, cfg, testGroup, testTopic, h, w.letters(), streamtest.Quiet())
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
