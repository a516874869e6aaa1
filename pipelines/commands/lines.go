package commands

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
)

// foreign says what a file is whose first line is none of JSON lines, where that can be told; nil where it may be a bad line among
// good ones. It is asked once, so that a file in another form is one error, and not one a line.
func foreign(file string, first []byte) error {
	const due = "publish takes one JSON object a line (--help shows one)"
	const tables = "a table must be a file: give its name instead (columns by other names: --columns)"
	name := "standard input"
	if file != "" {
		name = filepath.Base(file)
	}
	switch {
	case bytes.HasPrefix(first, []byte("{")):
		return nil
	case bytes.HasPrefix(first, []byte("PAR1")):
		return fmt.Errorf("reading %q: it is a Parquet file, and %s: %s", name, due, tables)
	case bytes.HasPrefix(first, []byte("\x1f\x8b")), bytes.HasPrefix(first, []byte("\x28\xb5\x2f\xfd")),
		bytes.HasPrefix(first, []byte("PK\x03\x04")):
		return fmt.Errorf("reading %q: it is compressed, and %s: unpack it first", name, due)
	case bytes.HasPrefix(first, []byte("\xff\xfe")), bytes.HasPrefix(first, []byte("\xfe\xff")):
		return fmt.Errorf("reading %q: it is UTF-16, and %s, in UTF-8: convert it first", name, due)
	case bytes.HasPrefix(first, []byte("[")):
		return fmt.Errorf("reading %q: it is a JSON array, and %s: write its elements as lines, without brackets and commas", name, due)
	}
	if columns := header(file, first); columns != nil {
		return fmt.Errorf("reading %q: it is a table with the columns %s, and %s: %s", name, strings.Join(columns, ", "), due, tables)
	}
	return nil
}

// tableExtensions are those of tables in text.
var tableExtensions = []string{".csv", ".tsv"}

// wellKnown are columns by which a table is told whose file has another extension, or no name.
var wellKnown = []string{"event_id", "user_id", "item_id", "occurred_at", "title", "categories", "price"}

// header gives the columns of a table, quoted; nil where the line is no header.
func header(file string, line []byte) []string {
	named := slices.Contains(tableExtensions, strings.ToLower(filepath.Ext(file)))
	for _, comma := range []rune{',', '\t', ';'} {
		rows := csv.NewReader(bytes.NewReader(line))
		rows.Comma = comma
		columns, err := rows.Read()
		if err != nil || len(columns) < 2 {
			continue
		}
		known := slices.ContainsFunc(columns, func(c string) bool { return slices.Contains(wellKnown, strings.TrimSpace(c)) })
		if !named && !known {
			continue
		}
		const most = 12
		var quoted []string
		for _, c := range columns[:min(most, len(columns))] {
			quoted = append(quoted, fmt.Sprintf("%.40q", c))
		}
		if more := len(columns) - most; more > 0 {
			quoted = append(quoted, fmt.Sprintf("and %d more", more))
		}
		return quoted
	}
	return nil
}
