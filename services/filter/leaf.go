package filter

import (
	"slices"

	"github.com/freshet/freshet/schemas"
)

type (
	// Compared compares a number of the item with one that is given.
	Compared struct {
		Field Number
		Op    Op
		Value float64
	}
	// OneOf asks whether a text of the item is among those given.
	OneOf struct {
		Field Text
		Texts Texts
	}
	// HoldsAny asks whether a list of the item holds one of the texts given.
	HoldsAny struct {
		Field List
		Texts Texts
	}
	// Empty asks whether a list of the item is empty.
	Empty struct{ Field List }
	// Unlisted asks whether the item's id is none of those given.
	Unlisted map[string]struct{}
)

// Holds implements Node.
func (n *Compared) Holds(it *schemas.ItemChange, nowMillis int64) (bool, error) {
	return n.Op.Compare(n.Field.of(it, nowMillis), n.Value), nil
}

// Holds implements Node.
func (n *OneOf) Holds(it *schemas.ItemChange, _ int64) (bool, error) {
	return n.Texts.has(n.Field.of(it)), nil
}

// Holds implements Node.
func (n *HoldsAny) Holds(it *schemas.ItemChange, _ int64) (bool, error) {
	return slices.ContainsFunc(n.Field.of(it), n.Texts.has), nil
}

// Holds implements Node.
func (n Empty) Holds(it *schemas.ItemChange, _ int64) (bool, error) {
	return len(n.Field.of(it)) == 0, nil
}

// Holds implements Node.
func (n Unlisted) Holds(it *schemas.ItemChange, _ int64) (bool, error) {
	_, listed := n[it.ItemID]
	return !listed, nil
}

// Holds implements Node: a flag is a condition by itself.
func (f Flag) Holds(it *schemas.ItemChange, _ int64) (bool, error) {
	if f == Available {
		return IsAvailable(it), nil
	}
	_, priced := PriceOf(it)
	return priced, nil
}

// Op compares two numbers.
type Op uint8

// The operators.
const (
	Equal Op = iota
	Unequal
	Less
	AtMost
	Greater
	AtLeast
)

// Compare reports whether a stands to b as op says. NaN is unequal to all, itself included, and nothing else.
func (op Op) Compare(a, b float64) bool {
	switch op {
	case Less:
		return a < b
	case AtMost:
		return a <= b
	case Greater:
		return a > b
	case AtLeast:
		return a >= b
	case Unequal:
		return a != b
	default:
		return a == b
	}
}

// Texts is a set of texts in the order in which they were given.
type Texts struct {
	list []string
	// set holds the list where it is too long to look at one by one; else it is nil.
	set map[string]struct{}
}

// fewTexts are looked at one by one faster than by a map.
const fewTexts = 8

// TextsOf makes a set of a list, which it keeps.
func TextsOf(list ...string) Texts {
	t := Texts{list: list}
	if len(list) > fewTexts {
		t.set = make(map[string]struct{}, len(list))
		for _, s := range list {
			t.set[s] = struct{}{}
		}
	}
	return t
}

// List is what the set was made of. Leave it as it is.
func (t *Texts) List() []string { return t.list }

func (t *Texts) has(s string) bool {
	if t.set == nil {
		return slices.Contains(t.list, s)
	}
	_, found := t.set[s]
	return found
}
