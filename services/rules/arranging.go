package rules

import (
	"slices"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/ranking"
)

// aspect is what caps count and diversify compares.
type aspect uint8

const (
	byCategory aspect = iota
	byBrand
)

var aspectNames = map[string]aspect{"category": byCategory, "brand": byBrand}

// kinds appends the kinds of an item: each of its categories, or its brand. An item without any is never capped.
func (a aspect) kinds(dst []string, it *schemas.ItemChange) []string {
	if a == byCategory {
		for i, c := range it.Categories {
			if !slices.Contains(it.Categories[:i], c) {
				dst = append(dst, c)
			}
		}
		return dst
	}
	if it.Brand != "" {
		dst = append(dst, it.Brand)
	}
	return dst
}

// condition is a condition on the request alone; the zero value always holds.
type condition struct{ expression *expression }

// holds is false for a condition that fails.
func (c condition) holds(e *evaluator) bool {
	if c.expression == nil {
		return true
	}
	holds, err := c.expression.root.bind(e).Holds(&schemas.ItemChange{}, e.nowMillis)
	return err == nil && holds
}

// tally counts kinds against a most.
type tally struct {
	by     aspect
	most   int
	counts map[string]int
	kinds  []string
}

func newTally(by aspect, most int) *tally {
	return &tally{by: by, most: most, counts: map[string]int{}}
}

func (t *tally) fits(it *schemas.ItemChange) bool {
	t.kinds = t.by.kinds(t.kinds[:0], it)
	for _, k := range t.kinds {
		if t.counts[k] >= t.most {
			return false
		}
	}
	return true
}

func (t *tally) add(it *schemas.ItemChange, n int) {
	t.kinds = t.by.kinds(t.kinds[:0], it)
	for _, k := range t.kinds {
		t.counts[k] += n
	}
}

// capRule keeps the first most items of each kind of the whole list. Pinned items count, and stay.
type capRule struct {
	named
	condition condition
	by        aspect
	most      int
}

func (c *capRule) apply(p *pass, list []ranking.Candidate) []ranking.Candidate {
	if !c.condition.holds(p.evaluator) {
		return list
	}
	t := newTally(c.by, c.most)
	for i := range list {
		if p.isPinned(&list[i]) {
			t.add(list[i].Item, 1)
		}
	}
	return keep(list, func(c *ranking.Candidate) bool {
		if p.isPinned(c) {
			return true
		}
		if !t.fits(c.Item) {
			return false
		}
		t.add(c.Item, 1)
		return true
	})
}

// windowRule puts at most most items of a kind into any window consecutive places of the page: each place goes to the best
// item that still fits there. Where none fits the page ends, and what is left is dropped.
type windowRule struct {
	named
	condition condition
	by        aspect
	most      int
	window    int
}

func (w *windowRule) apply(p *pass, list []ranking.Candidate) []ranking.Candidate {
	if !w.condition.holds(p.evaluator) {
		return list
	}
	a := arrange(p, list)
	t := newTally(w.by, w.most)
	for len(a.placed) < a.places {
		if leaving := len(a.placed) - w.window; leaving >= 0 {
			t.add(list[a.placed[leaving]].Item, -1)
		}
		best := a.first(func(i int) bool { return t.fits(list[i].Item) })
		if best < 0 {
			return a.end()
		}
		a.place(best)
		t.add(list[best].Item, 1)
	}
	return a.finish()
}

// arrangement builds a page from a list place by place. Pinned items are put aside: pin rules place them.
type arrangement struct {
	list   []ranking.Candidate
	taken  []bool
	head   int // no index below is free
	places int
	placed []int // indexes into list
	pinned []int
}

func arrange(p *pass, list []ranking.Candidate) *arrangement {
	a := &arrangement{list: list, taken: make([]bool, len(list)), places: len(list)}
	for i := range list {
		if p.isPinned(&list[i]) {
			a.taken[i] = true
			a.pinned = append(a.pinned, i)
		}
	}
	a.places -= len(a.pinned)
	if p.request.Count > 0 {
		a.places = min(a.places, p.request.Count)
	}
	a.placed = make([]int, 0, a.places)
	return a
}

// first is the index of the first free item that is wanted, or -1.
func (a *arrangement) first(wanted func(int) bool) int {
	for a.head < len(a.taken) && a.taken[a.head] {
		a.head++
	}
	for i := a.head; i < len(a.list); i++ {
		if !a.taken[i] && wanted(i) {
			return i
		}
	}
	return -1
}

func (a *arrangement) place(i int) {
	a.taken[i] = true
	a.placed = append(a.placed, i)
}

// finish brings the list into the order of the page, the free rest behind it, pinned items last.
func (a *arrangement) finish() []ranking.Candidate {
	if len(a.pinned) > 0 {
		var free []int
		for i, taken := range a.taken {
			if !taken {
				free = append(free, i)
			}
		}
		a.placed = append(a.placed, free...)
		return a.end()
	}
	// Without pinned items only those before the last placed one move, back by at most a page: a small part of a long list.
	last := -1
	for _, i := range a.placed {
		last = max(last, i)
	}
	page := a.pick(a.placed)
	to := last
	for i := last; i >= 0; i-- {
		if a.taken[i] {
			continue
		}
		if to != i {
			a.list[to] = a.list[i]
		}
		to--
	}
	copy(a.list, page)
	return a.list
}

// end leaves what is placed and the pinned items, and drops the rest.
func (a *arrangement) end() []ranking.Candidate {
	page := a.pick(append(a.placed, a.pinned...))
	n := copy(a.list, page)
	clear(a.list[n:])
	return a.list[:n]
}

func (a *arrangement) pick(indexes []int) []ranking.Candidate {
	out := make([]ranking.Candidate, len(indexes))
	for to, from := range indexes {
		out[to] = a.list[from]
	}
	return out
}

// pinRule puts an item that the other rules left on the list at a place of the page.
type pinRule struct {
	named
	condition condition
	item      string
	position  int // counted from 1
}

func (r *pinRule) apply(p *pass, list []ranking.Candidate) []ranking.Candidate {
	if !r.condition.holds(p.evaluator) {
		return list
	}
	at := slices.IndexFunc(list, func(c ranking.Candidate) bool { return c.Item.ItemID == r.item })
	if at < 0 {
		return list
	}
	pinned := list[at]
	if p.request.Explain {
		pinned.Reasons = append(pinned.Reasons, "pinned by rule "+r.name())
	}
	to := min(r.position, len(list)) - 1
	list = slices.Delete(list, at, at+1)
	return slices.Insert(list, to, pinned)
}
