package rules

import (
	"slices"
	"sync"

	"github.com/expr-lang/expr/vm"

	"github.com/freshet/freshet/schemas"
)

// evaluator asks predicate trees about items, for one request at a time.
type evaluator struct {
	vm  vm.VM
	env environment
	// filled is the item that env holds: it is copied only once a program asks for it.
	filled    *schemas.ItemChange
	nowMillis int64
}

var evaluators = sync.Pool{New: func() any { return new(evaluator) }}

func newEvaluator(r *Request) *evaluator {
	e := evaluators.Get().(*evaluator)
	e.env.Request.fill(r)
	e.nowMillis = r.Now.UnixMilli()
	return e
}

// release gives the evaluator back without a hold on the request's items.
func (e *evaluator) release() {
	e.env, e.filled = environment{}, nil
	evaluators.Put(e)
}

// holds tells whether a bound predicate is true of an item. An error means neither.
func (e *evaluator) holds(n *node, it *schemas.ItemChange) (bool, error) {
	switch n.kind {
	case isAnd, isOr:
		deciding := n.kind == isOr
		for _, k := range n.kids {
			if t, err := e.holds(k, it); err != nil || t == deciding {
				return t, err
			}
		}
		return !deciding, nil
	case isProgram:
		return e.run(n, it)
	case isFailure:
		return false, n.failure
	}
	return e.leaf(n, it) != n.negate, nil
}

func (e *evaluator) leaf(n *node, it *schemas.ItemChange) bool {
	switch n.kind {
	case isFlag:
		if n.field == fieldAvailable {
			return isAvailable(it)
		}
		_, priced := priceOf(it)
		return priced
	case isCompared:
		return compare(e.number(n.field, it), n.op, n.number)
	case isOneOf:
		return n.has(text(n.field, it))
	case isHolding:
		return slices.ContainsFunc(list(n.field, it), n.has)
	case isEmpty:
		return len(list(n.field, it)) == 0
	}
	return n.truth
}

func (e *evaluator) run(n *node, it *schemas.ItemChange) (bool, error) {
	if e.filled != it {
		e.env.Item.fill(it, e.nowMillis)
		e.filled = it
	}
	out, err := e.vm.Run(n.program, &e.env)
	if err != nil {
		return false, err
	}
	t, ok := out.(bool)
	if !ok {
		return false, errUnexpectedValue
	}
	return t != n.negate, nil
}

func (e *evaluator) number(f field, it *schemas.ItemChange) float64 {
	switch f {
	case fieldPrice:
		p, _ := priceOf(it)
		return p
	case fieldPublishedAt:
		return float64(publishedSeconds(it))
	case fieldAgeDays:
		return ageDays(it, e.nowMillis)
	default:
		return float64(it.MinAge)
	}
}

func text(f field, it *schemas.ItemChange) string {
	switch f {
	case fieldID:
		return it.ItemID
	case fieldTitle:
		return it.Title
	case fieldBrand:
		return it.Brand
	default:
		return it.Currency
	}
}

func list(f field, it *schemas.ItemChange) []string {
	switch f {
	case fieldCategories:
		return it.Categories
	case fieldTags:
		return it.Tags
	default:
		return it.Regions
	}
}

func compare(a float64, op string, b float64) bool {
	switch op {
	case "<":
		return a < b
	case "<=":
		return a <= b
	case ">":
		return a > b
	case ">=":
		return a >= b
	default:
		return a == b
	}
}
