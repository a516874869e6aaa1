package rules

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/expr-lang/expr/ast"
	"github.com/expr-lang/expr/parser"
)

// checkNames refuses names that are neither of the scope's nor declared by the expression itself. expr's checker would
// refuse them too, but it cannot tell which name was meant.
func checkNames(tree *parser.Tree, s scope) error {
	v := &nameVisitor{scope: s, source: tree.Source.String(), declared: map[string]bool{}}
	ast.Walk(&tree.Node, declarations(v.declared))
	ast.Walk(&tree.Node, callees(v.declared))
	ast.Walk(&tree.Node, v)
	return v.err
}

type declarations map[string]bool

func (d declarations) Visit(n *ast.Node) {
	if let, ok := (*n).(*ast.VariableDeclaratorNode); ok {
		d[let.Name] = true
	}
}

// callees takes the names of called functions out of the check of names: a call has its own error.
type callees map[string]bool

func (c callees) Visit(n *ast.Node) {
	if call, ok := (*n).(*ast.CallNode); ok {
		if callee, ok := call.Callee.(*ast.IdentifierNode); ok {
			c[callee.Value] = true
		}
	}
}

func functionsOf(s scope) string {
	if s == filterScope {
		return allowedFunctions()
	}
	return "see https://expr-lang.org/docs/language-definition for the functions"
}

type nameVisitor struct {
	scope    scope
	source   string
	declared map[string]bool
	err      error
}

func (v *nameVisitor) Visit(n *ast.Node) {
	if v.err != nil {
		return
	}
	switch x := (*n).(type) {
	case *ast.CallNode:
		v.fail(x, fmt.Sprintf("unknown function %s", x.Callee), functionsOf(v.scope))
	case *ast.IdentifierNode:
		v.identifier(x)
	case *ast.MemberNode:
		v.member(x)
	}
}

func (v *nameVisitor) identifier(x *ast.IdentifierNode) {
	switch {
	case v.declared[x.Value]:
	case x.Value == "item" && v.scope != requestScope:
	case x.Value == "request" && v.scope != filterScope:
	case x.Value == "item":
		v.fail(x, "item cannot be used here", "this condition is asked once a request: use fields of request")
	case x.Value == "request":
		v.fail(x, "request cannot be used in a request's own filter", "write the value itself, such as "+
			`"eu" in item.regions`)
	default:
		v.fail(x, fmt.Sprintf("unknown name %q", x.Value), v.meant(x.Value))
	}
}

// member checks item.<field> and request.<field>; members of anything else are left to expr's checker.
func (v *nameVisitor) member(x *ast.MemberNode) {
	base, ok := x.Node.(*ast.IdentifierNode)
	if !ok || v.declared[base.Value] {
		return
	}
	name, ok := x.Property.(*ast.StringNode)
	if !ok {
		v.fail(x.Property, fmt.Sprintf("a field of %s must be named", base.Value), "write "+base.Value+".<field>")
		return
	}
	switch {
	case base.Value == "item" && !isItemField(name.Value):
		v.fail(x.Property, fmt.Sprintf("item has no field %q", name.Value), v.meant(name.Value))
	case base.Value == "request" && !requestFields[name.Value]:
		v.fail(x.Property, fmt.Sprintf("request has no field %q", name.Value), v.meant(name.Value))
	}
}

func (v *nameVisitor) fail(n ast.Node, problem, remedy string) {
	if v.err == nil {
		v.err = errorAt(v.source, n, problem, remedy)
	}
}

// meant names the field that is spelt most like name, or all of them.
func (v *nameVisitor) meant(name string) string {
	var all []string
	if v.scope != requestScope {
		for _, f := range slices.Sorted(maps.Keys(itemFields)) {
			all = append(all, "item."+f)
		}
	}
	if v.scope != filterScope {
		for _, f := range slices.Sorted(maps.Keys(requestFields)) {
			all = append(all, "request."+f)
		}
	}
	best, distance := "", 3
	for _, f := range all {
		_, short, _ := strings.Cut(f, ".")
		if d := editDistance(strings.ToLower(name), short); d < distance {
			best, distance = f, d
		}
	}
	if best != "" {
		return fmt.Sprintf("did you mean %s?", best)
	}
	return "the fields are " + strings.Join(all, ", ")
}

// errorAt places a problem at a node of the source.
func errorAt(source string, n ast.Node, problem, remedy string) error {
	line, column := 1, 1
	for i, r := range []rune(source) {
		if i == n.Location().From {
			break
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
	}
	return &ExpressionError{Line: line, Column: column, Problem: problem, Remedy: remedy}
}

// editDistance is Levenshtein's, for names: it gives up beyond lengths that no field has.
func editDistance(a, b string) int {
	if len(a) > 32 || len(b) > 32 {
		return len(a) + len(b)
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
