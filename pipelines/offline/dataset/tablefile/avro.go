package tablefile

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/freshet/freshet/pipelines/offline/columnar"
	"github.com/freshet/freshet/schemas/generic"
)

// avro reads an Avro container file, whose records are rows. A column that is not asked for is passed over.
type avro struct {
	name    string
	file    io.Closer
	blocks  *container
	columns []string
	fields  []avroColumn
	cells   []columnar.Cell

	row, left int64 // left of the block
	block     *generic.Reader
}

// avroColumn is a field of the records.
type avroColumn struct {
	schema  *generic.Schema
	decoder *generic.Decoder // nil where it is not asked for
	cell    int
	pairs   bool // a list of keys and values
}

func newAvro(name string, file io.Closer, r *bufio.Reader, bounds columnar.Bounds) (Table, error) {
	if bounds == (columnar.Bounds{}) {
		bounds = columnar.DefaultBounds()
	}
	blocks, err := newContainer(r, bounds.Rows)
	if err != nil {
		return nil, err
	}
	schema, err := generic.Parse(blocks.schema)
	switch {
	case err != nil:
		return nil, err
	case schema.Kind != generic.Record:
		return nil, fmt.Errorf("it holds values of type %s: write records, whose fields are the columns", schema.Kind)
	case !schema.TakesBytes():
		return nil, errors.New("its records have no fields with values: write them with columns")
	case len(schema.Fields) > mostKeys:
		return nil, fmt.Errorf("it has %d columns: give at most %d", len(schema.Fields), mostKeys)
	}
	t := &avro{name: name, file: file, blocks: blocks}
	for _, f := range schema.Fields {
		t.columns = append(t.columns, f.Name)
		t.fields = append(t.fields, avroColumn{schema: f.Type})
	}
	return t, nil
}

func (t *avro) Columns() []string { return t.columns }

func (t *avro) Notes() []string { return nil }

func (t *avro) Begin(places []int) (err error) {
	t.cells = make([]columnar.Cell, len(places))
	for i, place := range places {
		f := &t.fields[place]
		if err := readable(f.schema, asCell); err != nil {
			return fmt.Errorf("column %s: %w", t.columns[place], err)
		}
		f.cell, f.pairs = i, hasPairs(f.schema)
		if f.decoder, err = generic.NewDecoder(f.schema); err != nil {
			return fmt.Errorf("column %s: %w", t.columns[place], err)
		}
	}
	return nil
}

// mostParts bounds the elements of one cell, whose values take far more memory than their bytes.
const mostParts = 1 << 16

func (t *avro) Next() (bool, error) {
	for t.left == 0 {
		if t.block != nil {
			if err := t.block.Finish(); err != nil {
				return false, fmt.Errorf("block %d: %w", t.blocks.block, err)
			}
		}
		body, records, err := t.blocks.next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		t.block, t.left = generic.NewReader(body), records
	}
	t.left--
	t.row++
	for i := range t.fields {
		f := &t.fields[i]
		if f.decoder == nil {
			t.block.Skip(f.schema, 0)
			continue
		}
		raw := t.block.Skip(f.schema, mostParts)
		if t.block.Err() != nil {
			break
		}
		if len(raw) > mostRow {
			return false, fmt.Errorf("column %s has a value of %d bytes: give at most %d", t.columns[i], len(raw), mostRow)
		}
		value, err := f.decoder.Whole(raw)
		if err != nil {
			return false, fmt.Errorf("column %s: %w", t.columns[i], err)
		}
		fill(&t.cells[f.cell], value, f.pairs)
	}
	if err := t.block.Err(); err != nil {
		return false, fmt.Errorf("block %d: %w", t.blocks.block, err)
	}
	return true, nil
}

func (t *avro) Cell(i int) *columnar.Cell { return &t.cells[i] }

func (t *avro) Place() string { return fmt.Sprintf("%s: row %d", t.name, t.row) }

func (t *avro) Close() {
	t.blocks.close()
	_ = t.file.Close() // only read from
}

// place is where a type stands: it may be a cell, a part of one, or a part of a map that is written as a list.
type avroPlace int

const (
	asCell avroPlace = iota
	asPart
)

// unreadableTypes are logical types that no field takes. Others that are not known say nothing, as the specification has it.
var unreadableTypes = []string{"time-millis", "time-micros", "duration", "big-decimal"}

// readable says why a column cannot be read.
func readable(s *generic.Schema, place avroPlace) error {
	if slices.Contains(unreadableTypes, s.Logical) {
		return fmt.Errorf("its type is %s: write it as a string, a number, a boolean, or a timestamp", s.Logical)
	}
	if s.Logical == "decimal" && !generic.IsDecimal(s) {
		return fmt.Errorf("its type is a decimal of precision %d and scale %d, which is none: write it as a string or a number",
			s.Precision, s.Scale)
	}
	nested := errors.New("it is neither a plain value, nor a list of them, nor a map")
	switch s.Kind {
	case generic.Union:
		for _, option := range s.Options {
			if err := readable(option, place); err != nil {
				return err
			}
		}
	case generic.Array:
		if place == asPart {
			return nested
		}
		if pair, is := pairOf(s); is {
			return readable(pair, asCell)
		}
		return readable(s.Items, asPart)
	case generic.Map:
		if place == asPart {
			return nested
		}
		return readable(s.Items, asPart)
	case generic.Record:
		if place == asPart {
			return nested
		}
		for _, f := range s.Fields {
			if err := readable(f.Type, asPart); err != nil {
				return err
			}
		}
	}
	return nil
}

// pairOf tells a list of keys and values, as writers have maps whose keys may be no strings or may come twice.
func pairOf(s *generic.Schema) (pair *generic.Schema, is bool) {
	if s.Kind != generic.Array {
		return nil, false
	}
	pair = s.Items
	is = pair.Kind == generic.Record && len(pair.Fields) == 2 &&
		pair.Fields[0].Name == "key" && pair.Fields[1].Name == "value"
	return pair, is
}

// hasPairs says so of a column that may be null.
func hasPairs(s *generic.Schema) bool {
	_, is := pairOf(s)
	return is || s.Kind == generic.Union && slices.ContainsFunc(s.Options, hasPairs)
}

// fill makes a cell of a value.
func fill(c *columnar.Cell, value any, pairs bool) {
	c.Shape, c.Values, c.Keys = columnar.Scalar, c.Values[:0], c.Keys[:0]
	switch v := value.(type) {
	case []any:
		c.Shape = columnar.List
		if pairs {
			c.Shape = columnar.Map
		}
		for _, element := range v {
			if pair, is := element.(generic.Entries); is {
				c.Keys = append(c.Keys, avroValue(pair[0].Value))
				element = pair[1].Value
			}
			c.Values = append(c.Values, avroValue(element))
		}
	case generic.Entries:
		c.Shape = columnar.Map
		for _, entry := range v {
			c.Keys = append(c.Keys, columnar.Value{Kind: columnar.Text, Text: []byte(entry.Name)})
			c.Values = append(c.Values, avroValue(entry.Value))
		}
	default:
		c.Values = append(c.Values, avroValue(v))
	}
}

// avroValue makes a plain value of what readable lets through.
func avroValue(value any) columnar.Value {
	switch v := value.(type) {
	case bool:
		if v {
			return columnar.Value{Kind: columnar.Bool, Int: 1}
		}
		return columnar.Value{Kind: columnar.Bool}
	case int64:
		return columnar.Value{Kind: columnar.Int, Int: v}
	case float32:
		return columnar.Value{Kind: columnar.Float, Float: float64(v)}
	case float64:
		return columnar.Value{Kind: columnar.Float, Float: v}
	case string:
		return columnar.Value{Kind: columnar.Text, Text: []byte(v)}
	case []byte:
		return columnar.Value{Kind: columnar.Text, Text: v}
	case generic.Decimal:
		return columnar.Value{Kind: columnar.Decimal, Text: []byte(v)}
	case generic.Date:
		return columnar.Value{Kind: columnar.Time, Int: v.UnixMilli()}
	case generic.Moment:
		if v.Local { // a text without a zone, which is read in the zone that is told
			return columnar.Value{Kind: columnar.Text, Text: []byte(v.String())}
		}
		return columnar.Value{Kind: columnar.Time, Int: v.UnixMilli()}
	}
	return columnar.Value{}
}
