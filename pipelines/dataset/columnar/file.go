package columnar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/parquet-go/parquet-go/format"
)

// Bounds are what a file may declare.
type Bounds struct {
	// Rows is the largest number of rows: a file of a kilobyte can have billions, all alike.
	Rows int64
	// PageBytes is the largest page, compressed or not. Writers aim at one MiB.
	PageBytes int64
}

// DefaultBounds are far above what files have that mean well.
func DefaultBounds() Bounds { return Bounds{Rows: 1 << 28, PageBytes: 64 << 20} }

// mostFooter bounds the footer, in bytes.
const mostFooter = 16 << 20

const magic = "PAR1"

// File is a Parquet file of which the footer was read.
type File struct {
	r       io.ReaderAt
	size    int64
	bounds  Bounds
	meta    format.FileMetaData
	columns []*column
	leaves  int
	decompressor
}

var errEncrypted = errors.New("it is encrypted: write it without encryption")

// Open reads the footer of a file of so many bytes.
func Open(r io.ReaderAt, size int64, bounds Bounds) (*File, error) {
	f := &File{r: r, size: size, bounds: bounds}
	if err := f.footer(); err != nil {
		return nil, fmt.Errorf("reading the footer: %w", err)
	}
	var err error
	if f.columns, f.leaves, err = columnsOf(f.meta.Schema); err != nil {
		return nil, fmt.Errorf("reading the schema: %w", err)
	}
	rows := int64(0)
	for i := range f.meta.RowGroups {
		g := &f.meta.RowGroups[i]
		if g.NumRows < 0 || g.NumRows > bounds.Rows-rows {
			return nil, fmt.Errorf("it says that it has more than %d rows: part it", bounds.Rows)
		}
		if len(g.Columns) != f.leaves {
			return nil, fmt.Errorf("row group %d has %d columns, and the schema %d", i+1, len(g.Columns), f.leaves)
		}
		rows += g.NumRows
	}
	if rows != f.meta.NumRows {
		return nil, fmt.Errorf("it says that it has %d rows, and its row groups have %d", f.meta.NumRows, rows)
	}
	return f, nil
}

func (f *File) footer() error {
	const tail = 8 // the footer's length, and the magic
	if f.size < int64(len(magic)+tail) {
		return errors.New("it is no Parquet file: it is too short")
	}
	var end [tail]byte
	if err := f.readAt(end[:], f.size-tail); err != nil {
		return err
	}
	switch string(end[4:]) {
	case magic:
	case "PARE":
		return errEncrypted
	default:
		return errors.New("it is no Parquet file, or was not written to its end")
	}
	n := int64(binary.LittleEndian.Uint32(end[:]))
	if n > mostFooter || n > f.size-int64(len(magic)+tail) {
		return fmt.Errorf("it says that its footer has %d bytes, of %d", n, f.size)
	}
	b := make([]byte, n)
	if err := f.readAt(b, f.size-tail-n); err != nil {
		return err
	}
	if _, err := unmarshal(b, &f.meta); err != nil {
		return err
	}
	if f.meta.EncryptionAlgorithm.Value != nil {
		return errEncrypted
	}
	return nil
}

// NumRows is how many rows the file has.
func (f *File) NumRows() int64 { return f.meta.NumRows }

// Names are those of the columns, in their order.
func (f *File) Names() []string {
	names := make([]string, len(f.columns))
	for i, c := range f.columns {
		names[i] = c.name
	}
	return names
}

// Rows reads the columns of these names, and no others. Close ends it.
func (f *File) Rows(names ...string) (*Rows, error) {
	rows := &Rows{file: f, cells: make([]Cell, len(names))}
	for i, name := range names {
		c := f.column(name)
		if c == nil {
			return nil, fmt.Errorf("column %s is not in the file", name)
		}
		if c.problem != nil {
			return nil, fmt.Errorf("column %s: %w", name, c.problem)
		}
		rows.columns = append(rows.columns, c)
		rows.cells[i].Shape = c.shape
	}
	return rows, nil
}

func (f *File) column(name string) *column {
	for _, c := range f.columns {
		if c.name == name {
			return c
		}
	}
	return nil
}

// Rows goes over the rows of a file, in their order. It is for one goroutine.
type Rows struct {
	file    *File
	columns []*column
	cells   []Cell

	group  int      // the next row group
	left   int64    // rows left in this one
	chunks []*chunk // of all leaves, column by column
	err    error
}

// Close gives back what unpacking needs.
func (r *Rows) Close() { r.file.close() }

// Err is why Next gave false before the end.
func (r *Rows) Err() error { return r.err }

// Cell is what the current row has in column i of those asked for. It is valid until the next row.
func (r *Rows) Cell(i int) *Cell { return &r.cells[i] }

// Next moves to the next row, the first one at first.
func (r *Rows) Next() bool {
	for r.err == nil && r.left == 0 {
		if err := r.exhausted(); err != nil {
			r.err = err
			break
		}
		if r.group == len(r.file.meta.RowGroups) {
			return false
		}
		r.err = r.begin(&r.file.meta.RowGroups[r.group])
		r.group++
	}
	if r.err != nil {
		return false
	}
	r.left--
	at := 0
	for i, c := range r.columns {
		if err := r.read(&r.cells[i], r.chunks[at:at+len(c.leaves)]); err != nil {
			r.err = fmt.Errorf("column %s: %w", c.name, err)
			return false
		}
		at += len(c.leaves)
	}
	return true
}

func (r *Rows) begin(g *format.RowGroup) error {
	r.chunks = r.chunks[:0]
	r.left = g.NumRows
	for _, c := range r.columns {
		for _, l := range c.leaves {
			opened, err := r.file.open(l, &g.Columns[l.index])
			if err != nil {
				return fmt.Errorf("column %s: %w", c.name, err)
			}
			r.chunks = append(r.chunks, opened)
		}
	}
	return nil
}

// exhausted holds that the row group that ends had no more than its rows.
func (r *Rows) exhausted() error {
	for _, c := range r.chunks {
		if c.ahead || c.inPage > 0 || c.left > 0 {
			return fmt.Errorf("column %s: it has more rows than the file says", c.name)
		}
	}
	return nil
}

func (r *Rows) read(cell *Cell, chunks []*chunk) (err error) {
	cell.Values, cell.Keys = cell.Values[:0], cell.Keys[:0]
	if cell.Shape == Map {
		if cell.Keys, err = chunks[0].row(cell.Keys); err != nil {
			return err
		}
	}
	if cell.Values, err = chunks[len(chunks)-1].row(cell.Values); err != nil {
		return err
	}
	if cell.Shape == Map && len(cell.Keys) != len(cell.Values) {
		return errors.New("a map has not as many keys as values")
	}
	return nil
}
