package tablefile

import (
	"fmt"
	"os"

	"github.com/freshet/freshet/pipelines/offline/columnar"
)

// parquet reads a Parquet file.
type parquet struct {
	name    string
	file    *os.File
	columns []string
	open    *columnar.File
	rows    *columnar.Rows
	row     int
}

func openParquet(f *os.File, name string, bounds columnar.Bounds) (Table, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if bounds == (columnar.Bounds{}) {
		bounds = columnar.DefaultBounds()
	}
	open, err := columnar.Open(f, info.Size(), bounds)
	if err != nil {
		return nil, err
	}
	return &parquet{name: name, file: f, columns: open.Names(), open: open}, nil
}

func (t *parquet) Columns() []string { return t.columns }

func (t *parquet) Notes() []string { return nil }

// Type is what the footer says.
func (t *parquet) Type(column string) (about string, local bool) {
	for _, c := range t.open.Columns() {
		if c.Name == column {
			return c.Type, c.Local
		}
	}
	return "", false
}

func (t *parquet) Begin(places []int) (err error) {
	names := make([]string, len(places))
	for i, at := range places {
		names[i] = t.columns[at]
	}
	t.rows, err = t.open.Rows(names...)
	return err
}

func (t *parquet) Next() (bool, error) {
	t.row++
	return t.rows.Next(), t.rows.Err()
}

func (t *parquet) Cell(i int) *columnar.Cell { return t.rows.Cell(i) }

func (t *parquet) Place() string { return fmt.Sprintf("%s: row %d", t.name, t.row) }

func (t *parquet) Close() {
	if t.rows != nil {
		t.rows.Close()
	}
	_ = t.file.Close() // only read from
}
