package schemas

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// keyRegistry knows the schemas of keys by their ids.
type keyRegistry map[int]string

var errAway = errors.New("the registry is away")

func (r keyRegistry) Register(context.Context, string, string) (int, error) { return 0, errAway }

func (r keyRegistry) Latest(context.Context, string) (int, Schema, error) {
	return 0, Schema{}, errAway
}

func (r keyRegistry) Schema(_ context.Context, id SchemaID) (Schema, error) {
	for n, text := range r {
		if ByID(n) == id {
			return Schema{Text: text}, nil
		}
	}
	if id == ByID(99) {
		return Schema{}, errAway
	}
	return Schema{}, fmt.Errorf("%s: %w", id, ErrUnknownSchema)
}

var keySchemas = keyRegistry{
	5: `"string"`,
	6: `{"type":"record","name":"Key","namespace":"shop.users","fields":[{"name":"tenant","type":"int"},{"name":"user_id","type":["null","string"],"default":null}]}`,
	7: `{"type":"record","name":"Key","fields":[{"name":"user_id","type":"long"}]}`,
	8: `"bytes"`,
	9: `{"type":"record","name":"Key","fields":[{"name":"tenant","type":"int","default":1},{"name":"user_id","type":["null","string"]}]}`,
}

// headersOf is the headers of a record.
type headersOf map[string]string

func (h headersOf) Header(name string) ([]byte, bool) { v, has := h[name]; return []byte(v), has }

func framed(id uint32, body []byte) string {
	return string(append(binary.BigEndian.AppendUint32([]byte{0}, id), body...))
}

// TestTombstoneKeys: each key that the converters write of user k-tomb is read by its format, and refused by the others with the
// setting that reads it. None is taken for an id of its own.
func TestTombstoneKeys(t *testing.T) {
	word := avro.AppendString(nil, "k-tomb")
	for name, c := range map[string]struct {
		config KeyConfig
		key    string
		says   string // empty: the key is that of k-tomb
	}{
		"raw":                    {KeyConfig{KeyRaw, ""}, "k-tomb", ""},
		"raw, quoted":            {KeyConfig{KeyRaw, ""}, `"k-tomb"`, "this looks like a JSON string: set topics.interactions.key_format: json, or send"},
		"raw, struct":            {KeyConfig{KeyRaw, ""}, `{"user_id":"k-tomb"}`, "key_format: json and topics.interactions.key_field to the field"},
		"raw, half a quote":      {KeyConfig{KeyRaw, ""}, `"k-tomb`, "looks like a JSON string"},
		"raw, list":              {KeyConfig{KeyRaw, ""}, `["k-tomb"]`, "JSON list"},
		"raw, printed struct":    {KeyConfig{KeyRaw, ""}, "Struct{user_id=k-tomb}", "StringConverter"},
		"raw, framed":            {KeyConfig{KeyRaw, ""}, framed(5, word), "Confluent's frame, schema id 5: set topics.interactions.key_format: confluent"},
		"raw, avro":              {KeyConfig{KeyRaw, ""}, string(word), "this looks like an Avro string: set topics.interactions.key_format: avro"},
		"raw, no UTF-8":          {KeyConfig{KeyRaw, ""}, "\xff\xfe", "this is not UTF-8"},
		"raw, number":            {KeyConfig{KeyRaw, ""}, "\x00\x00\x00\x00\x00\x00\x01\x02", "key_format: confluent"},
		"raw, small number":      {KeyConfig{KeyRaw, ""}, "\x00\x00\x01\x02", "binary number"},
		"raw, NUL":               {KeyConfig{KeyRaw, ""}, "k\x00tomb", "without control characters"},
		"raw, line":              {KeyConfig{KeyRaw, ""}, "k-tomb\n", "without control characters"},
		"raw, C1":                {KeyConfig{KeyRaw, ""}, "k\u009btomb", "without control characters"},
		"raw, empty":             {KeyConfig{KeyRaw, ""}, "", "send the id as the key (topics.interactions.key_format: raw)"},
		"raw, long":              {KeyConfig{KeyRaw, ""}, strings.Repeat("k", 257), "give at most 256 bytes"},
		"json":                   {KeyConfig{KeyJSON, ""}, `"k-tomb"`, ""},
		"json, escapes":          {KeyConfig{KeyJSON, ""}, `"k\u002dtomb"`, ""},
		"json, envelope":         {KeyConfig{KeyJSON, ""}, `{"schema":{"type":"string","optional":false},"payload":"k-tomb"}`, ""},
		"json, struct":           {KeyConfig{KeyJSON, "user_id"}, `{"tenant":1,"user_id":"k-tomb"}`, ""},
		"json, struct, envelope": {KeyConfig{KeyJSON, "user_id"}, `{"schema":{"type":"struct"},"payload":{"user_id":"k-tomb"}}`, ""},
		"json, struct unnamed":   {KeyConfig{KeyJSON, ""}, `{"user_id":"k-tomb"}`, "set topics.interactions.key_field to the field"},
		"json, other struct":     {KeyConfig{KeyJSON, "user_id"}, `{"id":"k-tomb"}`, `no field "user_id"`},
		"json, no struct":        {KeyConfig{KeyJSON, "user_id"}, `"k-tomb"`, "this is no object"},
		"json, null":             {KeyConfig{KeyJSON, "user_id"}, `{"user_id":null}`, "neither a string nor a whole number"},
		"json, null alone":       {KeyConfig{KeyJSON, ""}, `null`, "neither a string nor a whole number"},
		"json, empty string":     {KeyConfig{KeyJSON, ""}, `""`, "must not be empty"},
		"json, raw":              {KeyConfig{KeyJSON, ""}, "k-tomb", "this is no JSON: see what the producer's key converter writes"},
		"json, control":          {KeyConfig{KeyJSON, ""}, `"k\u0000tomb"`, "without control characters"},
		"avro":                   {KeyConfig{KeyAvro, ""}, string(word), ""},
		"avro, raw":              {KeyConfig{KeyAvro, ""}, "k-tomb", "this is no Avro string"},
		"avro, framed":           {KeyConfig{KeyAvro, ""}, framed(5, word), "this is no Avro string"},
		"confluent":              {KeyConfig{KeyConfluent, ""}, framed(5, word), ""},
		"confluent, struct":      {KeyConfig{KeyConfluent, "user_id"}, framed(6, append([]byte{14, 2}, word...)), ""},
		"confluent, unnamed":     {KeyConfig{KeyConfluent, ""}, framed(6, append([]byte{14, 2}, word...)), "this is a struct: set topics.interactions.key_field"},
		"confluent, other":       {KeyConfig{KeyConfluent, "id"}, framed(6, append([]byte{14, 2}, word...)), `no field "id"`},
		"confluent, null":        {KeyConfig{KeyConfluent, "user_id"}, framed(6, []byte{14, 0}), "does not read as its schema id 6 says"},
		"confluent, no struct":   {KeyConfig{KeyConfluent, "user_id"}, framed(5, word), "this is no struct"},
		"confluent, cut":         {KeyConfig{KeyConfluent, ""}, framed(5, word[:3]), "does not read as its schema id 5 says"},
		"confluent, unknown":     {KeyConfig{KeyConfluent, ""}, framed(4, word), "schema id 4 is in no schema registry that is known here"},
		"confluent, bytes":       {KeyConfig{KeyConfluent, ""}, framed(8, word), "neither a string nor a whole number"},
		"confluent, raw":         {KeyConfig{KeyConfluent, ""}, "k-tomb", "no Confluent frame"},
	} {
		t.Run(name, func(t *testing.T) {
			require.NoError(t, c.config.Validate())
			keys := NewKeys(c.config, "topics.interactions", DefaultLimits(), keySchemas)
			id, err := keys.Tombstone(t.Context(), []byte(c.key), nil)
			if c.says == "" {
				require.NoError(t, err)
				require.Equal(t, "k-tomb", id)
				return
			}
			refused, ok := errors.AsType[*InvalidError](err)
			require.True(t, ok, "%v", err)
			require.Equal(t, "key", refused.Field)
			require.Contains(t, refused.Remedy, c.says)
			require.Empty(t, id)
		})
	}
}

func TestKeysOfNumbers(t *testing.T) {
	for _, c := range []struct {
		config KeyConfig
		key    string
	}{
		{KeyConfig{KeyRaw, ""}, "1004"},
		{KeyConfig{KeyJSON, ""}, "1004"},
		{KeyConfig{KeyJSON, "user_id"}, `{"user_id":1004}`},
		{KeyConfig{KeyConfluent, "user_id"}, framed(7, avro.AppendLong(nil, 1004))},
	} {
		id, err := NewKeys(c.config, "topics.items", DefaultLimits(), keySchemas).Tombstone(t.Context(), []byte(c.key), nil)
		require.NoError(t, err)
		require.Equal(t, "1004", id)
	}
}

// TestKeysWhileTheRegistryIsAway: the record waits, as values do.
func TestKeysWhileTheRegistryIsAway(t *testing.T) {
	keys := NewKeys(KeyConfig{KeyConfluent, ""}, "topics.items", DefaultLimits(), keySchemas)
	_, err := keys.Tombstone(t.Context(), []byte(framed(99, []byte{2, 'a'})), nil)
	require.ErrorIs(t, err, errAway)
	require.False(t, IsInvalid(err))
	require.True(t, keys.Is(t.Context(), []byte(framed(99, []byte{2, 'a'})), "a"))
	require.False(t, keys.Is(t.Context(), []byte("a"), "a"))
}

// TestKeysAskOnce: a record's key is compared with its value, so each record of a producer with another registry would ask.
func TestKeysAskOnce(t *testing.T) {
	r := &scripted{texts: map[int]string{5: `"string"`, 6: `"double"`}}
	keys := NewKeys(KeyConfig{KeyConfluent, ""}, "topics.items", DefaultLimits(), r)
	for range 10 {
		require.True(t, keys.Is(t.Context(), frame(5, []byte{2, 'a'}), "a"))
		require.False(t, keys.Is(t.Context(), frame(6, make([]byte, 8)), "a"))
		_, err := keys.ID(t.Context(), frame(7, []byte{2, 'a'}))
		require.True(t, IsInvalid(err), "%v", err)
	}
	require.EqualValues(t, 3, r.asked.Load())
}

// TestACloudEventWithoutDataIsNoTombstone: in the binary mode the event stands in headers, and the value is what it brings.
func TestACloudEventWithoutDataIsNoTombstone(t *testing.T) {
	keys := NewKeys(KeyConfig{KeyRaw, ""}, "topics.interactions", DefaultLimits(), nil)
	for _, header := range []string{"ce_id", "ce_specversion"} {
		_, err := keys.Tombstone(t.Context(), []byte("ann"), headersOf{header: "1.0"})
		require.True(t, IsInvalid(err), "%v", err)
		require.ErrorContains(t, err, "invalid value null, with the header "+header+` "1.0": a CloudEvent without data erases nothing`)
	}
	id, err := keys.Tombstone(t.Context(), []byte("ann"), headersOf{"traceparent": "00-"})
	require.NoError(t, err)
	require.Equal(t, "ann", id)
}

func TestKeySettings(t *testing.T) {
	require.EqualError(t, KeyConfig{Format: "xml"}.Validate(), `key_format is "xml": give one of raw, json, avro, confluent`)
	require.ErrorContains(t, KeyConfig{KeyRaw, "id"}.Validate(), `key_field is "id", and key_format raw, which has no fields`)
}

// FuzzKeys: any bytes give an id that the limits take, or a reason.
func FuzzKeys(f *testing.F) {
	f.Add([]byte(`{"schema":null,"payload":{"id":"a"}}`))
	f.Add([]byte(framed(6, []byte{14, 2, 2, 'a'})))
	f.Add([]byte(" \n"))
	f.Fuzz(func(t *testing.T, key []byte) {
		for _, c := range []KeyConfig{{KeyRaw, ""}, {KeyJSON, ""}, {KeyJSON, "id"}, {KeyAvro, ""}, {KeyConfluent, ""}, {KeyConfluent, "user_id"}} {
			id, err := NewKeys(c, "topics.items", DefaultLimits(), keySchemas).Tombstone(t.Context(), key, nil)
			if err != nil {
				require.True(t, IsInvalid(err) || errors.Is(err, errAway), "%v", err)
				continue
			}
			check := checker{limits: DefaultLimits()}
			check.id("id", id)
			require.NoError(t, check.err)
		}
	})
}
