package candidates_test

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/scanner"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/filter"
)

var operators = map[string]filter.Op{
	"==": filter.Equal, "<": filter.Less, "<=": filter.AtMost, ">": filter.Greater, ">=": filter.AtLeast,
}

// modelRow is an item as the index holds it, column by column.
type modelRow map[string]any

// modelRowOf states once more, apart from the code under test, what the columns hold.
func modelRowOf(it *schemas.ItemChange) modelRow {
	price := float32(-1)
	if p, ok := filter.PriceOf(it); ok {
		price = float32(p)
	}
	regions := it.Regions
	if len(regions) == 0 {
		regions = []string{"*"}
	}
	return modelRow{
		"item_id": it.ItemID, "available": it.Available && it.Op != schemas.DeleteItem, "brand": it.Brand, "min_age": float64(it.MinAge),
		"price": float64(price), "published_at": float64(filter.PublishedMillis(it)), "categories": it.Categories, "regions": regions,
	}
}

// satisfies evaluates the part of Milvus' expression language that conditions may become. It follows Milvus' grammar, not the code under
// test, and panics on whatever it does not know.
func (r modelRow) satisfies(expression string) bool {
	if expression == "" {
		return true
	}
	p := &milvusParser{row: r, whole: expression}
	p.scanner.Init(strings.NewReader(expression))
	p.scanner.Mode = scanner.ScanIdents | scanner.ScanFloats | scanner.ScanStrings
	p.next()
	t := p.or()
	p.expect("")
	return t
}

type milvusParser struct {
	row     modelRow
	whole   string
	scanner scanner.Scanner
	token   string
}

func (p *milvusParser) next() string {
	before := p.token
	p.scanner.Scan()
	p.token = p.scanner.TokenText()
	if p.token != "" && strings.Contains("<>=!", p.token) && p.scanner.Peek() == '=' { //nolint:gocritic // the token is one of these
		p.scanner.Scan()
		p.token += "="
	}
	return before
}

func (p *milvusParser) expect(token string) {
	if p.token != token {
		panic(fmt.Sprintf("%q where %q should stand in %s", p.token, token, p.whole))
	}
	p.next()
}

func (p *milvusParser) or() bool {
	t := p.and()
	for p.token == "or" {
		p.next()
		t = p.and() || t
	}
	return t
}

func (p *milvusParser) and() bool {
	t := p.unary()
	for p.token == "and" {
		p.next()
		t = p.unary() && t
	}
	return t
}

func (p *milvusParser) unary() bool {
	switch p.token {
	case "not":
		p.next()
		return !p.unary()
	case "(":
		p.next()
		t := p.or()
		p.expect(")")
		return t
	case "array_contains", "array_contains_any":
		return p.arrayContains()
	}
	return p.comparison()
}

func (p *milvusParser) arrayContains() bool {
	several := p.next() == "array_contains_any"
	p.expect("(")
	column := p.row[p.next()].([]string)
	p.expect(",")
	wanted := []any{nil}
	if several {
		wanted = p.list()
	} else {
		wanted[0] = p.literal()
	}
	p.expect(")")
	return slices.ContainsFunc(column, func(s string) bool { return slices.Contains(wanted, any(s)) })
}

func (p *milvusParser) comparison() bool {
	name := p.next()
	column, ok := p.row[name]
	if !ok {
		panic(fmt.Sprintf("unknown column %q in %s", name, p.whole))
	}
	op := p.next()
	if op == "in" {
		return slices.Contains(p.list(), column)
	}
	value := p.literal()
	if number, ok := column.(float64); ok && op != "!=" {
		return operators[op].Compare(number, value.(float64))
	}
	switch op {
	case "==":
		return column == value
	case "!=":
		return column != value
	}
	panic(fmt.Sprintf("unknown operator %q in %s", op, p.whole))
}

func (p *milvusParser) list() []any {
	var out []any
	p.expect("[")
	for p.token != "]" {
		out = append(out, p.literal())
		if p.token == "," {
			p.next()
		}
	}
	p.expect("]")
	return out
}

func (p *milvusParser) literal() any {
	token := p.next()
	switch {
	case token == "true" || token == "false":
		return token == "true"
	case token == "-":
		return -p.literal().(float64)
	case strings.HasPrefix(token, `"`):
		s, err := strconv.Unquote(token)
		if err != nil {
			panic(err)
		}
		return s
	}
	f, err := strconv.ParseFloat(token, 64)
	if err != nil {
		panic(fmt.Sprintf("%q is no literal in %s", token, p.whole))
	}
	return f
}
