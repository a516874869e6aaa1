package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/consumers/stream/streamtest"
	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/producers/kafkaio"
)

// ledger checks what several members do to one topic.
type ledger struct {
	mu     sync.Mutex
	counts map[int]int
	next   map[int32]int64 // one past the newest offset handled
	holes  []string
}

func newLedger() *ledger { return &ledger{counts: make(map[int]int), next: make(map[int32]int64)} }

func (l *ledger) handled(records ...Record) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range records {
		l.counts[streamtest.NumberOf(r.Value)]++
		if r.Offset > l.next[r.Partition] {
			l.holes = append(l.holes, fmt.Sprintf("%d@%d follows %d", r.Partition, r.Offset, l.next[r.Partition]-1))
		}
		l.next[r.Partition] = max(l.next[r.Partition], r.Offset+1)
	}
}

func (l *ledger) distinct() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.counts)
}

func (l *ledger) requireEach(t *testing.T, n int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	require.Len(t, l.counts, n)
	for i, count := range l.counts {
		require.Equal(t, 1, count, "record %d", i)
	}
}

// unhurried lets no machine under load take a member for dead, or a drain for stuck.
func unhurried(r Runtime) Runtime {
	r.DrainTimeout = 5 * time.Second
	r.Group.SessionTimeout = 10 * time.Second
	r.Group.RebalanceTimeout = 15 * time.Second
	return r
}

// rebalance has two, then three, then two members work off a topic that is written to all the while, and none.
func (w *world) rebalance(member func() runner, done func() int) (written int) {
	const partitions, chunk = 6, 300
	grow := func(members int) {
		w.Fill(written, chunk, partitions)
		written += chunk
		ctx, cancel := context.WithTimeout(w.T.Context(), patience)
		defer cancel()
		require.NoError(w.T, w.AwaitStable(ctx, testGroup, members))
		w.Fill(written, chunk, partitions)
		written += chunk
	}
	first := start(w.T, member())
	second := start(w.T, member())
	grow(2)
	third := start(w.T, member())
	grow(3)
	require.NoError(w.T, first.drain())
	grow(2)
	require.NoError(w.T, second.drain())
	grow(1)
	require.Eventually(w.T, func() bool { return done() == written }, patience, tick)
	require.NoError(w.T, third.drain())
	for p := range partitions {
		require.Equal(w.T, int64(written/partitions), w.committed(p))
	}
	return written
}

func TestConsumersRebalanceUnderLoad(t *testing.T) {
	w := newWorld(t, 6)
	l := newLedger()
	cfg := fastConfig()
	cfg.MaxRecords, cfg.Runtime = 16, unhurried(cfg.Runtime)
	written := w.rebalance(func() runner {
		return w.consumer(cfg, func(_ context.Context, batch []Record) error {
			l.handled(batch...)
			return nil
		})
	}, l.distinct)
	l.requireEach(t, written)
	require.Empty(t, l.holes)
}

func TestGatherersRebalanceUnderLoad(t *testing.T) {
	w := newWorld(t, 6)
	l := newLedger()
	cfg := fastGatherConfig()
	cfg.MaxRecords, cfg.Runtime = 16, unhurried(cfg.Runtime)
	var answers sync.WaitGroup
	defer answers.Wait()
	written := w.rebalance(func() runner {
		return w.gatherer(cfg, func(_ context.Context, batch []*Delivery) {
			for i, d := range batch {
				if i%3 == 0 { // waits beside the batches
					answers.Go(func() {
						l.handled(d.Record)
						d.Done(nil)
					})
					continue
				}
				l.handled(d.Record)
				d.Done(nil)
			}
		})
	}, l.distinct)
	l.requireEach(t, written)
}

// The process dies after the handler's write and before the commit: the next owner handles the batch again, from exactly
// the committed offset on.
func TestConsumerDeadBetweenHandleAndCommit(t *testing.T) {
	w := newWorld(t, 1)
	w.Fill(0, 100, 1)
	l := newLedger()
	cfg := fastConfig()
	cfg.MaxRecords = 10
	cfg.CommitInterval = 0
	var dying *Consumer
	var handled int
	dying = w.consumer(cfg, func(_ context.Context, batch []Record) error {
		l.handled(batch...)
		if handled += len(batch); handled == 50 {
			dying.Abort()
		}
		return nil
	})
	require.ErrorIs(t, start(t, dying).wait(), ErrAborted)
	committed := w.committed(0)
	require.Less(t, committed, int64(50))
	require.Equal(t, 50, l.distinct())

	first := make(chan int64, 1)
	next := w.consumer(cfg, func(_ context.Context, batch []Record) error {
		select {
		case first <- batch[0].Offset:
		default:
		}
		l.handled(batch...)
		return nil
	})
	run := start(t, next)
	require.Equal(t, max(committed, 0), <-first, "-1 means that even the first commit, of where to begin, came too late")
	w.requireCommitted(0, 100)
	require.NoError(t, run.drain())
	require.Equal(t, 100, l.distinct())
	require.Empty(t, l.holes)
}

func TestGathererDeadBeforeItsCommit(t *testing.T) {
	w := newWorld(t, 2)
	w.Fill(0, 60, 2)
	l := newLedger()
	var dying *Gatherer
	var handled atomic.Int32
	dying = w.gatherer(fastGatherConfig(), func(_ context.Context, batch []*Delivery) {
		for _, d := range batch {
			l.handled(d.Record)
			d.Done(nil)
			if handled.Add(1) == 20 {
				dying.Abort()
			}
		}
	})
	require.ErrorIs(t, start(t, dying).wait(), ErrAborted)
	run := start(t, w.gatherer(fastGatherConfig(), func(_ context.Context, batch []*Delivery) {
		for _, d := range batch {
			l.handled(d.Record)
			d.Done(nil)
		}
	}))
	w.requireCommitted(0, 30)
	w.requireCommitted(1, 30)
	require.NoError(t, run.drain())
	require.Equal(t, 60, l.distinct())
}

// A member is paused for longer than its session. Another one takes its partition and goes ahead; the first wakes up,
// and must not rewind the group.
func TestZombieCannotRewindTheGroup(t *testing.T) {
	w := newWorld(t, 1)
	w.Fill(0, 30, 1)
	paused, wake := make(chan struct{}), make(chan struct{})
	var once sync.Once
	cfg := fastConfig()
	cfg.MaxRecords = 10
	asleep := cfg
	asleep.Group.HeartbeatInterval = time.Hour
	asleep.Group.SessionTimeout = servertest.SessionTimeout(300 * time.Millisecond)
	zombie := w.consumer(asleep, func(context.Context, []Record) error {
		once.Do(func() {
			close(paused)
			<-wake
		})
		return nil
	})
	zombieRun := start(t, zombie)
	<-paused
	l := newLedger()
	owner := start(t, w.consumer(cfg, func(_ context.Context, batch []Record) error {
		l.handled(batch...)
		return nil
	}))
	w.requireCommitted(0, 30)
	close(wake)
	require.Eventually(t, func() bool { return zombie.Stats().Generations > 1 }, patience, tick, "it learns, and joins anew")
	require.Equal(t, int64(30), w.committed(0))
	require.NoError(t, zombieRun.drain())
	require.NoError(t, owner.drain())
	l.requireEach(t, 30)
}

// A partition is taken away while its batch is in the handler: the batch ends, is committed, and is not handled twice.
func TestRevokedWhileHandling(t *testing.T) {
	w := newWorld(t, 2)
	w.Fill(0, 20, 2)
	l := newLedger()
	holding, release := make(chan struct{}, 2), make(chan struct{})
	cfg := fastConfig()
	cfg.Runtime = unhurried(cfg.Runtime)
	first := w.consumer(cfg, func(ctx context.Context, batch []Record) error {
		holding <- struct{}{}
		<-release
		assert.NoError(t, ctx.Err()) //nolint:testifylint // not on the goroutine of the test
		l.handled(batch...)
		return nil
	})
	start(t, first)
	<-holding
	<-holding
	second := w.consumer(cfg, func(_ context.Context, batch []Record) error {
		l.handled(batch...)
		return nil
	})
	start(t, second)
	require.Eventually(t, func() bool { return !first.Ready() || w.Group(testGroup).State == "PreparingRebalance" },
		patience, tick)
	close(release)
	w.requireCommitted(0, 10)
	w.requireCommitted(1, 10)
	l.requireEach(t, 20)
}

func TestDrainGivesTheBatchInHandItsChance(t *testing.T) {
	w := newWorld(t, 1)
	w.Fill(0, 20, 1)
	cfg := fastConfig()
	cfg.MaxRecords = 5
	holding, release := make(chan struct{}), make(chan struct{})
	var calls atomic.Int32
	c := w.consumer(cfg, func(ctx context.Context, _ []Record) error {
		calls.Add(1)
		close(holding)
		<-release
		return ctx.Err()
	})
	run := start(t, c)
	<-holding
	run.cancel()
	close(release)
	require.NoError(t, run.wait())
	require.Equal(t, int32(1), calls.Load(), "nothing new is begun")
	require.Equal(t, int64(5), w.committed(0))
	info := w.Group(testGroup)
	require.Zero(t, info.Members, "it left the group")
}

func TestDrainEndsAHandlerThatTakesTooLong(t *testing.T) {
	w := newWorld(t, 1)
	w.Fill(0, 5, 1)
	cfg := fastConfig()
	cfg.DrainTimeout = 30 * time.Millisecond
	holding := make(chan struct{})
	run := start(t, w.consumer(cfg, func(ctx context.Context, _ []Record) error {
		close(holding)
		<-ctx.Done()
		return ctx.Err()
	}))
	<-holding
	require.NoError(t, run.drain())
	require.Equal(t, int64(0), w.committed(0))
}

func TestDrainDoesNotWaitForRetries(t *testing.T) {
	w := newWorld(t, 1)
	w.Fill(0, 10, 1)
	cfg := fastConfig()
	cfg.Backoff = partition.Backoff{Initial: time.Hour, Max: time.Hour}
	failed := make(chan struct{})
	run := start(t, w.consumer(cfg, func(context.Context, []Record) error {
		defer close(failed)
		return Failures{{Index: 7, Err: errors.New("away")}}
	}))
	<-failed
	require.NoError(t, run.drain())
	require.Equal(t, int64(7), w.committed(0), "what was done before the failed record is committed")
}

func TestAbortStopsAtOnce(t *testing.T) {
	w := newWorld(t, 1)
	w.Fill(0, 10, 1)
	holding := make(chan struct{})
	c := w.consumer(fastConfig(), func(ctx context.Context, _ []Record) error {
		close(holding)
		<-ctx.Done()
		return nil // as if it had been done
	})
	run := start(t, c)
	<-holding
	run.cancel() // the first signal
	c.Abort()    // the second
	require.ErrorIs(t, run.wait(), ErrAborted)
	require.LessOrEqual(t, w.committed(0), int64(0), "where to begin at the most")
	require.Equal(t, 1, w.Group(testGroup).Members, "it did not leave the group")
}

func TestBrokersOutOfReach(t *testing.T) {
	w := newWorld(t, 1)
	w.Config.Brokers = []string{servertest.Nobody(t)}
	handler := func(context.Context, []Record) error { return nil }
	c := w.consumer(fastConfig(), handler)
	run := start(t, c)
	require.NoError(t, run.drain())
	require.False(t, c.Ready())
	c = w.consumer(fastConfig(), handler)
	run = start(t, c)
	c.Abort()
	require.ErrorIs(t, run.wait(), ErrAborted)
}

func TestAddedPartitionIsPickedUp(t *testing.T) {
	w := newWorld(t, 2)
	var seen tally
	handler := func(_ context.Context, batch []Record) error {
		seen.addBatch(batch)
		return nil
	}
	first, second := w.consumer(fastConfig(), handler), w.consumer(fastConfig(), handler)
	start(t, first)
	start(t, second)
	require.Eventually(t, func() bool { return first.Ready() && second.Ready() }, patience, tick)
	resp, err := w.Client.CreatePartitions(t.Context(), &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: testTopic, Count: 4}},
	})
	require.NoError(t, err)
	require.NoError(t, resp.Errors[testTopic])
	client := w.Config.Client() // the writer's view may be old
	defer kafkaio.CloseIdle(client)
	for p := range 4 {
		require.Eventually(t, func() bool { // a partition just added may not have a leader yet
			resp, err := client.Produce(t.Context(), &kafka.ProduceRequest{
				Topic: testTopic, Partition: p, RequiredAcks: kafka.RequireAll,
				Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes(fmt.Append(nil, "p", p))}),
			})
			return err == nil && resp.Error == nil
		}, patience, tick)
	}
	require.Eventually(t, func() bool { return seen.distinct() == 4 }, patience, tick)
}

func TestPartitionAddedDuringTheAssignmentIsPickedUp(t *testing.T) {
	w := newWorld(t, 1)
	b := &countingBalancer{}
	require.Equal(t, -1, b.taken())
	b.AssignGroups([]kafka.GroupMember{{ID: "m", Topics: []string{testTopic}}}, []kafka.Partition{{Topic: testTopic}})
	g := &generation{member: newMember(w.Config, fastRuntime(), testGroup, testTopic, streamtest.Quiet()), expected: b.taken()}
	require.Equal(t, 1, g.expected)
	require.Equal(t, -1, b.taken(), "another member may assign the next generation")
	g.intake, g.stop = context.WithCancel(t.Context())
	g.dialer = w.Config.Dialer()
	_, err := w.Client.CreatePartitions(t.Context(), &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: testTopic, Count: 2}},
	})
	require.NoError(t, err)
	g.watchPartitions()
	require.Error(t, g.intake.Err(), "the generation ends, and the next assigns both")
}

func TestReadiness(t *testing.T) {
	w := newWorld(t, 1)
	handler := func(context.Context, []Record) error { return nil }
	owner, standby := w.consumer(fastConfig(), handler), w.consumer(fastConfig(), handler)
	require.False(t, owner.Ready())
	start(t, owner)
	start(t, standby)
	require.Eventually(t, func() bool { return owner.Ready() && standby.Ready() }, patience, tick)

	late := NewConsumer(w.Config, fastConfig(), w.Name("others"), w.Name("later"), HandlerFunc(handler), w.letters(), streamtest.Quiet())
	start(t, late)
	require.Eventually(t, func() bool { return late.Stats().Generations > 0 }, patience, tick)
	require.False(t, late.Ready(), "there is no such topic")
	w.Create(w.Name("later"), 2)
	require.Eventually(t, late.Ready, patience, tick)
}

func TestJoiningIsTriedAgainUnlessRefused(t *testing.T) {
	w := newWorld(t, 1)
	w.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.FindCoordinator}, TopLevel: true, Group: testGroup, Err: kerr.CoordinatorNotAvailable, Count: 2,
	})
	handler := func(context.Context, []Record) error { return nil }
	c := w.consumer(fastConfig(), handler)
	run := start(t, c)
	require.Eventually(t, c.Ready, patience, tick)
	require.NoError(t, run.drain())

	w.Fault(kfake.Fault{
		Keys: []kmsg.Key{kmsg.JoinGroup}, TopLevel: true, Group: testGroup, Err: kerr.GroupAuthorizationFailed, Count: -1,
	})
	require.ErrorIs(t, start(t, w.consumer(fastConfig(), handler)).wait(), kafka.GroupAuthorizationFailed)
}

func TestCommitThatFailsLosesNothing(t *testing.T) {
	w := newWorld(t, 1)
	w.Fill(0, 10, 1)
	cfg := fastConfig()
	cfg.MaxRecords = 5
	fault := w.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.OffsetCommit}, Group: testGroup, Err: kerr.NotCoordinator, Count: 3})
	l := newLedger()
	c := w.consumer(cfg, func(_ context.Context, batch []Record) error {
		l.handled(batch...)
		return nil
	})
	start(t, c)
	w.requireCommitted(0, 10)
	require.Equal(t, 3, fault.Hits())
	require.Greater(t, c.Stats().Generations, int64(1))
	require.Equal(t, 10, l.distinct())
	require.Empty(t, l.holes)
}
