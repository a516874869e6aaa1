package tables

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/linkedin/goavro/v2"

	"github.com/freshet/freshet/schemas"
)

// interactionSchema is that of the topic, with the order of events of one moment behind its fields.
func interactionSchema() (string, error) {
	var record map[string]any
	if err := json.Unmarshal([]byte(schemas.AvroSchema[schemas.Interaction]()), &record); err != nil {
		return "", fmt.Errorf("reading the schema of interactions: %w", err)
	}
	fields, is := record["fields"].([]any)
	if !is {
		return "", errors.New("the schema of interactions has no fields")
	}
	record["fields"] = append(fields, map[string]any{"name": orderColumn, "type": "long"})
	text, err := json.Marshal(record)
	return string(text), err
}

// itemSchema is that of the topic, but that the time of the change may be unknown: a catalogue in a table often does not say it.
func itemSchema() (string, error) {
	const required = `"occurred_at", "type": {"type": "long", "logicalType": "timestamp-millis"}`
	const optional = `"occurred_at", "type": ["null", {"type": "long", "logicalType": "timestamp-millis"}], "default": null`
	topic := schemas.AvroSchema[schemas.ItemChange]()
	if strings.Count(topic, required) != 1 {
		return "", fmt.Errorf("the schema of items has no field that begins with %s", required)
	}
	return strings.Replace(topic, required, optional, 1), nil
}

// nativeOfInteraction is an Interaction as goavro takes it.
func nativeOfInteraction(e *interaction) map[string]any {
	return map[string]any{
		"event_id": e.EventID, "user_id": e.UserID, "item_id": e.ItemID, "type": e.Type.String(), "value": nativeNumber(e.Value),
		"occurred_at": e.OccurredAt.UnixMilli(), "request_id": nativeText(e.RequestID), "surface": nativeText(e.Surface),
		"context": nativeEntries(e.Context), orderColumn: e.order,
	}
}

// nativeOfItem is an ItemChange.
func nativeOfItem(i *schemas.ItemChange) map[string]any {
	return map[string]any{
		"item_id": i.ItemID, "op": i.Op.String(), "version": i.Version, "occurred_at": nativeTime(i.OccurredAt), "title": i.Title,
		"description": i.Description, "categories": nativeList(i.Categories), "tags": nativeList(i.Tags), "brand": i.Brand,
		"price": nativeNumber(i.Price), "currency": i.Currency, "available": i.Available, "regions": nativeList(i.Regions),
		"published_at": nativeTime(i.PublishedAt), "min_age": i.MinAge, "attributes": nativeEntries(i.Attributes),
	}
}

func nativeNumber(v *float64) any {
	if v == nil {
		return nil
	}
	return goavro.Union("double", *v)
}

func nativeText(s string) any {
	if s == "" {
		return nil
	}
	return goavro.Union("string", s)
}

func nativeTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return goavro.Union("long.timestamp-millis", t.UnixMilli())
}

func nativeList(texts []string) []any {
	list := make([]any, len(texts))
	for i, text := range texts {
		list[i] = text
	}
	return list
}

func nativeEntries(entries map[string]string) map[string]any {
	native := make(map[string]any, len(entries))
	for key, text := range entries {
		native[key] = text
	}
	return native
}

// avroForm is the extension of what is written.
const avroForm = ".avro"

// A block of records ends with so many, or with so many bytes or a little more: a reader has one in memory.
const (
	recordsABlock = 1 << 12
	bytesABlock   = 1 << 20
)

// avroTable writes records as an Avro container file.
type avroTable[T any] struct {
	*placed
	native  func(*T) map[string]any
	records *goavro.OCFWriter
	held    []any
	bytes   int
}

func newAvroTable[T any](dir, name string, schema func() (string, error), native func(*T) map[string]any) (table[T], error) {
	text, err := schema()
	if err != nil {
		return nil, fmt.Errorf("writing tables: %w", err)
	}
	p, err := newPlaced(dir, name, avroForm)
	if err != nil {
		return nil, err
	}
	t := &avroTable[T]{placed: p, native: native}
	// Snappy, since its checksum tells a flipped bit, which decodes as another value otherwise.
	t.records, err = goavro.NewOCFWriter(goavro.OCFConfig{W: p.file, Schema: text, CompressionName: goavro.CompressionSnappyLabel})
	if err != nil {
		return nil, errors.Join(p.wrap(err), p.discard())
	}
	return t, nil
}

func (t *avroTable[T]) add(record *T) error {
	native := t.native(record)
	t.held = append(t.held, native)
	t.bytes += sizeOf(native)
	if len(t.held) < recordsABlock && t.bytes < bytesABlock {
		return nil
	}
	return t.write()
}

// sizeOf is about how many bytes a value takes.
func sizeOf(native any) (n int) {
	switch v := native.(type) {
	case string:
		return len(v) + 1
	case []any:
		for _, of := range v {
			n += sizeOf(of)
		}
	case map[string]any:
		for key, of := range v {
			n += sizeOf(of) + len(key)
		}
	}
	return n + 1
}

// write writes a block. One without records would hide what follows it from many readers.
func (t *avroTable[T]) write() error {
	if len(t.held) == 0 {
		return nil
	}
	err := t.records.Append(t.held)
	clear(t.held)
	t.held, t.bytes = t.held[:0], 0
	return t.wrap(err)
}

func (t *avroTable[T]) finish() error {
	if err := t.write(); err != nil {
		return err
	}
	return t.sync()
}
