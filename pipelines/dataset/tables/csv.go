package tables

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/freshet/freshet/pipelines/dataset/columnar"
)

// csvTable reads comma-separated values as RFC 4180 has them, in UTF-8, with a header. An empty cell has no value.
type csvTable struct {
	name    string
	file    io.Closer
	rows    *csv.Reader
	budget  *budget
	header  []string
	places  []int
	cells   []columnar.Cell
	scratch []byte // what the cells' texts share
	line    int
}

func openCSV(path string) (table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	t, err := newCSV(filepath.Base(path), f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	t.file = f
	return t, nil
}

// newCSV reads the header.
func newCSV(name string, r io.Reader) (*csvTable, error) {
	t := &csvTable{name: name, budget: &budget{r: r}, line: 1}
	t.rows = csv.NewReader(t.budget)
	t.rows.ReuseRecord = true
	t.budget.left = mostRow
	header, err := t.rows.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("the file is empty: begin it with a header")
	}
	if err != nil {
		return nil, err
	}
	for _, column := range header {
		t.header = append(t.header, strings.Clone(column))
	}
	t.header[0] = strings.TrimPrefix(t.header[0], "\ufeff") // Excel's
	return t, nil
}

func (t *csvTable) names() []string { return t.header }

func (t *csvTable) begin(places []int) error {
	t.places = places
	t.cells = make([]columnar.Cell, len(places))
	for i := range t.cells {
		t.cells[i].Values = make([]columnar.Value, 1)
	}
	return nil
}

func (t *csvTable) next() (bool, error) {
	t.budget.left = mostRow
	record, err := t.rows.Read()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	if err != nil {
		if wrong := new(csv.ParseError); errors.As(err, &wrong) { // which says the line, as place does
			t.line = wrong.Line
			err = wrong.Err
		}
		return false, err
	}
	t.line, _ = t.rows.FieldPos(0)
	t.scratch = t.scratch[:0]
	for _, at := range t.places { // at first all, since growing moves what was there
		t.scratch = append(t.scratch, record[at]...)
	}
	rest := t.scratch
	for i, at := range t.places {
		n := len(record[at])
		t.cells[i].Values[0] = columnar.Value{}
		if n > 0 {
			t.cells[i].Values[0] = columnar.Value{Kind: columnar.Text, Text: rest[:n:n]}
		}
		rest = rest[n:]
	}
	return true, nil
}

func (t *csvTable) cell(i int) *columnar.Cell { return &t.cells[i] }

func (t *csvTable) place() string { return fmt.Sprintf("%s:%d", t.name, t.line) }

func (t *csvTable) close() { _ = t.file.Close() } // only read from

// mostRow bounds the bytes of a row: behind a quote that nobody closes, the rest of the file is one cell.
const mostRow = 2 << 20

// budget refuses to read more than what is left to it.
type budget struct {
	r    io.Reader
	left int
}

func (b *budget) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, fmt.Errorf("the row has more than %d bytes: is a quote not closed?", mostRow)
	}
	n, err := b.r.Read(p[:min(len(p), b.left)])
	b.left -= n
	return n, err
}
