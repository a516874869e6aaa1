package rules

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/filter"
)

// What a request's filter may be at most.
const (
	maxFilterNodes = 128
	maxFilterList  = 64
	// filterMemory is the virtual machine's budget for one item, in its own units (about one an element).
	filterMemory = 10_000
	// filterFuel is what one request's filter may spend on all its candidates together, in steps of the virtual machine (some
	// ten nanoseconds each): more than any filter needs that reads fields of ordinary length.
	filterFuel = 1_000_000
)

// Filter is a request's own condition on items, checked and compiled. It is safe for use by several requests at once.
type Filter struct {
	expression *expression
	cost       filterCost
}

// String is the source.
func (f *Filter) String() string { return f.expression.source }

// CompileFilter checks a request's filter: an expression over item's fields alone, such as `item.price < 20 and "shoes" in
// item.categories`. What it refuses satisfies IsBadFilter and names position and remedy.
func CompileFilter(source string) (*Filter, error) {
	if strings.TrimSpace(source) == "" {
		return nil, badFilter(&ExpressionError{
			Line: 1, Column: 1, Problem: "the filter is empty", Remedy: "leave it out, or write a condition such as item.price < 20",
		})
	}
	if len(source) > schemas.MostFilterBytes {
		return nil, badFilter(&ExpressionError{
			Line: 1, Column: 1, Problem: fmt.Sprintf("the filter has %d bytes", len(source)),
			Remedy: fmt.Sprintf("at most %d are allowed", schemas.MostFilterBytes),
		})
	}
	if !utf8.ValidString(source) {
		return nil, badFilter(&ExpressionError{Line: 1, Column: 1, Problem: "the filter is not UTF-8", Remedy: "send UTF-8"})
	}
	compiled, err := compile(source, filterScope)
	if err != nil {
		return nil, badFilter(err)
	}
	return &Filter{expression: compiled, cost: costOf(compiled.root)}, nil
}

type filterError struct{ err error }

func badFilter(err error) error      { return &filterError{err} }
func (e *filterError) Error() string { return e.err.Error() }
func (e *filterError) Unwrap() error { return e.err }

// IsBadFilter tells that an error means a filter that can never be compiled: an invalid request.
func IsBadFilter(err error) bool {
	var bad *filterError
	return errors.As(err, &bad)
}

var filterOperators = map[string]bool{
	"and": true, "&&": true, "or": true, "||": true, "not": true, "!": true,
	"==": true, "!=": true, "<": true, "<=": true, ">": true, ">=": true,
	"in": true, "contains": true, "startsWith": true, "endsWith": true,
	"+": true, "-": true, "*": true, "/": true, "%": true,
}

var filterFunctions = map[string]bool{"len": true, "lower": true, "upper": true, "any": true, "all": true, "none": true}

// checkFilterGrammar walks the tree top down, so that it knows whether a node stands inside a loop.
func checkFilterGrammar(tree *parser.Tree) error {
	g := &filterGrammar{source: tree.Source.String()}
	g.check(tree.Node, false)
	return g.err
}

type filterGrammar struct {
	source string
	err    error
}

func (g *filterGrammar) refuse(n ast.Node, problem, remedy string) {
	if g.err == nil {
		g.err = errorAt(g.source, n, problem, remedy)
	}
}

func (g *filterGrammar) check(n ast.Node, inLoop bool) {
	switch x := n.(type) {
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode:
	case *ast.PointerNode:
		if x.Name != "" {
			g.refuse(n, "#"+x.Name+" is not allowed in a request's filter", "use # for the element")
		}
	case *ast.UnaryNode:
		g.operator(n, x.Operator)
		g.check(x.Node, inLoop)
	case *ast.BinaryNode:
		g.operator(n, x.Operator)
		g.check(x.Left, inLoop)
		g.check(x.Right, inLoop)
	case *ast.MemberNode:
		g.member(x, inLoop)
	case *ast.ArrayNode:
		g.array(x)
	case *ast.BuiltinNode:
		g.function(x, inLoop)
	case *ast.IdentifierNode:
		g.refuse(n, fmt.Sprintf("%s alone is no value", x.Value), "name a field, such as item.price")
	case *ast.CallNode:
		g.refuse(n, "unknown function", allowedFunctions())
	default:
		g.refuse(n, "this is not allowed in a request's filter", "use comparisons, and, or, not, in, contains, startsWith, endsWith")
	}
}

func (g *filterGrammar) operator(n ast.Node, operator string) {
	if !filterOperators[operator] {
		g.refuse(n, fmt.Sprintf("operator %s is not allowed in a request's filter", operator),
			"use comparisons, in, contains, startsWith or endsWith")
	}
}

// checkFilterTypes looks at the tree once its types are known. Joined texts grow with each join, so that a short filter could
// build long ones; nothing that a filter asks needs them.
func checkFilterTypes(tree *parser.Tree) error {
	g := &filterGrammar{source: tree.Source.String()}
	ast.Walk(&tree.Node, g)
	return g.err
}

// Visit implements ast.Visitor.
func (g *filterGrammar) Visit(n *ast.Node) {
	if x, ok := (*n).(*ast.BinaryNode); ok && x.Operator == "+" && !isNumeric(x.Type().Kind()) {
		g.refuse(x, "only numbers can be added in a request's filter", "compare the texts one by one")
	}
}

// member allows item.<field> and one key of item.attributes. Loops may look at their own element only: a loop that reads
// item's texts for each element would cost the product of both lengths.
func (g *filterGrammar) member(x *ast.MemberNode, inLoop bool) {
	if inLoop {
		g.refuse(x, "a condition on elements cannot read other fields", "compare # with values that the filter gives")
		return
	}
	if isItemField(itemField(x)) {
		return
	}
	_, literal := x.Property.(*ast.StringNode)
	if itemField(x.Node) == "attributes" && literal && !x.Optional {
		return
	}
	g.refuse(x, "this access is not allowed in a request's filter", `use item.<field> or item.attributes["key"]`)
}

func (g *filterGrammar) array(x *ast.ArrayNode) {
	if len(x.Nodes) > maxFilterList {
		g.refuse(x, fmt.Sprintf("the list has %d values", len(x.Nodes)), fmt.Sprintf("at most %d are allowed", maxFilterList))
	}
	for _, e := range x.Nodes {
		if sign, ok := e.(*ast.UnaryNode); ok && sign.Operator == "-" {
			e = sign.Node
		}
		switch e.(type) {
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.StringNode:
		default:
			g.refuse(e, "lists may hold plain values only", `write them out, such as ["a", "b"]`)
		}
	}
}

func (g *filterGrammar) function(x *ast.BuiltinNode, inLoop bool) {
	if !filterFunctions[x.Name] {
		g.refuse(x, fmt.Sprintf("function %s is not allowed in a request's filter", x.Name), allowedFunctions())
		return
	}
	if x.Name == "len" || x.Name == "lower" || x.Name == "upper" {
		for _, a := range x.Arguments {
			g.check(a, inLoop)
		}
		return
	}
	var overList bool
	if len(x.Arguments) == 2 {
		_, overList = fieldOf[filter.List](x.Arguments[0])
	}
	if !overList || inLoop {
		g.refuse(x, fmt.Sprintf("%s may only go over item.categories, item.tags or item.regions, and not inside another", x.Name),
			fmt.Sprintf(`write %s(item.tags, # == "sale")`, x.Name))
		return
	}
	if p, ok := x.Arguments[1].(*ast.PredicateNode); ok {
		g.check(p.Node, true)
	} else {
		g.refuse(x.Arguments[1], "a condition is expected", `write # == "sale"`)
	}
}

func allowedFunctions() string {
	return "the functions are " + strings.Join(slices.Sorted(maps.Keys(filterFunctions)), ", ")
}

// filterCost estimates, from the tree alone, what one evaluation takes: steps always, loopSteps for each list element,
// textSteps for each 16 bytes of the item's texts.
type filterCost struct{ steps, loopSteps, textSteps int }

func costOf(root template) filterCost {
	var c filterCost
	c.add(root)
	return c
}

func (c *filterCost) add(t template) {
	c.steps++
	switch t := t.(type) {
	case *branch:
		for _, part := range t.parts {
			c.add(part)
		}
	case *program:
		tree := t.code.Node()
		ast.Walk(&tree, c)
	case fixed:
		node := t.Node
		if not, negated := node.(filter.Not); negated {
			node = not.Leaf
		}
		switch n := node.(type) {
		case *filter.OneOf:
			c.steps += len(n.Texts.List())
		case *filter.HoldsAny:
			c.steps += len(n.Texts.List())
			c.loopSteps += len(n.Texts.List())
		}
	}
}

// programSteps are those of a node on the virtual machine, which takes some steps for each.
const programSteps = 8

// Visit counts a node as if it stood inside each loop and worked on texts, since both are rare and neither is worth more
// than a bound.
func (c *filterCost) Visit(n *ast.Node) {
	c.steps += programSteps
	switch x := (*n).(type) {
	case *ast.PredicateNode:
		body := x.Node
		ast.Walk(&body, loopCost{c})
	case *ast.BinaryNode:
		c.textSteps++
	case *ast.BuiltinNode:
		c.textSteps++
	}
}

type loopCost struct{ *filterCost }

func (c loopCost) Visit(*ast.Node) { c.loopSteps += programSteps }

// of is the estimate for one item.
func (c filterCost) of(it *schemas.ItemChange) int {
	cost := c.steps
	if c.loopSteps > 0 {
		cost += c.loopSteps * (len(it.Categories) + len(it.Tags) + len(it.Regions))
	}
	if c.textSteps > 0 {
		bytes := len(it.Title) + len(it.Brand)
		for _, tags := range [][]string{it.Categories, it.Tags, it.Regions} {
			for _, s := range tags {
				bytes += len(s)
			}
		}
		for _, v := range it.Attributes {
			bytes += len(v)
		}
		cost += c.textSteps * bytes / 16
	}
	return cost
}
