package stream

import (
	"context"
	"time"
)

// batcher cuts what is fetched into batches.
type batcher struct {
	cfg     Config
	fetched <-chan []Record
	asks    chan<- struct{} // taken by who fetches nothing before it is asked
	rest    []Record        // fetched and not in a batch yet
}

// next returns the next batch, or nil once ctx has ended: then nothing more may be begun, even if it was fetched already.
func (b *batcher) next(ctx context.Context) []Record {
	if len(b.rest) == 0 && !b.receive(ctx.Done(), nil) || ctx.Err() != nil {
		return nil
	}
	n, bytes := b.fits(b.rest, 0, 0)
	batch := b.rest[:n:n]
	b.rest = b.rest[n:]
	if b.cfg.MaxWait == 0 || len(b.rest) > 0 {
		return batch
	}
	full := time.NewTimer(b.cfg.MaxWait)
	defer full.Stop()
	for len(b.rest) == 0 && len(batch) < b.cfg.MaxRecords && b.receive(ctx.Done(), full.C) {
		var more int
		more, bytes = b.fits(b.rest, len(batch), bytes)
		batch = append(batch, b.rest[:more]...)
		b.rest = b.rest[more:]
	}
	return batch
}

// receive waits for the next fetch, until done or the timer.
func (b *batcher) receive(done <-chan struct{}, timer <-chan time.Time) bool {
	for {
		select {
		case b.rest = <-b.fetched:
			return true
		case b.asks <- struct{}{}:
		case <-timer:
			return false
		case <-done:
			return false
		}
	}
}

// fits returns how many of records fit into a batch that holds so many records and bytes already, and the bytes then. An
// empty batch takes at least one.
func (b *batcher) fits(records []Record, held, bytes int) (n, total int) {
	for n < len(records) && held+n < b.cfg.MaxRecords {
		size := records[n].Bytes()
		if held+n > 0 && bytes+size > b.cfg.MaxBytes {
			break
		}
		bytes += size
		n++
	}
	return n, bytes
}
