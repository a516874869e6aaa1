package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
)

// running is a set of roles in this process, as `freshet run` would run them.
type running struct {
	*online.System
	cancel context.CancelFunc
	ended  chan struct{} // closed when the roles have ended, err says why
	err    error
}

const (
	readyTimeout = time.Minute
	// readyPoll is short, since the time at which a role has its partitions begins a measurement.
	readyPoll = time.Millisecond
)

// start runs roles and returns as soon as they have their partitions; those that serve, when they can.
func (l *lab) start(ctx context.Context, s settings.Settings, roles ...online.Role) (*running, error) {
	system, err := online.Open(ctx, s, roles, l.Log)
	if err != nil {
		return nil, err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &running{System: system, cancel: cancel, ended: make(chan struct{})}
	go func() {
		defer close(r.ended)
		// All that the roles do carries the label, so that a profile tells it from load and floors (pprof -tagfocus).
		pprof.Do(background, pprof.Labels("side", "ours"), func(ctx context.Context) { r.err = system.Run(ctx) })
	}()
	waiting, done := context.WithTimeout(ctx, readyTimeout)
	defer done()
	for {
		missing := system.Missing(waiting)
		if len(missing) == 0 {
			return r, nil
		}
		if err := r.pause(waiting, readyPoll); err != nil {
			return nil, errors.Join(fmt.Errorf("waiting for %s: %w", strings.Join(missing, "; "), err), r.stop())
		}
	}
}

// pause waits for d, or less when ctx or the roles end, which is an error.
func (r *running) pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-r.ended:
		return fmt.Errorf("the roles stopped by themselves: %w", r.err)
	case <-time.After(d):
		return nil
	}
}

// stop lets the roles finish what they hold.
func (r *running) stop() error {
	r.cancel()
	<-r.ended
	return errors.Join(r.err, r.Close())
}

// commitPoll is how often the offsets of a group are asked for. A commit follows its records by up to the role's
// commit_interval, which counts as ours.
const commitPoll = 10 * time.Millisecond

// awaitCommitted returns when a role's group has committed everything up to ends.
func (l *lab) awaitCommitted(ctx context.Context, r *running, group, topic string, ends map[int32]int64) error {
	ask := &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: nil}}
	for partition := range ends {
		ask.Topics[topic] = append(ask.Topics[topic], int(partition))
	}
	for {
		resp, err := l.kafka.OffsetFetch(ctx, ask)
		if err == nil {
			err = resp.Error
		}
		if err != nil {
			return fmt.Errorf("asking for the offsets of group %s: %w", group, err)
		}
		behind := 0
		for _, p := range resp.Topics[topic] {
			if p.CommittedOffset < ends[int32(p.Partition)] {
				behind++
			}
		}
		if behind == 0 {
			return nil
		}
		if err := r.pause(ctx, commitPoll); err != nil {
			return fmt.Errorf("waiting for group %s to work off %d partitions: %w", group, behind, err)
		}
	}
}

// workOff runs a role until its group has committed everything up to ends, and returns how long that took from when it had
// its partitions. The joining of the group is left out: it happens once in a process's life.
func (l *lab) workOff(
	ctx context.Context, s settings.Settings, role online.Role, topic string, ends map[int32]int64,
) (took time.Duration, err error) {
	r, err := l.start(ctx, s, role)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	begin := time.Now()
	err = l.awaitCommitted(ctx, r, role.Group(s.Consumers.Group), topic, ends)
	return time.Since(begin), err
}
