package tables

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/freshet/freshet/schemas"
)

// Options say how the tables of a folder are to be read, beside what a mapping says.
type Options struct {
	// Mapping says which files hold what; nil looks for tables of the usual names. Format is what people call it.
	Mapping *Mapping
	Format  string
	// Columns name columns, Values say what values mean, Times and Lists how moments and lists are written (FIELD or FILE.FIELD to what
	// parseClock takes, or a listForm).
	Columns      Columns
	Values       Values
	Times, Lists ForFields
	// Zone is where clocks stood that say none; empty is UTC.
	Zone string
	// Name gives an event its id that has none; nil calls it by its place, which is its own within the folder alone.
	Name func(e *schemas.Interaction, place func() string)
}

// Validate says which option makes no sense.
func (o *Options) Validate() error {
	if err := o.Columns.Validate(); err != nil {
		return fmt.Errorf("columns: %w", err)
	}
	if err := o.Values.Validate(); err != nil {
		return fmt.Errorf("map: %w", err)
	}
	if err := o.Times.validate("time", aTime); err != nil {
		return fmt.Errorf("times: %w", err)
	}
	for field, text := range o.Times {
		if _, err := parseClock(text); err != nil {
			return fmt.Errorf("times: %s=%s: %w", field, text, err)
		}
	}
	if err := o.Lists.validate("list", aList); err != nil {
		return fmt.Errorf("lists: %w", err)
	}
	for field, form := range o.Lists {
		if form == "" {
			return fmt.Errorf("lists: %s=: give json, python, duckdb, postgres, or what stands between elements", field)
		}
	}
	_, err := (&Source{Zone: o.Zone}).location()
	return err
}

// Folder is a folder of tables: of interactions and, perhaps, of items.
type Folder struct {
	limits              schemas.Limits
	interactions, items []*source
	told                *Binding
	format              string
	name                func(e *schemas.Interaction, place func() string)
	options             Options
	single              bool // one table alone is read
}

func byPlace(e *schemas.Interaction, place func() string) { e.EventID = place() }

func newFolder(options *Options, limits schemas.Limits) *Folder {
	f := &Folder{limits: limits, format: options.Format, name: options.Name, options: *options}
	if f.name == nil {
		f.name = byPlace
	}
	return f
}

// Open finds the files of a folder. Rows are held against limits, as records in the topics are.
func Open(dir string, options Options, limits schemas.Limits) (*Folder, error) {
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("checking how the tables are read: %w", err)
	}
	f := newFolder(&options, limits)
	mapping := options.Mapping
	var err error
	if mapping == nil {
		mapping, err = usualMapping(dir)
	}
	if err == nil {
		f.interactions, err = sourcesOf(dir, interactionsFile, mapping.Interactions, &options)
	}
	if err == nil {
		f.items, err = sourcesOf(dir, itemsFile, mapping.Items, &options)
	}
	if err != nil {
		return nil, fmt.Errorf("reading tables: %w", err)
	}
	if len(f.interactions) == 0 {
		return nil, fmt.Errorf("reading tables: %s has no file of interactions that is not optional", dir)
	}
	if len(f.items) == 0 {
		for key := range options.Columns {
			if strings.HasPrefix(key, itemsFile+".") {
				return nil, fmt.Errorf("reading tables: column %s=%s: %s has no items.csv or items.parquet", key, options.Columns[key], dir)
			}
		}
	}
	return f, nil
}

// OpenFile reads one file, or one folder of parts, as a table: of items, or of interactions.
func OpenFile(path string, items bool, options Options, limits schemas.Limits) (*Folder, error) {
	if err := options.Validate(); err != nil {
		return nil, fmt.Errorf("checking how the table is read: %w", err)
	}
	f := newFolder(&options, limits)
	f.single = true
	pattern := escapeGlob(filepath.Base(path))
	var err error
	if items {
		f.items, err = sourcesOf(filepath.Dir(path), itemsFile, []Source{{Files: []string{pattern}}}, &options)
	} else {
		f.interactions, err = sourcesOf(filepath.Dir(path), interactionsFile, []Source{{Files: []string{pattern}}}, &options)
	}
	if err != nil {
		return nil, fmt.Errorf("reading a table: %w", err)
	}
	return f, nil
}

// Holds tells whether a folder has a table of interactions of a usual name.
func Holds(dir string) bool {
	found, err := usualFiles(dir, interactionsFile)
	return err != nil && !errors.Is(err, os.ErrNotExist) || len(found) > 0
}

// usualMapping is that of a folder whose files are called interactions and items.
func usualMapping(dir string) (*Mapping, error) {
	if err := lakeAt(dir); err != nil {
		return nil, err
	}
	interactions, err := usualFiles(dir, interactionsFile)
	if err != nil {
		return nil, err
	}
	items, err := usualFiles(dir, itemsFile)
	if err != nil {
		return nil, err
	}
	if len(interactions) == 0 {
		return nil, fmt.Errorf("%s has neither interactions.csv nor interactions.parquet (nor .tsv, .jsonl, .avro, a folder interactions, or "+
			".csv.gz and the like): rename the file, or say with --mapping which one holds what", dir)
	}
	m := &Mapping{Interactions: []Source{{Files: escaped(interactions)}}}
	if len(items) > 0 {
		m.Items = []Source{{Files: escaped(items)}}
	}
	return m, nil
}

func escaped(names []string) []string {
	patterns := make([]string, len(names))
	for i, name := range names {
		patterns[i] = escapeGlob(name)
	}
	return patterns
}

func sourcesOf(dir, table string, specs []Source, options *Options) (sources []*source, err error) {
	for i := range specs {
		s := &source{table: table, spec: specs[i]}
		if s.parts, err = partsOf(dir, s.spec.Files, s.spec.Except); err != nil {
			return nil, err
		}
		if len(s.parts) == 0 {
			if s.spec.Optional {
				continue
			}
			return nil, fmt.Errorf("%s has no file %s", dir, strings.Join(s.spec.Files, ", "))
		}
		s.spec.refine(table, options)
		sources = append(sources, s)
	}
	return sources, nil
}

// refine puts what is told on the command line over what the mapping says.
func (s *Source) refine(table string, options *Options) {
	s.Columns, s.Times, s.Lists, s.Set = copied(s.Columns), copied(s.Times), copied(s.Lists), copied(s.Set)
	values := make(map[string]map[string]string, len(s.Values))
	for field, meanings := range s.Values {
		values[field] = copied(meanings)
	}
	s.Values = values
	for field := range fieldsOf(table) {
		if column, is := told(options.Columns, table, field); is {
			s.Columns[field] = Names{column}
			delete(s.Set, field)
		}
		if form, is := told(options.Times, table, field); is {
			s.Times[field] = form
		}
		if form, is := told(options.Lists, table, field); is {
			s.Lists[field] = form
		}
	}
	kinds := fieldsOf(table)
	for key, meaning := range options.Values {
		file, field, value, err := valueNamed(key)
		if _, has := kinds[field]; err != nil || !has || file != "" && file != table {
			continue
		}
		if s.Values[field] == nil {
			s.Values[field] = map[string]string{}
		}
		s.Values[field][value] = meaning
	}
	if options.Zone != "" {
		s.Zone = options.Zone
	}
}

func copied[V any](m map[string]V) map[string]V {
	if m == nil {
		return map[string]V{}
	}
	return maps.Clone(m)
}

// Survey looks at all rows, which finds out how columns are written, and refuses what makes no sense before a record is made of any.
// EachItem and EachInteraction begin with it where it was not done.
func (f *Folder) Survey(ctx context.Context) (*Binding, error) {
	if f.told != nil {
		return f.told, nil
	}
	told := &Binding{Format: f.format}
	both := newOverlap()
	for _, sources := range [][]*source{f.items, f.interactions} {
		for _, s := range sources {
			if err := s.survey(ctx, both); err != nil {
				return nil, err
			}
			s.told.Name, s.told.Files = s.parts[0].name, len(s.parts)
		}
	}
	for _, sources := range [][]*source{f.interactions, f.items} {
		for _, s := range sources {
			told.Tables = append(told.Tables, s.told)
		}
	}
	if len(f.items) > 0 && len(f.interactions) > 0 {
		var err error
		if told.Overlap, err = both.settle(); err != nil {
			return nil, fmt.Errorf("reading tables: %w", err)
		}
	}
	if err := f.idle(); err != nil {
		return nil, fmt.Errorf("reading tables: %w", err)
	}
	f.told = told
	return told, nil
}

// idle finds what was told of fields that no table has a column for, and values that no row has: a slip, more likely than not.
func (f *Folder) idle() error {
	for option, fields := range map[string]ForFields{"--times": f.options.Times, "--lists": f.options.Lists} {
		for _, key := range keysOf(fields) {
			if file, field, err := fieldNamed(key); err == nil && !f.reads(file, field) {
				return fmt.Errorf("%s tells of %s, for which there is no column: name it with --columns, or leave the option out", option, key)
			}
		}
	}
	for _, key := range keysOf(f.options.Columns) {
		if file, field, err := fieldNamed(key); err == nil && f.options.Columns[key] != "" && !f.reads(file, field) {
			return fmt.Errorf("--columns tells of %s, and there is no such table: leave it out", key)
		}
	}
	for _, key := range keysOf(f.options.Values) {
		file, field, value, err := valueNamed(key)
		switch {
		case err != nil:
		case !f.reads(file, field):
			return fmt.Errorf("--map tells of %s.%s, and there is no column for %s: name it with --columns, or leave the option out",
				field, value, field)
		case !f.saw(field, value):
			return fmt.Errorf("--map tells of %s.%s, and no row has that value: correct it, or leave it out", field, value)
		}
	}
	return nil
}

func (f *Folder) sources() []*source { return slices.Concat(f.interactions, f.items) }

// reads tells whether a field is read from a column of the file, of any file where it is not named.
func (f *Folder) reads(file, field string) bool {
	return f.elsewhere(field) || slices.ContainsFunc(f.sources(), func(s *source) bool {
		return (file == "" || file == s.table) && slices.ContainsFunc(s.readings, func(g *reading) bool {
			return g.field == field && g.fixed == nil
		})
	})
}

// saw tells whether some row has the value of the field.
func (f *Folder) saw(field, value string) bool {
	return f.elsewhere(field) || slices.ContainsFunc(f.sources(), func(s *source) bool {
		return slices.ContainsFunc(s.readings, func(g *reading) bool { return g.field == field && g.seen[value] })
	})
}

// elsewhere tells whether a field is one of the other table, where one is read alone.
func (f *Folder) elsewhere(field string) bool {
	_, is := fieldsOf(f.sources()[0].table)[field]
	return f.single && !is
}

// EachInteraction calls each for every interaction, in the order of the file. An event without an id is named by its place.
// each may keep what the record points to.
func (f *Folder) EachInteraction(ctx context.Context, each func(e *schemas.Interaction, order int64) error) error {
	if _, err := f.Survey(ctx); err != nil {
		return err
	}
	now := time.Now()
	for _, s := range f.interactions {
		err := eachRow(ctx, s, interactionFields, newInteraction, func(e *interaction, place func() string) error {
			if e.EventID == "" {
				f.name(&e.Interaction, place)
			}
			if err := f.limits.Interaction(&e.Interaction, now); err != nil {
				return err
			}
			return each(&e.Interaction, e.order)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// EachItem calls each for every item, in the order of the file; for none where there is no file.
func (f *Folder) EachItem(ctx context.Context, each func(*schemas.ItemChange) error) error {
	if _, err := f.Survey(ctx); err != nil {
		return err
	}
	now := time.Now()
	for _, s := range f.items {
		judged := func(i *schemas.ItemChange, _ func() string) error {
			if err := judgeItem(f.limits, i, now); err != nil {
				return err
			}
			return each(i)
		}
		if err := s.eachItem(ctx, judged); err != nil {
			return err
		}
	}
	return nil
}

// eachItem gives the items of the rows, or of several rows about one item the newest.
func (s *source) eachItem(ctx context.Context, each func(*schemas.ItemChange, func() string) error) error {
	if !s.spec.Newest {
		return eachRow(ctx, s, itemFields, newItem, each)
	}
	at := map[string]int{}
	var newest []schemas.ItemChange
	var places []string
	err := eachRow(ctx, s, itemFields, newItem, func(i *schemas.ItemChange, place func() string) error {
		known, again := at[i.ItemID]
		if !again {
			at[i.ItemID] = len(newest)
			newest, places = append(newest, *i), append(places, place())
		} else if !i.OccurredAt.Before(newest[known].OccurredAt) {
			newest[known], places[known] = *i, place()
		}
		return nil
	})
	for i := range newest {
		if err == nil {
			err = s.explain(places[i], each(&newest[i], func() string { return places[i] }))
		}
	}
	return err
}

// eachRow makes a record of each row.
func eachRow[T any](ctx context.Context, s *source, fields []field[T], fresh func() T, each func(*T, func() string) error) error {
	setters := make([]func(*T, *reading, *reader) (out bool, err error), len(s.readings))
	for i, g := range s.readings {
		for j := range fields {
			if fields[j].name == g.field {
				setters[i] = setter(&fields[j])
			}
		}
	}
	return s.each(ctx, func(r *reader) error {
		record := fresh()
		for i, g := range s.readings {
			out, err := setters[i](&record, g, r)
			if err != nil {
				return s.wrong(r, g, err)
			}
			if out {
				return nil
			}
		}
		return s.explain(r.place(), each(&record, r.place))
	})
}

func setter[T any](f *field[T]) func(*T, *reading, *reader) (bool, error) {
	return func(record *T, g *reading, r *reader) (out bool, err error) {
		c, out, err := g.cell(r)
		if out || err != nil {
			return out, err
		}
		if g.filled && isNull(c) {
			return false, bad(c, "give a value in each row")
		}
		err = f.set(record, c, g)
		if wrong, ok := errors.AsType[*schemas.InvalidError](err); ok {
			return false, &badCell{wrong.Value, wrong.Remedy}
		}
		return false, err
	}
}

// explain names the row, and the column that the limits object to.
func (s *source) explain(place string, err error) error {
	if wrong, is := errors.AsType[*schemas.InvalidError](err); is {
		return fmt.Errorf("reading %s: column %s is %s: %s", place, s.labelOf(wrong.Field), wrong.Value, wrong.Remedy)
	}
	if err != nil {
		return fmt.Errorf("reading %s: %w", place, err)
	}
	return nil
}

// labelOf names a field as label does. It may have more to it, such as tags[3].
func (s *source) labelOf(field string) string {
	name, rest, _ := strings.Cut(field, "[")
	for _, g := range s.readings {
		if g.field == name && g.label() != name {
			if rest != "" {
				return g.label() + " [" + rest
			}
			return g.label()
		}
	}
	return field
}
