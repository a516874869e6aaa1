package columnar

import (
	"errors"
	"fmt"
)

// Rows goes over the rows of a file, in their order. It is for one goroutine.
type Rows struct {
	file    *File
	columns []*reader
	cells   []Cell
	shared  shared

	group int   // the next row group
	left  int64 // rows left in this one
	err   error
}

// reader reads one column.
type reader struct {
	*column
	leaves []*entries
	fields []Value // of a struct
}

// Rows reads the columns of these names, and no others. Close ends it.
func (f *File) Rows(names ...string) (*Rows, error) {
	rows := &Rows{file: f, cells: make([]Cell, len(names)), shared: shared{most: pagesHeld * f.bounds.PageBytes}}
	for i, name := range names {
		c := f.column(name)
		if c == nil {
			return nil, fmt.Errorf("column %s is not in the file", name)
		}
		if c.problem != nil {
			return nil, fmt.Errorf("column %s: %w", name, c.problem)
		}
		r := &reader{column: c, fields: make([]Value, len(c.fields))}
		for _, l := range c.leaves {
			r.leaves = append(r.leaves, &entries{pages: pages{leaf: l, file: f, shared: &rows.shared}})
		}
		rows.columns = append(rows.columns, r)
		rows.cells[i].Shape = c.shape
	}
	return rows, nil
}

// Close gives back what unpacking needs.
func (r *Rows) Close() { r.shared.close() }

// Err is why Next gave false before the end.
func (r *Rows) Err() error { return r.err }

// Cell is what the current row has in column i of those asked for. It is valid until the next row.
func (r *Rows) Cell(i int) *Cell { return &r.cells[i] }

// Next moves to the next row, the first one at first.
func (r *Rows) Next() bool {
	if r.err == nil && r.left == 0 {
		r.err = r.nextGroup()
	}
	if r.err != nil || r.left == 0 {
		return false
	}
	r.left--
	for i, c := range r.columns {
		if err := c.read(&r.cells[i]); err != nil {
			r.err = fmt.Errorf("column %s: %w", c.name, err)
			return false
		}
	}
	return true
}

// nextGroup moves to the next row group that has rows, if there is one.
func (r *Rows) nextGroup() error {
	for r.left == 0 {
		for _, c := range r.columns {
			for _, l := range c.leaves {
				if err := l.ended(); err != nil {
					return fmt.Errorf("column %s: %w", c.name, err)
				}
			}
		}
		if r.group == len(r.file.meta.RowGroups) {
			return nil
		}
		g := &r.file.meta.RowGroups[r.group]
		r.group++
		r.left = g.NumRows
		for _, c := range r.columns {
			for _, l := range c.leaves {
				if err := l.begin(&g.Columns[l.index]); err != nil {
					return fmt.Errorf("column %s: %w", c.name, err)
				}
			}
		}
	}
	return nil
}

// read gives the cell of the next row.
func (c *reader) read(cell *Cell) (err error) {
	first := c.leaves[0]
	switch {
	case c.shape == Scalar:
		if first.at == first.n {
			if err := first.one(); err != nil {
				return err
			}
		}
		cell.Values = first.values[first.at : first.at+1 : first.at+1]
		first.at++
		return nil
	case c.column.fields != nil:
		return c.readStruct(cell)
	case c.shape == Map:
		if cell.Keys, err = first.row(); err != nil {
			return err
		}
	}
	if cell.Values, err = c.leaves[len(c.leaves)-1].row(); err != nil {
		return err
	}
	if c.shape == Map && len(cell.Keys) != len(cell.Values) {
		return errors.New("a map has not as many keys as values: write the file anew")
	}
	return nil
}

func (c *reader) readStruct(cell *Cell) error {
	cell.Keys, cell.Values = c.column.fields, c.fields
	for i, l := range c.leaves {
		if err := l.one(); err != nil {
			return err
		}
		if int(l.defs[l.at]) < l.rootDefined {
			cell.Keys, cell.Values = nil, nil
		}
		c.fields[i] = l.values[l.at]
		l.at++
	}
	return nil
}
