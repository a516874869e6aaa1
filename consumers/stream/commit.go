package stream

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/freshet/freshet/consumers/stream/partition"
)

// committer commits the offsets of one generation, all partitions in one request, while the partitions go on with their
// next batches: what was marked while the last commit was in flight goes with the next.
//
// A crash between a handler's write and the commit, or a commit that is lost, has the next owner handle the same records
// again; that is why handlers are idempotent, and it makes commits that lag behind harmless too.
//
// A zombie cannot rewind anybody: a member is paused for longer than its session; another one takes its partition and
// commits 900; the member wakes up and commits 400; the coordinator refuses it, since the request names a generation that
// is over. (kafka.Reader with a GroupID commits by its newest generation, whichever it was that read the record, and so
// does rewind.)
type committer struct {
	send     func(map[int]int64) error
	interval time.Duration
	stats    *counters

	mu     sync.Mutex
	marked map[int]int64
	wake   chan struct{}
}

func newCommitter(send func(map[int]int64) error, interval time.Duration, stats *counters) *committer {
	return &committer{
		send:     send,
		interval: interval,
		stats:    stats,
		marked:   make(map[int]int64),
		wake:     make(chan struct{}, 1),
	}
}

// mark has next committed soon: everything of the partition below it is done.
func (c *committer) mark(partition int32, next int64) {
	c.mu.Lock()
	c.marked[int(partition)] = next
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// run commits until ctx ends or a commit fails: then the generation is as good as over.
func (c *committer) run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-c.wake:
		}
		if err := c.flush(); err != nil {
			return err
		}
		if !partition.Pause(ctx, c.interval) {
			return nil
		}
	}
}

// flush commits what is marked. What could not be committed stays marked.
func (c *committer) flush() error {
	c.mu.Lock()
	offsets := c.marked
	c.marked = make(map[int]int64)
	c.mu.Unlock()
	if len(offsets) == 0 {
		return nil
	}
	if err := c.send(offsets); err != nil {
		c.restore(offsets)
		return fmt.Errorf("committing offsets: %w", err)
	}
	c.stats.commits.Add(1)
	return nil
}

// restore marks offsets again, where no newer ones are marked.
func (c *committer) restore(offsets map[int]int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for partition, next := range offsets {
		if _, newer := c.marked[partition]; !newer {
			c.marked[partition] = next
		}
	}
}
