package tables

import (
	"fmt"
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// Binding is what was found out about the tables of a folder, for people, and for the manifest of what is trained on them.
type Binding struct {
	// Format is the name of the format, or the mapping file; empty for tables of the usual names.
	Format string         `json:"format,omitempty"`
	Tables []TableBinding `json:"tables"`
	// Overlap is nil where there is no table of items.
	Overlap *Overlap `json:"overlap,omitempty"`
}

// TableBinding is how one table is read.
type TableBinding struct {
	Table string `json:"table"` // interactions or items
	// Name is that of the file, or of the folder or the first of several files; Files counts them.
	Name  string `json:"name"`
	Files int    `json:"files"`
	// Rows were read; LeftOutRows have a value that was said to mean nothing.
	Rows        int64          `json:"rows"`
	LeftOutRows int64          `json:"left_out_rows,omitempty"`
	Fields      []FieldBinding `json:"fields"`
	// Missing fields have no column, and columns LeftOut no field.
	Missing []string `json:"missing,omitempty"`
	LeftOut []string `json:"left_out,omitempty"`
	Notes   []string `json:"notes,omitempty"`
}

// FieldBinding is the column that became a field, and how its values are read.
type FieldBinding struct {
	Field  string `json:"field"`
	Column string `json:"column,omitempty"`
	How    string `json:"how,omitempty"`
}

// Overlap is how far the items of the interactions and those of the catalogue are the same.
type Overlap struct {
	// Items are in the table of items; Touched are those that some interaction names; Known of them are in the table.
	Items   int `json:"items"`
	Touched int `json:"touched"`
	Known   int `json:"known"`
	// Unknown and Untouched are examples of ids, where less than nine tenths are known or touched. Hint says how they would fit.
	Unknown   []string `json:"unknown,omitempty"`
	Untouched []string `json:"untouched,omitempty"`
	Hint      string   `json:"hint,omitempty"`
}

// Lines say the binding to people. Names of columns and values are others' texts: print them with care.
func (b *Binding) Lines() (lines []string) {
	for i := range b.Tables {
		lines = append(lines, b.Tables[i].lines()...)
	}
	if b.Overlap != nil {
		return append(lines, strings.Split(b.Overlap.String(), "\n")...)
	}
	if !slices.ContainsFunc(b.Tables, func(t TableBinding) bool { return t.Table == itemsFile }) {
		lines = append(lines, "no table of items: they have ids and nothing else")
	}
	return lines
}

func (t *TableBinding) lines() []string {
	name := fmt.Sprintf("%q", t.Name)
	if t.Files > 1 {
		name = fmt.Sprintf("%q and %d more files", t.Name, t.Files-1)
	}
	out := ""
	if t.LeftOutRows > 0 {
		out = fmt.Sprintf(", %s left out by --map", rows(t.LeftOutRows))
	}
	lines := []string{fmt.Sprintf("%s from %s, %s%s:", t.Table, name, rows(t.Rows), out)}
	fieldWidth, columnWidth := 0, 0
	columns := make([]string, len(t.Fields))
	for i, f := range t.Fields {
		columns[i] = fmt.Sprintf("%.60q", f.Column)
		if f.Column == "" {
			columns[i] = "-"
		}
		fieldWidth = max(fieldWidth, utf8.RuneCountInString(f.Field))
		columnWidth = max(columnWidth, utf8.RuneCountInString(columns[i]))
	}
	for i, f := range t.Fields {
		lines = append(lines, strings.TrimRight(fmt.Sprintf("  %-*s  %-*s  %s", fieldWidth, f.Field, columnWidth, columns[i], f.How), " "))
	}
	if len(t.Missing) > 0 {
		lines = append(lines, "  no column for "+strings.Join(t.Missing, ", "))
	}
	if len(t.LeftOut) > 0 {
		lines = append(lines, "  columns left out: "+shown(t.LeftOut))
	}
	for _, note := range t.Notes {
		lines = append(lines, "  "+note)
	}
	return lines
}

// String says the overlap in a line, or two with examples.
func (o *Overlap) String() string {
	line := fmt.Sprintf("%d of the %d items that interactions name are in the table of items (%s); "+
		"%d of its %d items have no interaction (%s)",
		o.Known, o.Touched, percent(o.Known, o.Touched), o.Items-o.Known, o.Items, percent(o.Items-o.Known, o.Items))
	if len(o.Unknown) > 0 {
		line += fmt.Sprintf("\n  interactions name %s, which the table of items lacks", shown(o.Unknown))
	}
	if len(o.Untouched) > 0 {
		line += fmt.Sprintf("\n  no interaction names %s of the table of items", shown(o.Untouched))
	}
	if o.Hint != "" {
		line += "\n  " + o.Hint
	}
	return line
}

// Differences say which fields are read from other columns than in earlier.
func (b *Binding) Differences(earlier *Binding) (lines []string) {
	then, now := earlier.columnsOf(), b.columnsOf()
	fields := maps.Clone(then)
	maps.Copy(fields, now)
	for _, field := range keysOf(fields) {
		if then[field] != now[field] {
			lines = append(lines, fmt.Sprintf("%s: %s then, %s now", field, orNoColumn(then[field]), orNoColumn(now[field])))
		}
	}
	return lines
}

func orNoColumn(columns string) string {
	if columns == "" {
		return "no column"
	}
	return columns
}

// columnsOf are the columns by TABLE.FIELD, for people; a value that is set for all rows is told by how.
func (b *Binding) columnsOf() map[string]string {
	all := map[string][]string{}
	for _, t := range b.Tables {
		for _, f := range t.Fields {
			column := fmt.Sprintf("%.60q", f.Column)
			if f.Column == "" {
				column = f.How
			}
			key := t.Table + "." + f.Field
			all[key] = append(all[key], column)
		}
	}
	joined := make(map[string]string, len(all))
	for key, columns := range all {
		slices.Sort(columns)
		joined[key] = strings.Join(slices.Compact(columns), ", ")
	}
	return joined
}

func percent(n, of int) string {
	if of == 0 {
		return "none"
	}
	return fmt.Sprintf("%.1f %%", 100*float64(n)/float64(of))
}

// overlap gathers it: 64 bits of each id, and which table has it.
type overlap struct {
	seed maphash.Seed
	ids  map[uint64]inTables
	// examples are the first ids of either table, of which those are kept that the other lacks.
	items, touched []string
}

type inTables uint8

const (
	inItems inTables = 1 << iota
	inInteractions
)

func newOverlap() *overlap { return &overlap{seed: maphash.MakeSeed(), ids: map[uint64]inTables{}} }

// mostExamples bounds the ids that are kept to find examples among them.
const mostExamples = 10_000

// see tells whether the table has had the id before.
func (o *overlap) see(table, id string) (again bool) {
	in, list := inItems, &o.items
	if table == interactionsFile {
		in, list = inInteractions, &o.touched
	}
	h := maphash.String(o.seed, id)
	was := o.ids[h]
	if was&in != 0 {
		return true
	}
	o.ids[h] = was | in
	if len(*list) < mostExamples {
		*list = append(*list, strings.Clone(id))
	}
	return false
}

func (o *overlap) has(table inTables, id string) bool {
	return o.ids[maphash.String(o.seed, id)]&table != 0
}

// few is the share of items below which examples are shown.
const few = 0.9

// settle counts, and refuses tables that have nothing in common.
func (o *overlap) settle() (*Overlap, error) {
	var r Overlap
	for _, in := range o.ids {
		if in&inItems != 0 {
			r.Items++
		}
		if in&inInteractions != 0 {
			r.Touched++
		}
		if in == inItems|inInteractions {
			r.Known++
		}
	}
	if float64(r.Known) < few*float64(r.Touched) {
		r.Unknown = examples(o.touched, func(id string) bool { return !o.has(inItems, id) })
		r.Hint = o.hint()
	}
	if float64(r.Known) < few*float64(r.Items) {
		r.Untouched = examples(o.items, func(id string) bool { return !o.has(inInteractions, id) })
	}
	if r.Known == 0 && r.Touched > 0 && r.Items > 0 {
		if r.Hint == "" {
			r.Hint = "name the columns that hold the same ids with --columns interactions.item_id=… and items.item_id=…"
		}
		return &r, fmt.Errorf("none of the %d items that interactions name is in the table of items, which has %d: "+
			"interactions name %s, the table of items has %s: %s", r.Touched, r.Items, shown(r.Unknown), shown(r.Untouched), r.Hint)
	}
	return &r, nil
}

func examples(ids []string, is func(string) bool) (found []string) {
	const most = 3
	for _, id := range ids {
		if len(found) < most && is(id) {
			found = append(found, id)
		}
	}
	return found
}

// hint looks for a way in which ids that differ would be the same.
func (o *overlap) hint() string {
	for _, way := range []struct {
		change func(string) string
		say    string
	}{
		{func(id string) string { return strings.TrimLeft(id, "0") }, "without zeros at the beginning: read and write them as text"},
		{strings.ToLower, "in lower case"},
		{strings.TrimSpace, "without spaces around them"},
		{func(id string) string { return id[strings.LastIndexAny(id, "/:#")+1:] }, "without what stands before the last / : or #"},
	} {
		plain := map[string]string{}
		for _, id := range o.items {
			plain[way.change(id)] = id
		}
		both := 0
		for _, id := range o.touched {
			if other, is := plain[way.change(id)]; is && other != id {
				both++
			}
		}
		if 10*both > len(o.touched) {
			return fmt.Sprintf("%d of the first %d would be the same %s", both, len(o.touched), way.say)
		}
	}
	return ""
}
