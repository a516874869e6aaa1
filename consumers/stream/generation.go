package stream

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/consumers/stream/partition"
)

// generation is the time from one rebalance of the group to the next: a fixed set of partitions.
type generation struct {
	member   *member
	kafka    *kafka.Generation
	dialer   *kafka.Dialer
	expected int // partitions that the topic had when this member assigned them, -1 if another one did

	topic   *partition.Topic
	commits *committer
	starts  map[int32]int64 // the partitions of this member, and where to begin
	owned   map[int32]*progress

	intake context.Context
	stop   context.CancelFunc // ends intake
	work   context.Context
}

// run takes the partitions, has serve work them off until intake ends, and commits what is left to commit. It returns
// within the drain time after intake, if the handlers heed their contexts.
//
// The group waits for it: a rebalance goes on only when all members have given up their partitions, so within run the
// commits still count, and the next owner begins behind them.
func (g *generation) run(ctx, intake, genCtx context.Context, serve func(*generation) error) error {
	m := g.member
	g.intake, g.stop = context.WithCancel(intake)
	defer g.stop()
	defer context.AfterFunc(genCtx, g.stop)()
	var endWork context.CancelFunc
	g.work, endWork = context.WithCancel(context.WithoutCancel(ctx))
	defer endWork()
	defer context.AfterFunc(m.aborts, endWork)()
	defer context.AfterFunc(g.intake, func() { time.AfterFunc(m.runtime.DrainTimeout, endWork) })()
	g.topic = partition.NewTopic(m.kafka, m.topic)
	defer g.topic.Close()
	g.commits = newCommitter(g.commit, m.runtime.CommitInterval, &m.stats)

	if err := g.start(); err != nil {
		return nil // intake ended
	}
	m.own(g.owned)
	defer m.own(nil)
	var background sync.WaitGroup
	background.Go(g.commitUntilLost)
	background.Go(g.watchPartitions)
	background.Go(g.watchEnds)
	err := serve(g)
	g.stop()
	background.Wait()
	m.ready.Store(false)
	if m.aborts.Err() != nil {
		return ErrAborted
	}
	if flushErr := g.commits.flush(); flushErr != nil {
		m.log.Warn("the last commit before giving up the partitions failed: the next owner handles some records again",
			slog.Any("error", flushErr))
	}
	return err
}

// commit sends one commit request, unless the member was stopped at once: then it must be as if it had died.
func (g *generation) commit(offsets map[int]int64) error {
	if g.member.aborts.Err() != nil {
		return ErrAborted
	}
	began := time.Now()
	err := g.kafka.CommitOffsets(map[string]map[int]int64{g.member.topic: offsets})
	g.member.telemetry.committed(began, err)
	if err != nil {
		g.member.commitErrors.Add(1)
	}
	return err
}

// commitUntilLost commits until intake ends, and ends intake when a commit fails.
//
// The coordinator refuses commits of a member that it has given up. Without an end to intake the member would go on
// handling records that others handle as well, until its next heartbeat tells it.
func (g *generation) commitUntilLost() {
	if err := g.commits.run(g.intake); err != nil {
		if g.intake.Err() == nil {
			g.member.log.Warn("joining the group anew", slog.Any("error", err))
		}
		g.stop()
	}
}

// start finds out where to begin on each partition, and waits for brokers that are out of reach until intake ends.
func (g *generation) start() error {
	assigned := g.kafka.Assignments[g.member.topic]
	partitions := make([]int32, len(assigned))
	for i, a := range assigned {
		partitions[i] = int32(a.ID)
	}
	failures := g.member.runtime.Backoff.Pauses()
	for {
		spans, err := g.topic.Spans(g.intake, partitions...)
		if err == nil {
			g.starts = g.startOffsets(assigned, spans)
			g.owned = make(map[int32]*progress, len(g.starts))
			for id, next := range g.starts {
				g.owned[id] = newProgress(next, spans[id].Log)
			}
			return nil
		}
		if g.intake.Err() == nil {
			g.member.log.Warn("finding out where to begin failed, trying again", slog.Any("error", err))
		}
		if !partition.Pause(g.intake, failures.NextBackOff()) {
			return g.intake.Err()
		}
	}
}

// startOffsets decides where to begin. Where nothing was committed it commits that decision at once: a group that starts
// at the end would otherwise lose records when it crashes before its first commit. (It starts at 10, the end; it crashes;
// 10 to 12 are written; it starts again at the end, 13.)
func (g *generation) startOffsets(assigned []kafka.PartitionAssignment, spans map[int32]partition.Span) map[int32]int64 {
	starts := make(map[int32]int64, len(assigned))
	for _, a := range assigned {
		id, log := int32(a.ID), g.member.log.With(slog.Int("partition", a.ID))
		switch {
		case a.Offset >= 0:
			starts[id] = spans[id].Settle(a.Offset, log, &g.member.stats.losses)
			continue
		case g.member.runtime.Group.StartAt == StartLast:
			starts[id] = spans[id].End
		default:
			starts[id] = spans[id].First
		}
		g.commits.mark(id, starts[id])
	}
	return starts
}

// watchPartitions says that the member is ready and, if it leads the group, ends the generation when the topic has another
// number of partitions than it assigned: the leader's joining anew is what makes the group assign them.
func (g *generation) watchPartitions() {
	if len(g.starts) > 0 {
		g.member.ready.Store(true)
	}
	ticker := time.NewTicker(g.member.runtime.Group.PartitionCheckInterval)
	defer ticker.Stop()
	for g.expected >= 0 || !g.member.ready.Load() {
		count, err := g.countPartitions()
		switch {
		case g.intake.Err() != nil:
			return
		case err != nil:
			g.member.log.Warn("looking for added partitions failed", slog.Any("error", err))
		case g.expected >= 0 && count != g.expected:
			g.member.log.Info("the number of partitions changed", slog.Int("from", g.expected), slog.Int("to", count))
			g.stop()
			return
		case count == 0:
			g.member.log.Warn("the topic does not exist, or has no partitions yet: create it")
		default:
			g.member.ready.Store(true) // without partitions: others have them all, and this member stands by
		}
		select {
		case <-g.intake.Done():
			return
		case <-ticker.C:
		}
	}
}

func (g *generation) countPartitions() (int, error) {
	ctx, cancel := context.WithTimeout(g.intake, g.member.kafka.RequestTimeout)
	defer cancel()
	count, err := partition.Count(ctx, g.dialer, g.member.kafka.Brokers, g.member.topic)
	if err != nil {
		return 0, fmt.Errorf("checking partitions: %w", err)
	}
	return count, nil
}

// bury writes a dead letter, again and again, until intake ends. An attempt that has begun goes on while work does.
func (g *generation) bury(work context.Context, letters *DeadLetters, r *Record, reason error) error {
	m := g.member
	pauses := m.runtime.Backoff.Pauses()
	tries := attempts{member: m, log: m.log, at: recordAt{r.Partition, r.Offset}}
	defer tries.over()
	for {
		ctx, cancel := context.WithTimeout(work, m.runtime.HandleTimeout)
		err := letters.Write(ctx, r, m.group, reason)
		cancel()
		if err == nil {
			m.buried(reason)
			return nil
		}
		m.stats.retries.Add(1)
		wait := pauses.NextBackOff()
		tries.failed("writing a dead letter failed, trying again; its partition waits", err, time.Now(),
			slog.Int("partition", int(r.Partition)), slog.Int64("offset", r.Offset), slog.Duration("in", wait))
		if !partition.Pause(g.intake, wait) {
			return fmt.Errorf("%w: %w", partition.ErrUnfinished, err)
		}
	}
}
