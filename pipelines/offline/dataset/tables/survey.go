package tables

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/freshet/freshet/pipelines/offline/columnar"
	"github.com/freshet/freshet/pipelines/offline/dataset/tablefile"
	"github.com/freshet/freshet/schemas"
)

// source is a table of a folder: its files, and how they are read.
type source struct {
	table    string
	spec     Source
	parts    []part
	readings []*reading
	columns  []string // that are read
	pivoted  *pivoted
	local    map[string]bool // columns whose times are a wall clock's, in any part
	told     TableBinding
}

// survey looks at every row before a record is made of any: a column has one form, and what makes no sense is told before anything
// is trained or published.
func (s *source) survey(ctx context.Context, overlap *overlap) error {
	has, notes, err := s.open()
	if err != nil {
		return err
	}
	s.told = TableBinding{Table: s.table, Notes: notes}
	if err := s.bind(has); err != nil {
		return err
	}
	// Where rows have versions they are changes; of several about one item the highest holds, for whoever keeps one.
	once := !s.spec.Newest && !slices.ContainsFunc(s.readings, func(g *reading) bool { return g.field == "version" })
	surveys := make([]*fieldSurvey, len(s.readings))
	for i, g := range s.readings {
		surveys[i] = newFieldSurvey(g, s.table)
	}
	cells := make([]*columnar.Cell, 0, len(s.readings))
	err = s.each(ctx, func(r *reader) error {
		cells = cells[:0] // at first all: a row that is left out says nothing of its columns
		for _, g := range s.readings {
			c, out, err := g.cell(r)
			if err != nil {
				return s.wrong(r, g, err)
			}
			if out {
				s.told.LeftOutRows++
				return nil
			}
			cells = append(cells, c)
		}
		s.told.Rows++
		for i, g := range s.readings {
			if err := surveys[i].see(cells[i], r); err != nil {
				return s.wrong(r, g, err)
			}
			if g.field != "item_id" {
				continue
			}
			id, err := textOf(cells[i])
			if err == nil && overlap.see(s.table, id) && s.table == itemsFile && once {
				err = fmt.Errorf("%s a second time: give each item once, as it is now, or a column version", schemas.Quote(id))
			}
			if err != nil {
				return s.wrong(r, g, err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for i, g := range s.readings {
		how, err := surveys[i].settle()
		if err != nil {
			return fmt.Errorf("reading %s: column %s: %w%s", s.name(), g.label(), err, g.wayOut(s.table))
		}
		s.tell(g, how)
		s.told.Notes = append(s.told.Notes, surveys[i].notes...)
	}
	return nil
}

// name is what people call the source.
func (s *source) name() string {
	if len(s.parts) == 1 {
		return s.parts[0].name
	}
	first, _, below := strings.Cut(s.parts[0].name, "/")
	if !below {
		first = s.parts[0].name
	}
	return fmt.Sprintf("%s (%d files)", first, len(s.parts))
}

func (s *source) wrong(r *reader, g *reading, err error) error {
	return fmt.Errorf("reading %s: column %s is %w%s", r.place(), g.label(), err, g.wayOut(s.table))
}

// wayOut is a remedy for a column that was not told, and may be something else than the field.
func (g *reading) wayOut(table string) string {
	if g.by == byOption || g.fixed != nil || requiredIn(table, g.field) {
		return ""
	}
	return fmt.Sprintf("; if the column is something else, leave it out with --columns %s=", g.field)
}

// label names a column, and the field where that is called otherwise.
func (g *reading) label() string {
	if len(g.columns) == 1 && g.columns[0] != g.field {
		return g.columns[0] + " (" + g.field + ")"
	}
	return g.field
}

// open gives the names of all columns of all parts, and takes away parts that are empty.
func (s *source) open() (has []string, notes []string, err error) {
	var kept []part
	seen := map[string]bool{}
	for i := range s.parts {
		p := &s.parts[i]
		r, err := openReader(&s.spec, p)
		if errors.Is(err, tablefile.ErrEmpty) && len(s.parts) > 1 {
			continue
		}
		if err != nil {
			return nil, nil, fmt.Errorf("reading %s: %w", p.name, err)
		}
		for _, name := range r.names {
			if !seen[name] {
				seen[name] = true
			} else if i > 0 {
				continue
			}
			has = append(has, name) // twice of the first part, where it has it twice
		}
		s.seeLocal(r.table)
		for _, note := range r.table.Notes() {
			if !slices.Contains(notes, note) {
				notes = append(notes, note)
			}
		}
		r.close()
		kept = append(kept, *p)
	}
	if len(kept) == 0 {
		return nil, nil, fmt.Errorf("reading %s: none of its %d files has a line", s.table, len(s.parts))
	}
	s.parts = kept
	if p := s.spec.Pivot; p != nil {
		if s.pivoted == nil {
			if s.pivoted, err = s.pivot(p, has); err != nil {
				return nil, nil, err
			}
		}
		has = s.pivoted.names
	}
	return has, notes, nil
}

// seeLocal keeps which columns have times without a zone by their type.
func (s *source) seeLocal(t tablefile.Table) {
	typed, is := t.(tablefile.Typed)
	if !is {
		return
	}
	if s.local == nil {
		s.local = map[string]bool{}
	}
	for _, name := range t.Columns() {
		if about, local := typed.Type(name); local || about == "date" {
			s.local[name] = true
		}
	}
}

func (s *source) bind(has []string) error {
	required := func(field string) bool {
		_, fixed := s.spec.Set[field]
		return !fixed && (field == "item_id" || s.table == interactionsFile && (field == "user_id" || field == "occurred_at"))
	}
	bounds, err := bind(s.table, s.spec.Columns, has, required)
	if err != nil {
		return fmt.Errorf("reading %s: %w", s.name(), err)
	}
	s.readings, s.columns = nil, nil
	kinds := fieldsOf(s.table)
	used := map[string]bool{}
	for _, b := range bounds {
		g := &reading{
			bound: b, kind: kinds[b.field], filled: isFilled(s.table, b.field), values: s.spec.Values[b.field], seen: map[string]bool{},
		}
		if fixed, is := s.spec.Set[b.field]; is {
			cell := textCell(fixed)
			g.fixed, g.columns = &cell, nil
		} else if len(b.columns) == 0 && b.field == orderField {
			continue
		} else if len(b.columns) == 0 {
			s.told.Missing = append(s.told.Missing, missing(b))
			continue
		}
		for _, c := range g.columns {
			used[c] = true
			at := slices.Index(s.columns, c)
			if at < 0 {
				at = len(s.columns)
				s.columns = append(s.columns, c)
			}
			g.at = append(g.at, at)
		}
		g.clock.wall = len(g.columns) == 1 && s.local[g.columns[0]]
		if err := g.prepare(&s.spec); err != nil {
			return fmt.Errorf("reading %s: %w", s.name(), err)
		}
		s.readings = append(s.readings, g)
	}
	for _, name := range has {
		if !used[name] {
			s.told.LeftOut = append(s.told.LeftOut, name)
		}
	}
	s.rate(bounds)
	return nil
}

func missing(b bound) string {
	if b.why != "" {
		return b.field + " (" + b.why + ")"
	}
	return b.field
}

// prepare takes what the source says of times and lists.
func (g *reading) prepare(spec *Source) (err error) {
	if text, is := spec.Times[g.field]; is {
		wall := g.clock.wall
		if g.clock, err = parseClock(text); err != nil {
			return err
		}
		g.clock.wall = wall
	}
	if g.clock.zone, err = spec.location(); err != nil {
		return err
	}
	g.lists = listForm(spec.Lists[g.field])
	if g.lists == "" && g.kind == aList && len(g.columns) > 0 && strings.HasSuffix(g.columns[0], ":token_seq") {
		g.lists = " "
	}
	return nil
}

// rate has events count as views where no column says what they were, or as ratings where one says how many stars they gave.
func (s *source) rate(bounds []bound) {
	if s.table != interactionsFile || slices.ContainsFunc(s.readings, func(g *reading) bool { return g.field == "type" }) {
		return
	}
	always := schemas.View
	for _, b := range bounds {
		if b.field == "value" && b.by != byName && len(b.columns) == 1 &&
			slices.Contains(synonyms[interactionsFile]["value"], plainName(b.columns[0])) {
			always = schemas.Rating
		}
	}
	cell := textCell(always.String())
	s.readings = append(s.readings, &reading{bound: bound{field: "type"}, kind: aSymbol, filled: true, fixed: &cell})
	s.told.Missing = slices.DeleteFunc(s.told.Missing, func(field string) bool {
		return field == "type" || strings.HasPrefix(field, "type (")
	})
}

func isFilled(table, field string) bool {
	if table == interactionsFile {
		return slices.ContainsFunc(interactionFields, func(f fieldOfInteraction) bool { return f.name == field && f.filled })
	}
	return slices.ContainsFunc(itemFields, func(f fieldOfItem) bool { return f.name == field && f.filled })
}

type (
	fieldOfInteraction = field[interaction]
	fieldOfItem        = field[schemas.ItemChange]
)

// each goes over all rows of all parts.
func (s *source) each(ctx context.Context, row func(*reader) error) error {
	parts := s.parts
	if s.pivoted != nil {
		parts = parts[:1]
	}
	for i := range parts {
		if err := s.eachOf(ctx, &parts[i], row); err != nil {
			return err
		}
	}
	return nil
}

func (s *source) eachOf(ctx context.Context, p *part, row func(*reader) error) error {
	r, err := s.reader(p)
	if err != nil {
		return fmt.Errorf("reading %s: %w", p.name, err)
	}
	defer r.close()
	if err := r.begin(p, s.columns); err != nil {
		return fmt.Errorf("reading %s: %w", p.name, err)
	}
	for _, g := range s.readings {
		if g.filled && len(g.columns) == 1 && !slices.Contains(r.names, g.columns[0]) {
			return fmt.Errorf("reading %s: it has no column %q (%s), which other parts have: it has %s",
				p.name, g.columns[0], g.field, shown(r.names))
		}
	}
	for rows := 0; ; rows++ {
		if rows%1024 == 0 && ctx.Err() != nil {
			return fmt.Errorf("reading %s: %w", p.name, context.Cause(ctx))
		}
		more, err := r.next()
		if err != nil {
			return fmt.Errorf("reading %s: %w", r.place(), err)
		}
		if !more {
			return nil
		}
		if err := row(r); err != nil {
			return err
		}
	}
}

func (s *source) reader(p *part) (*reader, error) {
	if s.pivoted != nil {
		return &reader{table: s.pivoted.again(), spec: &s.spec, names: s.pivoted.names, parts: -1}, nil
	}
	return openReader(&s.spec, p)
}

// tell keeps how a field is read, for people.
func (s *source) tell(g *reading, how string) {
	b := FieldBinding{Field: g.field, Column: strings.Join(g.columns, " and "), How: how}
	if g.by == byCase || g.by == bySense {
		b.How = strings.TrimPrefix(b.How+"; "+g.by, "; ")
	}
	if g.fixed != nil {
		b.Column, b.How = "", "always "+string(g.fixed.Values[0].Text)
	}
	s.told.Fields = append(s.told.Fields, b)
}

// fieldSurvey is what all values of a field have in common.
type fieldSurvey struct {
	*reading
	times *timeSurvey
	list  listSurvey
	ids   idSurvey
	// symbols counts the values of a type or an op; odd says where those first stood that are none.
	symbols map[string]int64
	odd     map[string]string
	known   func(string) error
	missing map[string]int64
	notes   []string
}

func newFieldSurvey(g *reading, table string) *fieldSurvey {
	f := &fieldSurvey{reading: g, missing: map[string]int64{}}
	switch {
	case g.kind == aTime && g.clock.form == 0:
		f.times = &timeSurvey{field: g.field, old: g.field == "published_at", clock: g.clock}
	case g.kind == aSymbol:
		f.symbols, f.odd = map[string]int64{}, map[string]string{}
		f.known = func(s string) error {
			if table == interactionsFile {
				_, err := schemas.ParseInteractionType(symbolOf(s))
				return err
			}
			_, err := schemas.ParseItemOp(symbolOf(s))
			return err
		}
	}
	return f
}

// mostSymbols bounds how many values of a type are told apart: a column with more is none.
const mostSymbols = 1000

func (f *fieldSurvey) see(c *columnar.Cell, r *reader) error {
	if f.fixed == nil && len(f.at) == 1 {
		f.countMissing(r.raw(f.at[0]))
	}
	if isNull(c) {
		if f.filled {
			raw := r.raw(f.at[0])
			return bad(raw, "give a value in each row%s", leaveOut(f.field, raw))
		}
		return nil
	}
	switch f.kind {
	case anID:
		return f.ids.see(f.field, c, r.place)
	case aTime:
		v := scalar(c)
		if f.times != nil {
			return f.times.see(&v, show(c), r.place)
		}
		if _, ok := f.clock.moment(&v); !ok {
			return bad(c, "it is not in the form that --times tells")
		}
	case aList:
		f.seeLists(r)
	case aSymbol:
		return f.seeSymbol(c, r)
	}
	return nil
}

// seeLists looks at the texts of all columns of the field.
func (f *fieldSurvey) seeLists(r *reader) {
	if f.lists != "" {
		return
	}
	for _, at := range f.at {
		c := r.cell(at)
		if c.Shape != columnar.Scalar || isNull(c) {
			continue
		}
		if text, err := textOf(c); err == nil {
			f.list.see(text, r.place)
		}
	}
}

// leaveOut is a remedy for words that mean that there is no value.
func leaveOut(field string, c *columnar.Cell) string {
	v := scalar(c)
	if v.Kind == columnar.Null || v.Kind == columnar.Text && isNoValue(v.Text) {
		return fmt.Sprintf(", or leave out the rows that have none with --map '%s.%s='", field, v.Text)
	}
	return ""
}

func (f *fieldSurvey) countMissing(c *columnar.Cell) {
	switch v := scalar(c); {
	case v.Kind == columnar.Float && v.Float != v.Float:
		f.missing["NaN"]++
	case v.Kind == columnar.Text && isNoValue(v.Text):
		f.missing[string(v.Text)]++
	}
}

func (f *fieldSurvey) seeSymbol(c *columnar.Cell, r *reader) error {
	text, err := textOf(c)
	if err != nil {
		return err
	}
	if _, seen := f.symbols[text]; !seen {
		if len(f.symbols) == mostSymbols {
			return bad(c, "the column has more than %d different values: is it a %s? Leave it out with --columns %s=",
				mostSymbols, f.field, f.field)
		}
		if f.known(text) != nil {
			f.odd[text] = r.place()
		}
	}
	f.symbols[text]++
	return nil
}

// settle keeps in the reading what was found out, and says it for people.
func (f *fieldSurvey) settle() (how string, err error) {
	switch f.kind {
	case aTime:
		how, err = f.settleTime()
	case aList:
		how, err = f.settleList()
	case aSymbol:
		how, err = f.settleSymbols()
	case anID:
		err = f.ids.settle()
	}
	if err != nil {
		return "", err
	}
	for _, word := range slices.Sorted(maps.Keys(f.missing)) {
		n := f.missing[word]
		switch f.kind {
		case aNumber, anInteger, aBoolean, aTime:
			f.notes = append(f.notes, fmt.Sprintf("%s: %s in %s is no value", f.label(), word, rows(n)))
		case aText, aList:
			if word == noValue {
				f.notes = append(f.notes, fmt.Sprintf("%s: %s in %s is no value", f.label(), word, rows(n)))
			} else {
				f.notes = append(f.notes, fmt.Sprintf("%s: %q in %s is taken as text: if it means none, say --map '%s.%s='", f.label(), word,
					rows(n), f.field, word))
			}
		}
	}
	return how, nil
}

func rows(n int64) string {
	if n == 1 {
		return "1 row"
	}
	return fmt.Sprintf("%d rows", n)
}

func (f *fieldSurvey) settleTime() (string, error) {
	told := " (told)"
	if f.times != nil {
		c, err := f.times.settle(f.field)
		if err != nil {
			return "", err
		}
		f.clock, told = c, ""
		if f.times.n == 0 {
			return "no values", nil
		}
	}
	how := f.clock.form.String() + told
	if f.clock.form == stamped && f.clock.wall {
		how += " without a zone, in " + f.clock.location().String()
	}
	if f.clock.form.needsZone() {
		how += ", in " + f.clock.location().String()
	}
	return how, nil
}

func (f *fieldSurvey) settleList() (string, error) {
	if f.lists == "" && f.list.n > 0 {
		form, note, err := f.list.settle(f.field)
		if err != nil {
			return "", err
		}
		f.lists = form
		if note != "" {
			f.notes = append(f.notes, f.label()+": "+note)
		}
	}
	if f.lists != "" {
		return f.lists.said(), nil
	}
	return "", nil
}

// usualTypes are what events are called elsewhere, for a hint.
var usualTypes = map[string]string{
	"addtocart": "add_to_cart", "add2cart": "add_to_cart", "cart": "add_to_cart", "carts": "add_to_cart", "basket": "add_to_cart",
	"transaction": "purchase", "transactions": "purchase", "buy": "purchase", "order": "purchase", "orders": "purchase", "sale": "purchase",
	"clicks": "click", "pv": "view", "pageview": "view", "detail": "view", "viewitem": "view", "fav": "like",
	"show": "impression", "exposure": "impression", "impressions": "impression", "stars": "rating", "review": "rating",
}

func (f *fieldSurvey) settleSymbols() (string, error) {
	if len(f.odd) > 0 {
		var odd []string
		maps := ""
		for _, value := range byCount(f.symbols) {
			place, is := f.odd[value]
			if !is {
				continue
			}
			if len(odd) == 0 {
				meaning := cmp.Or(usualTypes[plainName(value)], "view")
				if f.field != "type" {
					meaning = "upsert"
				}
				maps = fmt.Sprintf("--map '%s.%s=%s'", f.field, value, meaning)
			}
			if len(odd) < 20 {
				odd = append(odd, fmt.Sprintf("%s in %s (first at %s)", schemas.Quote(value), rows(f.symbols[value]), place))
			}
		}
		return "", fmt.Errorf("%d of its values are not known: %s: %w; say what each means with %s, or leave such rows out with "+
			"nothing behind the =", len(f.odd), strings.Join(odd, ", "), remedyOf(f.known("")), maps)
	}
	counted := map[string]int64{}
	for value, n := range f.symbols {
		counted[symbolOf(value)] += n
	}
	var counts []string
	for _, value := range byCount(counted) {
		counts = append(counts, fmt.Sprintf("%s %d", value, counted[value]))
	}
	return strings.Join(counts, ", "), nil
}

// remedyOf is what an error advises.
func remedyOf(err error) error {
	if wrong, is := errors.AsType[*schemas.InvalidError](err); is {
		return errors.New(wrong.Remedy)
	}
	return err
}

func byCount(counts map[string]int64) []string {
	return slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	})
}

// idSurvey looks for ids that went through a number: then they are others than those of the catalogue, and of production.
type idSurvey struct {
	words      bool // some id is no number
	odd, where string
	n, odds    int64
}

var throughFloat = regexp.MustCompile(`^-?\d+(\.0+|(\.\d+)?[eE]\+?\d+)$`)

func (s *idSurvey) see(field string, c *columnar.Cell, place func() string) error {
	v := scalar(c)
	if v.Kind != columnar.Text {
		return nil
	}
	text := v.Text
	s.n++
	switch {
	case isNoValue(text):
		return bad(c, "it is no id but says that there is none: give one%s", leaveOut(field, c))
	case len(bytes.TrimSpace(text)) != len(text):
		return bad(c, "it has a space at its beginning or end: write it without")
	case digitsOnly(text):
	case throughFloat.Match(text):
		s.odds++
		if s.odd == "" {
			s.odd, s.where = string(text), place()
		}
	default:
		s.words = true
	}
	return nil
}

func digitsOnly(text []byte) bool {
	for _, b := range text {
		if b < '0' || b > '9' {
			return false
		}
	}
	return true
}

// settle knows all ids. Among words, few that look like such a number are words, too: 1e7 is hexadecimal.
func (s *idSurvey) settle() error {
	if s.odd == "" || s.words && 2*s.odds < s.n {
		return nil
	}
	return fmt.Errorf("%q at %s is a whole number that went through a floating one, which a column with a gap becomes in pandas: "+
		"no such id is in the catalogue; write whole numbers (pandas: astype('Int64')) or texts", s.odd, s.where)
}
