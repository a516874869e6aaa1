package rules

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// What a rules file may be at most: far above any that people keep, far below what would hurt.
const (
	maxFileBytes = 1 << 20
	maxRules     = 200
)

// ParseError says what is wrong with a rules file, where, and what to do about it.
type ParseError struct {
	// Line and Column count from 1; Column is 0 where only the line is known.
	Line, Column int
	// Rule is the name of the rule, empty where it has none yet.
	Rule            string
	Problem, Remedy string
}

func (e *ParseError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "line %d", e.Line)
	if e.Column > 0 {
		fmt.Fprintf(&b, ", column %d", e.Column)
	}
	if e.Rule != "" {
		fmt.Fprintf(&b, ": rule %q", e.Rule)
	}
	fmt.Fprintf(&b, ": %s: %s", e.Problem, e.Remedy)
	return b.String()
}

// IsBadRules tells that an error means a rules file that has to be changed, as against one that could not be read.
func IsBadRules(err error) bool {
	var bad *ParseError
	return errors.As(err, &bad)
}

// document is a rules file.
type document struct {
	Rules []*spec `yaml:"rules"`
}

// spec is one rule as written. Which settings a rule may have depends on its kind: kinds says so.
type spec struct {
	Name      setting[string]        `yaml:"name"`
	Kind      setting[string]        `yaml:"kind"`
	Keep      setting[string]        `yaml:"keep"`
	When      setting[string]        `yaml:"when"`
	Multiply  setting[float64]       `yaml:"multiply"`
	Add       setting[float64]       `yaml:"add"`
	HalfLife  setting[time.Duration] `yaml:"half_life"`
	Weight    setting[float64]       `yaml:"weight"`
	By        setting[texts]         `yaml:"by"`
	Max       setting[int]           `yaml:"max"`
	Window    setting[int]           `yaml:"window"`
	Relevance setting[float64]       `yaml:"relevance"`
	Item      setting[string]        `yaml:"item"`
	Position  setting[int]           `yaml:"position"`
}

// setting is a value and where it stands.
type setting[T any] struct {
	value        T
	given        bool
	line, column int
}

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *setting[T]) UnmarshalYAML(n *yaml.Node) error {
	s.given, s.line, s.column = true, n.Line, n.Column
	if err := n.Decode(&s.value); err != nil {
		return &ParseError{
			Line: n.Line, Column: n.Column, Problem: fmt.Sprintf("%q cannot be read", shorten(n.Value)),
			Remedy: remedyForType(s.value),
		}
	}
	return nil
}

func (s *setting[T]) place() (line, column int, given bool) { return s.line, s.column, s.given }

func remedyForType(v any) string {
	switch v.(type) {
	case int:
		return "give a whole number"
	case float64:
		return "give a number"
	case time.Duration:
		return "give a duration such as 720h"
	case texts:
		return "give a name or a list of names"
	default:
		return "give a text"
	}
}

// texts is a list that may be written as a single value.
type texts []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (t *texts) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind == yaml.ScalarNode {
		*t = texts{n.Value}
		return nil
	}
	return n.Decode((*[]string)(t))
}

// Parse reads a rules file: YAML with one key, rules, that holds the list. exclude_listed and request_filter, which requests
// rely on, stand behind the other filters where the file does not name them. Parse refuses what it does not know, each expression
// that does not type-check, and rules in an order that would undo one another. What it refuses satisfies IsBadRules.
func Parse(source []byte) (*Set, error) {
	specs, err := decode(source)
	if err != nil {
		return nil, err
	}
	set := &Set{}
	a := assembly{set: set, names: map[string]bool{}, kinds: map[string]bool{}}
	for _, s := range specs {
		if s == nil {
			s = new(spec) // an empty list entry: refused for its kind
		}
		if err := a.add(s); err != nil {
			return nil, err
		}
	}
	a.complete()
	return set, nil
}

func decode(source []byte) ([]*spec, error) {
	if len(source) > maxFileBytes {
		return nil, &ParseError{
			Line: 1, Problem: fmt.Sprintf("the file has %d bytes", len(source)),
			Remedy: fmt.Sprintf("at most %d are read", maxFileBytes),
		}
	}
	decoder := yaml.NewDecoder(bytes.NewReader(source))
	decoder.KnownFields(true)
	var d *document
	if err := decoder.Decode(&d); err != nil && !errors.Is(err, io.EOF) {
		return nil, fromYAML(err)
	}
	if d == nil || d.Rules == nil {
		return nil, &ParseError{Line: 1, Problem: "the file holds no rules", Remedy: "write rules: and a list, or rules: [] for none"}
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, &ParseError{Line: 1, Problem: "the file holds more than one document", Remedy: "keep one list of rules in a file"}
	}
	if len(d.Rules) > maxRules {
		return nil, &ParseError{
			Line: 1, Problem: fmt.Sprintf("the file holds %d rules", len(d.Rules)),
			Remedy: fmt.Sprintf("at most %d are allowed", maxRules),
		}
	}
	return d.Rules, nil
}

var (
	yamlLine    = regexp.MustCompile(`line (\d+): (.*)`)
	yamlUnknown = regexp.MustCompile(`field (\S+) not found in type`)
)

// fromYAML gives yaml's errors their place and a remedy.
func fromYAML(err error) error {
	if own, ok := errors.AsType[*ParseError](err); ok {
		return own
	}
	out := &ParseError{Line: 1, Problem: strings.TrimPrefix(err.Error(), "yaml: "), Remedy: "make it valid YAML"}
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		out.Line, _ = strconv.Atoi(m[1])
		out.Problem = m[2]
	}
	if m := yamlUnknown.FindStringSubmatch(out.Problem); m != nil {
		out.Problem, out.Remedy = fmt.Sprintf("unknown setting %q", m[1]), "a file has rules; a rule has "+allSettings()
	} else if strings.Contains(out.Problem, "cannot unmarshal") {
		out.Problem, out.Remedy = "this is not what belongs here", "write rules: and under it a list of rules, each with a kind"
	}
	return out
}

func allSettings() string {
	known := map[string]bool{"name": true, "kind": true}
	for _, k := range kinds {
		for _, s := range k.settings {
			known[strings.TrimSuffix(s, "?")] = true
		}
	}
	return strings.Join(slices.Sorted(maps.Keys(known)), ", ")
}

func shorten(s string) string {
	if r := []rune(s); len(r) > 40 {
		return string(r[:40]) + "…"
	}
	return s
}
