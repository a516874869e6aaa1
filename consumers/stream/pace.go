package stream

import (
	"sync"
	"time"
)

// PaceOf is the least time between two lines of a Pace.
const PaceOf = time.Minute

// Pace lets one of many log lines through in a while, which says how many there would have been; metrics count all of them. The zero
// Pace is ready. It is safe for concurrent use.
type Pace struct {
	mu    sync.Mutex
	until time.Time
	count int
}

// Due notes n more of something. It returns how many there were since a line was last due, these included, or 0 where none is due now.
func (p *Pace) Due(n int, now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count += n
	if p.count == 0 || now.Before(p.until) {
		return 0
	}
	count := p.count
	p.until, p.count = now.Add(PaceOf), 0
	return count
}
