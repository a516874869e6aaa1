package faults

import (
	"context"
	"sync"
	"time"
)

// Effect is what happens to a call that a rule matches. Wait comes first, then Err or Sever; with neither the call is served.
type Effect struct {
	// Wait holds the call back, at most until its context ends.
	Wait time.Duration
	// Err is answered in place of serving the call, or after it has been served where Serve is set.
	Err   error
	Serve bool
	// Sever closes the client's connection in place of serving the call.
	Sever bool
}

// Every as the nth of a rule matches all calls until Clear.
const Every = 0

// Any as the kind of a rule matches calls of every kind.
const Any = ""

// Plan is a script of faults. The zero Plan lets every call pass. It is safe for concurrent use.
type Plan struct {
	mu    sync.Mutex
	rules []*rule
	calls map[string]int
	total int
}

type rule struct {
	kind      string
	nth, seen int
	effect    Effect
}

// Add scripts effect for the nth call of kind from now on (1 is the next one). A rule for one call is gone once it has fired.
func (p *Plan) Add(kind string, nth int, effect Effect) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = append(p.rules, &rule{kind: kind, nth: nth, effect: effect})
}

// Clear drops all rules. Calls that wait already go on waiting.
func (p *Plan) Clear() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rules = nil
}

// Calls returns how many calls of kind the server has seen since it started, failed ones included.
func (p *Plan) Calls(kind string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if kind == Any {
		return p.total
	}
	return p.calls[kind]
}

// Next counts a call of kind and returns the effect scripted for it; the first rule that fires decides.
func (p *Plan) Next(kind string) Effect {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil {
		p.calls = make(map[string]int)
	}
	p.calls[kind]++
	p.total++
	var effect Effect
	taken := false
	kept := p.rules[:0]
	for _, r := range p.rules {
		if r.kind != Any && r.kind != kind {
			kept = append(kept, r)
			continue
		}
		r.seen++
		if r.seen < r.nth {
			kept = append(kept, r)
			continue
		}
		// A rule whose turn comes on a call that an earlier rule has taken is spent: the script counted that call too.
		if !taken {
			effect, taken = r.effect, true
		}
		if r.nth == Every {
			kept = append(kept, r)
		}
	}
	p.rules = kept
	return effect
}

// Hold waits for d, or until ctx ends.
func Hold(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
