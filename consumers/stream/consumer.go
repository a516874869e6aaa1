package stream

import (
	"context"
	"log/slog"
	"sync"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Consumer reads a topic as a member of a consumer group and has a Handler work it off: in order within each partition,
// partitions side by side, at least once.
type Consumer struct {
	member  *member
	cfg     Config
	handler Handler
	letters *DeadLetters
}

// NewConsumer returns a Consumer; Run starts it. dl writes the dead letters of the topic, and may be shared.
func NewConsumer(
	k kafkaio.Config, cfg Config, group, topic string, h Handler, dl *DeadLetters, log *slog.Logger,
) *Consumer {
	return &Consumer{member: newMember(k, cfg.Runtime, group, topic, log), cfg: cfg, handler: h, letters: dl}
}

// Run consumes until ctx ends. Then it lets the batches that are being handled finish, within DrainTimeout, commits, leaves
// the group and returns nil. It returns an error when the handler refused a batch, when the brokers refuse the member, and
// after Abort. It is called once.
func (c *Consumer) Run(ctx context.Context) error {
	return c.member.run(ctx, c.serve)
}

// Ready says whether the member has its partitions, or stands by since others have them all.
func (c *Consumer) Ready() bool { return c.member.ready.Load() }

// Stuck lists, for each partition that has any, the record that has been tried longest, in the order of the partitions.
func (c *Consumer) Stuck() []Stuck { return c.member.stuck.longest() }

// Stats returns what was done so far.
func (c *Consumer) Stats() Stats { return c.member.stats.snapshot() }

// Abort stops at once, as a second signal asks for: the handlers' contexts end, nothing more is committed, and the group is
// not left, so that all is as if the process had died. Run returns ErrAborted as soon as the handlers have come back.
func (c *Consumer) Abort() { c.member.abort() }

// serve works off the partitions of one generation side by side.
func (c *Consumer) serve(g *generation) error {
	var partitions sync.WaitGroup
	errs := make(chan error, len(g.starts))
	for id, start := range g.starts {
		w := newWorker(c, g, id, start)
		partitions.Go(func() { errs <- w.run() })
	}
	<-g.intake.Done() // a member without partitions waits here, with its heartbeats going on
	partitions.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
