package rules

import (
	"errors"
	"fmt"
	"math"

	"github.com/expr-lang/expr/vm"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/filter"
)

// template is a condition as its expression states it. A template is never written after build, since requests on all cores share it.
type template interface {
	// bind folds in the values of the evaluator's request. The result holds for that request, and as long as the evaluator is held.
	bind(e *evaluator) filter.Node
}

// leaf is a template without parts.
type leaf interface {
	template
	negated() leaf
}

// fixed is the same for all requests.
type fixed struct{ filter.Node }

func (t fixed) bind(*evaluator) filter.Node { return t.Node }
func (t fixed) negated() leaf               { return fixed{filter.Negate(t.Node)} }

// awaiting is a leaf that lacks a value which the request gives.
type awaiting struct {
	value *vm.Program
	// make reports whether a value is one that the leaf can hold exactly.
	make   func(value any) (filter.Node, bool)
	negate bool
}

func (t *awaiting) negated() leaf { return &awaiting{t.value, t.make, !t.negate} }

func (t *awaiting) bind(e *evaluator) filter.Node {
	value, err := e.vm.Run(t.value, &e.env)
	if err != nil {
		return failure{fmt.Errorf("evaluating a condition on the request: %w", err)}
	}
	node, ok := t.make(value)
	switch {
	case !ok:
		return failure{errUnexpectedValue}
	case t.negate:
		return filter.Negate(node)
	}
	return node
}

var errUnexpectedValue = errors.New("a condition on the request gave a value of another type than it was checked for")

// failure fails for every item: a value that the request should have given could not be had.
type failure struct{ err error }

// Holds implements filter.Node.
func (f failure) Holds(*schemas.ItemChange, int64) (bool, error) { return false, f.err }

// program is a leaf that runs on expr's virtual machine.
type program struct {
	code   *vm.Program
	negate bool
}

func (t *program) negated() leaf { return &program{t.code, !t.negate} }

func (t *program) bind(e *evaluator) filter.Node {
	if t.negate {
		return filter.Not{Leaf: &running{t.code, e}}
	}
	return &running{t.code, e}
}

// running is a program and the evaluator whose machine it runs on.
type running struct {
	code      *vm.Program
	evaluator *evaluator
}

// Holds implements filter.Node.
func (r *running) Holds(it *schemas.ItemChange, _ int64) (bool, error) {
	return r.evaluator.run(r.code, it)
}

// branch joins its parts by and, or by or.
type branch struct {
	or    bool
	parts []template
	// whole is the branch where all its parts are fixed; else nil.
	whole filter.Node
	// perRequest: a part, or one below, awaits a value.
	perRequest bool
}

func newBranch(or bool, parts []template) *branch {
	b := &branch{or: or, parts: parts}
	nodes := make([]filter.Node, 0, len(parts))
	for _, part := range parts {
		switch part := part.(type) {
		case fixed:
			nodes = append(nodes, part.Node)
		case *awaiting:
			b.perRequest = true
		case *branch:
			b.perRequest = b.perRequest || part.perRequest
			if part.whole != nil {
				nodes = append(nodes, part.whole)
			}
		}
	}
	if len(nodes) == len(parts) {
		b.whole = b.join(nodes)
	}
	return b
}

func (b *branch) join(nodes []filter.Node) filter.Node {
	if b.or {
		return filter.Or(nodes)
	}
	return filter.And(nodes)
}

// bind drops the parts that the request has made constant, where they cannot decide, and those behind one that always decides. A part
// that may fail is kept before it, so that bound and unbound branches fail alike.
func (b *branch) bind(e *evaluator) filter.Node {
	if b.whole != nil {
		return b.whole
	}
	nodes := make([]filter.Node, 0, len(b.parts))
	for _, part := range b.parts {
		node := part.bind(e)
		constant, is := node.(filter.Constant)
		if !is || !b.perRequest {
			nodes = append(nodes, node)
			continue
		}
		if bool(constant) == b.or {
			nodes = append(nodes, node)
			break
		}
	}
	switch {
	case len(nodes) == 0:
		return filter.Constant(!b.or)
	case len(nodes) == 1:
		return nodes[0]
	}
	return b.join(nodes)
}

// exactInteger bounds the integers that a float64 holds exactly; conditions compare in float64, as expr does where one side is
// a float, but not where both are integers.
const exactInteger = 1 << 53

func fitsFloat(x float64) bool { return !math.IsNaN(x) && math.Abs(x) <= exactInteger }

func asFloat(v any) (float64, bool) {
	switch x := v.(type) {
	case float64:
		return x, true
	case int:
		return float64(x), fitsFloat(float64(x))
	case int64:
		return float64(x), fitsFloat(float64(x))
	case float32:
		return float64(x), true
	}
	return 0, false
}
