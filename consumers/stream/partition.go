package stream

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// partition works off one partition for one generation.
type partition struct {
	*handling
	g       *generation
	id      int32
	fetcher *fetcher
	reached reached
}

func newPartition(c *Consumer, g *generation, id int32, start int64) *partition {
	log := c.log.With(slog.Int("partition", int(id)))
	f := newFetcher(g.cluster, id, start, c.member.cfg, c.log, &c.stats)
	f.follow(g.owned[id], c.member)
	return &partition{
		handling: &handling{Consumer: c, work: g.work, intake: g.intake, log: log},
		g:        g,
		id:       id,
		fetcher:  f,
		reached:  reached{done: start, handed: start, next: start},
	}
}

// run handles batch after batch until intake ends, while the next fetch is on its way. It returns an error only when the
// handler refused a batch, and then ends the generation.
func (p *partition) run() error {
	fetched, asks := make(chan []Record), make(chan struct{})
	var reading sync.WaitGroup
	reading.Go(func() { p.feed(fetched, asks) })
	defer reading.Wait()
	defer p.g.stop()
	batches := &batcher{cfg: p.cfg, fetched: fetched, asks: asks}
	for {
		batch := batches.next(p.intake)
		if batch == nil || p.aborts.Err() != nil {
			return nil
		}
		p.fetcher.progress.begun(batch[0].Arrived)
		next, err := p.handle(batch)
		if next > batch[0].Offset {
			p.reached.finish(next, p.mark)
		}
		switch {
		case err == nil:
			p.fetcher.progress.done(len(batch))
		case errors.Is(err, errUnfinished):
			p.log.Warn("giving up the partition before its batch was done: the next owner goes on with it",
				slog.Int64("offset", next), slog.Any("error", err))
			return nil
		default:
			return fmt.Errorf("handling %s/%d from offset %d on: %w", p.topic, p.id, next, err)
		}
	}
}

// mark has an offset committed.
func (p *partition) mark(next int64) { p.g.commits.mark(p.id, next) }

// reached is how far one partition was read and handled. What lies behind the last record and is none (the end of a transaction,
// say) must be committed too, or whoever compares the committed offset with the log's end sees a lag for ever. It may be
// committed only once the records before it are done.
type reached struct {
	mu           sync.Mutex
	done, handed int64 // behind the last record that is done; that was handed over to be handled
	next         int64 // where reading goes on
}

// hand notes a fetch: its records are about to be handed over, and reading goes on at next.
func (r *reached) hand(records []Record, next int64, mark func(int64)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	moved := next > r.next
	r.next = next
	switch {
	case len(records) > 0:
		r.handed = records[len(records)-1].Offset + 1
	case moved && r.done == r.handed:
		mark(next)
	}
}

// finish notes that what lies before done is done.
func (r *reached) finish(done int64, mark func(int64)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.done = done
	if r.done == r.handed {
		done = max(done, r.next)
	}
	mark(done)
}

// feed sends what is fetched until intake ends. It fetches ahead of the handler only where the log goes on. At its end that
// would halve the batches:
//
//	handler: batch of 40 ............................. batch of 1, as dear as one of 40 ...
//	feed:    asks at once, and gets the 1 record that has come | waits to hand it over, while 40 more come
func (p *partition) feed(to chan<- []Record, asks <-chan struct{}) {
	for {
		records, err := p.fetcher.poll(p.intake)
		if err != nil {
			return
		}
		p.telemetry.fetched(len(records))
		p.reached.hand(records, p.fetcher.next, p.mark)
		if len(records) == 0 {
			continue
		}
		select {
		case to <- records:
		case <-p.intake.Done():
			return
		}
		if p.fetcher.behind {
			continue
		}
		select {
		case <-asks:
		case <-p.intake.Done():
			return
		}
	}
}
