package grafana

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// Reference is a metric that an expression names, with the labels that it needs of it.
type Reference struct {
	Metric string
	// Labels are named by matchers, by the aggregations around the metric, and by the matching of vectors.
	Labels []string
	// Values are what matchers (= and =~) ask of labels, as regular expressions.
	Values map[string]string
}

// The words of PromQL that our expressions use. A word that is on neither list is a metric.
var (
	aggregations = []string{"sum", "min", "max", "avg", "count", "topk"}
	functions    = []string{
		"rate", "increase", "histogram_quantile", "clamp_min", "clamp_max", "vector", "absent", "max_over_time", "min_over_time",
		"avg_over_time", "delta", "time", "sort_desc",
	}
	operators = []string{"+", "-", "*", "/", "==", "!=", ">", "<", ">=", "<=", "and", "or", "unless"}
)

// token is a lexical token of PromQL; white space is left out.
var token = regexp.MustCompile(
	`\s+|#[^\n]*|"(?:[^"\\]|\\.)*"|[0-9]+(?:ms|[smhdwy])(?:[0-9]+(?:ms|[smhdwy]))*|[0-9]*\.?[0-9]+(?:[eE][+-]?[0-9]+)?` +
		`|[a-zA-Z_][a-zA-Z0-9_]*|=~|!~|!=|==|>=|<=|[-+*/<>=(){}\[\],]`)

// variables are Grafana's own, which it replaces before Prometheus sees an expression.
var variables = strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h")

// Parse lists the metrics of a PromQL expression. It knows the part of the language that the dashboards and rules here use, and
// refuses the rest: what it does not understand it cannot vouch for.
func Parse(expression string) ([]Reference, error) {
	p := &parser{}
	rest := variables.Replace(expression)
	for rest != "" {
		at := token.FindStringIndex(rest)
		if at == nil || at[0] != 0 {
			return nil, fmt.Errorf("parsing %q: %q is no PromQL", expression, rest)
		}
		if text := rest[:at[1]]; strings.TrimSpace(text) != "" && text[0] != '#' {
			p.tokens = append(p.tokens, text)
		}
		rest = rest[at[1]:]
	}
	found, err := p.expression()
	if err == nil && p.peek() != "" {
		err = fmt.Errorf("%q is left over", p.peek())
	}
	if err != nil {
		return nil, fmt.Errorf("parsing %q: %w", expression, err)
	}
	return found, nil
}

type parser struct {
	tokens []string
	next   int
}

func (p *parser) peek() string {
	if p.next == len(p.tokens) {
		return ""
	}
	return p.tokens[p.next]
}

func (p *parser) take() string {
	t := p.peek()
	if t != "" {
		p.next++
	}
	return t
}

func (p *parser) skip(wanted string) bool {
	if p.peek() != wanted {
		return false
	}
	p.next++
	return true
}

func (p *parser) expect(wanted string) error {
	if !p.skip(wanted) {
		return fmt.Errorf("%q stands where %q belongs", p.peek(), wanted)
	}
	return nil
}

// expression is operands between operators; which binds tighter makes no difference to what is named.
func (p *parser) expression() ([]Reference, error) {
	p.skip("-")
	found, err := p.operand()
	for err == nil && slices.Contains(operators, p.peek()) {
		p.take()
		p.skip("bool")
		var matching []string
		if matching, err = p.matching(); err != nil {
			return nil, err
		}
		p.skip("-")
		var right []Reference
		right, err = p.operand()
		found = need(append(found, right...), matching)
	}
	return found, err
}

// matching reads on(...), ignoring(...), group_left(...) and group_right(...).
func (p *parser) matching() (labels []string, err error) {
	for slices.Contains([]string{"on", "ignoring", "group_left", "group_right"}, p.peek()) {
		word := p.take()
		list, err := p.labels()
		if err != nil {
			return nil, err
		}
		if word == "on" {
			labels = append(labels, list...)
		}
	}
	return labels, nil
}

func (p *parser) operand() ([]Reference, error) {
	switch t := p.take(); {
	case t == "(":
		found, err := p.expression()
		if err == nil {
			err = p.expect(")")
		}
		return found, err
	case t == "":
		return nil, fmt.Errorf("it ends too early")
	case t[0] == '.' || t[0] >= '0' && t[0] <= '9':
		return nil, nil
	case slices.Contains(aggregations, t):
		return p.aggregation()
	case p.peek() == "(":
		if !slices.Contains(functions, t) {
			return nil, fmt.Errorf("function %q is not known here", t)
		}
		return p.arguments()
	case isName.MatchString(t):
		return p.selector(t)
	default:
		return nil, fmt.Errorf("%q stands where a metric belongs", t)
	}
}

var isName = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

// aggregation reads what follows sum and the like. The labels of by(...) must be on the metrics inside.
func (p *parser) aggregation() ([]Reference, error) {
	before, err := p.grouping()
	if err != nil {
		return nil, err
	}
	found, err := p.arguments()
	if err != nil {
		return nil, err
	}
	after, err := p.grouping()
	return need(need(found, before), after), err
}

func (p *parser) grouping() ([]string, error) {
	if !p.skip("by") {
		return nil, nil
	}
	return p.labels()
}

func (p *parser) arguments() (found []Reference, err error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	for !p.skip(")") {
		part, err := p.expression()
		if err != nil {
			return nil, err
		}
		found = append(found, part...)
		if p.peek() != ")" {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
	}
	return found, nil
}

func (p *parser) labels() (list []string, err error) {
	if err := p.expect("("); err != nil {
		return nil, err
	}
	for !p.skip(")") {
		name := p.take()
		if !isName.MatchString(name) {
			return nil, fmt.Errorf("%q stands where a label belongs", name)
		}
		list = append(list, name)
		if p.peek() != ")" {
			if err := p.expect(","); err != nil {
				return nil, err
			}
		}
	}
	return list, nil
}

// selector reads the matchers, the range and the offset of a metric.
func (p *parser) selector(metric string) ([]Reference, error) {
	r := Reference{Metric: metric, Values: map[string]string{}}
	if p.skip("{") {
		for !p.skip("}") {
			label, operator, value := p.take(), p.take(), p.take()
			if !isName.MatchString(label) || !slices.Contains([]string{"=", "!=", "=~", "!~"}, operator) || len(value) < 2 || value[0] != '"' {
				return nil, fmt.Errorf("matcher %s%s%s of %s", label, operator, value, metric)
			}
			r.Labels = append(r.Labels, label)
			switch value = value[1 : len(value)-1]; operator {
			case "=":
				r.Values[label] = regexp.QuoteMeta(value)
			case "=~":
				r.Values[label] = value
			}
			if p.peek() != "}" {
				if err := p.expect(","); err != nil {
					return nil, err
				}
			}
		}
	}
	if p.skip("[") {
		if err := p.duration(); err != nil {
			return nil, err
		}
		if err := p.expect("]"); err != nil {
			return nil, err
		}
	}
	if p.skip("offset") {
		if err := p.duration(); err != nil {
			return nil, err
		}
	}
	return []Reference{r}, nil
}

var isDuration = regexp.MustCompile(`^([0-9]+(ms|[smhdwy]))+$`)

func (p *parser) duration() error {
	if text := p.take(); !isDuration.MatchString(text) {
		return fmt.Errorf("%q stands where a duration belongs", text)
	}
	return nil
}

// need adds labels to all references.
func need(found []Reference, labels []string) []Reference {
	for i := range found {
		found[i].Labels = append(found[i].Labels, labels...)
	}
	return found
}
