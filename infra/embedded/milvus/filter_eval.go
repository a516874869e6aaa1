package milvus

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// filter returns the rows that expr selects; an empty expression selects all. The caller holds mu.
func (c *collection) filter(expr string) (bitset, error) {
	if isBlank(expr) {
		return all(c.rows()), nil
	}
	n, err := parseFilter(expr)
	if err == nil {
		if err := predicateOnly(n); err != nil {
			return bitset{}, unexpectedf("predicate is not a boolean expression: %s, %v", expr, err)
		}
		var rows bitset
		if rows, err = c.selects(n); err == nil {
			return rows, nil
		}
	}
	return bitset{}, unexpectedf("cannot parse expression: %s, error: %v", expr, err)
}

// predicateOnly refuses a bare field or literal, which Milvus refuses even where it is boolean.
func predicateOnly(n node) error {
	switch n := n.(type) {
	case *identifier:
		return fmt.Errorf("it is the field %s alone; compare it, as in %s == true", n.name, n.name)
	case *literal, *list:
		return errors.New("it is a literal alone")
	}
	return nil
}

// selects evaluates n over all rows. It reads columns one at a time, which suits both the cache and the branch predictor.
func (c *collection) selects(n node) (bitset, error) {
	switch n := n.(type) {
	case *junction:
		return c.selectJunction(n)
	case *negation:
		if predicateOnly(n.term) != nil {
			return bitset{}, errors.New("not op can only be applied on boolean expression")
		}
		rows, err := c.selects(n.term)
		if err != nil {
			return bitset{}, err
		}
		return rows.not(), nil
	case *comparison:
		return c.selectComparison(n)
	case *membership:
		return c.selectMembership(n)
	case *pattern:
		return c.selectPattern(n)
	case *containment:
		return c.selectContainment(n)
	}
	return bitset{}, errors.New("'and', 'or' and 'not' can only be used between boolean expressions")
}

func (c *collection) selectJunction(j *junction) (bitset, error) {
	rows, err := c.selects(j.terms[0])
	if err != nil {
		return bitset{}, err
	}
	for _, term := range j.terms[1:] {
		more, err := c.selects(term) // each term, also where the rows are decided: its errors must show
		if err != nil {
			return bitset{}, err
		}
		if j.op == "and" {
			rows.and(more)
		} else {
			rows.or(more)
		}
	}
	return rows, nil
}

var mirrored = map[tokenKind]tokenKind{"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

func (c *collection) selectComparison(n *comparison) (bitset, error) {
	op := n.op
	id, isField := n.left.(*identifier)
	value, isLiteral := n.right.(*literal)
	if !isField && !isLiteral {
		op = mirrored[op]
		id, isField = n.right.(*identifier)
		value, isLiteral = n.left.(*literal)
	}
	if !isField || !isLiteral {
		return bitset{}, errors.New("the embedded server compares a field with a literal and nothing else")
	}
	col, err := c.column(id.name)
	if err != nil {
		return bitset{}, err
	}
	if rows, ok := c.compared(col, op, value.value); ok {
		return rows, nil
	}
	if f, ok := value.value.(float64); ok && isInteger(col) {
		return bitset{}, fmt.Errorf("cannot cast value to %s, value: float_val:%v", typeName(col), f)
	}
	return bitset{}, fmt.Errorf("comparisons between %s and %s are not supported", typeName(col), literalName(value.value))
}

// compared selects the rows whose value stands to want as op says; false where the two cannot be compared. A FLOAT column
// compares with the literal rounded to float32, as in Milvus, so that price == 9.99 finds what was stored as 9.99.
func (c *collection) compared(col column, op tokenKind, want any) (bitset, bool) {
	switch col := col.(type) {
	case *scalars[bool]:
		if want, ok := want.(bool); ok && (op == "==" || op == "!=") {
			return fill(c.rows(), func(r int) bool { return (col.values[r] == want) == (op == "==") }), true
		}
	case *scalars[int32]:
		if want, ok := want.(int64); ok {
			holds := ordered[int64](op) // 64 bits: a literal may lie outside the column's range
			return fill(c.rows(), func(r int) bool { return holds(int64(col.values[r]), want) }), true
		}
	case *scalars[int64]:
		if want, ok := want.(int64); ok {
			return compareAll(col.values, op, want), true
		}
	case *scalars[float32]:
		if want, ok := asFloat(want); ok {
			return compareAll(col.values, op, float32(want)), true
		}
	case *scalars[float64]:
		if want, ok := asFloat(want); ok {
			return compareAll(col.values, op, want), true
		}
	case *texts:
		if want, ok := want.(string); ok {
			holds := ordered[string](op)
			return col.rowsWith(func(s string) bool { return holds(s, want) }), true
		}
	case *keys:
		if want, ok := want.(string); ok {
			return compareAll(col.values, op, want), true
		}
	}
	return bitset{}, false
}

func compareAll[T cmp.Ordered](values []T, op tokenKind, want T) bitset {
	holds := ordered[T](op)
	return fill(len(values), func(r int) bool { return holds(values[r], want) })
}

func isInteger(col column) bool {
	switch col.(type) {
	case *scalars[int32], *scalars[int64]:
		return true
	}
	return false
}

func (c *collection) selectMembership(n *membership) (bitset, error) {
	id, ok := n.left.(*identifier)
	if !ok {
		return bitset{}, errors.New("'term' can only be used on non-const expression")
	}
	col, err := c.column(id.name)
	if err != nil {
		return bitset{}, err
	}
	values := make([]any, len(n.items))
	for i, item := range n.items {
		value, ok := item.(*literal)
		if !ok {
			return bitset{}, errors.New("a list holds literals and nothing else")
		}
		values[i] = value.value
	}
	rows, err := c.among(col, values)
	if err == nil && n.negated {
		rows.not()
	}
	return rows, err
}

func (c *collection) among(col column, values []any) (bitset, error) {
	switch col := col.(type) {
	case *keys:
		rows := newBitset(c.rows())
		for _, v := range values {
			key, ok := v.(string)
			if !ok {
				return bitset{}, notCastable(v, col)
			}
			if row, ok := col.index[key]; ok {
				rows.add(int(row))
			}
		}
		return rows, nil
	case *texts:
		wanted, err := castAll(values, col, asString)
		if err != nil {
			return bitset{}, err
		}
		in := make(map[string]bool, len(wanted))
		for _, w := range wanted {
			in[w] = true
		}
		return col.rowsWith(func(s string) bool { return in[s] }), nil
	case *scalars[bool]:
		return amongScalars(c.rows(), col, values, func(v any) (bool, bool) { b, ok := v.(bool); return b, ok })
	case *scalars[int32]:
		return amongScalars(c.rows(), col, values, func(v any) (int32, bool) {
			n, ok := v.(int64)
			return int32(n), ok && int64(int32(n)) == n
		})
	case *scalars[int64]:
		return amongScalars(c.rows(), col, values, func(v any) (int64, bool) { n, ok := v.(int64); return n, ok })
	case *scalars[float32]:
		return amongScalars(c.rows(), col, values, func(v any) (float32, bool) { f, ok := asFloat(v); return float32(f), ok })
	case *scalars[float64]:
		return amongScalars(c.rows(), col, values, asFloat)
	}
	return bitset{}, fmt.Errorf("in is not supported on %s", typeName(col))
}

func amongScalars[T comparable](rows int, col *scalars[T], values []any, cast func(any) (T, bool)) (bitset, error) {
	wanted, err := castAll(values, col, cast)
	if err != nil {
		return bitset{}, err
	}
	if len(wanted) < 8 {
		return fill(rows, func(r int) bool { return slices.Contains(wanted, col.values[r]) }), nil
	}
	in := make(map[T]bool, len(wanted))
	for _, w := range wanted {
		in[w] = true
	}
	return fill(rows, func(r int) bool { return in[col.values[r]] }), nil
}

// selectPattern evaluates `like` with a prefix ("ab%") or without a wildcard, the two that Milvus 2.3 knows.
func (c *collection) selectPattern(n *pattern) (bitset, error) {
	id, ok := n.left.(*identifier)
	if !ok {
		return bitset{}, errors.New("like can only be used on a field")
	}
	col, err := c.column(id.name)
	if err != nil {
		return bitset{}, err
	}
	prefix, open := strings.CutSuffix(n.text, "%")
	if strings.ContainsAny(prefix, "%_") {
		return bitset{}, fmt.Errorf("unsupported pattern: %s, only prefix pattern match like ab%% and equal match like "+
			"ab(no wildcards) are supported", n.text)
	}
	matches := func(s string) bool { return s == prefix || open && strings.HasPrefix(s, prefix) }
	switch col := col.(type) {
	case *texts:
		return col.rowsWith(matches), nil
	case *keys:
		return fill(c.rows(), func(r int) bool { return matches(col.values[r]) }), nil
	}
	return bitset{}, fmt.Errorf("like operation on non-string field %s is unsupported", id.name)
}

func (c *collection) selectContainment(n *containment) (bitset, error) {
	id, ok := n.array.(*identifier)
	if !ok {
		return bitset{}, fmt.Errorf("%s operation are only supported on array fields", n.op)
	}
	col, err := c.column(id.name)
	if err != nil {
		return bitset{}, err
	}
	array, ok := col.(*textArrays)
	if !ok {
		return bitset{}, fmt.Errorf("%s operation are only supported on array fields now, got: %s", n.op, id.name)
	}
	elements, err := containedElements(n)
	if err != nil {
		return bitset{}, err
	}
	codes := make([]uint32, 0, len(elements))
	for _, e := range elements {
		if code, ok := array.dict.codes[e]; ok {
			codes = append(codes, code)
		} else if n.op != "array_contains_any" {
			return newBitset(c.rows()), nil // no row has ever held it
		}
	}
	if n.op == "array_contains_any" {
		return array.rowsWithAny(codes), nil
	}
	return fill(c.rows(), func(r int) bool {
		for _, code := range codes {
			if !slices.Contains(array.rows[r], code) {
				return false
			}
		}
		return true
	}), nil
}

func containedElements(n *containment) ([]string, error) {
	items := []node{n.elements}
	if n.op != "array_contains" {
		l, ok := n.elements.(*list)
		if !ok {
			return nil, fmt.Errorf("%s operation element must be an array", n.op)
		}
		if len(l.items) == 0 {
			return nil, errors.New("mismatched input '[]'")
		}
		items = l.items
	}
	elements := make([]string, len(items))
	for i, item := range items {
		value, ok := item.(*literal)
		if !ok {
			return nil, fmt.Errorf("%s operation are only supported explicitly specified element", n.op)
		}
		if elements[i], ok = value.value.(string); !ok {
			return nil, fmt.Errorf("%s operation can't compare between array element type: VarChar and %s", n.op, literalName(value.value))
		}
	}
	return elements, nil
}

// rowsWith selects by each distinct string once, then by its number.
func (c *texts) rowsWith(holds func(string) bool) bitset {
	selected := make([]bool, len(c.dict.strings))
	for code, s := range c.dict.strings {
		selected[code] = holds(s)
	}
	return fill(len(c.codes), func(r int) bool { return selected[c.codes[r]] })
}

func (c *textArrays) rowsWithAny(codes []uint32) bitset {
	wanted := make([]bool, len(c.dict.strings))
	for _, code := range codes {
		wanted[code] = true
	}
	return fill(len(c.rows), func(r int) bool {
		for _, code := range c.rows[r] {
			if wanted[code] {
				return true
			}
		}
		return false
	})
}

func (c *collection) column(name string) (column, error) {
	i, ok := c.byName[name]
	if !ok {
		return nil, fmt.Errorf("field %s not exist", name)
	}
	return c.columns[i], nil
}

// ordered is the comparison that op stands for. NaN is unequal to all and neither above nor below.
func ordered[T cmp.Ordered](op tokenKind) func(a, b T) bool {
	switch op {
	case "==":
		return func(a, b T) bool { return a == b }
	case "!=":
		return func(a, b T) bool { return a != b }
	case "<":
		return func(a, b T) bool { return a < b }
	case "<=":
		return func(a, b T) bool { return a <= b }
	case ">":
		return func(a, b T) bool { return a > b }
	default:
		return func(a, b T) bool { return a >= b }
	}
}

func castAll[T any](values []any, col column, cast func(any) (T, bool)) ([]T, error) {
	out := make([]T, len(values))
	for i, v := range values {
		var ok bool
		if out[i], ok = cast(v); !ok {
			return nil, notCastable(v, col)
		}
	}
	return out, nil
}

func notCastable(value any, col column) error {
	return fmt.Errorf("value '%v' in list cannot be casted to %s", value, typeName(col))
}

func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}

func asString(v any) (string, bool) { s, ok := v.(string); return s, ok }

func typeName(col column) string {
	type typed interface{ typeName() string }
	return col.(typed).typeName()
}

func (f field) typeName() string { return f.dataType.String() }

func literalName(v any) string {
	switch v.(type) {
	case bool:
		return "Bool"
	case int64:
		return "Int64"
	case float64:
		return "Double"
	default:
		return "VarChar"
	}
}
