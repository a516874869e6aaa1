package rules

import (
	"math"
	"reflect"
	"slices"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/conf"
	"github.com/expr-lang/expr/file"
	"github.com/expr-lang/expr/vm"
)

// nodeKind says what a predicate node asks.
type nodeKind uint8

const (
	// isConstant is truth, or the value of a request-only condition before bind.
	isConstant nodeKind = iota
	isAnd
	isOr
	// isFlag asks a boolean field.
	isFlag
	// isCompared compares a numeric field with number by op.
	isCompared
	// isOneOf asks whether a text field is one of texts.
	isOneOf
	// isHolding asks whether a list field holds one of texts.
	isHolding
	// isEmpty asks whether a list field holds nothing.
	isEmpty
	// isProgram runs program on expr's virtual machine.
	isProgram
	// isFailure fails with failure: a value that the request should have given could not be had.
	isFailure
)

// node is a predicate tree in negation normal form: not stands on leaves only. A node is never written after build, since
// requests on all cores share it.
type node struct {
	kind   nodeKind
	negate bool
	field  field
	op     string
	number float64
	truth  bool
	texts  []string
	// set holds texts where there are too many to look at one by one; else it is nil.
	set  map[string]struct{}
	kids []*node
	// value is what bind has to run to know number, truth or texts[0]; nil where they are known.
	value   *vm.Program
	program *vm.Program
	failure error
	// perRequest tells that the node or one below has a value.
	perRequest bool
}

var (
	always = &node{kind: isConstant, truth: true}
	never  = &node{kind: isConstant, truth: false}
)

// builder brings a checked syntax tree into predicate form.
type builder struct {
	source file.Source
	// config is one for all parts: making one takes longer than all else that compiling a filter does.
	config *conf.Config
	err    error
}

// build translates n, or not n. The order of operands is kept, and with it which of them are never asked.
func (b *builder) build(n ast.Node, negate bool) *node {
	switch x := n.(type) {
	case *ast.UnaryNode:
		if x.Operator == "not" || x.Operator == "!" {
			return b.build(x.Node, !negate)
		}
	case *ast.BinaryNode:
		switch x.Operator {
		case "and", "&&":
			return b.branch(isAnd, x, negate)
		case "or", "||":
			return b.branch(isOr, x, negate)
		}
	}
	if leaf := b.leaf(n); leaf != nil {
		if leaf.kind == isConstant && leaf.value == nil {
			return truth(leaf.truth != negate)
		}
		leaf.negate = leaf.negate != negate
		leaf.perRequest = leaf.value != nil
		return leaf
	}
	program, err := b.compileNode(n, reflect.Bool)
	if err != nil && b.err == nil {
		b.err = err
	}
	return &node{kind: isProgram, program: program, negate: negate}
}

func (b *builder) branch(kind nodeKind, x *ast.BinaryNode, negate bool) *node {
	if negate {
		kind = isAnd + isOr - kind // De Morgan; asks and skips the operands as before
	}
	out := &node{kind: kind}
	for _, side := range []ast.Node{x.Left, x.Right} {
		kid := b.build(side, negate)
		out.perRequest = out.perRequest || kid.perRequest
		if kid.kind == kind {
			out.kids = append(out.kids, kid.kids...)
		} else {
			out.kids = append(out.kids, kid)
		}
	}
	return out
}

// leaf returns nil for what only the virtual machine can answer.
func (b *builder) leaf(n ast.Node) *node {
	if requestOnly(n) {
		return b.withValue(&node{kind: isConstant}, n)
	}
	switch x := n.(type) {
	case *ast.MemberNode:
		if f := itemField(x); f == fieldAvailable || f == fieldHasPrice {
			return &node{kind: isFlag, field: f}
		}
	case *ast.BuiltinNode:
		return b.anyOf(x)
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

var flipped = map[string]string{"==": "==", "!=": "!=", "<": ">", "<=": ">=", ">": "<", ">=": "<="}

func (b *builder) comparison(x *ast.BinaryNode) *node {
	left, right, op := x.Left, x.Right, x.Operator
	if requestOnly(left) {
		left, right, op = right, left, flipped[op]
	}
	if !requestOnly(right) {
		return nil
	}
	if f := lengthOf(left); f != noField {
		return emptiness(f, op, right)
	}
	unequal := op == "!="
	if unequal {
		op = "=="
	}
	f := itemField(left)
	kind := right.Type().Kind()
	switch {
	case isNumber(f) && isNumeric(kind):
		return b.withValue(&node{kind: isCompared, field: f, op: op, negate: unequal}, right)
	case isText(f) && kind == reflect.String && op == "==":
		return b.withValue(&node{kind: isOneOf, field: f, negate: unequal}, right)
	}
	return nil
}

// emptiness understands the ways to ask whether a list is empty.
func emptiness(f field, op string, right ast.Node) *node {
	n, ok := right.(*ast.IntegerNode)
	if !ok {
		return nil
	}
	switch {
	case n.Value == 0 && (op == "==" || op == "<="), n.Value == 1 && op == "<":
		return &node{kind: isEmpty, field: f}
	case n.Value == 0 && (op == "!=" || op == ">"), n.Value == 1 && op == ">=":
		return &node{kind: isEmpty, field: f, negate: true}
	}
	return nil
}

func (b *builder) membership(x *ast.BinaryNode) *node {
	if f := itemField(x.Left); isText(f) {
		if texts, ok := literalTexts(x.Right); ok {
			return &node{kind: isOneOf, field: f, texts: texts, set: setOf(texts)}
		}
		return nil
	}
	if f := itemField(x.Right); isList(f) && requestOnly(x.Left) && x.Left.Type().Kind() == reflect.String {
		return b.withValue(&node{kind: isHolding, field: f}, x.Left)
	}
	return nil
}

// anyOf understands any(item.categories, # == "x") and any(item.categories, # in ["x", "y"]).
func (b *builder) anyOf(x *ast.BuiltinNode) *node {
	if x.Name != "any" || len(x.Arguments) != 2 {
		return nil
	}
	f := itemField(x.Arguments[0])
	p, ok := x.Arguments[1].(*ast.PredicateNode)
	if !ok || !isList(f) {
		return nil
	}
	body, ok := p.Node.(*ast.BinaryNode)
	if !ok {
		return nil
	}
	if element, ok := body.Left.(*ast.PointerNode); !ok || element.Name != "" {
		return nil
	}
	switch body.Operator {
	case "==":
		if s, ok := body.Right.(*ast.StringNode); ok {
			return &node{kind: isHolding, field: f, texts: []string{s.Value}}
		}
	case "in":
		if texts, ok := literalTexts(body.Right); ok {
			return &node{kind: isHolding, field: f, texts: texts, set: setOf(texts)}
		}
	}
	return nil
}

// fewTexts are looked at one by one faster than by a map.
const fewTexts = 8

func setOf(texts []string) map[string]struct{} {
	if len(texts) <= fewTexts {
		return nil
	}
	set := make(map[string]struct{}, len(texts))
	for _, s := range texts {
		set[s] = struct{}{}
	}
	return set
}

func (n *node) has(s string) bool {
	if n.set == nil {
		return slices.Contains(n.texts, s)
	}
	_, ok := n.set[s]
	return ok
}

// withValue gives a leaf the value of n: at once where it is the same for all requests. It returns nil for a value that fails
// or that a leaf cannot hold exactly.
func (b *builder) withValue(leaf *node, n ast.Node) *node {
	if v := literalOf(n); v != nil {
		if bound := leaf.with(v); bound.kind != isFailure {
			return bound
		}
		return nil
	}
	program, err := b.compileNode(n, reflect.Invalid)
	if err != nil {
		if b.err == nil {
			b.err = err
		}
		return leaf
	}
	leaf.value = program
	if mentions(n, "request") {
		return leaf
	}
	if bound := leaf.bind(new(evaluator)); bound.kind != isFailure {
		return bound
	}
	return nil
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

func itemField(n ast.Node) field {
	m, ok := n.(*ast.MemberNode)
	if !ok || m.Optional {
		return noField
	}
	base, ok := m.Node.(*ast.IdentifierNode)
	name, named := m.Property.(*ast.StringNode)
	if !ok || !named || base.Value != "item" {
		return noField
	}
	return itemFieldNames[name.Value]
}

// lengthOf is the list field whose len n is.
func lengthOf(n ast.Node) field {
	call, ok := n.(*ast.BuiltinNode)
	if !ok || call.Name != "len" || len(call.Arguments) != 1 {
		return noField
	}
	if f := itemField(call.Arguments[0]); isList(f) {
		return f
	}
	return noField
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

func isList(f field) bool { return f == fieldCategories || f == fieldTags || f == fieldRegions }

func isText(f field) bool {
	return f == fieldID || f == fieldTitle || f == fieldBrand || f == fieldCurrency
}

func isNumber(f field) bool {
	return f == fieldPrice || f == fieldPublishedAt || f == fieldAgeDays || f == fieldMinAge
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

// exactInteger bounds the integers that a float64 holds exactly; predicate leaves compare in float64, as expr does where
// one side is a float, but not where both are integers.
const exactInteger = 1 << 53

func fitsFloat(x float64) bool { return !math.IsNaN(x) && math.Abs(x) <= exactInteger }
