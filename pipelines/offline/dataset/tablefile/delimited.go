package tablefile

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/freshet/freshet/pipelines/offline/columnar"
)

// Quotes is how delimited text writes a quote within a cell.
type Quotes uint8

// The ways of quoting.
const (
	// Detect finds out by reading all of the file, where quotes make that necessary.
	Detect Quotes = iota
	// Doubled is that of RFC 4180: "a ""quoted"" word".
	Doubled
	// Escaped is that of Spark and MySQL: "a \"quoted\" word".
	Escaped
	// Literal has quotes mean nothing, as in tables parted by tabs that no library wrote.
	Literal
)

// delimited reads text in UTF-8 whose cells are parted by one character. An empty cell has no value.
type delimited struct {
	name    string
	file    io.Closer
	rows    records
	header  []string
	notes   []string
	line    int
	places  []int
	cells   []columnar.Cell
	scratch []byte // what the cells' texts share
}

// records gives the cells of one row after the other, which are valid until the next, and the line in which it began.
type records interface {
	read() (cells []string, line int, err error)
}

// separators are looked for in the first line.
var separators = []rune{',', '\t', ';', '|'}

func newDelimited(name string, file io.Closer, text func() (io.Reader, error), how How) (Table, error) {
	t := &delimited{name: name, file: file}
	separator, text, err := how.separator(text)
	if err != nil {
		return nil, err
	}
	if separator != ',' {
		t.notes = append(t.notes, fmt.Sprintf("cells are parted by %q", separator))
	}
	quotes := how.Quotes
	if quotes == Detect {
		if quotes, err = detectQuotes(text, separator); err != nil {
			return nil, err
		}
		switch quotes {
		case Escaped:
			t.notes = append(t.notes, `quotes within cells are escaped by \`)
		case Literal:
			t.notes = append(t.notes, "quotes stand for themselves")
		}
	}
	r, err := text()
	if err != nil {
		return nil, err
	}
	t.rows = newRecords(r, separator, quotes)
	if how.Header != nil {
		t.header = how.Header
		return t, nil
	}
	header, line, err := t.rows.read()
	if errors.Is(err, io.EOF) {
		return nil, ErrEmpty
	}
	if err != nil {
		return nil, fmt.Errorf("line %d: %w", line, err)
	}
	for _, column := range header {
		t.header = append(t.header, strings.Clone(column))
	}
	return t, nil
}

// separator is the told one, the one that the first line tells Excel (sep=;), or the one that parts the first line into the most cells.
// The text that it gives has no such line.
func (how *How) separator(text func() (io.Reader, error)) (rune, func() (io.Reader, error), error) {
	r, err := text()
	if err != nil {
		return 0, nil, err
	}
	line, err := bufio.NewReader(io.LimitReader(r, mostRow)).ReadBytes('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return 0, nil, err
	}
	if separator, is := forExcel(line); is {
		behind := func() (io.Reader, error) {
			r, err := text()
			if err != nil {
				return nil, err
			}
			// Its line break stays: lines are counted as in the file, and an empty one is no row.
			_, err = io.CopyN(io.Discard, r, int64(len(line)-1))
			return r, err
		}
		if how.Separator != 0 {
			separator = how.Separator
		}
		return separator, behind, nil
	}
	if how.Separator != 0 {
		return how.Separator, text, nil
	}
	best, most := ',', 1
	for _, separator := range separators {
		rows := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(line, utf8Mark)))
		rows.Comma, rows.LazyQuotes = separator, true
		cells, err := rows.Read()
		if err == nil && len(cells) > most {
			best, most = separator, len(cells)
		}
	}
	return best, text, nil
}

// forExcel reads the line by which a file tells Excel what stands between its cells.
func forExcel(line []byte) (separator rune, is bool) {
	line, whole := bytes.CutSuffix(bytes.TrimPrefix(line, utf8Mark), []byte("\n"))
	told := strings.Trim(strings.TrimSuffix(string(line), "\r"), `"`)
	if !whole || len(told) != len("sep=,") || !strings.EqualFold(told[:4], "sep=") || strings.ContainsAny(told[4:], "\"=") {
		return 0, false
	}
	return rune(told[4]), true
}

// detectQuotes reads the file as RFC 4180 has it where it holds what others write otherwise, and if that fails in another way. What
// reads as RFC 4180 is that: in another way its cells would come out glued or cut.
func detectQuotes(text func() (io.Reader, error), separator rune) (Quotes, error) {
	suspect := `\"`
	if separator == '\t' {
		suspect = `"`
	}
	if r, err := text(); err != nil {
		return Doubled, err
	} else if there, err := contains(r, suspect); !there || err != nil {
		return Doubled, err
	}
	reads := func(quotes Quotes) (is, broken bool, err error) {
		r, err := text()
		if err != nil {
			return false, false, err
		}
		is, broken = readsAs(newRecords(r, separator, quotes))
		return is, broken, nil
	}
	for _, quotes := range []Quotes{Doubled, Escaped} {
		is, broken, err := reads(quotes)
		if err != nil {
			return Doubled, err
		}
		if !is {
			continue
		}
		// Quotes that open in one row and close in another make one cell of what lies between: where each line is a row as it is,
		// they are letters.
		if broken && separator == '\t' {
			if plain, _, err := reads(Literal); err != nil || plain {
				return Literal, err
			}
		}
		return quotes, nil
	}
	if separator == '\t' {
		return Literal, nil
	}
	return Doubled, nil // which tells what is wrong when it is read
}

// readsAs tells whether all rows have as many cells, and whether some cell is broken over lines.
func readsAs(rows records) (is, broken bool) {
	columns := 0
	for {
		cells, _, err := rows.read()
		if err != nil {
			return errors.Is(err, io.EOF), broken
		}
		if columns == 0 {
			columns = len(cells)
		}
		if len(cells) != columns {
			return false, broken
		}
		broken = broken || slices.ContainsFunc(cells, func(c string) bool { return strings.Contains(c, "\n") })
	}
}

// contains looks for a short text.
func contains(r io.Reader, text string) (bool, error) {
	buffer := make([]byte, 1<<16)
	kept := 0
	for {
		n, err := r.Read(buffer[kept:])
		n += kept
		if bytes.Contains(buffer[:n], []byte(text)) {
			return true, nil
		}
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return false, err
		}
		kept = copy(buffer, buffer[max(0, n-len(text)+1):n])
	}
}

func newRecords(r io.Reader, separator rune, quotes Quotes) records {
	r = skipMark(r)
	if quotes == Literal {
		return &literal{lines: linesOf(r), separator: string(separator)}
	}
	limited := &budget{r: r, left: mostRow}
	if quotes == Escaped {
		limited.r = &unescaper{r: bufio.NewReader(limited.r), separator: byte(separator)}
	}
	rows := csv.NewReader(limited)
	rows.Comma, rows.ReuseRecord = separator, true
	return &quoted{rows: rows, budget: limited}
}

func skipMark(r io.Reader) io.Reader {
	buffered := bufio.NewReader(r)
	if head, _ := buffered.Peek(len(utf8Mark)); bytes.Equal(head, utf8Mark) {
		_, _ = buffered.Discard(len(utf8Mark))
	}
	return buffered
}

// quoted reads by RFC 4180.
type quoted struct {
	rows   *csv.Reader
	budget *budget
	last   int // the line in which the last row began
}

func (q *quoted) read() ([]string, int, error) {
	q.budget.left = mostRow
	record, err := q.rows.Read()
	if err != nil {
		line := q.last + 1
		if wrong := new(csv.ParseError); errors.As(err, &wrong) { // which says the line, as Place does
			line, err = wrong.Line, wrong.Err
		}
		return nil, line, err
	}
	q.last, _ = q.rows.FieldPos(0)
	return record, q.last, nil
}

// literal reads lines whose quotes are letters as others.
type literal struct {
	lines     *bufio.Scanner
	separator string
	line      int
}

// linesOf reads lines that are no longer than a row may be.
func linesOf(r io.Reader) *bufio.Scanner {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, mostRow)
	return lines
}

// lineError says why there is no next line; it is io.EOF at the end.
func lineError(lines *bufio.Scanner) error {
	switch err := lines.Err(); {
	case errors.Is(err, bufio.ErrTooLong):
		return fmt.Errorf("the line has more than %d bytes", mostRow)
	case err != nil:
		return err
	}
	return io.EOF
}

func (l *literal) read() ([]string, int, error) {
	for l.lines.Scan() {
		l.line++
		if line := l.lines.Text(); line != "" {
			return strings.Split(line, l.separator), l.line, nil
		}
	}
	return nil, l.line + 1, lineError(l.lines)
}

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

// unescaper writes the escapes \" and \\ within quoted cells as RFC 4180 has them.
type unescaper struct {
	r         *bufio.Reader
	separator byte
	inQuotes  bool
	before    byte // the last byte that was read outside of quotes
	pending   []byte
}

func (u *unescaper) Read(p []byte) (n int, err error) {
	for n < len(p) {
		if len(u.pending) > 0 {
			p[n] = u.pending[0]
			u.pending = u.pending[1:]
			n++
			continue
		}
		b, err := u.r.ReadByte()
		if err != nil {
			if n > 0 {
				return n, nil
			}
			return 0, err
		}
		switch {
		case u.inQuotes && b == '\\':
			next, err := u.r.ReadByte()
			switch {
			case err != nil:
				u.pending = []byte{}
			case next == '"':
				b, u.pending = '"', []byte{'"'}
			case next == '\\':
			default:
				u.pending = []byte{next}
			}
		case b == '"':
			// Outside of quotes one begins a cell, or is a letter as others.
			if u.inQuotes || u.before == 0 || u.before == '\n' || u.before == u.separator {
				u.inQuotes = !u.inQuotes
			}
		}
		if !u.inQuotes {
			u.before = b
		}
		p[n] = b
		n++
	}
	return n, nil
}

func (t *delimited) Columns() []string { return t.header }

func (t *delimited) Notes() []string { return t.notes }

func (t *delimited) Begin(places []int) error {
	t.places = slices.Clone(places)
	t.cells = make([]columnar.Cell, len(places))
	for i := range t.cells {
		t.cells[i].Values = make([]columnar.Value, 1)
	}
	return nil
}

func (t *delimited) Next() (bool, error) {
	record, line, err := t.rows.read()
	if errors.Is(err, io.EOF) {
		return false, nil
	}
	t.line = line
	if err == nil && len(record) != len(t.header) {
		err = csv.ErrFieldCount
	}
	if errors.Is(err, csv.ErrFieldCount) {
		err = fmt.Errorf("wrong number of fields: the header has %d", len(t.header))
	}
	if err != nil {
		return false, err
	}
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

func (t *delimited) Cell(i int) *columnar.Cell { return &t.cells[i] }

func (t *delimited) Place() string { return fmt.Sprintf("%s:%d", t.name, t.line) }

func (t *delimited) Close() { _ = t.file.Close() } // only read from
