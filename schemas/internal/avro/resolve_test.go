package avro

import (
	"encoding/hex"
	"math"
	"math/big"
	"slices"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/stretchr/testify/require"
)

func mustParse(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := Parse(text)
	require.NoError(t, err, text)
	return s
}

// Each case is told in goavro's native values: what goavro wrote by the writer's schema, and what goavro reads by the reader's
// schema after resolution.
func TestResolve(t *testing.T) {
	type m = map[string]any
	enum := func(symbols, more string) string {
		return `{"type": "enum", "name": "E", "symbols": [` + symbols + `]` + more + `}`
	}
	record := func(fields string) string {
		return `{"type": "record", "name": "R", "namespace": "n", "fields": [` + fields + `]}`
	}
	for _, c := range []struct {
		name           string
		writer, reader string
		in, out        any
	}{
		{"same", `"string"`, `"string"`, "a", "a"},
		{"null", `"null"`, `"null"`, nil, nil},
		{"int to long", `"int"`, `"long"`, int32(-5), int64(-5)},
		{"int to float", `"int"`, `"float"`, int32(-5), float32(-5)},
		{"int to double", `"int"`, `"double"`, int32(-5), -5.0},
		{"long to float", `"long"`, `"float"`, int64(1)<<40 + 1, float32(int64(1)<<40 + 1)},
		{"long to double", `"long"`, `"double"`, int64(1) << 40, float64(int64(1) << 40)},
		{"float to double", `"float"`, `"double"`, float32(1.25), 1.25},
		{"float to float", `"float"`, `"float"`, float32(1.25), float32(1.25)},
		{"double to double", `"double"`, `"double"`, 1.1, 1.1},
		{"boolean", `"boolean"`, `"boolean"`, true, true},
		{"string to bytes", `"string"`, `"bytes"`, "ab", []byte("ab")},
		{"bytes to string", `"bytes"`, `"string"`, []byte("ab"), "ab"},
		{"fixed", `{"type": "fixed", "name": "F", "size": 2}`, `{"type": "fixed", "name": "F", "size": 2}`, []byte("ab"), []byte("ab")},
		{"enum by name of the symbol", enum(`"a", "b"`, ``), enum(`"b", "a"`, ``), "a", "a"},
		{"enum to its default", enum(`"a", "new"`, ``), enum(`"other", "a"`, `, "default": "other"`), "new", "other"},
		{"array", `{"type": "array", "items": "int"}`, `{"type": "array", "items": "double"}`, []any{1, 2}, []any{1.0, 2.0}},
		{"map", `{"type": "map", "values": "int"}`, `{"type": "map", "values": "long"}`, m{"k": 1}, m{"k": int64(1)}},
		{"into a union", `"string"`, `["null", "string"]`, "a", m{"string": "a"}},
		{"into a union by promotion", `"int"`, `["null", "string", "double"]`, 3, m{"double": 3.0}},
		{"into a union, exact before promoted", `"int"`, `["long", "int"]`, 3, m{"int": int32(3)}},
		{"out of a union", `["null", "string"]`, `"string"`, m{"string": "a"}, "a"},
		{"union reordered", `["string", "null"]`, `["null", "string"]`, m{"string": "a"}, m{"string": "a"}},
		{"union reordered, null", `["string", "null"]`, `["null", "string"]`, nil, nil},
		{"fields reordered, dropped and filled",
			record(`{"name": "a", "type": "int"}, {"name": "gone", "type": {"type": "array", "items": "string"}},
				{"name": "b", "type": "string"}`),
			record(`{"name": "b", "type": "string"}, {"name": "new", "type": "string", "default": "d"}, {"name": "a", "type": "long"}`),
			m{"a": 1, "gone": []any{"x", "y"}, "b": "bb"}, m{"b": "bb", "new": "d", "a": int64(1)}},
		{"field by alias", record(`{"name": "old", "type": "int"}`), record(`{"name": "new", "aliases": ["old"], "type": "int"}`),
			m{"old": 1}, m{"new": int32(1)}},
		{"record by alias", record(`{"name": "a", "type": "int"}`),
			`{"type": "record", "name": "N", "aliases": ["n.R"], "fields": [{"name": "a", "type": "int"}]}`, m{"a": 1}, m{"a": int32(1)}},
		{"record of another namespace", record(`{"name": "a", "type": "int"}`),
			`{"type": "record", "name": "R", "namespace": "x", "fields": [{"name": "a", "type": "int"}]}`, m{"a": 1}, m{"a": int32(1)}},
		{"records in a list",
			record(`{"name": "l", "type": {"type": "array", "items": {"type": "record", "name": "I", "fields":
				[{"name": "x", "type": "int"}, {"name": "y", "type": "string"}]}}}`),
			record(`{"name": "l", "type": {"type": "array", "items": {"type": "record", "name": "I", "fields":
				[{"name": "y", "type": "string"}, {"name": "z", "type": "int", "default": 9}, {"name": "x", "type": "int"}]}}}`),
			m{"l": []any{m{"x": 1, "y": "a"}, m{"x": 2, "y": "b"}}},
			m{"l": []any{m{"x": int32(1), "y": "a", "z": int32(9)}, m{"x": int32(2), "y": "b", "z": int32(9)}}}},
		{"skips a value of each kind",
			record(`{"name": "n", "type": "null"}, {"name": "b", "type": "boolean"}, {"name": "i", "type": "int"},
				{"name": "l", "type": "long"},
				{"name": "f", "type": "float"}, {"name": "d", "type": "double"}, {"name": "by", "type": "bytes"},
					{"name": "s", "type": "string"},
				{"name": "fx", "type": {"type": "fixed", "name": "F", "size": 3}}, {"name": "e", "type": ` + enum(`"a"`, ``) + `},
				{"name": "m", "type": {"type": "map", "values": ["null", "R"]}}, {"name": "end", "type": "int"}`),
			record(`{"name": "end", "type": "int"}`),
			m{"n": nil, "b": true, "i": 1, "l": 2, "f": 1.5, "d": 2.5, "by": []byte("b"), "s": "s", "fx": []byte("abc"), "e": "a",
				"m": m{"k": nil}, "end": 3}, m{"end": int32(3)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			writer, err := goavro.NewCodec(c.writer)
			require.NoError(t, err)
			reader, err := goavro.NewCodec(c.reader)
			require.NoError(t, err)
			body, err := writer.BinaryFromNative(nil, c.in)
			require.NoError(t, err)
			resolution := Resolve(mustParse(t, c.writer), mustParse(t, c.reader))
			out, _, err := resolution.Append([]byte("before"), body)
			require.NoError(t, err)
			native, rest, err := reader.NativeFromBinary(out[len("before"):])
			require.NoError(t, err)
			require.Empty(t, rest)
			require.Equal(t, c.out, native)
			for cut := range body {
				_, _, err := resolution.Append(nil, body[:cut])
				require.Error(t, err, "cut to %d of %d bytes", cut, len(body))
			}
		})
	}
}

func TestResolveNamesProblems(t *testing.T) {
	for _, c := range []struct{ name, writer, reader, want string }{
		{"narrowing", `"long"`, `"int"`, "int: long cannot be read as int"},
		{"text as number", `"string"`, `"int"`, "cannot be read"},
		{"another record", `{"type": "record", "name": "A", "fields": []}`, `{"type": "record", "name": "B", "fields": []}`,
			"B: A cannot be read as B"},
		{"another fixed size", `{"type": "fixed", "name": "F", "size": 2}`, `{"type": "fixed", "name": "F", "size": 3}`,
			"cannot be read"},
		{"field without a default", `{"type": "record", "name": "R", "fields": []}`,
			`{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}`, "R.a: the writer has no such field"},
		{"bad default", `{"type": "record", "name": "R", "fields": []}`,
			`{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int", "default": "x"}]}`, "R.a: default x is no int"},
		{"symbol without a default", `{"type": "enum", "name": "E", "symbols": ["a", "b"]}`,
			`{"type": "enum", "name": "E", "symbols": ["a"]}`,
			"E: symbol b is unknown"},
		{"union wider than the reader", `["null", "string"]`, `"string"`, "string: null cannot be read as string"},
		{"no branch", `"boolean"`, `["null", "string"]`, "boolean is none of the union's types"},
		{"time of day as a moment", `{"type": "long", "logicalType": "time-micros"}`,
			`{"type": "long", "logicalType": "timestamp-millis"}`, "time-micros cannot be read as timestamp-millis"},
		{"date as a moment", `{"type": "int", "logicalType": "date"}`,
			`{"type": "long", "logicalType": "timestamp-millis"}`, "date cannot be read as timestamp-millis"},
		{"milliseconds as microseconds", `{"type": "long", "logicalType": "timestamp-millis"}`,
			`{"type": "long", "logicalType": "timestamp-micros"}`, "timestamp-millis cannot be read as timestamp-micros"},
		{"deep", `{"type": "record", "name": "R", "fields": [{"name": "r", "type": ["null", "R"]}]}`,
			`{"type": "record", "name": "R", "fields": [{"name": "r", "type": ["null", "R"]}]}`, "nests more than"},
	} {
		t.Run(c.name, func(t *testing.T) {
			problems := Resolve(mustParse(t, c.writer), mustParse(t, c.reader)).Problems()
			require.NotEmpty(t, problems)
			require.Contains(t, problems[0], c.want)
		})
	}
}

// Timestamps of any unit become milliseconds, by goavro's word of what the writer meant where it knows the type, else by big numbers.
func TestResolveConvertsTimestamps(t *testing.T) {
	const millis = `{"type": "long", "logicalType": "timestamp-millis"}`
	reader, err := goavro.NewCodec(millis)
	require.NoError(t, err)
	long, err := goavro.NewCodec(`"long"`)
	require.NoError(t, err)
	perMilli := map[string]int64{
		"timestamp-millis": 1, "timestamp-micros": 1e3, "timestamp-nanos": 1e6,
		"local-timestamp-millis": 1, "local-timestamp-micros": 1e3, "local-timestamp-nanos": 1e6,
	}
	values := []int64{0, 1, -1, 999, -999, 1000, -1000, -1001, 999_999, -1_000_001, 1_769_860_800_123_456, math.MaxInt64, math.MinInt64}
	for logical, per := range perMilli {
		writer := `{"type": "long", "logicalType": "` + logical + `"}`
		codec, err := goavro.NewCodec(writer)
		require.NoError(t, err)
		resolution := Resolve(mustParse(t, writer), mustParse(t, millis))
		require.Empty(t, resolution.Problems())
		for _, v := range values {
			body, err := long.BinaryFromNative(nil, v)
			require.NoError(t, err)
			out, _, err := resolution.Append(nil, body)
			require.NoError(t, err)
			quotient, rest := new(big.Int).DivMod(big.NewInt(v), big.NewInt(per), new(big.Int)) // Euclid's, which is the floor here
			require.GreaterOrEqual(t, rest.Sign(), 0)
			require.Equal(t, AppendLong(nil, quotient.Int64()), out, "%s of %d", logical, v)
			meant, _, err := codec.NativeFromBinary(body)
			require.NoError(t, err)
			got, _, err := reader.NativeFromBinary(out)
			require.NoError(t, err)
			if meant, knows := meant.(time.Time); knows {
				require.Equal(t, meant.UnixMilli(), got.(time.Time).UnixMilli(), "%s of %d", logical, v)
			}
		}
	}
	optional := Resolve(mustParse(t, `[{"type": "long", "logicalType": "timestamp-micros"}, "null"]`), mustParse(t, `["null", `+millis+`]`))
	require.Empty(t, optional.Problems())
	out, _, err := optional.Append(nil, AppendLong([]byte{0}, -1))
	require.NoError(t, err)
	require.Equal(t, AppendLong([]byte{2}, -1), out, "a microsecond before 1970 lies in the millisecond before")
	plain := Resolve(mustParse(t, `"long"`), mustParse(t, millis))
	out, _, err = plain.Append(nil, AppendLong(nil, 1_769_860_800_123_456))
	require.NoError(t, err)
	require.Equal(t, AppendLong(nil, 1_769_860_800_123_456), out, "a long that says nothing stays as it is")
}

// Skip gives the bytes of a value, and counts what is in it before anybody makes room.
func TestSkip(t *testing.T) {
	s := mustParse(t, `{"type": "record", "name": "R", "fields": [{"name": "n", "type": "null"}, {"name": "l", "type":
		{"type": "array", "items": "boolean"}}, {"name": "r", "type": {"type": "record", "name": "E", "fields": [
		{"name": "a", "type": "null"}, {"name": "b", "type": "null"}]}}]}`)
	body := append(AppendLong(nil, 3), 1, 0, 1, 0, 7)
	r := NewReader(body)
	require.Equal(t, body[:5], r.Skip(s, 7), "the record, three parts, three elements")
	require.Equal(t, int32(-4), r.Int())
	require.NoError(t, r.Finish())
	r = NewReader(body)
	require.Nil(t, r.Skip(s, 6))
	require.ErrorContains(t, r.Err(), "more than 6 values in one")
	r = NewReader(body)
	require.Equal(t, body[:5], r.Skip(s, 0))
	require.True(t, s.TakesBytes())
	require.False(t, mustParse(t, `{"type": "record", "name": "E", "fields": [{"name": "a", "type": "null"}]}`).TakesBytes())
}

// What cannot be read fails when it comes up, and only then.
func TestProblemsFailWhereTheyComeUp(t *testing.T) {
	r := Resolve(mustParse(t, `["null", "string"]`), mustParse(t, `"string"`))
	out, _, err := r.Append(nil, AppendString([]byte{2}, "a"))
	require.NoError(t, err)
	require.Equal(t, AppendString(nil, "a"), out)
	_, _, err = r.Append(nil, []byte{0})
	require.EqualError(t, err, "byte 1: string: null cannot be read as string")

	r = Resolve(mustParse(t, `{"type": "enum", "name": "E", "symbols": ["a", "b"]}`), mustParse(t,
		`{"type": "enum", "name": "E", "symbols": ["a"]}`))
	_, _, err = r.Append(nil, []byte{0})
	require.NoError(t, err)
	_, _, err = r.Append(nil, []byte{2})
	require.ErrorContains(t, err, "symbol b is unknown")
}

// The bytes of a recursive type decide how deep it nests; they must not decide how deep our stack does.
func TestDepthIsBounded(t *testing.T) {
	writer := mustParse(t, `{"type": "record", "name": "R", "fields": [
		{"name": "next", "type": ["R", "null"]}, {"name": "more", "type": ["R", "null"]}, {"name": "a", "type": "int"}]}`)
	reader := mustParse(t, `{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}`)
	_, _, err := Resolve(writer, reader).Append(nil, make([]byte, 1<<20))
	require.ErrorContains(t, err, "nest more than 64 deep")
	out, _, err := Resolve(writer, reader).Append(nil, []byte{0, 2, 2, 10, 2, 12}) // {next: {a: 5}, a: 6}
	require.NoError(t, err)
	require.Equal(t, []byte{12}, out)
}

// fuzzWriter has a value of each kind, some to read and some to skip, in another order than the reader's.
const fuzzWriter = `{"type": "record", "name": "R", "fields": [
	{"name": "list", "type": {"type": "array", "items": {"type": "record", "name": "I", "fields": [
		{"name": "x", "type": "int"}, {"name": "y", "type": ["null", "string", {"type": "map", "values": "long"}]}]}}},
	{"name": "gone", "type": {"type": "map", "values": ["null", "R"]}},
	{"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["a", "b", "c"]}},
	{"name": "b", "type": "boolean"},
	{"name": "f", "type": {"type": "fixed", "name": "F", "size": 2}},
	{"name": "d", "type": "float"}]}`

const fuzzReader = `{"type": "record", "name": "R", "fields": [
	{"name": "d", "type": "double"},
	{"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["other", "b"], "default": "other"}},
	{"name": "new", "type": {"type": "array", "items": "string"}, "default": ["x"]},
	{"name": "b", "type": ["null", "boolean"]},
	{"name": "f", "type": {"type": "fixed", "name": "F", "size": 2}},
	{"name": "list", "type": {"type": "array", "items": {"type": "record", "name": "I", "fields": [
		{"name": "y", "type": ["null", {"type": "map", "values": "double"}, "string"]}, {"name": "z", "type": "int", "default": 1},
		{"name": "x", "type": "long"}]}}}]}`

// FuzzResolve holds that any bytes resolve to a record of the reader's schema, by goavro's word, or to an error; and that goavro
// accepts by the writer's schema whatever resolves.
func FuzzResolve(f *testing.F) {
	f.Add([]byte{})
	seed, err := hex.DecodeString("04" + "0200" + "040261" + "00" + "00" + "02" + "01" + "6162" + "0000c03f")
	require.NoError(f, err)
	f.Add(seed)
	f.Add(slices.Repeat([]byte{1}, 64))
	goavro.MaxBlockCount = 1 << 12
	writer, err := goavro.NewCodec(fuzzWriter)
	require.NoError(f, err)
	reader, err := goavro.NewCodec(fuzzReader)
	require.NoError(f, err)
	resolution := Resolve(mustParse(f, fuzzWriter), mustParse(f, fuzzReader))
	require.Empty(f, resolution.Problems())
	f.Fuzz(func(t *testing.T, body []byte) {
		out, _, err := resolution.Append(nil, body)
		if err != nil {
			return
		}
		require.LessOrEqual(t, len(out), 16+16*len(body))
		// A key that comes twice goavro refuses, and resolution leaves it to the typed decoder.
		goavroAccepts(t, reader, out)
		goavroAccepts(t, writer, body)
	})
}

func goavroAccepts(t *testing.T, codec *goavro.Codec, body []byte) {
	_, rest, err := codec.NativeFromBinary(body)
	if err != nil {
		require.ErrorContains(t, err, "duplicate key")
		return
	}
	require.Empty(t, rest)
}

// FuzzParse holds that any text is a schema or an error, and that a schema resolves to itself.
func FuzzParse(f *testing.F) {
	f.Add(fuzzWriter)
	f.Add(billionNothings(8))
	f.Add(`{"type": "record", "name": "R", "fields": [{"name": "r", "type": ["null", "R"], "default": null}]}`)
	f.Add(`{"type": {"type": {"type": "array", "items": ["int", "null"]}}}`)
	reader := mustParse(f, fuzzReader)
	f.Fuzz(func(_ *testing.T, text string) {
		writer, err := Parse(text)
		if err != nil {
			return
		}
		_, _, _ = Resolve(writer, reader).Append(nil, []byte("any bytes at all, none of which are a record"))
	})
}
