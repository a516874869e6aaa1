package rules

import (
	"errors"
	"fmt"
)

// bind folds the request's values into a predicate tree. The result depends on no request field any more.
func (n *node) bind(e *evaluator) *node {
	if !n.perRequest && n.value == nil {
		return n
	}
	if n.kind == isAnd || n.kind == isOr {
		return n.bindBranch(e)
	}
	out, err := e.vm.Run(n.value, &e.env)
	if err != nil {
		return &node{kind: isFailure, failure: fmt.Errorf("evaluating a condition on the request: %w", err)}
	}
	return n.with(out)
}

// with is a leaf with its value.
func (n *node) with(out any) *node {
	bound := *n
	bound.value, bound.perRequest = nil, false
	var ok bool
	switch n.kind {
	case isConstant:
		bound.truth, ok = out.(bool)
		if ok {
			return truth(bound.truth != n.negate)
		}
	case isCompared:
		bound.number, ok = asFloat(out)
	default:
		var text string
		text, ok = out.(string)
		bound.texts = []string{text}
	}
	if !ok {
		return &node{kind: isFailure, failure: errUnexpectedValue}
	}
	return &bound
}

var errUnexpectedValue = errors.New("a condition on the request gave a value of another type than it was checked for")

func truth(t bool) *node {
	if t {
		return always
	}
	return never
}

// bindBranch drops operands that cannot decide and those behind one that always decides. An operand that may fail is kept
// before it, so that bound and unbound trees fail alike.
func (n *node) bindBranch(e *evaluator) *node {
	deciding := n.kind == isOr
	kids := make([]*node, 0, len(n.kids))
	for _, k := range n.kids {
		k = k.bind(e)
		if k.kind != isConstant {
			kids = append(kids, k)
			continue
		}
		if k.truth == deciding {
			kids = append(kids, k)
			break
		}
	}
	switch len(kids) {
	case 0:
		return truth(!deciding)
	case 1:
		return kids[0]
	}
	return &node{kind: n.kind, kids: kids}
}

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
