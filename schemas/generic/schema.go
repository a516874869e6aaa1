package generic

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/freshet/freshet/schemas/internal/avro"
)

type (
	// Schema is a parsed Avro schema.
	Schema = avro.Schema
	// Reader reads Avro binary from one slice.
	Reader = avro.Reader
)

// NewReader reads from src, which it never changes.
func NewReader(src []byte) *Reader { return avro.NewReader(src) }

// The kinds of schemas that a reader of records asks for.
const (
	Null   = avro.Null
	Record = avro.Record
	Array  = avro.Array
	Map    = avro.Map
	Fixed  = avro.Fixed
	Union  = avro.Union
)

// Parse reads a writer's schema as avro.Parse does, and what writers write against the specification: polars gives a record no name.
// Defaults are not looked at, which fill what a writer left out and mean nothing for what it wrote.
func Parse(text string, named ...string) (*Schema, error) {
	var tree any
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&tree); err != nil || dec.More() {
		return avro.Parse(text, named...) // whose error it is
	}
	m := mender{}
	m.mend(tree)
	mended, err := json.Marshal(tree)
	if err != nil {
		return nil, fmt.Errorf("parsing schema: %w", err)
	}
	return avro.Parse(string(mended), named...)
}

// mender changes a schema as encoding/json has it.
type mender struct{ nameless int }

func (m *mender) mend(tree any) {
	switch t := tree.(type) {
	case []any:
		for _, part := range t {
			m.mend(part)
		}
	case map[string]any:
		kind, _ := t["type"].(string)
		switch name, _ := t["name"].(string); {
		case name != "":
		case kind == string(avro.Record), kind == string(avro.Enum), kind == string(avro.Fixed):
			m.nameless++
			t["name"] = fmt.Sprintf("nameless%d", m.nameless)
		}
		if kind == string(avro.Enum) {
			delete(t, "default")
		}
		m.mend(t["type"])
		m.mend(t["items"])
		m.mend(t["values"])
		fields, _ := t["fields"].([]any)
		for _, f := range fields {
			if field, ok := f.(map[string]any); ok {
				delete(field, "default")
				m.mend(field["type"])
			}
		}
	}
}
