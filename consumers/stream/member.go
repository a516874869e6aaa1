package stream

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/producers/kafkaio"
)

// ErrAborted is what Run returns after Abort.
var ErrAborted = errors.New("the consumer was stopped at once: what it had not committed is handled again by the next owner")

// member is the membership of a Consumer or Gatherer in its group, from generation to generation.
//
// Two contexts rule its work. Intake ends when no new record may be taken: Run's context ended, the partitions are being
// taken away, or a commit failed. Work ends when what was taken must stop too: a drain time after intake, or on abort.
type member struct {
	kafka   kafkaio.Config
	runtime Runtime
	group   string
	topic   string
	log     *slog.Logger
	stats   counters
	ready   atomic.Bool

	telemetry    *telemetry
	spanName     string
	commitErrors atomic.Int64
	observed     atomic.Bool // somebody has read the metrics since it was last unset
	progressMu   sync.Mutex
	progress     map[int32]*progress // of the partitions that are owned now; replaced as a whole

	stuck stuckRecords

	aborts context.Context
	abort  context.CancelFunc
}

func newMember(k kafkaio.Config, runtime Runtime, group, topic string, log *slog.Logger) *member {
	m := &member{
		kafka: k, runtime: runtime, group: group, topic: topic,
		log:       log.With(slog.String("group", group), slog.String("topic", topic)),
		telemetry: newTelemetry(group, topic), spanName: operationProcess + " " + topic,
	}
	m.aborts, m.abort = context.WithCancel(context.Background())
	return m
}

// run joins the group and has serve work off one generation after the other, until ctx ends, serve fails or abort.
func (m *member) run(ctx context.Context, serve func(*generation) error) error {
	intake, stop := context.WithCancel(ctx)
	defer stop()
	defer context.AfterFunc(m.aborts, stop)()
	defer m.observe()()
	conns := newSeverable(net.Dialer{Timeout: m.kafka.DialTimeout, KeepAlive: 30 * time.Second})
	defer context.AfterFunc(m.aborts, conns.sever)()
	dialer := m.kafka.DialerOver(conns.dial)
	balancer := &countingBalancer{}

	group, err := kafka.NewConsumerGroup(m.groupConfig(dialer, balancer))
	if err != nil {
		return fmt.Errorf("joining group %s: %w", m.group, err)
	}
	defer m.leave(group, conns)
	trouble := complaint{log: m.log}
	for {
		gen, err := group.Next(intake)
		switch {
		case m.aborts.Err() != nil:
			return ErrAborted
		case intake.Err() != nil:
			return nil
		case err != nil && m.stats.generations.Load() == 0 && isRefusal(err):
			return fmt.Errorf("joining group %s of topic %s: the brokers refuse it: %w", m.group, m.topic, err)
		case errors.Is(err, kafka.RebalanceInProgress):
			continue // another member came while this one joined
		case err != nil:
			trouble.warn(time.Now(), "joining the group failed, trying again", err)
			continue
		}
		trouble.over()
		m.stats.generations.Add(1)
		m.log.Info("partitions assigned", slog.Any("partitions", assigned(gen, m.topic)), slog.Int("generation", int(gen.ID)))
		// One function for the whole generation: the first that returns ends it for all, heartbeats included.
		served := make(chan error, 1)
		gen.Start(func(genCtx context.Context) {
			g := &generation{member: m, kafka: gen, dialer: dialer, expected: balancer.taken()}
			served <- g.run(ctx, intake, genCtx, serve)
		})
		err = <-served
		m.log.Info("partitions given up", slog.Int("generation", int(gen.ID)))
		if err != nil {
			return err
		}
	}
}

// assigned lists the partitions that a generation gives to this member.
func assigned(gen *kafka.Generation, topic string) []int {
	ids := make([]int, 0, len(gen.Assignments[topic]))
	for _, a := range gen.Assignments[topic] {
		ids = append(ids, a.ID)
	}
	return ids
}

// leave leaves the group, so that the others take over now and not when the session times out; after abort it does not, as
// a process that died would not.
func (m *member) leave(group *kafka.ConsumerGroup, conns *severable) {
	if m.aborts.Err() != nil {
		conns.sever()
	}
	_ = group.Close() // always nil
}

func (m *member) groupConfig(dialer *kafka.Dialer, balancer kafka.GroupBalancer) kafka.ConsumerGroupConfig {
	return kafka.ConsumerGroupConfig{
		ID:                m.group,
		Brokers:           m.kafka.Brokers,
		Dialer:            dialer,
		Topics:            []string{m.topic},
		GroupBalancers:    []kafka.GroupBalancer{balancer},
		HeartbeatInterval: m.runtime.Group.HeartbeatInterval,
		SessionTimeout:    m.runtime.Group.SessionTimeout,
		RebalanceTimeout:  m.runtime.Group.RebalanceTimeout,
		JoinGroupBackoff:  m.runtime.Group.JoinBackoff,
		Timeout:           m.kafka.RequestTimeout,
		StartOffset:       kafka.FirstOffset, // stands for "nothing committed"; generation.start decides
		// Its own watcher can miss partitions; see countingBalancer.
		WatchPartitionChanges: false,
	}
}

// isRefusal says whether the brokers turned the member down for what it is or asks, rather than for their own state.
func isRefusal(err error) bool {
	for _, code := range []kafka.Error{kafka.InvalidGroupId, kafka.InvalidSessionTimeout, kafka.InconsistentGroupProtocol} {
		if errors.Is(err, code) {
			return true
		}
	}
	return kafkaio.IsRefused(err)
}

// countingBalancer is kafka-go's range balancer, and remembers how many partitions the topic had when this member, as the
// group's leader, assigned them.
//
// kafka-go's own watcher takes its first count after the assignment, so it can miss an addition for good: the leader reads
// 8 partitions and assigns them; a partition is added; the watcher's first count is 9, and so is every later one; nobody
// reads the ninth.
type countingBalancer struct {
	kafka.RangeGroupBalancer
	partitions atomic.Int64 // one more than the count; 0: this member did not assign
}

// AssignGroups implements kafka.GroupBalancer.
func (b *countingBalancer) AssignGroups(
	members []kafka.GroupMember, partitions []kafka.Partition,
) kafka.GroupMemberAssignments {
	b.partitions.Store(int64(len(partitions)) + 1)
	return b.RangeGroupBalancer.AssignGroups(members, partitions)
}

// taken returns how many partitions this member assigned for the generation that begins, -1 if another member did.
func (b *countingBalancer) taken() int {
	return int(b.partitions.Swap(0)) - 1
}
