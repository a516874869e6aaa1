package stream

import (
	"sync"
	"time"
)

// offsets finds, for records of one partition that are taken in order and finished in any order, the lowest contiguous
// offset: the one to commit, below which everything is finished.
//
// Committing the highest finished offset instead would lose records: 5 is taken and waits; 6 is taken, answered and
// committed as 7; the member dies; the next owner begins at 7, and 5 is never answered.
type offsets struct {
	mu    sync.Mutex
	taken []takenOffset // from the lowest unfinished one on
	base  int           // how many were removed before taken[0]
	next  int64         // one past the highest offset taken, or passed
}

type takenOffset struct {
	offset int64
	time   time.Time
	done   bool
}

// take notes that the record at offset was taken, and returns its ticket for finish. Offsets rise, with holes where
// records were compacted away.
func (o *offsets) take(offset int64, written time.Time) (ticket int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken = append(o.taken, takenOffset{offset: offset, time: written})
	o.next = offset + 1
	return o.base + len(o.taken) - 1
}

// pass notes that nothing before next is left to take: what lies between the last record and it is none. It returns the
// offset to commit, and whether there is one, which is so when nothing is unfinished.
func (o *offsets) pass(next int64) (commit int64, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.next = next
	return o.next, len(o.taken) == 0
}

// oldest returns when the lowest record that is not finished was written, or the zero time when all are.
func (o *offsets) oldest() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.taken) == 0 {
		return time.Time{}
	}
	return o.taken[0].time
}

// finish notes that a record is finished. It returns the offset to commit, and by how many records that moved; 0 when it
// stayed. A ticket is finished once.
func (o *offsets) finish(ticket int) (commit int64, moved int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.taken[ticket-o.base].done = true
	for moved < len(o.taken) && o.taken[moved].done {
		moved++
	}
	o.taken = o.taken[moved:]
	o.base += moved
	if len(o.taken) > 0 {
		return o.taken[0].offset, moved
	}
	return o.next, moved
}
