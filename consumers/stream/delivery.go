package stream

import (
	"sync/atomic"

	"github.com/cenkalti/backoff/v5"
)

// Delivery is one record that a Gatherer gives to its handler.
type Delivery struct {
	Record
	// Attempt is 1, and one more each time that the record is delivered again after a transient error.
	Attempt int

	from     *gathering
	source   *gatherSource
	ticket   int
	cost     int64
	alone    bool                        // in a batch of its own, to find out whether it is the one that panics
	failures *backoff.ExponentialBackOff // nil until the first
	batch    *gatherBatch
	done     atomic.Bool
}

// Done tells what became of the record; it returns at once, and only the first call counts. Nil: it is done. A permanent
// error: it goes to the dead-letter topic, and is done then. Any other error: it is delivered again after a back-off, as a
// new Delivery.
func (d *Delivery) Done(err error) {
	if d.done.Swap(true) {
		return
	}
	d.batch.left()
	d.from.settle(d, err)
}

// again returns the delivery for the next attempt.
func (d *Delivery) again() *Delivery {
	return &Delivery{
		Record: d.Record, Attempt: d.Attempt + 1, from: d.from, source: d.source, ticket: d.ticket, cost: d.cost,
		alone: d.alone, failures: d.failures,
	}
}

// gatherBatch ends its context when all of its deliveries are done.
type gatherBatch struct {
	open   atomic.Int64
	cancel func()
}

func (b *gatherBatch) left() {
	if b.open.Add(-1) == 0 {
		b.cancel()
	}
}
