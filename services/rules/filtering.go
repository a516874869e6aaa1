package rules

import (
	"fmt"
	"maps"
	"slices"

	"github.com/freshet/freshet/schemas"
)

// filterRule keeps the items for which an expression holds.
type filterRule struct {
	named
	keep *expression
}

func (f *filterRule) test(p *pass) func(*schemas.ItemChange) verdict {
	return p.testOf(f.keep.root.bind(p.evaluator))
}

func (f *filterRule) push(r *Request, e *evaluator) string {
	return f.keep.root.bind(e).milvus(r.Now.UnixMilli())
}

func (p *pass) testOf(bound *node) func(*schemas.ItemChange) verdict {
	if bound == always {
		return nil
	}
	e := p.evaluator
	return func(it *schemas.ItemChange) verdict {
		holds, err := e.holds(bound, it)
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
	filter := p.request.Filter
	if filter == nil {
		return nil
	}
	test := p.testOf(filter.expression.root)
	if test == nil {
		return nil
	}
	machine, fuel := &p.evaluator.vm, filterFuel
	return func(it *schemas.ItemChange) verdict {
		if fuel -= filter.cost.of(it); fuel < 0 {
			return failed
		}
		usual := machine.MemoryBudget
		machine.MemoryBudget = filterMemory
		v := test(it)
		machine.MemoryBudget = usual
		return v
	}
}

func (f *requestFilterRule) push(r *Request, _ *evaluator) string {
	if r.Filter == nil {
		return ""
	}
	return r.Filter.expression.root.milvus(r.Now.UnixMilli())
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
// give each request its own search, where those with equal expressions share one. Of very many, the first maxPushedTexts
// are pushed down.
const minPushedExclusions = 17

func (x *excludeListedRule) push(r *Request, _ *evaluator) string {
	if len(r.Exclude) < minPushedExclusions {
		return ""
	}
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(r.Exclude)), func(id string) bool { return !quotable([]string{id}) })
	if len(ids) == 0 {
		return ""
	}
	return "not (item_id in " + quoteList(ids[:min(len(ids), maxPushedTexts)]) + ")"
}

// publishedRule holds items back until they are published.
type publishedRule struct{ named }

func (x *publishedRule) test(p *pass) func(*schemas.ItemChange) verdict {
	now := p.evaluator.nowMillis
	return func(it *schemas.ItemChange) verdict {
		if publishedMillis(it) > now {
			return dropped
		}
		return kept
	}
}

// pushedMillis is to what the time of a request is rounded up for the index, so that requests of one minute share a search.
const pushedMillis = 60_000

func (x *publishedRule) push(r *Request, _ *evaluator) string {
	return fmt.Sprintf("published_at < %d", (r.Now.UnixMilli()/pushedMillis+1)*pushedMillis)
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
func (x *excludeSeenRule) push(*Request, *evaluator) string { return "" }

// named gives a rule its name.
type named string

func (n named) name() string { return string(n) }
