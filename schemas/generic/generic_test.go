package generic

import (
	"encoding/json"
	"fmt"
	"math/big"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/stretchr/testify/require"
)

func decoder(t testing.TB, schema string) *Decoder {
	t.Helper()
	s, err := Parse(schema)
	require.NoError(t, err, schema)
	d, err := NewDecoder(s)
	require.NoError(t, err, schema)
	return d
}

// TestJSON: bytes by goavro of a schema without logical types, and what a person reads of them by the schema that has them.
func TestJSON(t *testing.T) {
	type m = map[string]any
	long := func(logical string) string { return `{"type": "long", "logicalType": "` + logical + `"}` }
	record := func(fields string) string {
		return `{"type": "record", "name": "R", "namespace": "n", "fields": [` + fields + `]}`
	}
	for _, c := range []struct {
		schema, plain string // plain where goavro takes the value by another schema
		native        any
		want          string
	}{
		{`"null"`, "", nil, `null`},
		{`"boolean"`, "", true, `true`},
		{`"int"`, "", -5, `-5`},
		{`"long"`, "", int64(9007199254740993), `9007199254740993`},
		{`"float"`, "", float32(0.1), `0.1`},
		{`"double"`, "", 1e300, `1e+300`},
		{`"string"`, "", "a\"b", `"a\"b"`},
		{`"string"`, "", "a\xffb", `"a\ufffdb"`},
		{`"bytes"`, "", []byte("text"), `"text"`},
		{`"bytes"`, "", []byte{0xff, 0}, `"0xff00"`},
		{`{"type": "enum", "name": "E", "symbols": ["a", "b"], "default": "gone"}`, `{"type": "enum", "name": "E", "symbols": ["a", "b"]}`, "b", `"b"`},
		{long("timestamp-millis"), `"long"`, int64(1769860800123), `"2026-01-31T12:00:00.123Z"`},
		{long("timestamp-micros"), `"long"`, int64(-1), `"1969-12-31T23:59:59.999999Z"`},
		{long("timestamp-nanos"), `"long"`, int64(1769860800123456789), `"2026-01-31T12:00:00.123456789Z"`},
		{long("timestamp-nanos"), `"long"`, int64(-1 << 63), `"1677-09-21T00:12:43.145224192Z"`},
		{long("timestamp-millis"), `"long"`, int64(1<<63 - 1), `"9223372036854775807"`},
		{long("local-timestamp-micros"), `"long"`, int64(1769860800000000), `"2026-01-31T12:00:00"`},
		{long("time-micros"), `"long"`, int64(3723000001), `"01:02:03.000001"`},
		{long("time-micros"), `"long"`, int64(-1), `"-1"`},
		{long("unheard-of"), `"long"`, int64(7), `7`},
		{`{"type": "int", "logicalType": "date"}`, `"int"`, -1, `"1969-12-31"`},
		{`{"type": "int", "logicalType": "time-millis"}`, `"int"`, 86_399_999, `"23:59:59.999"`},
		{`{"type": "string", "logicalType": "timestamp-millis"}`, `"string"`, "x", `"x"`}, // an invalid one says nothing
		{`{"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}`, `"bytes"`, []byte{0x00, 0xc8}, `2.00`},
		{`{"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}`, `"bytes"`, []byte{0xfb}, `-0.05`},
		{`{"type": "bytes", "logicalType": "decimal", "precision": 4, "scale": 2}`, `"bytes"`, []byte{}, `0.00`},
		{`{"type": "bytes", "logicalType": "decimal", "precision": 2, "scale": 3}`, `"bytes"`, []byte{'a'}, `"a"`},
		{`{"type": "fixed", "size": 2, "name": "D", "logicalType": "decimal", "precision": 4}`, `{"type": "fixed", "size": 2, "name": "D"}`, []byte{0x80, 0}, `-32768`},
		{`{"type": "fixed", "size": 16, "name": "U", "logicalType": "uuid"}`, `{"type": "fixed", "size": 16, "name": "U"}`,
			[]byte("0123456789abcdef"), `"30313233-3435-3637-3839-616263646566"`},
		{`{"type": "fixed", "size": 12, "name": "I", "logicalType": "duration"}`, `{"type": "fixed", "size": 12, "name": "I"}`,
			[]byte{1, 0, 0, 0, 2, 0, 0, 0, 0, 1, 0, 0}, `{"months":1,"days":2,"millis":256}`},
		{`{"type": "array", "items": ["null", "int"]}`, "", []any{nil, goavro.Union("int", 3)}, `[null,3]`},
		{`{"type": "map", "values": "int"}`, "", m{"b": 2, "a": 1}, `{"a":1,"b":2}`},
		{record(`{"name": "z", "type": "int"}, {"name": "a", "type": ["null", "R"]}`), "", m{"z": 1, "a": goavro.Union("n.R", m{"z": 2, "a": nil})},
			`{"z":1,"a":{"z":2,"a":null}}`},
		{record(`{"name": "user id", "type": "int", "default": "none"}`), record(`{"name": "user", "type": "int"}`), m{"user": 1}, `{"user id":1}`},
		{strings.Replace(record(`{"name": "a", "type": "int"}`), `"R"`, `""`, 1), record(`{"name": "a", "type": "int"}`), m{"a": 1}, `{"a":1}`},
		{`["string", {"type": "record", "name": "Nothing", "fields": [{"name": "x", "type": "null"}]}]`, "",
			goavro.Union("Nothing", m{"x": nil}), `{}`},
		{`["int", "long", "string"]`, "", goavro.Union("long", int64(4)), `4`},
		{`["string", ` + long("timestamp-millis") + `]`, `["string", "long"]`, goavro.Union("long", int64(0)), `"1970-01-01T00:00:00Z"`},
	} {
		plain := c.plain
		if plain == "" {
			plain = c.schema
		}
		codec, err := goavro.NewCodec(plain)
		require.NoError(t, err, plain)
		body, err := codec.BinaryFromNative(nil, c.native)
		require.NoError(t, err, plain)
		value, err := decoder(t, c.schema).Decode(body, 100)
		require.NoError(t, err, c.schema)
		got := AppendJSON(nil, value)
		require.Equal(t, c.want, string(got), c.schema)
		require.True(t, json.Valid(got))
	}
}

// TestDecimalsAreExact holds decimals against big.Rat.
func TestDecimalsAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		b := make([]byte, r.IntN(12))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		scale := r.IntN(20)
		want := new(big.Int)
		for i, x := range b { // two's complement, digit by digit
			v := int64(x)
			if i == 0 {
				v = int64(int8(x))
			}
			want.Add(want.Lsh(want, 8), big.NewInt(v))
		}
		got, ok := new(big.Rat).SetString(string(decimal(b, scale)))
		require.True(t, ok)
		require.Zero(t, got.Cmp(new(big.Rat).SetFrac(want, new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(scale)), nil))), "%x %d", b, scale)
	}
}

func TestMomentsAreFloored(t *testing.T) {
	for _, unit := range []time.Duration{time.Millisecond, time.Microsecond, time.Nanosecond} {
		for _, count := range []int64{0, 1, -1, 999, -999, -1000, -1001, -1e6, -1e6 - 1, 1<<63 - 1, -1 << 63} {
			want := new(big.Int).Div(new(big.Int).Mul(big.NewInt(count), big.NewInt(int64(unit))), big.NewInt(int64(time.Millisecond)))
			require.Equal(t, want.Int64(), Moment{Count: count, Unit: unit}.UnixMilli(), "%d %s", count, unit)
			require.NotEmpty(t, Moment{Count: count, Unit: unit}.String())
		}
	}
}

// What a few bytes claim is not believed, and what they make of a wide schema is bounded.
func TestDecodingIsBounded(t *testing.T) {
	var fields []string
	for i := range 200 {
		fields = append(fields, fmt.Sprintf(`{"name": "f%d", "type": "null"}`, i))
	}
	wide := decoder(t, `{"type": "array", "items": {"type": "record", "name": "W", "fields": [{"name": "b", "type": "boolean"}, `+
		strings.Join(fields, ",")+`]}}`)
	body := append([]byte{100}, make([]byte, 51)...) // 50 elements
	_, err := wide.Decode(body, 50*202+1)
	require.NoError(t, err)
	_, err = wide.Decode(body, 50*202)
	require.ErrorContains(t, err, "more than 10100 values")

	nothing := `{"type": "record", "name": "R0", "fields": []}`
	for i := 1; i < 60; i++ {
		nothing = fmt.Sprintf(`{"type": "record", "name": "R%d", "fields": [{"name": "a", "type": %s}, {"name": "b", "type": "R%d"}]}`, i, nothing, i-1)
	}
	value, err := decoder(t, `{"type": "record", "name": "R", "fields": [{"name": "n", "type": `+nothing+`}, {"name": "i", "type": "int"}]}`).
		Decode([]byte{2}, 10)
	require.NoError(t, err)
	require.JSONEq(t, `{"n":{},"i":1}`, string(AppendJSON(nil, value)))

	for name, c := range map[string]struct {
		schema string
		body   []byte
	}{
		"elements":     {`{"type": "array", "items": "int"}`, []byte{0xfe, 0xff, 0xff, 0xff, 0x0f, 0}},
		"negative":     {`{"type": "array", "items": "int"}`, []byte{1, 0xfe, 0xff, 0xff, 0xff, 0x0f, 0}},
		"entries":      {`{"type": "map", "values": "int"}`, []byte{0xfe, 0xff, 0xff, 0xff, 0x0f, 0}},
		"length":       {`"bytes"`, []byte{0xfe, 0xff, 0xff, 0xff, 0x0f}},
		"long":         {`"long"`, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1}},
		"wide int":     {`"int"`, []byte{0xfe, 0xff, 0xff, 0xff, 0x7f}},
		"branch":       {`["null", "int"]`, []byte{4}},
		"symbol":       {`{"type": "enum", "name": "E", "symbols": ["a"]}`, []byte{2}},
		"left over":    {`"int"`, []byte{0, 0}},
		"twice":        {`{"type": "map", "values": "null"}`, []byte{4, 2, 'k', 2, 'k', 0}},
		"long decimal": {`{"type": "bytes", "logicalType": "decimal", "precision": 9}`, append([]byte{0x80, 0x20}, make([]byte, 2048)...)},
	} {
		_, err := decoder(t, c.schema).Decode(c.body, 1000)
		require.Error(t, err, name)
	}
}

// FuzzDecode: any schema and any bytes are a value that is JSON, or an error.
func FuzzDecode(f *testing.F) {
	f.Add(`{"type": "record", "name": "", "fields": [{"name": "a b", "type": ["null", {"type": "map", "values": "bytes"}]}]}`, []byte{2, 2, 2, 'k', 2, 0, 0})
	f.Add(`{"type": "array", "items": {"type": "fixed", "name": "D", "size": 2, "logicalType": "decimal", "precision": 4, "scale": 4}}`, []byte{2, 1, 2, 0})
	f.Add(`{"type": "record", "name": "R", "fields": [{"name": "r", "type": ["null", "R", {"type": "enum", "name": "E", "symbols": ["a"]}]}]}`, []byte{2, 4, 0})
	f.Add(`[{"type": "long", "logicalType": "local-timestamp-nanos"}, "double", "float"]`, []byte{0, 1})
	f.Fuzz(func(t *testing.T, schema string, body []byte) {
		if len(schema) > 1<<14 || len(body) > 1<<12 {
			return
		}
		s, err := Parse(schema)
		if err != nil {
			return
		}
		d, err := NewDecoder(s)
		require.NoError(t, err, "goavro takes every shape")
		value, err := d.Decode(body, 1<<12)
		if err != nil {
			return
		}
		require.True(t, json.Valid(AppendJSON(nil, value)))
	})
}
