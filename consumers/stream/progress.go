package stream

import (
	"context"
	"sync"
	"time"

	"github.com/freshet/freshet/consumers/stream/partition"
)

// progress is how far a member is on one partition that it owns.
type progress struct {
	mu   sync.Mutex
	end  int64 // one past the partition's newest record, as last heard
	next int64 // the next offset to fetch
	open int64 // records that were fetched and are not done
	// oldest is the time of the oldest open record; without one, behind is since when there is something to fetch.
	oldest, behind time.Time
	heard          time.Time // when end was
}

func newProgress(next, end int64) *progress {
	p := &progress{next: next}
	p.heardOf(end)
	return p
}

// heardOf notes where the partition ends.
func (p *progress) heardOf(end int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.notice(end)
}

// notice is heardOf for who holds the lock.
func (p *progress) notice(end int64) {
	p.heard = time.Now()
	p.end = end
	switch {
	case p.end <= p.next:
		p.behind = time.Time{}
	case p.behind.IsZero():
		p.behind = p.heard
	}
}

// seenEnd returns when the partition was known to hold nothing to fetch, the zero time if it does.
func (p *progress) seenEnd() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.end > p.next {
		return time.Time{}
	}
	return p.heard
}

// fetched notes what a fetch brought: records, the next offset, and the partition's end.
func (p *progress) fetched(records []Record, next, end int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open == 0 && len(records) > 0 {
		p.oldest = records[0].Arrived
	}
	p.open += int64(len(records))
	p.next = next
	p.behind = time.Time{}
	p.notice(end)
}

// begun notes the oldest record that is not done.
func (p *progress) begun(oldest time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.oldest = oldest
}

// done notes that n of the open records are done.
func (p *progress) done(n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open -= int64(n)
}

// lag returns how many records are not done, and how long the oldest of them has waited: since it arrived if it was
// fetched, else at least since there was something to fetch. A clock that is behind the producers' makes it 0, not negative.
func (p *progress) lag(now time.Time) (records int64, waited time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	records = p.open + max(p.end-p.next, 0)
	switch {
	case records <= 0:
		return 0, 0
	case p.open > 0:
		return records, max(now.Sub(p.oldest), 0)
	default:
		return records, max(now.Sub(p.behind), 0)
	}
}

// staleAfter is how old a partition's end may be: while a handler is stuck nothing is fetched that would tell it.
const staleAfter = 5 * time.Second

// stale says whether the end is too old to tell the lag by.
func (p *progress) stale(now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return now.Sub(p.heard) > staleAfter
}

// own publishes how far the member is on its partitions, until it gives them up.
func (m *member) own(partitions map[int32]*progress) {
	m.progressMu.Lock()
	defer m.progressMu.Unlock()
	m.progress = partitions
}

// watchEnds asks for the ends of those partitions whose fetches have stopped telling, if anybody looks at the lag: a handler
// that waits for its server reads nothing, and would hide how far it falls behind.
func (g *generation) watchEnds() {
	for partition.Pause(g.intake, staleAfter) {
		if !g.member.observed.Swap(false) {
			continue
		}
		now := time.Now()
		var stale []int32
		for id, p := range g.owned {
			if p.stale(now) {
				stale = append(stale, id)
			}
		}
		ctx, cancel := context.WithTimeout(g.intake, g.member.kafka.RequestTimeout)
		spans, err := g.topic.Spans(ctx, stale...)
		cancel()
		if err != nil {
			continue // the fetches meet the same trouble, and tell of it
		}
		for id, s := range spans {
			g.owned[id].heardOf(s.Log)
		}
	}
}
