package tables

import (
	"strings"
	"time"

	"github.com/freshet/freshet/pipelines/offline/columnar"
	"github.com/freshet/freshet/schemas"
)

// kind is what a field holds, and so what is looked at in all of its column before a record is made of it.
type kind uint8

const (
	aText kind = iota
	anID
	aNumber
	anInteger
	aBoolean
	aTime
	aList
	aMap
	aSymbol // one of the names of a type or an op
)

// field is a column of a table of records T.
type field[T any] struct {
	name string
	kind kind
	// required columns must be there.
	required bool
	// filled columns have a value in every row, where they are there.
	filled bool
	// set puts what a cell has into the record; how is what the survey found out of the column.
	set func(record *T, cell *columnar.Cell, how *reading) error
}

// interaction is a row of that table.
type interaction struct {
	schemas.Interaction
	// order parts events of one moment, where the table has a column for it.
	order int64
}

var interactionFields = []field[interaction]{
	{name: "event_id", kind: aText, set: text(func(e *interaction) *string { return &e.EventID })},
	{name: "user_id", kind: anID, required: true, filled: true, set: text(func(e *interaction) *string { return &e.UserID })},
	{name: "item_id", kind: anID, required: true, filled: true, set: text(func(e *interaction) *string { return &e.ItemID })},
	{name: "type", kind: aSymbol, filled: true, set: setType},
	{name: "value", kind: aNumber, set: number(func(e *interaction) **float64 { return &e.Value })},
	{name: "occurred_at", kind: aTime, required: true, filled: true, set: moment(func(e *interaction) *time.Time { return &e.OccurredAt })},
	{name: "request_id", kind: aText, set: text(func(e *interaction) *string { return &e.RequestID })},
	{name: "surface", kind: aText, set: text(func(e *interaction) *string { return &e.Surface })},
	{name: "context", kind: aMap, set: entries(func(e *interaction) *map[string]string { return &e.Context })},
	{name: orderField, kind: anInteger, filled: true, set: integer(func(e *interaction, v int64) { e.order = v }, -maxInt64, maxInt64)},
}

// orderField is no field of a record: its column parts rows of one moment. It is found by the name that the writer gives it, and told
// else: a shop's column called order is something else.
const (
	orderField  = "order"
	orderColumn = "freshet_order"
)

var itemFields = []field[schemas.ItemChange]{
	{name: "item_id", kind: anID, required: true, filled: true, set: text(func(c *schemas.ItemChange) *string { return &c.ItemID })},
	{name: "op", kind: aSymbol, set: setOp},
	{name: "version", kind: anInteger, set: integer(func(c *schemas.ItemChange, v int64) { c.Version = v }, 1, maxInt64)},
	{name: "occurred_at", kind: aTime, set: moment(func(c *schemas.ItemChange) *time.Time { return &c.OccurredAt })},
	{name: "title", kind: aText, set: text(func(c *schemas.ItemChange) *string { return &c.Title })},
	{name: "description", kind: aText, set: setDescription},
	{name: "categories", kind: aList, set: texts(func(c *schemas.ItemChange) *[]string { return &c.Categories })},
	{name: "tags", kind: aList, set: texts(func(c *schemas.ItemChange) *[]string { return &c.Tags })},
	{name: "brand", kind: aText, set: text(func(c *schemas.ItemChange) *string { return &c.Brand })},
	{name: "price", kind: aNumber, set: number(func(c *schemas.ItemChange) **float64 { return &c.Price })},
	{name: "currency", kind: aText, set: text(func(c *schemas.ItemChange) *string { return &c.Currency })},
	{name: "available", kind: aBoolean, set: setAvailable},
	{name: "regions", kind: aList, set: texts(func(c *schemas.ItemChange) *[]string { return &c.Regions })},
	{name: "published_at", kind: aTime, set: moment(func(c *schemas.ItemChange) *time.Time { return &c.PublishedAt })},
	{name: "min_age", kind: anInteger, set: integer(func(c *schemas.ItemChange, v int64) { c.MinAge = int32(v) }, 0, maxInt32)},
	{name: "attributes", kind: aMap, set: entries(func(c *schemas.ItemChange) *map[string]string { return &c.Attributes })},
}

// newInteraction is what a row without optional columns is.
func newInteraction() interaction {
	return interaction{Interaction: schemas.Interaction{Type: schemas.View}}
}

// newItem is what a row without optional columns is. Nothing is known of the time of its change.
func newItem() schemas.ItemChange {
	return schemas.ItemChange{Op: schemas.UpsertItem, Version: 1, Available: true}
}

// setDescription takes paragraphs, too.
func setDescription(i *schemas.ItemChange, c *columnar.Cell, how *reading) error {
	if c.Shape != columnar.List {
		return text(func(i *schemas.ItemChange) *string { return &i.Description })(i, c, how)
	}
	paragraphs, err := textsOf(c, "")
	i.Description = strings.Join(paragraphs, "\n")
	return err
}

func setType(e *interaction, c *columnar.Cell, _ *reading) (err error) {
	s, err := textOf(c)
	if err != nil {
		return err
	}
	if e.Type, err = schemas.ParseInteractionType(symbolOf(s)); err != nil {
		return err
	}
	return nil
}

func setOp(i *schemas.ItemChange, c *columnar.Cell, _ *reading) (err error) {
	if isNull(c) {
		return nil
	}
	s, err := textOf(c)
	if err != nil {
		return err
	}
	i.Op, err = schemas.ParseItemOp(symbolOf(s))
	return err
}

func setAvailable(i *schemas.ItemChange, c *columnar.Cell, _ *reading) (err error) {
	if isNull(c) {
		return nil
	}
	i.Available, err = booleanOf(c)
	return err
}

func text[T any](of func(*T) *string) func(*T, *columnar.Cell, *reading) error {
	return func(record *T, c *columnar.Cell, _ *reading) (err error) {
		if !isNull(c) {
			*of(record), err = textOf(c)
		}
		return err
	}
}

func number[T any](of func(*T) **float64) func(*T, *columnar.Cell, *reading) error {
	return func(record *T, c *columnar.Cell, _ *reading) error {
		if isNull(c) {
			return nil
		}
		v, err := numberOf(c)
		*of(record) = &v
		return err
	}
}

func integer[T any](put func(*T, int64), least, most int64) func(*T, *columnar.Cell, *reading) error {
	return func(record *T, c *columnar.Cell, _ *reading) error {
		if isNull(c) {
			return nil
		}
		v, err := integerOf(c, least, most)
		put(record, v)
		return err
	}
}

func texts[T any](of func(*T) *[]string) func(*T, *columnar.Cell, *reading) error {
	return func(record *T, c *columnar.Cell, how *reading) (err error) {
		*of(record), err = textsOf(c, how.lists)
		return err
	}
}

func entries[T any](of func(*T) *map[string]string) func(*T, *columnar.Cell, *reading) error {
	return func(record *T, c *columnar.Cell, _ *reading) (err error) {
		*of(record), err = entriesOf(c)
		return err
	}
}

func moment[T any](of func(*T) *time.Time) func(*T, *columnar.Cell, *reading) error {
	return func(record *T, c *columnar.Cell, how *reading) error {
		if isNull(c) {
			return nil
		}
		v := scalar(c)
		ms, ok := how.clock.moment(&v)
		if !ok || ms < leastMoment {
			return bad(c, momentRemedy)
		}
		*of(record) = time.UnixMilli(ms).UTC()
		return nil
	}
}

// symbolOf writes a name as the types are written, whose case, spaces and hyphens say nothing.
func symbolOf(s string) string {
	return strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(s)))
}

// judgeItem holds a change against the limits of the topics. The times that are not known are no mistake here.
func judgeItem(limits schemas.Limits, i *schemas.ItemChange, now time.Time) error {
	if !i.OccurredAt.IsZero() {
		return limits.ItemChange(i, now)
	}
	judged := *i
	judged.OccurredAt = now
	return limits.ItemChange(&judged, now)
}
