package schemas

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// KeyWriter writes the keys of one topic, in the form in which Keys reads them. It is safe for concurrent use.
//
// The bytes choose the partition. Where a converter can write one id in several ways (JSON with its envelope or without, a number
// or a string), records of two producers may lie on two partitions; they are about one id all the same, and only their order is lost.
type KeyWriter struct {
	keys *Keys
	// Of the format confluent alone: the frame, and how to write the id in the topic's own schema.
	frame   []byte
	own     *avro.Schema
	rewrite *avro.Resolution
	number  bool
}

// NewKeyWriter returns the KeyWriter of a topic whose settings are a section such as topics.interactions. Keys in Confluent's frame
// have the latest schema of the subject <topic>-key. Where there is none it becomes a string, unless a field is named: what else stands
// in the struct is not for us to say.
func NewKeyWriter(
	ctx context.Context, config KeyConfig, setting, topic string, limits Limits, registry Registry,
) (*KeyWriter, error) {
	if config == (KeyConfig{}) {
		config.Format = KeyRaw
	}
	if err := config.Validate(); err != nil {
		return nil, fmt.Errorf("%s.%w", setting, err)
	}
	w := &KeyWriter{keys: NewKeys(config, setting, limits, registry)}
	if config.Format != KeyConfluent {
		return w, nil
	}
	if err := w.learn(ctx, registry, topic+"-key"); err != nil {
		return nil, fmt.Errorf("preparing the keys of %s (%s): %w", topic, w.keys.describe(), err)
	}
	return w, nil
}

// learn finds the schema that keys are written with.
func (w *KeyWriter) learn(ctx context.Context, registry Registry, subject string) error {
	id, schema, err := registry.Latest(ctx, subject)
	if errors.Is(err, ErrUnknownSchema) {
		if w.keys.config.Field != "" {
			return fmt.Errorf("%w: have the producer of these keys register its schema there first, or leave %s.key_field out",
				err, w.keys.setting)
		}
		schema.Text = `"string"`
		id, err = registry.Register(ctx, subject, schema.Text)
	}
	if err != nil {
		return err
	}
	latest, err := avro.Parse(schema.Text, schema.Named...)
	if err != nil {
		return fmt.Errorf("reading the schema of subject %s: %w", subject, err)
	}
	own, number, problem := w.keys.reader(latest)
	if problem != "" {
		return fmt.Errorf("subject %s: %s", subject, problem)
	}
	w.own, w.number, w.rewrite = own, number, avro.Resolve(own, latest)
	if problems := w.rewrite.Problems(); len(problems) > 0 {
		return fmt.Errorf("a key of subject %s cannot be made from the id alone: %s: send the record from where such keys are written, "+
			"or give the other fields defaults", subject, strings.Join(problems, "; "))
	}
	w.frame = binary.BigEndian.AppendUint32([]byte{frameMagic}, uint32(id))
	return nil
}

// Append appends the key of an id. The error is an *InvalidError, for an id that the topic's keys cannot hold.
func (w *KeyWriter) Append(dst []byte, id string) ([]byte, error) {
	switch w.keys.config.Format {
	case KeyJSON:
		return w.appendJSON(dst, id), nil
	case KeyAvro:
		return avro.AppendString(dst, id), nil
	case KeyConfluent:
		return w.appendConfluent(dst, id)
	}
	return append(dst, id...), nil
}

// Tombstone returns the key of a record without a value about an id, once it is certain that readers take it for that id: an erasure
// that reaches nobody is told by nothing.
func (w *KeyWriter) Tombstone(ctx context.Context, field, id string) ([]byte, error) {
	if err := w.keys.limits.ID(field, id); err != nil {
		return nil, err
	}
	key, err := w.Append(nil, id)
	if err != nil {
		return nil, err
	}
	read, err := w.keys.ID(ctx, key)
	if refused, ok := errors.AsType[*InvalidError](err); ok {
		return nil, invalid(field, Quote(id), "no reader takes it from a key ("+w.keys.describe()+"): "+refused.Remedy)
	}
	if err == nil && read != id {
		err = invalid(field, Quote(id),
			"readers take its key for "+Quote(read)+" ("+w.keys.describe()+"): give that id, or another key_format")
	}
	return key, err
}

func (w *KeyWriter) appendJSON(dst []byte, id string) []byte {
	var value any = id
	if field := w.keys.config.Field; field != "" {
		value = map[string]string{field: id}
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false) // as Jackson, so that the bytes choose the same partition
	_ = enc.Encode(value)    // a string, or a map of strings
	return append(dst, bytes.TrimSuffix(text.Bytes(), []byte("\n"))...)
}

func (w *KeyWriter) appendConfluent(dst []byte, id string) ([]byte, error) {
	var body []byte
	if w.number {
		number, err := strconv.ParseInt(id, 10, 64)
		if err != nil || strconv.FormatInt(number, 10) != id {
			return dst, invalid("key", Quote(id), "the schema of these keys asks for a whole number: give the id as one")
		}
		body = avro.AppendLong(nil, number)
	} else {
		body = avro.AppendString(nil, id)
	}
	key, _, err := w.rewrite.Append(append(dst, w.frame...), body)
	if err != nil {
		return dst, invalid("key", Quote(id), fmt.Sprintf("the schema of these keys cannot hold it: %v", err))
	}
	return key, nil
}
