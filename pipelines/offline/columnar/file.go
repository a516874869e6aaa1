package columnar

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Bounds are what a file may declare.
type Bounds struct {
	// Rows is the largest number of rows: a file of a kilobyte can have billions, all alike.
	Rows int64
	// PageBytes is the largest page, compressed or not. Most writers aim at one MiB; DuckDB makes one page of what a row group has
	// in a column, up to some 100 MB. The pages of all columns that are in memory at once may have pagesHeld times as much.
	PageBytes int64
}

const pagesHeld = 8

// DefaultBounds are far above what files have that mean well.
func DefaultBounds() Bounds { return Bounds{Rows: 1 << 28, PageBytes: 128 << 20} }

// mostFooter bounds the footer, in bytes.
const mostFooter = 16 << 20

const magic = "PAR1"

// File is a Parquet file of which the footer was read.
type File struct {
	r       io.ReaderAt
	size    int64
	bounds  Bounds
	meta    fileMeta
	columns []*column
	leaves  int
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
	if n > f.size-int64(len(magic)+tail) {
		return fmt.Errorf("it says that its footer has %d bytes, of %d: it was not copied whole", n, f.size)
	}
	if n > mostFooter {
		return fmt.Errorf("its footer has %d bytes, more than %d: write it with larger row groups, or fewer columns", n, mostFooter)
	}
	b := make([]byte, n)
	if err := f.readAt(b, f.size-tail-n); err != nil {
		return err
	}
	if _, err := unmarshal(b, &f.meta); err != nil {
		return err
	}
	if f.meta.Encryption.Value != nil {
		return errEncrypted
	}
	return nil
}

// NumRows is how many rows the file has.
func (f *File) NumRows() int64 { return f.meta.NumRows }

// Columns says what the columns are, in their order.
func (f *File) Columns() []Column {
	columns := make([]Column, len(f.columns))
	for i, c := range f.columns {
		columns[i] = c.describe()
	}
	return columns
}

// Names are those of the columns, in their order.
func (f *File) Names() []string {
	names := make([]string, len(f.columns))
	for i, c := range f.columns {
		names[i] = c.name
	}
	return names
}

func (f *File) column(name string) *column {
	for _, c := range f.columns {
		if c.name == name {
			return c
		}
	}
	return nil
}
