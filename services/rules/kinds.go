package rules

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
)

// phase orders the kinds of rules: a rule of an earlier phase behind one of a later would undo it.
type phase uint8

const (
	filtering phase = iota
	scoring
	arranging
	windowing
	pinning
)

var phaseNames = [...]string{"filters", "rules that move scores", "caps and diversify", "caps with a window", "pins"}

// kind says what a kind of rule takes. Settings with a question mark may be left out.
type kind struct {
	phase    phase
	settings []string
}

var kinds = map[string]kind{
	"filter":         {filtering, []string{"keep"}},
	"exclude_listed": {filtering, nil},
	"exclude_seen":   {filtering, nil},
	"published":      {filtering, nil},
	"request_filter": {filtering, nil},
	"boost":          {scoring, []string{"when", "multiply?", "add?"}},
	"bury":           {scoring, []string{"when", "multiply?", "add?"}},
	"freshness":      {scoring, []string{"half_life", "weight"}},
	"cap":            {arranging, []string{"by", "max", "window?", "when?"}},
	"diversify":      {arranging, []string{"by", "relevance", "when?"}},
	"pin":            {pinning, []string{"item", "position", "when?"}},
}

// make makes the rule of a spec that check accepts: a keeper in the phase of filtering, else a rule.
func (s *spec) make() (k keeper, r rule, err error) {
	switch s.Kind.value {
	case "filter":
		k, err = s.filter()
	case "exclude_listed":
		k = &excludeListedRule{s.named()}
	case "exclude_seen":
		k = &excludeSeenRule{s.named()}
	case "published":
		k = &publishedRule{s.named()}
	case "request_filter":
		k = &requestFilterRule{s.named()}
	case "boost", "bury":
		r, err = s.boost()
	case "freshness":
		r, err = s.freshness()
	case "cap":
		r, err = s.cap()
	case "diversify":
		r, err = s.diversify()
	case "pin":
		r, err = s.pin()
	default:
		err = s.unknownKind()
	}
	return k, r, err
}

// assembly puts the rules of a file together.
type assembly struct {
	set          *Set
	names, kinds map[string]bool
	last         phase
	lastName     string
	lastPosition int
}

func (a *assembly) add(s *spec) error {
	k, err := s.check()
	if err != nil {
		return err
	}
	if a.names[string(s.named())] {
		return s.problem(&s.Name, "another rule has the same name", "give each rule its own name: the waterfall counts by name")
	}
	a.names[string(s.named())] = true
	if s.Window.given {
		k.phase = windowing
	}
	if k.phase < a.last {
		return s.problem(&s.Kind, fmt.Sprintf("%s cannot stand behind rule %q", phaseNames[k.phase], a.lastName),
			"keep the order: filters, then boost, bury and freshness, then cap and diversify, then cap with a window, then pin")
	}
	a.last, a.lastName = k.phase, string(s.named())
	a.kinds[s.Kind.value] = true
	keeps, moves, err := s.make()
	switch {
	case err != nil:
		return err
	case keeps != nil:
		a.set.filters = append(a.set.filters, keeps)
	default:
		a.set.rules = append(a.set.rules, moves)
	}
	if pin, ok := moves.(*pinRule); ok {
		return a.addPin(s, pin)
	}
	return nil
}

func (a *assembly) addPin(s *spec, pin *pinRule) error {
	if pin.position < a.lastPosition {
		return s.problem(&s.Position, fmt.Sprintf("position %d stands behind position %d", pin.position, a.lastPosition),
			"write pins in the order of their positions: a later one would push an earlier one down")
	}
	a.lastPosition = pin.position
	a.set.pins = append(a.set.pins, pin)
	return nil
}

// complete adds what a request may rely on whatever the business rules are: that its own filter and its list of excluded
// items are respected. A file that names these kinds only chooses where they stand.
func (a *assembly) complete() {
	if !a.kinds["exclude_listed"] {
		a.set.filters = append(a.set.filters, &excludeListedRule{"exclude_listed"})
	}
	if !a.kinds["request_filter"] {
		a.set.filters = append(a.set.filters, &requestFilterRule{"request_filter"})
	}
}

// placed is a setting of any type.
type placed interface {
	place() (line, column int, given bool)
}

func (s *spec) settings() map[string]placed {
	return map[string]placed{
		"keep": &s.Keep, "when": &s.When, "multiply": &s.Multiply, "add": &s.Add, "half_life": &s.HalfLife, "weight": &s.Weight,
		"by": &s.By, "max": &s.Max, "window": &s.Window, "relevance": &s.Relevance, "item": &s.Item, "position": &s.Position,
	}
}

var ruleName = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// check tells whether the rule has a kind, a name, and exactly the settings that its kind takes.
func (s *spec) check() (kind, error) {
	k, ok := kinds[s.Kind.value]
	if !ok {
		return kind{}, s.unknownKind()
	}
	if !ruleName.MatchString(string(s.named())) || strings.HasSuffix(string(s.named()), failedSuffix) {
		return kind{}, s.problem(&s.Name, fmt.Sprintf("%q is no name", shorten(string(s.named()))),
			"use up to 64 of a-z, 0-9 and _, a letter first, not ending with "+failedSuffix)
	}
	if _, taken := kinds[string(s.named())]; taken && string(s.named()) != s.Kind.value {
		return kind{}, s.problem(&s.Name, fmt.Sprintf("%q is the name of another kind", s.named()), "choose another name")
	}
	given := s.settings()
	for _, name := range k.settings {
		required, optional := strings.CutSuffix(name, "?")
		if _, _, ok := given[required].place(); !ok && !optional {
			return kind{}, s.problem(&s.Kind, fmt.Sprintf("%s is missing", name), k.takes(s.Kind.value))
		}
		delete(given, required)
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if _, _, ok := given[name].place(); ok {
			return kind{}, s.problem(given[name], fmt.Sprintf("%s has no place in a rule of kind %s", name, s.Kind.value),
				k.takes(s.Kind.value))
		}
	}
	return k, nil
}

func (s *spec) unknownKind() error {
	return s.problem(&s.Kind, fmt.Sprintf("unknown kind %q", s.Kind.value),
		"the kinds are "+strings.Join(slices.Sorted(maps.Keys(kinds)), ", "))
}

func (k kind) takes(name string) string {
	if len(k.settings) == 0 {
		return fmt.Sprintf("%s takes no settings", name)
	}
	list := strings.Join(k.settings, ", ")
	if strings.Contains(list, "?") {
		list += " (those with ? may be left out)"
	}
	return fmt.Sprintf("%s takes %s", name, list)
}

// named is the rule's name, its kind where it has none of its own.
func (s *spec) named() named {
	if s.Name.given {
		return named(s.Name.value)
	}
	return named(s.Kind.value)
}

func (s *spec) problem(at placed, problem, remedy string) error {
	line, column, given := at.place()
	if !given {
		line, column = s.anyLine(), 0
	}
	return &ParseError{Line: line, Column: column, Rule: shorten(string(s.named())), Problem: problem, Remedy: remedy}
}

// anyLine is the first line that a setting of the rule stands on.
func (s *spec) anyLine() int {
	first := 0
	all := s.settings()
	all["name"], all["kind"] = &s.Name, &s.Kind
	for _, p := range all {
		if line, _, given := p.place(); given && (first == 0 || line < first) {
			first = line
		}
	}
	return max(1, first)
}

// expression compiles the expression of a setting.
func (s *spec) expression(at *setting[string], name string, sc scope) (*expression, error) {
	e, err := compile(at.value, sc)
	if bad, ok := errors.AsType[*ExpressionError](err); ok {
		return nil, s.problem(at, fmt.Sprintf("%s, line %d, character %d: %s", name, bad.Line, bad.Column, bad.Problem), bad.Remedy)
	}
	return e, err
}

func (s *spec) condition() (condition, error) {
	if !s.When.given {
		return condition{}, nil
	}
	e, err := s.expression(&s.When, "when", requestScope)
	return condition{e}, err
}

func (s *spec) filter() (keeper, error) {
	e, err := s.expression(&s.Keep, "keep", ruleScope)
	return &filterRule{s.named(), e}, err
}

// The bounds keep scores within float32 however many rules there are.
const (
	maxFactor = 1000
	maxAdd    = 1_000_000
)

func (s *spec) boost() (rule, error) {
	e, err := s.expression(&s.When, "when", ruleScope)
	if err != nil {
		return nil, err
	}
	if s.Multiply.given == s.Add.given {
		return nil, s.problem(&s.Kind, "exactly one of multiply and add is needed", "give multiply: 1.2, or add: 0.5")
	}
	b := &boostRule{named: s.named(), when: e, factor: 1, add: s.Add.value}
	if s.Multiply.given {
		b.factor = s.Multiply.value
		return b, s.between("multiply", &s.Multiply, 1, maxFactor, 1.0/maxFactor)
	}
	return b, s.between("add", &s.Add, 0, maxAdd, -maxAdd)
}

// between checks that a boost's setting lies above still, up to most, and a bury's below it, down to least.
func (s *spec) between(name string, at *setting[float64], still, most, least float64) error {
	v := at.value
	if s.Kind.value == "boost" {
		if v > still && v <= most {
			return nil
		}
		return s.problem(at, fmt.Sprintf("%s: %v does not boost", name, v),
			fmt.Sprintf("give a number above %v, up to %v, or use bury", still, most))
	}
	if v < still && v >= least {
		return nil
	}
	return s.problem(at, fmt.Sprintf("%s: %v does not bury", name, v),
		fmt.Sprintf("give a number below %v, down to %v, or use boost", still, least))
}

func (s *spec) freshness() (rule, error) {
	f := &freshnessRule{named: s.named(), halfLife: s.HalfLife.value, weight: s.Weight.value}
	if f.halfLife <= 0 {
		return nil, s.problem(&s.HalfLife, fmt.Sprintf("half_life: %s is not positive", f.halfLife), "give a duration such as 720h")
	}
	if !(f.weight > 0 && f.weight <= maxAdd) {
		return nil, s.problem(&s.Weight, fmt.Sprintf("weight: %v is not positive", f.weight),
			fmt.Sprintf("give a number above 0, up to %d: what a very old item loses", maxAdd))
	}
	return f, nil
}

// maxPlaces bounds windows, caps and positions; pages are far shorter.
const maxPlaces = 10_000

func (s *spec) cap() (rule, error) {
	by, err := s.aspects()
	if err != nil {
		return nil, err
	}
	if len(by) != 1 {
		return nil, s.problem(&s.By, "a cap counts one thing", "give by: category or by: brand; write two rules for both")
	}
	when, err := s.condition()
	if err != nil {
		return nil, err
	}
	if s.Max.value < 1 || s.Max.value > maxPlaces {
		return nil, s.problem(&s.Max, fmt.Sprintf("max: %d is out of range", s.Max.value),
			"give 1 or more; a filter drops a kind entirely")
	}
	if !s.Window.given {
		return &capRule{s.named(), when, by[0], s.Max.value}, nil
	}
	if s.Window.value <= s.Max.value || s.Window.value > maxPlaces {
		return nil, s.problem(&s.Window,
			fmt.Sprintf("window: %d places with at most %d of a kind caps nothing", s.Window.value, s.Max.value),
			fmt.Sprintf("give a window larger than max, up to %d", maxPlaces))
	}
	return &windowRule{s.named(), when, by[0], s.Max.value, s.Window.value}, nil
}

func (s *spec) diversify() (rule, error) {
	by, err := s.aspects()
	if err != nil {
		return nil, err
	}
	when, err := s.condition()
	if err != nil {
		return nil, err
	}
	if l := s.Relevance.value; math.IsNaN(l) || l < 0 || l > 1 {
		return nil, s.problem(&s.Relevance, fmt.Sprintf("relevance: %v is out of range", l),
			"give a number from 0 (as different as can be) to 1 (by score alone)")
	}
	return &diversifyRule{s.named(), when, s.Relevance.value, by}, nil
}

func (s *spec) aspects() ([]aspect, error) {
	var by []aspect
	for _, name := range s.By.value {
		a, ok := aspectNames[name]
		if !ok || slices.Contains(by, a) {
			return nil, s.problem(&s.By, fmt.Sprintf("by: %q is unknown or repeated", shorten(name)),
				"give category, brand, or both in a list")
		}
		by = append(by, a)
	}
	if len(by) == 0 {
		return nil, s.problem(&s.By, "by is empty", "give category or brand")
	}
	return by, nil
}

func (s *spec) pin() (rule, error) {
	when, err := s.condition()
	if err != nil {
		return nil, err
	}
	if s.Item.value == "" {
		return nil, s.problem(&s.Item, "item is empty", "give an item id")
	}
	if s.Position.value < 1 || s.Position.value > maxPlaces {
		return nil, s.problem(&s.Position, fmt.Sprintf("position: %d is out of range", s.Position.value), "give 1 for the first place")
	}
	return &pinRule{s.named(), when, s.Item.value, s.Position.value}, nil
}
