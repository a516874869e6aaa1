package tables

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/freshet/freshet/pipelines/offline/columnar"
	"github.com/freshet/freshet/pipelines/offline/dataset/tablefile"
)

// compile checks how a column is taken apart.
func (p *Parts) compile() (*regexp.Regexp, error) {
	if p.Column == "" || p.Separator == "" {
		return nil, fmt.Errorf("parts: give column, separator and pattern")
	}
	pattern, err := regexp.Compile("^(?:" + p.Pattern + ")$")
	if err != nil {
		return nil, fmt.Errorf("parts: pattern: %w", err)
	}
	if pattern.NumSubexp() == 0 || slices.Contains(pattern.SubexpNames()[1:], "") {
		return nil, fmt.Errorf("parts: pattern %q: give groups with names, which become columns: (?P<item>.+)", p.Pattern)
	}
	return pattern, nil
}

// reader goes over the rows of one part of a source, with columns of its file, of its path, and of what the source says.
type reader struct {
	table tablefile.Table
	spec  *Source
	names []string
	// Where the columns that were asked for come from: a place in what the table reads, or a cell that stays.
	cells []origin
	// Of a column that is taken apart: where it is read, the parts of the row that are left, and the groups of the pattern.
	parts   int
	left    []string
	part    int // the number of the part that is the row, from 1
	pattern *regexp.Regexp
	nulls   map[string]bool
}

// origin is where a column's cells come from.
type origin struct {
	place int // of the table's cells, -1 where there is none
	fixed columnar.Cell
	group int // of the pattern, 0 where there is none
}

func openReader(spec *Source, p *part) (*reader, error) {
	how, err := spec.how()
	if err != nil {
		return nil, err
	}
	table, err := tablefile.Open(p.path, p.name, how)
	if err != nil {
		return nil, err
	}
	r := &reader{table: table, spec: spec, names: slices.Clone(table.Columns()), parts: -1}
	for _, column := range p.columns {
		if !slices.Contains(r.names, column) {
			r.names = append(r.names, column)
		}
	}
	if spec.Parts != nil {
		if r.pattern, err = spec.Parts.compile(); err != nil {
			table.Close()
			return nil, err
		}
		r.names = append(r.names, r.pattern.SubexpNames()[1:]...)
	}
	if len(spec.Nulls) > 0 {
		r.nulls = map[string]bool{}
		for _, word := range spec.Nulls {
			r.nulls[word] = true
		}
	}
	return r, nil
}

// begin reads these columns. One that this part lacks has no values.
func (r *reader) begin(p *part, columns []string) error {
	var places []int
	inTable := r.table.Columns()
	read := func(column string) int {
		at := slices.Index(inTable, column)
		if at < 0 {
			return -1
		}
		if i := slices.Index(places, at); i >= 0 {
			return i
		}
		places = append(places, at)
		return len(places) - 1
	}
	for _, column := range columns {
		o := origin{place: read(column), fixed: columnar.Cell{Values: make([]columnar.Value, 1)}}
		if o.place < 0 {
			if value, there := p.partitions[column]; there {
				o.fixed = textCell(value)
			} else if r.pattern != nil {
				o.group = max(0, r.pattern.SubexpIndex(column))
			}
		}
		r.cells = append(r.cells, o)
	}
	if r.pattern != nil {
		if r.parts = read(r.spec.Parts.Column); r.parts < 0 {
			return fmt.Errorf("there is no column %q to take apart: it has %s", r.spec.Parts.Column, shown(inTable))
		}
	}
	return r.table.Begin(places)
}

func textCell(text string) columnar.Cell {
	if text == "" {
		return columnar.Cell{Values: make([]columnar.Value, 1)}
	}
	return columnar.Cell{Values: []columnar.Value{{Kind: columnar.Text, Text: []byte(text)}}}
}

func (r *reader) next() (bool, error) {
	for r.pattern != nil {
		if len(r.left) > 0 {
			return true, r.nextPart()
		}
		more, err := r.table.Next()
		if !more || err != nil {
			return more, err
		}
		cell := r.table.Cell(r.parts)
		if isNull(cell) {
			continue
		}
		text, err := textOf(cell)
		if err != nil {
			return false, fmt.Errorf("column %s is %w", r.spec.Parts.Column, err)
		}
		r.part = 0
		r.left = slices.DeleteFunc(strings.Split(text, r.spec.Parts.Separator), func(s string) bool { return s == "" })
	}
	return r.table.Next()
}

// nextPart has the columns of the groups hold those of the next part.
func (r *reader) nextPart() error {
	groups := r.pattern.FindStringSubmatch(r.left[0])
	if groups == nil {
		return fmt.Errorf("column %s has the part %q, which is not of the pattern %s", r.spec.Parts.Column, r.left[0], r.spec.Parts.Pattern)
	}
	r.left = r.left[1:]
	r.part++
	for i := range r.cells {
		if g := r.cells[i].group; g > 0 {
			r.cells[i].fixed = textCell(groups[g])
		}
	}
	return nil
}

// cell is what the row has in column i of those that begin was asked for.
func (r *reader) cell(i int) *columnar.Cell {
	o := &r.cells[i]
	if o.place < 0 {
		return &o.fixed
	}
	c := r.table.Cell(o.place)
	if c.Shape == columnar.Scalar && c.Values[0].Kind == columnar.Text {
		if text := c.Values[0].Text; string(text) == noValue || r.nulls[string(text)] {
			o.fixed = columnar.Cell{Values: append(o.fixed.Values[:0], columnar.Value{})}
			return &o.fixed
		}
	}
	return c
}

// raw is cell before a word is taken for none.
func (r *reader) raw(i int) *columnar.Cell {
	if o := &r.cells[i]; o.place >= 0 {
		return r.table.Cell(o.place)
	}
	return r.cell(i)
}

// noValue is what Hive, MySQL and Snowflake write where there is none.
const noValue = `\N`

// place is that of the table's row, and of the part of it that is not the first.
func (r *reader) place() string {
	if r.part > 1 {
		return fmt.Sprintf("%s#%d", r.table.Place(), r.part)
	}
	return r.table.Place()
}

func (r *reader) close() { r.table.Close() }
