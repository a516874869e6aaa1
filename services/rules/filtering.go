package rules

import (
	"maps"
	"slices"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/ranking"
)

// filterRule keeps the items for which an expression holds.
type filterRule struct {
	named
	keep *expression
}

func (f *filterRule) apply(p *pass, list []ranking.Candidate) []ranking.Candidate {
	bound := f.keep.root.bind(p.evaluator)
	return keep(list, func(c *ranking.Candidate) bool { return p.passes(bound, c.Item) })
}

func (f *filterRule) push(r *Request, e *evaluator) string {
	return f.keep.root.bind(e).milvus(r.Now.UnixMilli())
}

// passes counts an item for which the expression fails as failed: it goes, whatever the expression would have said.
func (p *pass) passes(bound *node, it *schemas.ItemChange) bool {
	holds, err := p.evaluator.holds(bound, it)
	if err != nil {
		p.failed++
		return false
	}
	return holds
}

// requestFilterRule applies the request's own filter.
type requestFilterRule struct{ named }

func (f *requestFilterRule) apply(p *pass, list []ranking.Candidate) []ranking.Candidate {
	filter := p.request.Filter
	if filter == nil {
		return list
	}
	usual := p.evaluator.vm.MemoryBudget
	p.evaluator.vm.MemoryBudget = filterMemory
	defer func() { p.evaluator.vm.MemoryBudget = usual }()
	bound, fuel := filter.expression.root, filterFuel
	return keep(list, func(c *ranking.Candidate) bool {
		if fuel -= filter.cost.of(c.Item); fuel < 0 {
			p.failed++
			return false
		}
		return p.passes(bound, c.Item)
	})
}

func (f *requestFilterRule) push(r *Request, _ *evaluator) string {
	if r.Filter == nil {
		return ""
	}
	return r.Filter.expression.root.milvus(r.Now.UnixMilli())
}

// excludeListedRule drops the items that the request lists.
type excludeListedRule struct{ named }

func (x *excludeListedRule) apply(p *pass, list []ranking.Candidate) []ranking.Candidate {
	if len(p.request.Exclude) == 0 {
		return list
	}
	return keep(list, func(c *ranking.Candidate) bool {
		_, listed := p.request.Exclude[c.Item.ItemID]
		return !listed
	})
}

// Few listed items cannot make a page short, since retrieval asks for many more than a page; pushing them down would only
// give each request its own search, where those with equal expressions share one. Very many make an expression that costs
// the index more than it saves.
const (
	minPushedExclusions = 17
	maxPushedExclusions = 256
)

func (x *excludeListedRule) push(r *Request, _ *evaluator) string {
	if len(r.Exclude) < minPushedExclusions {
		return ""
	}
	ids := slices.DeleteFunc(slices.Sorted(maps.Keys(r.Exclude)), func(id string) bool { return !quotable([]string{id}) })
	if len(ids) == 0 {
		return ""
	}
	return "not (item_id in " + quoteList(ids[:min(len(ids), maxPushedExclusions)]) + ")"
}

// excludeSeenRule drops what the user has interacted with, unless the request asks for it.
type excludeSeenRule struct{ named }

func (x *excludeSeenRule) apply(p *pass, list []ranking.Candidate) []ranking.Candidate {
	if p.request.IncludeSeen || p.request.Seen == nil {
		return list
	}
	return keep(list, func(c *ranking.Candidate) bool { return !p.request.Seen(c.Item.ItemID) })
}

// named gives a rule its name.
type named string

func (n named) name() string { return string(n) }
