package rules

import (
	"slices"
	"strings"
	"time"

	"github.com/freshet/freshet/schemas"
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
	// IncludeSeen turns exclude_seen off.
	IncludeSeen bool
	// Exclude holds the item ids that exclude_listed drops.
	Exclude map[string]struct{}
	// Seen tells whether the user has interacted with an item; nil means with none.
	Seen func(itemID string) bool
	// Filter is the request's own; nil where it has none.
	Filter *Filter
	// Count is the wished length of the page: rules that arrange it work on so many places. 0 means the whole list.
	Count int
	// Explain lets rules that move an item up say so in its reasons.
	Explain bool
}

// Set is a list of rules in their order. It never changes, and is safe for use by several goroutines.
type Set struct {
	rules []rule
	// pins are those of rules that pin: other rules leave pinned items alone.
	pins []*pinRule
}

// rule is one rule of a set.
type rule interface {
	// name is the stage of its waterfall step.
	name() string
	// apply works in place and returns what it keeps.
	apply(p *pass, list []ranking.Candidate) []ranking.Candidate
}

// pusher is a rule that the index can help with.
type pusher interface {
	// push is a Milvus expression that is true of all rows that the rule keeps; empty where that is all rows.
	push(r *Request, e *evaluator) string
}

// pass is one application of a set to one request's candidates.
type pass struct {
	request   *Request
	evaluator *evaluator
	// pinned holds the ids that pin rules claim for this request; nil for none.
	pinned map[string]struct{}
	// failed counts the items that the current rule dropped because its expression failed.
	failed int
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
	p := &pass{request: r, evaluator: newEvaluator(r)}
	defer p.evaluator.release()
	p.pinned = s.claimed(r, p.evaluator)
	steps := make([]schemas.WaterfallStep, 0, len(s.rules)+2)
	list := keep(ranked, isLive)
	if len(list) < len(ranked) {
		steps = append(steps, step(stepDeleted, len(ranked), len(list)))
	}
	for _, rule := range s.rules {
		in := len(list)
		if _, scores := rule.(scorer); !scores {
			p.sort(list)
		}
		p.failed = 0
		list = rule.apply(p, list)
		out := len(list)
		steps = append(steps, step(rule.name(), in, out+p.failed))
		if p.failed > 0 {
			steps = append(steps, step(rule.name()+failedSuffix, out+p.failed, out))
		}
	}
	p.sort(list)
	return list, steps
}

// sort restores the order of scores once rules have moved them.
func (p *pass) sort(list []ranking.Candidate) {
	if p.unsorted {
		ranking.Sort(list)
		p.unsorted = false
	}
}

// Pushdown is a Milvus expression that narrows retrieval to what the rules may keep for this request; empty where nothing
// can be asked of the index. Equal requests give equal texts, so that a batch can share a search.
func (s *Set) Pushdown(r *Request) string {
	e := newEvaluator(r)
	defer e.release()
	var parts []string
	for _, rule := range s.rules {
		if p, ok := rule.(pusher); ok {
			if expression := p.push(r, e); expression != "" && !slices.Contains(parts, expression) {
				parts = append(parts, expression)
			}
		}
	}
	return strings.Join(parts, " and ")
}

// Pinned lists the items that pin rules want on this request's page. A pin only takes effect when the item is among the
// candidates, so whoever retrieves adds them.
func (s *Set) Pinned(r *Request) []string {
	if len(s.pins) == 0 {
		return nil
	}
	e := newEvaluator(r)
	defer e.release()
	var ids []string
	for _, pin := range s.pins {
		if pin.condition.holds(e) {
			ids = append(ids, pin.item)
		}
	}
	return ids
}

func (s *Set) claimed(r *Request, e *evaluator) map[string]struct{} {
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
	names := make([]string, len(s.rules))
	for i, r := range s.rules {
		names[i] = r.name()
	}
	return names
}

func (p *pass) isPinned(c *ranking.Candidate) bool {
	_, yes := p.pinned[c.Item.ItemID]
	return yes
}

func isLive(c *ranking.Candidate) bool { return c.Item != nil && c.Item.Op != schemas.DeleteItem }

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
	return schemas.WaterfallStep{Stage: stage, In: int32(in), Out: int32(out)} //nolint:gosec // a list has fewer than 2^31 items
}
