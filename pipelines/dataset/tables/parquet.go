package tables

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/freshet/freshet/pipelines/dataset/columnar"
)

// parquetTable reads a Parquet file.
type parquetTable struct {
	name    string
	file    io.Closer
	columns []string
	open    *columnar.File
	rows    *columnar.Rows
	row     int
}

func openParquet(path string, bounds columnar.Bounds) (table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	t, err := newParquet(filepath.Base(path), f, info.Size(), bounds)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	t.file = f
	return t, nil
}

func newParquet(name string, r io.ReaderAt, size int64, bounds columnar.Bounds) (*parquetTable, error) {
	open, err := columnar.Open(r, size, bounds)
	if err != nil {
		return nil, err
	}
	return &parquetTable{name: name, columns: open.Names(), open: open}, nil
}

func (t *parquetTable) names() []string { return t.columns }

func (t *parquetTable) begin(places []int) (err error) {
	names := make([]string, len(places))
	for i, at := range places {
		names[i] = t.columns[at]
	}
	t.rows, err = t.open.Rows(names...)
	return err
}

func (t *parquetTable) next() (bool, error) {
	t.row++
	return t.rows.Next(), t.rows.Err()
}

func (t *parquetTable) cell(i int) *columnar.Cell { return t.rows.Cell(i) }

func (t *parquetTable) place() string { return fmt.Sprintf("%s: row %d", t.name, t.row) }

func (t *parquetTable) close() {
	if t.rows != nil {
		t.rows.Close()
	}
	_ = t.file.Close() // only read from
}
