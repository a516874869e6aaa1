package terminal

import (
	"io"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
)

// Row is a row of a table.
type Row = table.Row

// Table is the one look that all tables share. Its cells are rendered by Text, those of the header included: some are ids.
type Table struct{ to table.Writer }

// NewTable begins a table that Render writes to w; w may be nil for one that is only rendered.
func NewTable(w io.Writer, header Row) Table {
	t := Table{table.NewWriter()}
	if w != nil {
		t.to.SetOutputMirror(w)
	}
	style := table.StyleLight
	style.Format.Header = text.FormatDefault
	t.to.SetStyle(style)
	t.to.AppendHeader(cells(header))
	return t
}

// AppendRow adds a row.
func (t Table) AppendRow(row Row) { t.to.AppendRow(cells(row)) }

// AppendRows adds rows.
func (t Table) AppendRows(rows []Row) {
	for _, row := range rows {
		t.AppendRow(row)
	}
}

// AppendSeparator adds a line.
func (t Table) AppendSeparator() { t.to.AppendSeparator() }

// SetColumnConfigs is go-pretty's.
func (t Table) SetColumnConfigs(configs []table.ColumnConfig) { t.to.SetColumnConfigs(configs) }

// SortBy is go-pretty's.
func (t Table) SortBy(by []table.SortBy) { t.to.SortBy(by) }

// SuppressTrailingSpaces is go-pretty's.
func (t Table) SuppressTrailingSpaces() { t.to.SuppressTrailingSpaces() }

// Render writes the table, and returns it.
func (t Table) Render() string { return t.to.Render() }

func cells(row Row) Row {
	shown := make(Row, len(row))
	for i, cell := range row {
		switch cell := cell.(type) {
		case string:
			shown[i] = Text(cell)
		default:
			shown[i] = Value(cell)
		}
	}
	return shown
}
