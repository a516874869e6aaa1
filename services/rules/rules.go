package rules

import (
	"maps"
	"slices"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/filter"
	"github.com/freshet/freshet/services/ranking"
)

// Request is what rules know of a recommendation request.
type Request struct {
	UserID  string
	Surface string
	// Region is empty where the user's is unknown: then regions are not checked.
	Region string
	// Age is nil where unknown.
	Age *int32
	Now time.Time
	// IncludeSeen has exclude_seen drop what the user turned down alone.
	IncludeSeen bool
	// Query is the text that is searched for; empty where the page is for the user's taste.
	Query string
	// Exclude holds the item ids that exclude_listed drops.
	Exclude map[string]struct{}
	// Seen tells whether the user has interacted with an item; nil means with none.
	Seen func(itemID string) bool
	// TurnedDown tells whether the user turned an item down; nil means none.
	TurnedDown func(itemID string) bool
	// Filter is the request's own; nil where it has none.
	Filter *Filter
	// Count is the wished length of the page: rules that arrange it work on so many places. 0 means the whole list.
	Count int
	// Explain lets rules that move an item up say so in its reasons.
	Explain bool
}

// Set is a list of rules in their order. It never changes, and is safe for use by several goroutines.
type Set struct {
	// filters come first: Parse sees to it.
	filters []keeper
	rules   []rule
	// pins are those of rules that pin: other rules leave pinned items alone.
	pins []*pinRule
}

// keeper is a rule that keeps an item or drops it, whatever the others are.
type keeper interface {
	name() string
	// test prepares the rule for a request; nil where it keeps all items of this one.
	test(p *pass) func(*schemas.ItemChange) verdict
	// push is a condition that holds for all items that the rule keeps, to narrow a search by; nil where that is all items. It is
	// bound to the evaluator.
	push(r *Request, e *evaluator) filter.Node
}

// verdict is what a filter says of an item.
type verdict uint8

const (
	dropped verdict = iota
	kept
	// failed drops the item as well: the filter could not tell.
	failed
)

// rule is a rule that moves scores or arranges the page.
type rule interface {
	// name is the stage of its waterfall step.
	name() string
	// apply works in place and returns what it keeps.
	apply(p *pass, list []ranking.Candidate) []ranking.Candidate
}

// pass is one application of a set to one request's candidates.
type pass struct {
	request   *Request
	evaluator *evaluator
	// pinned holds the ids that pin rules claim for this request; nil for none.
	pinned map[string]struct{}
	// watched is the id of an item whose end is asked for, and lostTo the step that removed it.
	watched, lostTo string
	// unsorted tells that scores changed since the list was sorted.
	unsorted bool
}

// The steps that no rule of the set reports itself.
const (
	// stepDeleted counts out what has no live record. It stands before all rules, and only when there was any.
	stepDeleted = "deleted"
	// failedSuffix marks the step that counts out the items for which the rule before failed.
	failedSuffix = "_failed"
)

// Apply applies the rules in order to a list that is ordered by score. It works in place and returns what is left in page
// order, which may be more than r.Count: whatever the caller cuts off was eligible. Each rule gives one step; a rule whose
// expression failed on items, or ran out of its budget, gives a second step of its name with "_failed" that counts those
// items out.
//
// Caps and filters count over the whole list; arranging rules (windows, diversify) work on the first r.Count places and leave
// the rest behind in the order of scores.
func (s *Set) Apply(r *Request, ranked []ranking.Candidate) ([]ranking.Candidate, []schemas.WaterfallStep) {
	return s.apply(&pass{request: r}, ranked)
}

// RemovedBy names the step at which Apply removes an item from a list; "" where it keeps the item, or the list does not have it.
// The counts of the steps cannot tell: an item may take the place of another before it is removed itself.
func (s *Set) RemovedBy(r *Request, ranked []ranking.Candidate, itemID string) string {
	p := &pass{request: r, watched: itemID}
	s.apply(p, ranked)
	return p.lostTo
}

func (s *Set) apply(p *pass, ranked []ranking.Candidate) ([]ranking.Candidate, []schemas.WaterfallStep) {
	p.evaluator = newEvaluator(p.request)
	defer p.evaluator.release()
	p.pinned = s.claimed(p.evaluator)
	list, steps := s.filter(p, ranked)
	watching := p.watches(list)
	for _, rule := range s.rules {
		in := len(list)
		if _, scores := rule.(scorer); !scores {
			p.sort(list)
		}
		list = rule.apply(p, list)
		steps = append(steps, step(rule.name(), in, len(list)))
		if watching && !p.watches(list) {
			watching, p.lostTo = false, rule.name()
		}
	}
	p.sort(list)
	return list, steps
}

// watches says whether a list holds the item that is watched.
func (p *pass) watches(list []ranking.Candidate) bool {
	return p.watched != "" && slices.ContainsFunc(list, func(c ranking.Candidate) bool { return c.Item.ItemID == p.watched })
}

// lose notes the step that drops an item, if it is the one that is watched.
func (p *pass) lose(it *schemas.ItemChange, stage string) {
	if p.watched != "" && it != nil && it.ItemID == p.watched {
		p.lostTo = stage
	}
}

// filter asks each item all filters in turn until one drops it, which is the same as each filter going over what the one
// before it left, and moves each item once: candidates are large, and moving them costs more than asking.
func (s *Set) filter(p *pass, ranked []ranking.Candidate) ([]ranking.Candidate, []schemas.WaterfallStep) {
	tests := make([]func(*schemas.ItemChange) verdict, len(s.filters))
	for i, f := range s.filters {
		tests[i] = f.test(p)
	}
	counts := make([][failed + 1]int, len(s.filters))
	deleted := 0
	list := keep(ranked, func(c *ranking.Candidate) bool {
		if c.Item == nil || c.Item.Op == schemas.DeleteItem {
			deleted++
			p.lose(c.Item, stepDeleted)
			return false
		}
		for i, test := range tests {
			if test == nil {
				continue
			}
			v := test(c.Item)
			counts[i][v]++
			switch v {
			case kept:
				continue
			case dropped:
				p.lose(c.Item, s.filters[i].name())
			case failed:
				p.lose(c.Item, s.filters[i].name()+failedSuffix)
			}
			return false
		}
		return true
	})
	steps := make([]schemas.WaterfallStep, 0, len(s.filters)+len(s.rules)+2)
	in := len(ranked)
	count := func(stage string, out int) {
		steps = append(steps, step(stage, in, in-out))
		in -= out
	}
	if deleted > 0 {
		count(stepDeleted, deleted)
	}
	for i, f := range s.filters {
		count(f.name(), counts[i][dropped])
		if n := counts[i][failed]; n > 0 {
			count(f.name()+failedSuffix, n)
		}
	}
	return list, steps
}

// sort restores the order of scores once rules have moved them.
func (p *pass) sort(list []ranking.Candidate) {
	if p.unsorted {
		ranking.Sort(list)
		p.unsorted = false
	}
}

// Conditions lists, in the order of the rules, what holds for all items that they may keep for this request, each by the name of its
// rule: retrieval may be narrowed by any of them. They are for one goroutine at a time.
func (s *Set) Conditions(r *Request) []filter.Named {
	e := new(evaluator) // no borrowed one: the conditions stay bound to it
	e.fill(r)
	var conditions []filter.Named
	for _, f := range s.filters {
		if condition := f.push(r, e); condition != nil {
			conditions = append(conditions, filter.Named{Name: f.name(), Condition: condition})
		}
	}
	return conditions
}

// Pinned lists the items that pin rules want on this request's page. A pin only takes effect when the item is among the
// candidates, so whoever retrieves adds them.
func (s *Set) Pinned(r *Request) []string {
	if len(s.pins) == 0 {
		return nil
	}
	e := newEvaluator(r)
	defer e.release()
	return slices.Sorted(maps.Keys(s.claimed(e)))
}

func (s *Set) claimed(e *evaluator) map[string]struct{} {
	if len(s.pins) == 0 {
		return nil
	}
	claimed := map[string]struct{}{}
	for _, pin := range s.pins {
		if pin.condition.holds(e) {
			claimed[pin.item] = struct{}{}
		}
	}
	return claimed
}

// Names lists the rules in their order.
func (s *Set) Names() []string {
	names := make([]string, 0, len(s.filters)+len(s.rules))
	for _, f := range s.filters {
		names = append(names, f.name())
	}
	for _, r := range s.rules {
		names = append(names, r.name())
	}
	return names
}

func (p *pass) isPinned(c *ranking.Candidate) bool {
	if len(p.pinned) == 0 {
		return false
	}
	_, yes := p.pinned[c.Item.ItemID]
	return yes
}

// keep compacts list in place and clears what falls off its end, so that a long-lived list holds no dropped items.
func keep(list []ranking.Candidate, wanted func(*ranking.Candidate) bool) []ranking.Candidate {
	n := 0
	for i := range list {
		if !wanted(&list[i]) {
			continue
		}
		if i != n {
			list[n] = list[i]
		}
		n++
	}
	clear(list[n:])
	return list[:n]
}

func step(stage string, in, out int) schemas.WaterfallStep {
	return schemas.WaterfallStep{Stage: stage, In: int32(in), Out: int32(out)}
}
