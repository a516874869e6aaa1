package rules

import (
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/filter"
)

// filterRule keeps the items for which an expression holds.
type filterRule struct {
	named
	keep *expression
}

func (f *filterRule) test(p *pass) func(*schemas.ItemChange) verdict {
	return p.testOf(f.keep.root.bind(p.evaluator))
}

func (f *filterRule) push(_ *Request, e *evaluator) filter.Node { return f.keep.root.bind(e) }

func (p *pass) testOf(bound filter.Node) func(*schemas.ItemChange) verdict {
	if bound == filter.Always {
		return nil
	}
	now := p.evaluator.nowMillis
	return func(it *schemas.ItemChange) verdict {
		holds, err := bound.Holds(it, now)
		switch {
		case err != nil:
			return failed
		case holds:
			return kept
		}
		return dropped
	}
}

// requestFilterRule applies the request's own filter.
type requestFilterRule struct{ named }

func (f *requestFilterRule) test(p *pass) func(*schemas.ItemChange) verdict {
	own := p.request.Filter
	if own == nil {
		return nil
	}
	test := p.testOf(own.expression.root.bind(p.evaluator))
	if test == nil {
		return nil
	}
	machine, fuel := &p.evaluator.vm, filterFuel
	return func(it *schemas.ItemChange) verdict {
		if fuel -= own.cost.of(it); fuel < 0 {
			return failed
		}
		usual := machine.MemoryBudget
		machine.MemoryBudget = filterMemory
		v := test(it)
		machine.MemoryBudget = usual
		return v
	}
}

func (f *requestFilterRule) push(r *Request, e *evaluator) filter.Node {
	if r.Filter == nil {
		return nil
	}
	return r.Filter.expression.root.bind(e)
}

// excludeListedRule drops the items that the request lists.
type excludeListedRule struct{ named }

func (x *excludeListedRule) test(p *pass) func(*schemas.ItemChange) verdict {
	exclude := p.request.Exclude
	if len(exclude) == 0 {
		return nil
	}
	return func(it *schemas.ItemChange) verdict {
		if _, listed := exclude[it.ItemID]; listed {
			return dropped
		}
		return kept
	}
}

// Few listed items cannot make a page short, since retrieval asks for many more than a page; pushing them down would only
// give each request its own search, where those with equal expressions share one.
const minPushedExclusions = 17

func (x *excludeListedRule) push(r *Request, _ *evaluator) filter.Node {
	if len(r.Exclude) < minPushedExclusions {
		return nil
	}
	return filter.Unlisted(r.Exclude)
}

// publishedRule holds items back until they are published.
type publishedRule struct{ named }

func (x *publishedRule) test(p *pass) func(*schemas.ItemChange) verdict {
	now := p.evaluator.nowMillis
	return func(it *schemas.ItemChange) verdict {
		if filter.PublishedMillis(it) > now {
			return dropped
		}
		return kept
	}
}

// pushedSeconds is to what the time of a request is rounded up for the index, so that requests of one minute share a search.
const pushedSeconds = 60

func (x *publishedRule) push(r *Request, _ *evaluator) filter.Node {
	next := (r.Now.UnixMilli()/(1000*pushedSeconds) + 1) * pushedSeconds
	return &filter.Compared{Field: filter.PublishedAt, Op: filter.Less, Value: float64(next)}
}

// excludeSeenRule drops what the user has interacted with, unless the request asks for it, and what the user turned down whatever the
// request asks for.
type excludeSeenRule struct{ named }

func (x *excludeSeenRule) test(p *pass) func(*schemas.ItemChange) verdict {
	seen, turnedDown := p.request.Seen, p.request.TurnedDown
	if p.request.IncludeSeen {
		seen = nil
	}
	if seen == nil && turnedDown == nil {
		return nil
	}
	return func(it *schemas.ItemChange) verdict {
		if seen != nil && seen(it.ItemID) || turnedDown != nil && turnedDown(it.ItemID) {
			return dropped
		}
		return kept
	}
}

// push is nothing: of a user's seen items only fingerprints are known, and the index does not know these.
func (x *excludeSeenRule) push(*Request, *evaluator) filter.Node { return nil }

// named gives a rule its name.
type named string

func (n named) name() string { return string(n) }
