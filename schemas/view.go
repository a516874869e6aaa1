package schemas

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/freshet/freshet/schemas/generic"
	"github.com/freshet/freshet/schemas/internal/avro"
)

// Viewer shows records to people as their producers wrote them, by the writer's own schema, whatever that is about. It is safe for
// concurrent use.
type Viewer struct{ writers *readers[view] }

// view reads records of one schema, or says why that can never be.
type view struct {
	decoder *generic.Decoder
	err     error
}

// NewViewer returns a Viewer that asks a registry for the schemas.
func NewViewer(registry Registry) *Viewer {
	return &Viewer{newReaders(registry, func(id SchemaID, schema Schema) (v view) {
		parsed, err := generic.Parse(schema.Text, schema.Named...)
		if err == nil {
			v.decoder, err = generic.NewDecoder(parsed)
		}
		if err != nil {
			v.err = malformed("%s: %w", id, err)
		}
		return v
	})}
}

// mostViewed bounds the parts of a record that is shown.
const mostViewed = 1 << 16

// Value gives a value as JSON, see generic.AppendJSON; no value is null. Errors for which IsMalformed is true say why that cannot be;
// others come from the registry, or from ctx, and may pass.
func (v *Viewer) Value(ctx context.Context, value []byte, headers Headers) (json.RawMessage, error) {
	if value == nil {
		return json.RawMessage("null"), nil
	}
	at, problem := locate(value, headers, func() bool { return false })
	if problem != "" {
		return nil, malformed("%s", problem)
	}
	shown, err := v.show(ctx, at)
	if IsMalformed(err) {
		return nil, explain(err, misframe(value))
	}
	return shown, err
}

func (v *Viewer) show(ctx context.Context, at located) (json.RawMessage, error) {
	of, err := v.writers.of(ctx, at.id)
	if err == nil {
		err = of.err
	}
	if err != nil {
		return nil, err
	}
	value, err := of.decoder.Decode(at.body, mostViewed)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", at.id, err)
	}
	return generic.AppendJSON(nil, value), nil
}

// Key gives a key: what is in Confluent's frame as Value does, an Avro string as that, and the rest as the text that it is. The error is
// the registry's, or that of ctx, and may pass.
func (v *Viewer) Key(ctx context.Context, key []byte) (json.RawMessage, error) {
	if at, problem := locate(key, nil, func() bool { return false }); problem == "" {
		shown, err := v.show(ctx, at)
		if !IsMalformed(err) {
			return shown, err
		}
	}
	text := string(key)
	if len(key) > 0 && isAvroString(key) {
		text = avro.NewReader(key).Text()
	}
	return json.Marshal(text)
}
