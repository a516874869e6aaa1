package stream

import (
	"context"
	"log/slog"

	"github.com/freshet/freshet/producers/kafkaio"
)

// GatherHandler works off batches that are gathered from all partitions.
type GatherHandler interface {
	// Gather handles a batch of deliveries in whatever order, and may return before all are Done: one that must wait, waits
	// beside the batches that follow. Up to InFlight calls run at a time.
	//
	// ctx is not Run's: it ends HandleTimeout after the call, when all of the batch are Done, and when a drain took too
	// long. Every delivery must be Done, soon after ctx has ended at the latest: until then its offset cannot be
	// committed. If Gather panics, the deliveries that are not Done are delivered again one by one, and one that panics
	// alone is a dead letter.
	Gather(ctx context.Context, batch []*Delivery)
}

// GatherFunc is a function that is a GatherHandler.
type GatherFunc func(ctx context.Context, batch []*Delivery)

// Gather implements GatherHandler.
func (f GatherFunc) Gather(ctx context.Context, batch []*Delivery) { f(ctx, batch) }

// Gatherer reads a topic of requests as a member of a consumer group: what has queued on all its partitions while the last
// batches were in work makes the next batch. A lone request goes at once, and under load the batches grow by themselves: what comes
// while one is in work waits for others, for Linger at the most.
// Records are done in any order, at least once; each partition's lowest contiguous offset is committed.
type Gatherer struct {
	member  *member
	cfg     GatherConfig
	handler GatherHandler
	letters *DeadLetters
}

// NewGatherer returns a Gatherer; Run starts it. dl writes the dead letters of the topic, and may be shared.
func NewGatherer(
	k kafkaio.Config, cfg GatherConfig, group, topic string, h GatherHandler, dl *DeadLetters, log *slog.Logger,
) *Gatherer {
	return &Gatherer{member: newMember(k, cfg.Runtime, group, topic, log), cfg: cfg, handler: h, letters: dl}
}

// Run consumes until ctx ends. Then it has what was read worked off, within DrainTimeout, commits, leaves the group and
// returns nil. It returns an error when the brokers refuse the member, and after Abort. It is called once.
func (g *Gatherer) Run(ctx context.Context) error {
	return g.member.run(ctx, func(gen *generation) error {
		newGathering(g, gen).run()
		return nil
	})
}

// Ready says whether the member has its partitions, or stands by since others have them all.
func (g *Gatherer) Ready() bool { return g.member.ready.Load() }

// Stuck lists, for each partition that has any, the request that has been tried longest, in the order of the partitions.
func (g *Gatherer) Stuck() []Stuck { return g.member.stuck.longest() }

// Stats returns what was done so far.
func (g *Gatherer) Stats() Stats { return g.member.stats.snapshot() }

// Abort stops at once, as Consumer.Abort does.
func (g *Gatherer) Abort() { g.member.abort() }
