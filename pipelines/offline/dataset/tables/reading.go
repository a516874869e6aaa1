package tables

import (
	"bytes"
	"fmt"
	"math"
	"slices"

	"github.com/freshet/freshet/pipelines/offline/columnar"
)

// reading is how a field is read from the rows of a source, once the survey has looked at all of them.
type reading struct {
	bound
	kind   kind
	filled bool
	// at are the columns' places among those that are read.
	at     []int
	fixed  *columnar.Cell // what the source says for each row, instead of a column
	clock  clock
	lists  listForm
	values map[string]string // what values mean
	seen   map[string]bool   // those of them that some row has
	joined columnar.Cell     // of several columns
	mapped columnar.Cell
}

// noValues are words that libraries write where there is no value.
var noValues = []string{
	"NaN", "nan", "NAN", "NaT", "NA", "N/A", "<NA>", "NULL", "null", "Null", "(null)", "None", "none", "nil", "undefined", noValue,
}

func isNoValue(text []byte) bool {
	if len(text) < 2 || len(text) > len("undefined") || !bytes.ContainsRune([]byte(`Nn<(u\`), rune(text[0])) {
		return false // most are none, and each value is asked
	}
	return slices.Contains(noValues, string(text))
}

// cell is what a row has for the field; out says that the row is to be left out.
func (g *reading) cell(r *reader) (c *columnar.Cell, out bool, err error) {
	switch {
	case g.fixed != nil:
		return g.fixed, false, nil
	case len(g.at) > 1:
		c, err = g.join(r)
		return c, false, err
	}
	c = r.cell(g.at[0])
	if c.Shape != columnar.Scalar {
		return c, false, nil
	}
	v := &c.Values[0]
	if g.values != nil {
		name := valueName(&r.raw(g.at[0]).Values[0])
		if meaning, told := g.values[name]; told {
			g.seen[name] = true
			if meaning == "" && (g.filled || g.kind == aSymbol) {
				return c, true, nil
			}
			g.mapped = textCell(meaning)
			return &g.mapped, false, nil
		}
	}
	if g.isMissing(v) {
		g.mapped = columnar.Cell{Values: append(g.mapped.Values[:0], columnar.Value{})}
		return &g.mapped, false, nil
	}
	return c, false, nil
}

// isMissing tells values by which a library says that there is none. Of texts it cannot be told: a brand may be called None.
func (g *reading) isMissing(v *columnar.Value) bool {
	switch v.Kind {
	case columnar.Float:
		return math.IsNaN(v.Float)
	case columnar.Text:
		return (g.kind == aNumber || g.kind == anInteger || g.kind == aBoolean || g.kind == aTime) && isNoValue(v.Text)
	}
	return false
}

// valueName is what a value is called on the command line.
func valueName(v *columnar.Value) string {
	switch v.Kind {
	case columnar.Null:
		return ""
	case columnar.Text, columnar.Decimal:
		return string(v.Text)
	case columnar.Bool:
		if v.Int != 0 {
			return "true"
		}
		return "false"
	}
	if _, whole, isWhole, ok := numberIn(v); ok && isWhole {
		return fmt.Sprint(whole)
	}
	return fmt.Sprint(v.Float)
}

// join makes one list of several columns.
func (g *reading) join(r *reader) (*columnar.Cell, error) {
	g.joined = columnar.Cell{Shape: columnar.List, Values: g.joined.Values[:0]}
	for _, at := range g.at {
		c := r.cell(at)
		texts, err := textsOf(c, g.lists)
		if err != nil {
			return nil, err
		}
		for _, text := range texts {
			g.joined.Values = append(g.joined.Values, columnar.Value{Kind: columnar.Text, Text: []byte(text)})
		}
	}
	return &g.joined, nil
}
