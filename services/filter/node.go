package filter

import "github.com/freshet/freshet/schemas"

// Node is a condition on an item.
type Node interface {
	// Holds reports whether the condition is true of an item at a time in Unix milliseconds. An error means neither.
	Holds(it *schemas.ItemChange, nowMillis int64) (bool, error)
}

type (
	// And holds where all its parts hold; without parts always.
	And []Node
	// Or holds where one of its parts holds; without parts never.
	Or []Node
	// Not holds where the leaf in it does not.
	Not struct{ Leaf Node }
	// Constant is the same for all items.
	Constant bool
)

// The constants as nodes, which can be compared with ==.
var (
	Always Node = Constant(true)
	Never  Node = Constant(false)
)

// Holds implements Node.
func (n And) Holds(it *schemas.ItemChange, nowMillis int64) (bool, error) {
	for _, part := range n {
		if holds, err := part.Holds(it, nowMillis); err != nil || !holds {
			return false, err
		}
	}
	return true, nil
}

// Holds implements Node.
func (n Or) Holds(it *schemas.ItemChange, nowMillis int64) (bool, error) {
	for _, part := range n {
		if holds, err := part.Holds(it, nowMillis); err != nil || holds {
			return holds, err
		}
	}
	return false, nil
}

// Holds implements Node.
func (n Not) Holds(it *schemas.ItemChange, nowMillis int64) (bool, error) {
	holds, err := n.Leaf.Holds(it, nowMillis)
	return !holds && err == nil, err
}

// Holds implements Node.
func (n Constant) Holds(*schemas.ItemChange, int64) (bool, error) { return bool(n), nil }

// Negate is the opposite of a leaf, of a negated leaf or of a constant.
func Negate(leaf Node) Node {
	switch n := leaf.(type) {
	case Constant:
		return !n
	case Not:
		return n.Leaf
	}
	return Not{leaf}
}

// Named is a condition with the name of whoever asks for it.
type Named struct {
	Name      string
	Condition Node
}
