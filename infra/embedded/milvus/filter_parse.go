package milvus

import (
	"fmt"
	"strconv"
)

// node is a parsed filter that has not yet been held against a schema.
type node any

type (
	// junction is two or more terms joined by one of and, or.
	junction struct {
		op    tokenKind
		terms []node
	}
	negation   struct{ term node }
	identifier struct{ name string }
	// literal holds bool, int64, float64 or string.
	literal struct{ value any }
	list    struct{ items []node }
	// comparison is left op right with op of == != < <= > >=.
	comparison struct {
		op          tokenKind
		left, right node
	}
	membership struct {
		left    node
		items   []node
		negated bool
	}
	pattern struct {
		left node
		text string
	}
	// containment is one of the array_contains functions.
	containment struct {
		op              tokenKind
		array, elements node
	}
)

// maxDepth bounds parentheses and negations within one another, so that no filter can exhaust the stack.
const maxDepth = 100

// parser reads the grammar of Milvus 2.3 (Plan.g4) from the loosest operator to the tightest. As there, not binds tighter than
// comparisons and in: `not a == 1` is an error, `not (a == 1)` is meant.
type parser struct {
	tokens []token
	next   int
	depth  int
}

func parseFilter(expr string) (node, error) {
	tokens, err := lex(expr)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	n, err := p.disjunction()
	if err != nil {
		return nil, err
	}
	if p.peek() != tokenEnd {
		return nil, p.unexpected()
	}
	return n, nil
}

func (p *parser) peek() tokenKind { return p.tokens[p.next].kind }

// take returns the next token and goes past it; it stays at the end.
func (p *parser) take() token {
	t := p.tokens[p.next]
	if t.kind != tokenEnd {
		p.next++
	}
	return t
}

func (p *parser) expect(kind tokenKind) error {
	if p.peek() != kind {
		return fmt.Errorf("line 1:%d missing '%s' at '%s'", p.tokens[p.next].at, kind, p.tokens[p.next].text)
	}
	p.take()
	return nil
}

func (p *parser) unexpected() error {
	t := p.tokens[p.next]
	return fmt.Errorf("line 1:%d mismatched input '%s'", t.at, t.text)
}

func (p *parser) disjunction() (node, error) { return p.joined("or", p.conjunction) }

func (p *parser) conjunction() (node, error) { return p.joined("and", p.relation) }

func (p *parser) joined(op tokenKind, operand func() (node, error)) (node, error) {
	first, err := operand()
	if err != nil || p.peek() != op {
		return first, err
	}
	j := &junction{op: op, terms: []node{first}}
	for p.peek() == op {
		p.take()
		term, err := operand()
		if err != nil {
			return nil, err
		}
		j.terms = append(j.terms, term)
	}
	return j, nil
}

func (p *parser) relation() (node, error) {
	left, err := p.operand()
	if err != nil {
		return nil, err
	}
	switch op := p.peek(); op {
	case "==", "!=", "<", "<=", ">", ">=":
		return p.comparison(left)
	case "in", "not in":
		p.take()
		items, err := p.list()
		if err != nil {
			return nil, err
		}
		return &membership{left: left, items: items, negated: op == "not in"}, nil
	case "like":
		p.take()
		if p.peek() != tokenString {
			return nil, p.unexpected()
		}
		return &pattern{left: left, text: p.take().text}, nil
	}
	return left, nil
}

// comparison reads `left op right`, or a range `low < field <= high`.
func (p *parser) comparison(left node) (node, error) {
	op := p.take().kind
	right, err := p.operand()
	if err != nil {
		return nil, err
	}
	first := &comparison{op: op, left: left, right: right}
	second := p.peek()
	_, named := right.(*identifier)
	rising := (op == "<" || op == "<=") && (second == "<" || second == "<=")
	falling := (op == ">" || op == ">=") && (second == ">" || second == ">=")
	if !named || !rising && !falling {
		return first, nil // whatever follows, the caller refuses a second operator
	}
	p.take()
	end, err := p.operand()
	if err != nil {
		return nil, err
	}
	return &junction{op: "and", terms: []node{first, &comparison{op: second, left: right, right: end}}}, nil
}

func (p *parser) operand() (node, error) {
	switch p.peek() {
	case tokenIdent:
		return &identifier{p.take().text}, nil
	case tokenString:
		return &literal{p.take().text}, nil
	case tokenBool:
		text := p.take().text
		return &literal{text[0] == 't' || text[0] == 'T'}, nil
	case tokenInt, tokenFloat:
		return number(p.take(), "")
	case "-", "+":
		sign := p.take().text
		if k := p.peek(); k != tokenInt && k != tokenFloat {
			return nil, p.unexpected()
		}
		return number(p.take(), sign)
	case "not":
		p.take()
		return p.nested(func() (node, error) {
			term, err := p.operand()
			return &negation{term}, err
		})
	case "(":
		p.take()
		return p.nested(func() (node, error) {
			n, err := p.disjunction()
			if err != nil {
				return nil, err
			}
			return n, p.expect(")")
		})
	case "[":
		items, err := p.list()
		return &list{items}, err
	case "array_contains", "array_contains_any", "array_contains_all":
		return p.containment()
	}
	return nil, p.unexpected()
}

func (p *parser) nested(read func() (node, error)) (node, error) {
	if p.depth++; p.depth > maxDepth {
		return nil, fmt.Errorf("the expression nests deeper than %d", maxDepth)
	}
	defer func() { p.depth-- }()
	return read()
}

// list reads `[a, b]`, also empty or with a comma at its end. Items are literals: lists do not nest.
func (p *parser) list() ([]node, error) {
	if p.peek() != "[" {
		return nil, p.unexpected()
	}
	p.take()
	var items []node
	for p.peek() != "]" {
		if p.peek() == "[" {
			return nil, p.unexpected()
		}
		item, err := p.operand()
		if err != nil {
			return nil, err
		}
		items = append(items, item)
		if p.peek() != "," {
			break
		}
		p.take()
	}
	return items, p.expect("]")
}

func (p *parser) containment() (node, error) {
	c := &containment{op: p.take().kind}
	if err := p.expect("("); err != nil {
		return nil, err
	}
	return p.nested(func() (node, error) {
		var err error
		if c.array, err = p.operand(); err != nil {
			return nil, err
		}
		if err := p.expect(","); err != nil {
			return nil, err
		}
		if c.elements, err = p.operand(); err != nil {
			return nil, err
		}
		return c, p.expect(")")
	})
}

func number(t token, sign string) (node, error) {
	if t.kind == tokenInt {
		n, err := strconv.ParseInt(sign+t.text, 0, 64)
		if err != nil {
			return nil, err
		}
		return &literal{n}, nil
	}
	f, err := strconv.ParseFloat(sign+t.text, 64)
	if err != nil {
		return nil, err
	}
	return &literal{f}, nil
}
