package avro

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"
)

// Kind is what sort of type a Schema is.
type Kind string

// The kinds are named as in schema files. Union has no name there.
const (
	Null    Kind = "null"
	Boolean Kind = "boolean"
	Int     Kind = "int"
	Long    Kind = "long"
	Float   Kind = "float"
	Double  Kind = "double"
	Bytes   Kind = "bytes"
	String  Kind = "string"
	Record  Kind = "record"
	Enum    Kind = "enum"
	Array   Kind = "array"
	Map     Kind = "map"
	Fixed   Kind = "fixed"
	Union   Kind = "union"
)

// Schema is a parsed Avro schema, a node of a tree; a recursive type makes it a graph.
type Schema struct {
	Kind    Kind
	Logical string    // the logicalType, where there is one
	Name    string    // the full name of a record, enum or fixed
	Doc     string    // of a record or an enum
	Aliases []string  // the full names that a record, enum or fixed had before
	Fields  []Field   // of a record
	Symbols []string  // of an enum
	Default string    // of an enum: what a reader takes a symbol for that it does not know; empty where there is none
	Items   *Schema   // of an array or a map
	Options []*Schema // of a union
	Size    int       // of a fixed
	// Precision and Scale are those of a decimal, 0 where the schema says nothing of use.
	Precision, Scale int
	empty            bool      // of a record: its values take no bytes
	stored           []*Schema // of a record that was parsed: the types of the fields whose values may take bytes
}

// Field is one field of a record.
type Field struct {
	Name       string
	Doc        string
	Aliases    []string
	Type       *Schema
	HasDefault bool
	Default    any // as encoding/json decodes it, with json.Number for numbers
}

// Parse reads a schema. Named types must be defined before they are used, as the specification asks; earlier texts may define them. An
// array whose elements take no bytes is refused: a few bytes could claim any number of them.
func Parse(text string, earlier ...string) (*Schema, error) {
	p := parser{named: make(map[string]*Schema)}
	for _, definition := range earlier {
		if _, err := p.parseText(definition); err != nil {
			return nil, fmt.Errorf("parsing a schema that another refers to: %w", err)
		}
	}
	s, err := p.parseText(text)
	if err != nil {
		return nil, fmt.Errorf("parsing schema: %w", err)
	}
	known := make(map[*Schema]bool)
	for _, record := range p.records {
		record.empty = !takesBytes(record, known)
	}
	for _, record := range p.records {
		record.stored = []*Schema{}
		for _, f := range record.Fields {
			if takesBytes(f.Type, known) {
				record.stored = append(record.stored, f.Type)
			}
		}
	}
	for _, array := range p.arrays {
		if !takesBytes(array.Items, known) {
			return nil, fmt.Errorf("parsing schema: an array of %s, which takes no bytes, cannot be read within bounded memory",
				array.Items.describe())
		}
	}
	return s, nil
}

type parser struct {
	named   map[string]*Schema
	records []*Schema
	arrays  []*Schema
}

func (p *parser) parseText(text string) (*Schema, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var tree any
	if err := dec.Decode(&tree); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("text follows it")
	}
	return p.parse(tree, "")
}

// parse reads one type; namespace is the enclosing one.
func (p *parser) parse(tree any, namespace string) (*Schema, error) {
	switch t := tree.(type) {
	case string:
		return p.parseName(t, namespace)
	case []any:
		return p.parseUnion(t, namespace)
	case map[string]any:
		return p.parseObject(t, namespace)
	}
	return nil, fmt.Errorf("a type is a name, an object or a list, not %v", tree)
}

func (p *parser) parseName(name, namespace string) (*Schema, error) {
	switch kind := Kind(name); kind {
	case Null, Boolean, Int, Long, Float, Double, Bytes, String:
		return &Schema{Kind: kind}, nil
	}
	if s, ok := p.named[fullName(name, namespace)]; ok {
		return s, nil
	}
	// Java writes the name of a type without a namespace bare, inside of types that have one, too.
	if s, ok := p.named[name]; ok {
		return s, nil
	}
	return nil, fmt.Errorf("type %q is not defined before its use", name)
}

func (p *parser) parseUnion(list []any, namespace string) (*Schema, error) {
	s := &Schema{Kind: Union}
	seen := make(map[string]bool)
	for _, tree := range list {
		option, err := p.parse(tree, namespace)
		if err != nil {
			return nil, err
		}
		if option.Kind == Union {
			return nil, errors.New("a union stands within a union")
		}
		if seen[option.describe()] {
			return nil, fmt.Errorf("a union has %s twice", option.describe())
		}
		seen[option.describe()] = true
		s.Options = append(s.Options, option)
	}
	if len(s.Options) == 0 {
		return nil, errors.New("a union is empty")
	}
	return s, nil
}

func (p *parser) parseObject(o map[string]any, namespace string) (*Schema, error) {
	name, isName := o["type"].(string)
	if !isName {
		return p.parse(o["type"], namespace) // {"type": {…}} is the inner type
	}
	switch kind := Kind(name); kind {
	case Record, Enum, Fixed:
		return p.parseNamed(kind, o, namespace)
	case Array, Map:
		key := map[Kind]string{Array: "items", Map: "values"}[kind]
		items, err := p.parse(o[key], namespace)
		if err != nil {
			return nil, fmt.Errorf("%s of %s: %w", key, kind, err)
		}
		s := &Schema{Kind: kind, Items: items}
		if kind == Array {
			p.arrays = append(p.arrays, s)
		}
		return s, nil
	}
	s, err := p.parseName(name, namespace)
	if err != nil || s.Name != "" {
		return s, err
	}
	s.annotate(o)
	return s, nil
}

// annotate keeps what a type says beyond its kind.
func (s *Schema) annotate(o map[string]any) {
	s.Logical = text(o["logicalType"])
	s.Precision, s.Scale = whole(o["precision"]), whole(o["scale"])
}

// The logical types that are moments. A local one says what clocks showed, wherever that was.
const (
	timestampMillis = "timestamp-millis"
	localTimestamp  = "local-"
)

var moments = map[string]time.Duration{
	timestampMillis: time.Millisecond, "timestamp-micros": time.Microsecond, "timestamp-nanos": time.Nanosecond,
}

// Moment is the unit in which a timestamp counts from 1970 on; 0 for what is none.
func (s *Schema) Moment() time.Duration {
	if s.Kind != Long {
		return 0
	}
	return moments[strings.TrimPrefix(s.Logical, localTimestamp)]
}

// IsLocal says of a timestamp that it has no zone.
func (s *Schema) IsLocal() bool {
	return s.Moment() != 0 && strings.HasPrefix(s.Logical, localTimestamp)
}

func (p *parser) parseNamed(kind Kind, o map[string]any, namespace string) (*Schema, error) {
	name, _ := o["name"].(string)
	if name == "" {
		return nil, fmt.Errorf("a %s has no name", kind)
	}
	if own, ok := o["namespace"].(string); ok {
		namespace = own
	}
	s := &Schema{Kind: kind, Name: fullName(name, namespace), Doc: text(o["doc"])}
	namespace = s.Name[:max(0, strings.LastIndexByte(s.Name, '.'))]
	if _, twice := p.named[s.Name]; twice {
		return nil, fmt.Errorf("type %q is defined twice", s.Name)
	}
	p.named[s.Name] = s
	s.annotate(o)
	for _, alias := range texts(o["aliases"]) {
		s.Aliases = append(s.Aliases, fullName(alias, namespace))
	}
	var err error
	switch kind {
	case Record:
		p.records = append(p.records, s)
		err = p.parseFields(s, o["fields"], namespace)
	case Enum:
		err = parseSymbols(s, o)
	case Fixed:
		s.Size, err = parseSize(o["size"])
	}
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", kind, s.Name, err)
	}
	return s, nil
}

func (p *parser) parseFields(s *Schema, tree any, namespace string) error {
	list, ok := tree.([]any)
	if !ok {
		return errors.New("fields are missing")
	}
	seen := make(map[string]bool)
	for _, entry := range list {
		o, _ := entry.(map[string]any)
		f := Field{Name: text(o["name"]), Doc: text(o["doc"]), Aliases: texts(o["aliases"])}
		if f.Name == "" || seen[f.Name] {
			return fmt.Errorf("field %q has no name of its own", f.Name)
		}
		seen[f.Name] = true
		var err error
		if f.Type, err = p.parse(o["type"], namespace); err != nil {
			return fmt.Errorf("field %s: %w", f.Name, err)
		}
		f.Default, f.HasDefault = o["default"]
		s.Fields = append(s.Fields, f)
	}
	return nil
}

func parseSymbols(s *Schema, o map[string]any) error {
	s.Symbols = texts(o["symbols"])
	if len(s.Symbols) == 0 {
		return errors.New("symbols are missing")
	}
	s.Default = text(o["default"])
	if s.Default != "" && symbolIndex(s, s.Default) < 0 {
		return fmt.Errorf("default %q is none of the symbols", s.Default)
	}
	return nil
}

func parseSize(tree any) (int, error) {
	var n int64 = -1
	if number, ok := tree.(json.Number); ok {
		n, _ = number.Int64()
	}
	if n <= 0 || n > 1<<20 {
		return 0, fmt.Errorf("size %v is not between 1 and %d", tree, 1<<20)
	}
	return int(n), nil
}

// takesBytes says whether every value of s takes at least one byte. Known holds the answers for records: without it, a chain of
// records that hold each other twice would be walked for ever. A record within itself has no finite value, and counts as nothing.
func takesBytes(s *Schema, known map[*Schema]bool) bool {
	switch s.Kind {
	case Null:
		return false
	case Record:
		if answer, ok := known[s]; ok {
			return answer
		}
		known[s] = false
		for _, f := range s.Fields {
			known[s] = takesBytes(f.Type, known) || known[s]
		}
		return known[s]
	}
	return true
}

// TakesBytes says of a schema that was parsed whether its values take any.
func (s *Schema) TakesBytes() bool { return s.Kind != Null && !s.empty }

// describe names the type as error messages and unions do.
func (s *Schema) describe() string {
	if s.Name != "" {
		return s.Name
	}
	return string(s.Kind)
}

func symbolIndex(s *Schema, symbol string) int {
	for i, own := range s.Symbols {
		if own == symbol {
			return i
		}
	}
	return -1
}

func fullName(name, namespace string) string {
	if namespace == "" || strings.Contains(name, ".") {
		return name
	}
	return namespace + "." + name
}

func text(tree any) string {
	s, _ := tree.(string)
	return s
}

func whole(tree any) int {
	number, _ := tree.(json.Number)
	n, err := number.Int64()
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0
	}
	return int(n)
}

func texts(tree any) []string {
	list, _ := tree.([]any)
	var out []string
	for _, entry := range list {
		out = append(out, text(entry))
	}
	return out
}

// Equal says whether two schema texts are the same JSON, whatever their white space and order of keys.
func Equal(a, b string) bool {
	if a == b {
		return true
	}
	x, errX := canonicalJSON(a)
	y, errY := canonicalJSON(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

func canonicalJSON(text string) ([]byte, error) {
	var tree any
	if err := json.Unmarshal([]byte(text), &tree); err != nil {
		return nil, err
	}
	return json.Marshal(tree)
}
