package rules

import (
	"reflect"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"

	"github.com/freshet/freshet/services/filter"
)

// builder brings a checked syntax tree into the form of a template.
type builder struct {
	source file.Source
	// config is one for all parts: making one takes longer than all else that compiling a filter does.
	config *conf.Config
	err    error
}

// build translates n, or not n. The order of operands is kept, and with it which of them are never asked.
func (b *builder) build(n ast.Node, negate bool) template {
	switch x := n.(type) {
	case *ast.UnaryNode:
		if x.Operator == "not" || x.Operator == "!" {
			return b.build(x.Node, !negate)
		}
	case *ast.BinaryNode:
		switch x.Operator {
		case "and", "&&":
			return b.branch(negate, x, negate) // De Morgan; asks and skips the operands as before
		case "or", "||":
			return b.branch(!negate, x, negate)
		}
	}
	leaf := b.leaf(n)
	if leaf == nil {
		leaf = &program{code: b.compiled(n, reflect.Bool)}
	}
	if negate {
		return leaf.negated()
	}
	return leaf
}

func (b *builder) branch(or bool, x *ast.BinaryNode, negate bool) template {
	var parts []template
	for _, side := range []ast.Node{x.Left, x.Right} {
		part := b.build(side, negate)
		if inner, same := part.(*branch); same && inner.or == or {
			parts = append(parts, inner.parts...)
		} else {
			parts = append(parts, part)
		}
	}
	return newBranch(or, parts)
}

// leaf returns nil for what only the virtual machine can answer.
func (b *builder) leaf(n ast.Node) leaf {
	if requestOnly(n) {
		return b.withValue(n, func(v any) (filter.Node, bool) {
			t, ok := v.(bool)
			return filter.Constant(t), ok
		})
	}
	switch x := n.(type) {
	case *ast.MemberNode:
		if flag, ok := fieldOf[filter.Flag](x); ok {
			return fixed{flag}
		}
	case *ast.BuiltinNode:
		return anyOf(x)
	case *ast.BinaryNode:
		switch x.Operator {
		case "==", "!=", "<", "<=", ">", ">=":
			return b.comparison(x)
		case "in":
			return b.membership(x)
		}
	}
	return nil
}

var (
	operators = map[string]filter.Op{
		"==": filter.Equal, "!=": filter.Unequal, "<": filter.Less, "<=": filter.AtMost, ">": filter.Greater, ">=": filter.AtLeast,
	}
	flipped = map[filter.Op]filter.Op{
		filter.Less: filter.Greater, filter.AtMost: filter.AtLeast, filter.Greater: filter.Less, filter.AtLeast: filter.AtMost,
	}
)

func (b *builder) comparison(x *ast.BinaryNode) leaf {
	left, right, op := x.Left, x.Right, operators[x.Operator]
	if requestOnly(left) {
		left, right = right, left
		if other, ordered := flipped[op]; ordered {
			op = other
		}
	}
	if !requestOnly(right) {
		return nil
	}
	if list, ok := lengthOf(left); ok {
		return emptiness(list, op, right)
	}
	kind := right.Type().Kind()
	if number, ok := fieldOf[filter.Number](left); ok && isNumeric(kind) {
		return b.withValue(right, func(v any) (filter.Node, bool) {
			x, ok := asFloat(v)
			return &filter.Compared{Field: number, Op: op, Value: x}, ok
		})
	}
	text, ok := fieldOf[filter.Text](left)
	if !ok || kind != reflect.String || op != filter.Equal && op != filter.Unequal {
		return nil
	}
	equal := b.withValue(right, func(v any) (filter.Node, bool) {
		s, ok := v.(string)
		return &filter.OneOf{Field: text, Texts: filter.TextsOf(s)}, ok
	})
	if equal != nil && op == filter.Unequal {
		return equal.negated()
	}
	return equal
}

// emptiness understands the ways to ask whether a list is empty.
func emptiness(list filter.List, op filter.Op, right ast.Node) leaf {
	n, ok := right.(*ast.IntegerNode)
	if !ok {
		return nil
	}
	empty := fixed{filter.Empty{Field: list}}
	switch {
	case n.Value == 0 && (op == filter.Equal || op == filter.AtMost), n.Value == 1 && op == filter.Less:
		return empty
	case n.Value == 0 && (op == filter.Unequal || op == filter.Greater), n.Value == 1 && op == filter.AtLeast:
		return empty.negated()
	}
	return nil
}

func (b *builder) membership(x *ast.BinaryNode) leaf {
	if text, ok := fieldOf[filter.Text](x.Left); ok {
		if texts, ok := literalTexts(x.Right); ok {
			return fixed{&filter.OneOf{Field: text, Texts: filter.TextsOf(texts...)}}
		}
		return nil
	}
	if list, ok := fieldOf[filter.List](x.Right); ok && requestOnly(x.Left) && x.Left.Type().Kind() == reflect.String {
		return b.withValue(x.Left, func(v any) (filter.Node, bool) {
			s, ok := v.(string)
			return &filter.HoldsAny{Field: list, Texts: filter.TextsOf(s)}, ok
		})
	}
	return nil
}

// anyOf understands any(item.categories, # == "x") and any(item.categories, # in ["x", "y"]).
func anyOf(x *ast.BuiltinNode) leaf {
	if x.Name != "any" || len(x.Arguments) != 2 {
		return nil
	}
	list, isList := fieldOf[filter.List](x.Arguments[0])
	p, ok := x.Arguments[1].(*ast.PredicateNode)
	if !ok || !isList {
		return nil
	}
	body, ok := p.Node.(*ast.BinaryNode)
	if !ok {
		return nil
	}
	if element, ok := body.Left.(*ast.PointerNode); !ok || element.Name != "" {
		return nil
	}
	var texts []string
	switch body.Operator {
	case "==":
		s, ok := body.Right.(*ast.StringNode)
		if !ok {
			return nil
		}
		texts = []string{s.Value}
	case "in":
		if texts, ok = literalTexts(body.Right); !ok {
			return nil
		}
	default:
		return nil
	}
	return fixed{&filter.HoldsAny{Field: list, Texts: filter.TextsOf(texts...)}}
}

// withValue gives a leaf the value of n: at once where it is the same for all requests. It returns nil for a value that fails
// or that a leaf cannot hold exactly.
func (b *builder) withValue(n ast.Node, leafOf func(any) (filter.Node, bool)) leaf {
	if v := literalOf(n); v != nil {
		if node, ok := leafOf(v); ok {
			return fixed{node}
		}
		return nil
	}
	waiting := &awaiting{value: b.compiled(n, reflect.Invalid), make: leafOf}
	if waiting.value == nil || mentions(n, "request") {
		return waiting
	}
	bound := waiting.bind(new(evaluator))
	if _, failed := bound.(failure); failed {
		return nil
	}
	return fixed{bound}
}

// compiled is the program of n. It is nil where there is an error, which b keeps.
func (b *builder) compiled(n ast.Node, expect reflect.Kind) *vm.Program {
	code, err := b.compileNode(n, expect)
	if err != nil && b.err == nil {
		b.err = err
	}
	return code
}

// literalOf is the value of the simplest nodes; nil for all others.
func literalOf(n ast.Node) any {
	switch x := n.(type) {
	case *ast.IntegerNode:
		return x.Value
	case *ast.FloatNode:
		return x.Value
	case *ast.StringNode:
		return x.Value
	case *ast.BoolNode:
		return x.Value
	}
	return nil
}

// itemField is the name of the item's field that n reads; empty where it is none.
func itemField(n ast.Node) string {
	m, ok := n.(*ast.MemberNode)
	if !ok || m.Optional {
		return ""
	}
	base, ok := m.Node.(*ast.IdentifierNode)
	name, named := m.Property.(*ast.StringNode)
	if !ok || !named || base.Value != "item" {
		return ""
	}
	return name.Value
}

func isItemField(name string) bool {
	_, is := itemFields[name]
	return is
}

// fieldOf is the field that n reads, if it is of that type.
func fieldOf[F any](n ast.Node) (F, bool) {
	f, ok := itemFields[itemField(n)].(F)
	return f, ok
}

// lengthOf is the list whose len n is.
func lengthOf(n ast.Node) (filter.List, bool) {
	call, ok := n.(*ast.BuiltinNode)
	if !ok || call.Name != "len" || len(call.Arguments) != 1 {
		return 0, false
	}
	return fieldOf[filter.List](call.Arguments[0])
}

func literalTexts(n ast.Node) ([]string, bool) {
	array, ok := n.(*ast.ArrayNode)
	if !ok {
		return nil, false
	}
	texts := make([]string, 0, len(array.Nodes))
	for _, e := range array.Nodes {
		s, ok := e.(*ast.StringNode)
		if !ok {
			return nil, false
		}
		texts = append(texts, s.Value)
	}
	return texts, true
}

func isNumeric(k reflect.Kind) bool {
	return k >= reflect.Int && k <= reflect.Float64 && k != reflect.Uintptr
}

// requestOnly tells that n has one value for the whole request: it mentions neither the item nor anything declared or
// iterated inside the expression.
func requestOnly(n ast.Node) bool {
	v := &foreign{only: "request"}
	ast.Walk(&n, v)
	return !v.found
}

func mentions(n ast.Node, name string) bool {
	return ast.Find(n, func(n ast.Node) bool {
		id, ok := n.(*ast.IdentifierNode)
		return ok && id.Value == name
	}) != nil
}

type foreign struct {
	only  string
	found bool
}

func (v *foreign) Visit(n *ast.Node) {
	switch x := (*n).(type) {
	case *ast.IdentifierNode:
		v.found = v.found || x.Value != v.only
	case *ast.PointerNode, *ast.VariableDeclaratorNode, *ast.CallNode:
		v.found = true
	case *ast.BuiltinNode:
		v.found = v.found || x.Name == "now"
	}
}
