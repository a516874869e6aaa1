package tables

import (
	"time"

	"github.com/freshet/freshet/pipelines/dataset/columnar"
	"github.com/freshet/freshet/schemas"
)

// field is a column of a table of records T.
type field[T any] struct {
	name string
	// required columns must be there.
	required bool
	// filled columns have a value in every row, where they are there.
	filled bool
	set    func(record *T, cell *columnar.Cell) error
}

var interactionFields = []field[schemas.Interaction]{
	{name: "event_id", set: text(func(e *schemas.Interaction) *string { return &e.EventID })},
	{name: "user_id", required: true, filled: true, set: text(func(e *schemas.Interaction) *string { return &e.UserID })},
	{name: "item_id", required: true, filled: true, set: text(func(e *schemas.Interaction) *string { return &e.ItemID })},
	{name: "type", filled: true, set: setType},
	{name: "value", set: number(func(e *schemas.Interaction) **float64 { return &e.Value })},
	{name: "occurred_at", required: true, filled: true, set: func(e *schemas.Interaction, c *columnar.Cell) (err error) {
		e.OccurredAt, err = moment(c)
		return err
	}},
	{name: "request_id", set: text(func(e *schemas.Interaction) *string { return &e.RequestID })},
	{name: "surface", set: text(func(e *schemas.Interaction) *string { return &e.Surface })},
	{name: "context", set: entries(func(e *schemas.Interaction) *map[string]string { return &e.Context })},
}

var itemFields = []field[schemas.ItemChange]{
	{name: "item_id", required: true, filled: true, set: text(func(c *schemas.ItemChange) *string { return &c.ItemID })},
	{name: "op", set: setOp},
	{name: "version", set: integer(func(c *schemas.ItemChange, v int64) { c.Version = v }, 1, maxInt64)},
	{name: "occurred_at", set: func(i *schemas.ItemChange, c *columnar.Cell) (err error) {
		i.OccurredAt, err = moment(c)
		return err
	}},
	{name: "title", set: text(func(c *schemas.ItemChange) *string { return &c.Title })},
	{name: "description", set: text(func(c *schemas.ItemChange) *string { return &c.Description })},
	{name: "categories", set: texts(func(c *schemas.ItemChange) *[]string { return &c.Categories })},
	{name: "tags", set: texts(func(c *schemas.ItemChange) *[]string { return &c.Tags })},
	{name: "brand", set: text(func(c *schemas.ItemChange) *string { return &c.Brand })},
	{name: "price", set: number(func(c *schemas.ItemChange) **float64 { return &c.Price })},
	{name: "currency", set: text(func(c *schemas.ItemChange) *string { return &c.Currency })},
	{name: "available", set: setAvailable},
	{name: "regions", set: texts(func(c *schemas.ItemChange) *[]string { return &c.Regions })},
	{name: "published_at", set: func(i *schemas.ItemChange, c *columnar.Cell) (err error) {
		i.PublishedAt, err = moment(c)
		return err
	}},
	{name: "min_age", set: integer(func(c *schemas.ItemChange, v int64) { c.MinAge = int32(v) }, 0, maxInt32)},
	{name: "attributes", set: entries(func(c *schemas.ItemChange) *map[string]string { return &c.Attributes })},
}

// newInteraction is what a row without optional columns is.
func newInteraction() schemas.Interaction { return schemas.Interaction{Type: schemas.View} }

// newItem is what a row without optional columns is. Nothing is known of the time of its change.
func newItem() schemas.ItemChange {
	return schemas.ItemChange{Op: schemas.UpsertItem, Version: 1, Available: true}
}

func setType(e *schemas.Interaction, c *columnar.Cell) (err error) {
	s, err := textOf(c)
	if err != nil {
		return err
	}
	if e.Type, err = schemas.ParseInteractionType(s); err != nil {
		return err
	}
	return nil
}

func setOp(i *schemas.ItemChange, c *columnar.Cell) (err error) {
	if isNull(c) {
		return nil
	}
	s, err := textOf(c)
	if err != nil {
		return err
	}
	i.Op, err = schemas.ParseItemOp(s)
	return err
}

func setAvailable(i *schemas.ItemChange, c *columnar.Cell) (err error) {
	if isNull(c) {
		return nil
	}
	i.Available, err = booleanOf(c)
	return err
}

func text[T any](of func(*T) *string) func(*T, *columnar.Cell) error {
	return func(record *T, c *columnar.Cell) (err error) {
		if !isNull(c) {
			*of(record), err = textOf(c)
		}
		return err
	}
}

func number[T any](of func(*T) **float64) func(*T, *columnar.Cell) error {
	return func(record *T, c *columnar.Cell) error {
		if isNull(c) {
			return nil
		}
		v, err := numberOf(c)
		*of(record) = &v
		return err
	}
}

func integer[T any](put func(*T, int64), least, most int64) func(*T, *columnar.Cell) error {
	return func(record *T, c *columnar.Cell) error {
		if isNull(c) {
			return nil
		}
		v, err := integerOf(c, least, most)
		put(record, v)
		return err
	}
}

func texts[T any](of func(*T) *[]string) func(*T, *columnar.Cell) error {
	return func(record *T, c *columnar.Cell) (err error) {
		*of(record), err = textsOf(c)
		return err
	}
}

func entries[T any](of func(*T) *map[string]string) func(*T, *columnar.Cell) error {
	return func(record *T, c *columnar.Cell) (err error) {
		*of(record), err = entriesOf(c)
		return err
	}
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
