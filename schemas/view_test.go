package schemas

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/linkedin/goavro/v2"
	"github.com/stretchr/testify/require"
)

// strangers is a registry of a few schemas that are none of Freshet's, from id 1 on; the id behind the last does not answer.
type strangers []Schema

func (s strangers) Register(context.Context, string, string) (int, error) {
	return 0, errors.ErrUnsupported
}

func (s strangers) Latest(context.Context, string) (int, Schema, error) {
	return 0, Schema{}, errors.ErrUnsupported
}

func (s strangers) Schema(_ context.Context, id SchemaID) (Schema, error) {
	switch at := int(id.number) - 1; {
	case at < len(s):
		return s[at], nil
	case at == len(s):
		return Schema{}, errors.New("registry away")
	}
	return Schema{}, fmt.Errorf("%s: %w", id, ErrUnknownSchema)
}

func TestViewer(t *testing.T) {
	const priced = `{"type": "record", "name": "Priced", "fields": [{"name": "sku", "type": ["null", "string"]}, {"name": "price", "type": %s},
		{"name": "at", "type": {"type": "long"%s}}, {"name": "kind", "type": "org.Kind"}]}`
	const kind = `{"type": "enum", "name": "org.Kind", "symbols": ["NEW", "OLD"]}`
	logical := fmt.Sprintf(priced, `{"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}`, `, "logicalType": "timestamp-micros"`)
	plain := fmt.Sprintf(`{"type": "record", "name": "Outer", "fields": [{"name": "k", "type": `+kind+`}, {"name": "p", "type": `+priced+`}]}`,
		`"bytes"`, "")
	codec, err := goavro.NewCodec(plain)
	require.NoError(t, err)
	body, err := codec.BinaryFromNative(nil, map[string]any{"k": "NEW", "p": map[string]any{
		"sku": goavro.Union("string", "a<b"), "price": []byte{0x03, 0xb6}, "at": int64(1769860800000001), "kind": "OLD",
	}})
	require.NoError(t, err)
	body = body[1:] // without the enum that only defines the name
	v := NewViewer(strangers{{Text: logical, Named: []string{kind}}, {Text: `"string"`}, {Text: `{"type": "nothing"}`}})

	got, err := v.Value(t.Context(), frame(1, body), nil)
	require.NoError(t, err)
	require.JSONEq(t, `{"sku": "a<b", "price": 9.50, "at": "2026-01-31T12:00:00.000001Z", "kind": "OLD"}`, string(got))
	require.Contains(t, string(got), `"price":9.50,`, "with all its digits")
	got, err = v.Value(t.Context(), body, headerMap{headerApicurioContent: eight(1)})
	require.NoError(t, err)
	require.Contains(t, string(got), `"kind":"OLD"`)
	got, err = v.Value(t.Context(), nil, nil)
	require.NoError(t, err)
	require.Equal(t, "null", string(got))

	for want, value := range map[string][]byte{
		"the value is JSON text":        []byte(`{"sku": "a"}`),
		"schema id 1: byte":             frame(1, body[:4]),
		"schema id 3: parsing schema":   frame(3, body),
		"schema id 9: unknown schema":   frame(9, body),
		"an empty value":                {},
		"behind the schema id stands J": frame(2, []byte(`{"a": 1}`)),
	} {
		_, err := v.Value(t.Context(), value, nil)
		require.ErrorContains(t, err, want)
		require.True(t, IsMalformed(err), want)
	}
	_, err = v.Value(t.Context(), frame(4, body), nil)
	require.EqualError(t, err, "registry away")
	require.False(t, IsMalformed(err))

	for key, want := range map[string]string{
		string(frame(2, []byte("\x04ab"))): `"ab"`, "\x04ab": `"ab"`, "plain": `"plain"`, `{"id": 1}`: `"{\"id\": 1}"`, "": `""`,
		string(frame(9, []byte("\x04ab"))): `"\u0000\u0000\u0000\u0000\t\u0004ab"`,
	} {
		got, err := v.Key(t.Context(), []byte(key))
		require.NoError(t, err)
		require.Equal(t, want, string(got), "%q", key)
	}
	_, err = v.Key(t.Context(), frame(4, nil))
	require.Error(t, err)
}
