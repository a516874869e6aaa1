package stream

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/producers/kafkaio"
)

// gathering works off all partitions of a Gatherer for one generation.
type gathering struct {
	gatherer *Gatherer
	member   *member
	cfg      *GatherConfig
	gen      *generation
	room     *semaphore.Weighted // bytes of deliveries that were read and are not done
	slots    chan struct{}       // one for each call of Gather

	mu         sync.Mutex
	waiting    []*Delivery    // read and not in a batch yet
	open       int            // read, and neither done nor abandoned
	abandoned  int            // left to the next owner
	reading    bool           // more may be read
	over       bool           // the generation is: a Done that comes now is too late to matter
	background sync.WaitGroup // dead letters and back-offs; they begin under mu, and only before over
	changed    chan struct{}  // wakes nextBatch
}

// gatherSource is one partition.
type gatherSource struct {
	partition int32
	offsets   offsets
	window    *semaphore.Weighted
	progress  *progress
}

func newGathering(g *Gatherer, gen *generation) *gathering {
	return &gathering{
		gatherer: g,
		member:   g.member,
		cfg:      &g.cfg,
		gen:      gen,
		room:     semaphore.NewWeighted(g.cfg.MaxOutstandingBytes),
		slots:    make(chan struct{}, g.cfg.InFlight),
		reading:  true,
		changed:  make(chan struct{}, 1),
	}
}

// run returns when intake has ended and all that was read is done, or the drain time is over and the handlers came back.
// What is not done then is not committed, nor is anything of its partition that follows it: the next owner answers those
// again, and never is a request left without an answer.
func (g *gathering) run() {
	var sources, ending sync.WaitGroup
	for id, start := range g.gen.starts {
		s := &gatherSource{
			partition: id, window: semaphore.NewWeighted(int64(g.cfg.MaxUncommitted)), progress: g.gen.owned[id],
		}
		r := g.gen.reader(id, start)
		sources.Go(func() { g.read(r, s) })
	}
	ending.Go(func() {
		<-g.gen.intake.Done()
		sources.Wait()
		g.mu.Lock()
		defer g.mu.Unlock()
		g.reading = false
		g.signal()
	})
	g.dispatch()
	ending.Wait()
	g.finish()
}

// finish makes late calls of Done harmless, and waits for what goes on in the background.
func (g *gathering) finish() {
	g.mu.Lock()
	g.over = true
	left := g.open + g.abandoned
	g.mu.Unlock()
	if left > 0 {
		g.member.log.Warn("giving up the partitions before all requests were done: the next owner answers them", slog.Int("open", left))
	}
	g.background.Wait()
	// Whatever is open is the next owner's: what waits here, what was cut and not delivered, what is out with the handler.
	g.member.stuck.clear()
}

// read takes the records of one partition, for as long as there is room for them.
func (g *gathering) read(r *partition.Reader, s *gatherSource) {
	for {
		at := r.Next()
		records, err := r.Poll(g.gen.intake)
		if err != nil {
			return
		}
		g.member.telemetry.fetched(len(records))
		for i := range records {
			if !g.take(s, &records[i]) {
				return
			}
		}
		if r.Next() > at {
			g.pass(s, r.Next())
		}
	}
}

// pass makes committable what lies behind the last record and is none, so that the lag is 0 when all is done.
func (g *gathering) pass(s *gatherSource, next int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if commit, ok := s.offsets.pass(next); ok {
		g.gen.commits.mark(s.partition, commit)
	}
}

// take has a record delivered. It waits while too many are not done, in all or of this partition: a queue without a bound
// would only move the waiting from Kafka into memory.
func (g *gathering) take(s *gatherSource, r *Record) bool {
	cost := max(int64(r.Bytes()), g.cfg.MaxOutstandingBytes/int64(g.cfg.MaxOutstanding), 1)
	cost = min(cost, g.cfg.MaxOutstandingBytes)
	if s.window.Acquire(g.gen.intake, 1) != nil || g.room.Acquire(g.gen.intake, cost) != nil {
		return false
	}
	g.mu.Lock()
	g.open++
	d := &Delivery{Record: *r, Attempt: 1, from: g, source: s, ticket: s.offsets.take(r.Offset, r.Arrived), cost: cost}
	s.progress.begun(s.offsets.oldest())
	g.waiting = append(g.waiting, d)
	g.mu.Unlock()
	g.signal()
	return true
}

// dispatch makes batches of what waits whenever a call of Gather is free.
func (g *gathering) dispatch() {
	var calls sync.WaitGroup
	defer calls.Wait()
	for {
		select {
		case g.slots <- struct{}{}:
		case <-g.gen.work.Done():
			return
		}
		batch := g.nextBatch()
		if batch == nil {
			return
		}
		calls.Go(func() {
			g.gather(batch)
			<-g.slots
			g.signal()
		})
	}
}

// nextBatch waits for deliveries, and for Linger for more of them while another batch is in work: without it the batches get the
// smaller, the sooner the brokers give out each record. It returns nil when no more will come: nothing is open and nothing is
// read, or the drain time is over.
func (g *gathering) nextBatch() []*Delivery {
	var lingering <-chan time.Time
	lingered := g.cfg.Linger == 0
	for {
		var batch []*Delivery
		g.mu.Lock()
		switch n := len(g.waiting); {
		case lingered, n >= g.cfg.MaxRecords, len(g.slots) == 1: // the one that this batch will have
			batch = g.cut()
		case n > 0 && lingering == nil:
			lingering = time.After(g.cfg.Linger)
		}
		finished := !g.reading && g.open == 0
		g.mu.Unlock()
		switch {
		case finished, g.gen.work.Err() != nil, g.member.aborts.Err() != nil:
			return nil
		case batch != nil:
			return batch
		}
		select {
		case <-g.changed:
		case <-lingering:
			lingered = true
		case <-g.gen.work.Done():
		}
	}
}

// cut takes the next batch off those that wait. The caller holds the lock.
func (g *gathering) cut() []*Delivery {
	n := 0
	for n < len(g.waiting) && n < g.cfg.MaxRecords && !g.waiting[n].alone {
		n++
	}
	if n == 0 {
		n = min(1, len(g.waiting)) // one that must be alone
	}
	if n == 0 {
		return nil
	}
	batch := g.waiting[:n:n]
	g.waiting = g.waiting[n:]
	return batch
}

// signal wakes nextBatch.
func (g *gathering) signal() {
	select {
	case g.changed <- struct{}{}:
	default:
	}
}

// gather calls the handler with one batch.
func (g *gathering) gather(batch []*Delivery) {
	ctx, cancel := context.WithTimeout(g.gen.work, g.cfg.HandleTimeout)
	headers := func(i int) []kafkaio.Header { return batch[i].Headers }
	ctx, span := g.member.startBatch(ctx, len(batch), headers)
	all := &gatherBatch{cancel: cancel, span: span}
	all.open.Store(int64(len(batch)))
	for i, d := range batch {
		d.batch = all
		if i != span.first {
			d.span = span.startRecord(ctx, &d.Record)
		} else if span.Span != nil {
			d.span = span.Span
		}
	}
	g.member.telemetry.began(len(batch))
	g.member.stats.batches.Add(1)
	defer g.recoverBatch(batch)
	g.gatherer.handler.Gather(ctx, batch)
}

// recoverBatch goes on after a panic of the handler: whoever was in a batch of its own is the culprit; of a larger batch,
// each gets one.
func (g *gathering) recoverBatch(batch []*Delivery) {
	v := recover()
	if v == nil {
		return
	}
	p := partition.Panicked(g.member.log, v, &batch[0].Record, len(batch))
	for _, d := range batch {
		if len(batch) == 1 {
			d.Done(PermanentFor(partition.ReasonPanic, p))
		}
		d.Done(p)
	}
}

// settle does what the handler's verdict on a delivery asks for.
func (g *gathering) settle(d *Delivery, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.over:
	case err == nil:
		g.release(d)
	case IsPermanent(err):
		g.background.Go(func() { g.bury(d, err) })
	default:
		g.background.Go(func() { g.deliverAgain(d, err) })
	}
}

// release makes the offset committable. The caller holds the lock.
func (g *gathering) release(d *Delivery) {
	next, moved := d.source.offsets.finish(d.ticket)
	if moved > 0 {
		d.source.window.Release(int64(moved))
		g.gen.commits.mark(d.source.partition, next)
	}
	d.source.progress.done(1)
	d.source.progress.begun(d.source.offsets.oldest())
	if d.tries != nil {
		d.tries.over()
	}
	g.room.Release(d.cost)
	g.open--
	g.member.stats.records.Add(1)
	if g.open == 0 {
		g.signal()
	}
}

// bury writes the dead letter of a delivery. If the partitions must be given up first, the delivery stays open.
func (g *gathering) bury(d *Delivery, reason error) {
	err := g.gen.bury(d.Trace(g.gen.work), g.gatherer.letters, &d.Record, reason)
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		g.release(d)
		return
	}
	g.abandon()
}

// deliverAgain delivers again after a back-off, unless the partitions must be given up first.
func (g *gathering) deliverAgain(d *Delivery, reason error) {
	next := d.again()
	if next.failures == nil {
		next.failures = g.cfg.Backoff.Pauses()
		next.tries = &attempts{member: g.member, log: g.member.log, at: recordAt{d.Partition, d.Offset}}
	}
	_, panicked := errors.AsType[*partition.PanicError](reason)
	next.alone = next.alone || panicked
	wait := next.failures.NextBackOff()
	next.tries.failed("a request failed, delivering it again", reason, time.Now(),
		slog.Int("partition", int(d.Partition)), slog.Int64("offset", d.Offset), slog.Duration("in", wait))
	g.member.stats.retries.Add(1)
	alive := partition.Pause(g.gen.intake, wait)
	g.mu.Lock()
	defer g.mu.Unlock()
	if !alive {
		g.abandon()
		return
	}
	g.waiting = append(g.waiting, next)
	g.signal()
}

// abandon leaves a delivery, whose offset is never committed, to the next owner. The caller holds the lock.
func (g *gathering) abandon() {
	g.open--
	g.abandoned++
	g.signal()
}
