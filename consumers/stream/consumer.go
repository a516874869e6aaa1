package stream

import (
	"context"
	"log/slog"
	"sync"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Handler works off one partition's records, one batch after the other.
type Handler interface {
	// Handle handles records of one partition, in the order of their offsets. It must be idempotent: after a crash or a
	// rebalance records come again. For different partitions it is called at the same time. ctx is not Run's: it ends
	// after HandleTimeout, and when a drain took too long.
	//
	// It returns nil, or empty Failures, when all records are done. Failures names the records that are not: those with a
	// permanent error go to the dead-letter topic, the others are given to Handle again, without those that are done; a
	// handler whose records build on each other must name all that follow as well. Any other error has the whole batch
	// tried again, until it succeeds; a permanent one ends Run, with nothing of the batch committed: it is for what an
	// operator must mend. A panic has the records tried one by one, and the one that panics alone is a dead letter.
	Handle(ctx context.Context, batch []Record) error
}

// HandlerFunc is a function that is a Handler.
type HandlerFunc func(ctx context.Context, batch []Record) error

// Handle implements Handler.
func (f HandlerFunc) Handle(ctx context.Context, batch []Record) error { return f(ctx, batch) }

// Consumer reads a topic as a member of a consumer group and has a Handler work it off: in order within each partition,
// partitions side by side, at least once.
type Consumer struct {
	*member
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
	return c.run(ctx, c.serve)
}

// Ready says whether the member has its partitions, or stands by since others have them all.
func (c *Consumer) Ready() bool { return c.ready.Load() }

// Stats returns what was done so far.
func (c *Consumer) Stats() Stats { return c.stats.snapshot() }

// Abort stops at once, as a second signal asks for: the handlers' contexts end, nothing more is committed, and the group is
// not left, so that all is as if the process had died. Run returns ErrAborted as soon as the handlers have come back.
func (c *Consumer) Abort() { c.abort() }

// serve works off the partitions of one generation side by side.
func (c *Consumer) serve(g *generation) error {
	var partitions sync.WaitGroup
	errs := make(chan error, len(g.starts))
	for id, start := range g.starts {
		p := newPartition(c, g, id, start)
		partitions.Go(func() { errs <- p.run() })
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
