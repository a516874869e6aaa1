package tablefile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/freshet/freshet/pipelines/offline/columnar"
)

// jsonLines reads one JSON object a line. Its columns are the keys of all lines, in the order in which they first come.
type jsonLines struct {
	name    string
	file    io.Closer
	lines   *bufio.Scanner
	explode string
	paths   []string
	columns []string
	known   map[string]int // columns by name

	at    []int // for each column, where Begin was asked for it, or -1
	cells []columnar.Cell
	line  int
	part  int               // which element of the line is the row, from 1
	rest  []json.RawMessage // elements of the exploded list that are yet to come
}

func newJSONLines(name string, file io.Closer, text func() (io.Reader, error), how How) (Table, error) {
	t := &jsonLines{name: name, file: file, explode: how.Explode, paths: how.Paths, known: map[string]int{}}
	r, err := text()
	if err != nil {
		return nil, err
	}
	t.lines = linesOf(skipMark(r))
	if err := t.findColumns(); err != nil {
		return nil, err
	}
	if r, err = text(); err != nil {
		return nil, err
	}
	t.lines = linesOf(skipMark(r))
	t.line = 0
	return t, nil
}

// mostKeys bounds the columns: where keys are ids, each line has others.
const mostKeys = 10_000

// findColumns reads all of the file, since a key may come late.
func (t *jsonLines) findColumns() error {
	add := func(prefix string) func([]byte, json.RawMessage) error {
		return func(key []byte, value json.RawMessage) error {
			name := prefix + string(key)
			if err := t.addColumn(name); err != nil {
				return err
			}
			return t.eachPath(name, value, func(path string, _ json.RawMessage) error { return t.addColumn(path) })
		}
	}
	top, inner := add(""), add(t.explode+".")
	for {
		line, err := t.object()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err == nil {
			err = eachKey(line, func(key []byte, value json.RawMessage) error {
				if t.explode == "" || string(key) != t.explode {
					return top(key, value)
				}
				elements, err := t.elements(value)
				for _, e := range elements {
					if err == nil {
						err = eachKey(e, inner)
					}
				}
				return err
			})
		}
		if err != nil {
			return fmt.Errorf("line %d: %w", t.line, err)
		}
	}
}

func (t *jsonLines) addColumn(name string) error {
	if _, again := t.known[name]; again {
		return nil
	}
	if len(t.columns) == mostKeys {
		return fmt.Errorf("the lines have more than %d keys: give each line the same few", mostKeys)
	}
	t.known[name] = len(t.columns)
	t.columns = append(t.columns, name)
	return nil
}

// eachPath gives the values within the value of a column to which asked paths lead.
func (t *jsonLines) eachPath(column string, value json.RawMessage, each func(path string, value json.RawMessage) error) error {
	for _, path := range t.paths {
		keys, below := strings.CutPrefix(path, column+".")
		if !below {
			continue
		}
		if inner := within(value, strings.Split(keys, ".")); inner != nil {
			if err := each(path, inner); err != nil {
				return err
			}
		}
	}
	return nil
}

// within goes down by keys in valid JSON, and gives nil where there is no such key.
func within(value json.RawMessage, keys []string) json.RawMessage {
	for _, wanted := range keys {
		if value[0] != '{' {
			return nil
		}
		var inner json.RawMessage
		err := eachKey(value, func(key []byte, value json.RawMessage) error {
			if string(key) == wanted {
				inner = value
			}
			return nil
		})
		if err != nil || inner == nil {
			return nil
		}
		value = inner
	}
	return value
}

// elements are the objects of the exploded list.
func (t *jsonLines) elements(value json.RawMessage) (list []json.RawMessage, err error) {
	if err := json.Unmarshal(value, &list); err != nil {
		return nil, fmt.Errorf("%s is no list: give a list of objects", t.explode)
	}
	for _, e := range list {
		if len(e) == 0 || e[0] != '{' {
			return nil, fmt.Errorf("%s has an element that is no object: give a list of objects", t.explode)
		}
	}
	return list, nil
}

// object reads the next line that is not empty.
func (t *jsonLines) object() ([]byte, error) {
	for t.lines.Scan() {
		t.line++
		line := bytes.TrimSpace(t.lines.Bytes())
		if len(line) == 0 {
			continue
		}
		if line[0] != '{' {
			return nil, errors.New("it is no JSON object: give one object a line")
		}
		if !json.Valid(line) {
			return nil, fmt.Errorf("it is no JSON: %w", json.Unmarshal(line, new(json.RawMessage)))
		}
		return line, nil
	}
	t.line++
	return nil, lineError(t.lines)
}

// eachKey gives the keys and values of an object in valid JSON.
func eachKey(object []byte, each func(key []byte, value json.RawMessage) error) error {
	at := 1
	for {
		at = skipSpace(object, at)
		if object[at] == '}' {
			return nil
		}
		if object[at] == ',' {
			at = skipSpace(object, at+1)
		}
		end := skipString(object, at)
		key := object[at+1 : end-1]
		if bytes.IndexByte(key, '\\') >= 0 {
			var unescaped string
			if err := json.Unmarshal(object[at:end], &unescaped); err != nil {
				return err
			}
			key = []byte(unescaped)
		}
		at = skipSpace(object, skipSpace(object, end)+1) // behind the colon
		end = skipValue(object, at)
		if err := each(key, object[at:end:end]); err != nil {
			return err
		}
		at = end
	}
}

func skipSpace(b []byte, at int) int {
	for b[at] == ' ' || b[at] == '\t' || b[at] == '\r' || b[at] == '\n' {
		at++
	}
	return at
}

// skipString gives the end of the string that begins at.
func skipString(b []byte, at int) int {
	for at++; b[at] != '"'; at++ {
		if b[at] == '\\' {
			at++
		}
	}
	return at + 1
}

// skipValue gives the end of the value that begins at.
func skipValue(b []byte, at int) int {
	switch b[at] {
	case '"':
		return skipString(b, at)
	case '{', '[':
		for depth := 0; ; at++ {
			switch b[at] {
			case '"':
				at = skipString(b, at) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return at + 1
				}
			}
		}
	}
	for at < len(b) && !bytes.ContainsRune([]byte(",}] \t\r\n"), rune(b[at])) {
		at++
	}
	return at
}

func (t *jsonLines) Columns() []string { return t.columns }

func (t *jsonLines) Notes() []string { return nil }

func (t *jsonLines) Begin(places []int) error {
	t.at = slices.Repeat([]int{-1}, len(t.columns))
	for i, place := range places {
		t.at[place] = i
	}
	t.cells = make([]columnar.Cell, len(places))
	return nil
}

func (t *jsonLines) Next() (bool, error) {
	for len(t.rest) == 0 {
		line, err := t.object()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		for i := range t.cells {
			t.cells[i] = columnar.Cell{Values: append(t.cells[i].Values[:0], columnar.Value{})}
		}
		exploded := false
		t.part = 0
		err = eachKey(line, func(key []byte, value json.RawMessage) (err error) {
			if t.explode != "" && string(key) == t.explode {
				exploded = true
				// The line's bytes go with the next line; its elements are read before.
				t.rest, err = t.elements(value)
				return err
			}
			return t.fill("", key, value)
		})
		if err != nil {
			return false, err
		}
		if t.explode == "" {
			return true, nil
		}
		if !exploded {
			return false, fmt.Errorf("there is no %s: give a list of objects", t.explode)
		}
	}
	element := t.rest[0]
	t.rest = t.rest[1:]
	t.part++
	for name, column := range t.known {
		if i := t.at[column]; i >= 0 && len(name) > len(t.explode) && name[:len(t.explode)+1] == t.explode+"." {
			t.cells[i] = columnar.Cell{Values: append(t.cells[i].Values[:0], columnar.Value{})}
		}
	}
	return true, eachKey(element, func(key []byte, value json.RawMessage) error { return t.fill(t.explode+".", key, value) })
}

// fill sets the cells of a key, where they are asked for.
func (t *jsonLines) fill(prefix string, key []byte, value json.RawMessage) error {
	if len(t.paths) > 0 {
		if err := t.eachPath(prefix+string(key), value, t.set); err != nil {
			return err
		}
	}
	if place, known := t.known[string(key)]; prefix == "" && known && t.at[place] < 0 { // most keys, and no copy of their names
		return nil
	}
	return t.set(prefix+string(key), value)
}

func (t *jsonLines) set(column string, value json.RawMessage) error {
	place, known := t.known[column]
	if !known || t.at[place] < 0 {
		return nil
	}
	cell, err := cellOf(value)
	if err != nil {
		return fmt.Errorf("%s: %w", column, err)
	}
	t.cells[t.at[place]] = cell
	return nil
}

// cellOf makes a cell of valid JSON: of a plain value, or of a list or an object of plain values.
func cellOf(value json.RawMessage) (cell columnar.Cell, err error) {
	switch value[0] {
	case '[':
		var elements []json.RawMessage
		if err := json.Unmarshal(value, &elements); err != nil {
			return cell, err
		}
		cell.Shape = columnar.List
		for _, e := range elements {
			v, err := valueOf(e)
			if err != nil {
				return cell, err
			}
			cell.Values = append(cell.Values, v)
		}
		return cell, nil
	case '{':
		cell.Shape = columnar.Map
		return cell, eachKey(value, func(key []byte, value json.RawMessage) error {
			v, err := valueOf(value)
			if errors.Is(err, errNested) {
				err = errWithin
			}
			cell.Keys = append(cell.Keys, columnar.Value{Kind: columnar.Text, Text: bytes.Clone(key)})
			cell.Values = append(cell.Values, v)
			return err
		})
	}
	v, err := valueOf(value)
	cell.Values = []columnar.Value{v}
	return cell, err
}

var (
	errNested = errors.New("it holds a list or an object within: give plain values, or leave the field out with --columns FIELD=")
	errWithin = errors.New("it is an object that holds a list or an object: name what lies within with --columns FIELD=KEY.KEY, or " +
		"leave the field out with --columns FIELD=")
)

func valueOf(value json.RawMessage) (columnar.Value, error) {
	switch value[0] {
	case 'n':
		return columnar.Value{}, nil
	case 't':
		return columnar.Value{Kind: columnar.Bool, Int: 1}, nil
	case 'f':
		return columnar.Value{Kind: columnar.Bool}, nil
	case '"':
		var s string
		if err := json.Unmarshal(value, &s); err != nil {
			return columnar.Value{}, err
		}
		if s == "" { // as an empty cell of other text
			return columnar.Value{}, nil
		}
		return columnar.Value{Kind: columnar.Text, Text: []byte(s)}, nil
	case '[', '{':
		return columnar.Value{}, errNested
	}
	if n, err := strconv.ParseInt(string(value), 10, 64); err == nil {
		return columnar.Value{Kind: columnar.Int, Int: n}, nil
	}
	if !bytes.ContainsAny(value, ".eE") { // a whole number of more than 64 bits, as it stands
		return columnar.Value{Kind: columnar.Text, Text: bytes.Clone(value)}, nil
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil {
		return columnar.Value{}, fmt.Errorf("the number %s is too large", value)
	}
	return columnar.Value{Kind: columnar.Float, Float: f}, nil
}

func (t *jsonLines) Cell(i int) *columnar.Cell { return &t.cells[i] }

// Place says which element of the list that is exploded the row is, but for the first: a line is no name of a row.
func (t *jsonLines) Place() string {
	if t.part > 1 {
		return fmt.Sprintf("%s:%d#%d", t.name, t.line, t.part)
	}
	return fmt.Sprintf("%s:%d", t.name, t.line)
}

func (t *jsonLines) Close() { _ = t.file.Close() } // only read from
