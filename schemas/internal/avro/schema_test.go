package avro

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	_, err := Parse(`{"type": "record", "name": "R", "namespace": "n.s", "doc": "d", "aliases": ["Old", "other.Older"], "fields": [
		{"name": "a", "type": "int", "doc": "fa", "default": 7},
		{"name": "b", "type": {"type": "array", "items": {"type": "enum", "name": "E", "symbols": ["x", "y"], "default": "y"}}},
		{"name": "c", "type": ["null", "E", "n.s.E2"], "aliases": ["c0"]}
	]}`)
	require.ErrorContains(t, err, `type "n.s.E2" is not defined before its use`)

	s, err := Parse(`{"type": "record", "name": "R", "namespace": "n.s", "doc": "d", "aliases": ["Old", "other.Older"], "fields": [
		{"name": "a", "type": {"type": "long", "logicalType": "timestamp-millis"}, "doc": "fa", "default": 7},
		{"name": "b", "type": {"type": "array", "items": {"type": "enum", "name": "E", "symbols": ["x", "y"], "default": "y"}}},
		{"name": "c", "type": ["null", "E", {"type": "fixed", "name": "F", "size": 3},
			{"type": "map", "values": "R"}], "aliases": ["c0"]}
	]}`)
	require.NoError(t, err)
	require.Equal(t, "n.s.R", s.Name)
	require.Equal(t, []string{"n.s.Old", "other.Older"}, s.Aliases)
	require.Equal(t, "timestamp-millis", s.Fields[0].Type.Logical)
	require.True(t, s.Fields[0].HasDefault)
	require.False(t, s.Fields[1].HasDefault)
	require.Equal(t, "y", s.Fields[1].Type.Items.Default)
	require.Same(t, s.Fields[1].Type.Items, s.Fields[2].Type.Options[1])
	require.Same(t, s, s.Fields[2].Type.Options[3].Items)
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{`, "unexpected EOF"},
		{`"int" "int"`, "text follows"},
		{`7`, "a type is a name"},
		{`{"type": "record", "fields": []}`, "has no name"},
		{`{"type": "record", "name": "R"}`, "fields are missing"},
		{`{"type": "record", "name": "R", "fields": [{"type": "int"}]}`, "no name of its own"},
		{`{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "a", "type": "int"}]}`,
			"no name of its own"},
		{`{"type": "enum", "name": "E"}`, "symbols are missing"},
		{`{"type": "enum", "name": "E", "symbols": ["a"], "default": "b"}`, "none of the symbols"},
		{`{"type": "fixed", "name": "F", "size": 0}`, "size 0"},
		{`{"type": "fixed", "name": "F", "size": 1e99}`, "size 1e99"},
		{`{"type": "array"}`, "items of array"},
		{`[]`, "a union is empty"},
		{`["int", ["string"]]`, "a union stands within a union"},
		{`["int", "int"]`, "int twice"},
		{`["string", {"type": "enum", "name": "E", "symbols": ["a"]}, {"type": "enum", "name": "E", "symbols": ["a"]}]`,
			"defined twice"},
		{`{"type": "array", "items": "null"}`, "takes no bytes"},
		{`{"type": "array", "items": {"type": "record", "name": "R", "fields": [{"name": "a", "type": "null"}]}}`, "takes no bytes"},
		{`{"type": "array", "items": {"type": "record", "name": "R", "fields": [{"name": "a", "type": "R"}]}}`, "takes no bytes"},
	} {
		_, err := Parse(c.text)
		require.ErrorContains(t, err, c.want, c.text)
	}
}

// billionNothings is a schema of n records, each of which holds the one before twice, and the first of which holds nothing: a
// value of it takes no bytes and has 2^n parts.
func billionNothings(n int) string {
	var b strings.Builder
	b.WriteString(`{"type": "record", "name": "R0", "fields": []}`)
	text := b.String()
	for i := 1; i <= n; i++ {
		text = fmt.Sprintf(`{"type": "record", "name": "R%d", "fields": [{"name": "a", "type": %s}, {"name": "b", "type": "R%d"}]}`,
			i, text, i-1)
	}
	return text
}

// Java writes the name of a type without a namespace bare, inside of types that have one.
func TestNamesWithoutNamespace(t *testing.T) {
	s := mustParse(t, `{"type": "record", "name": "Outer", "fields": [
		{"name": "e", "type": {"type": "enum", "name": "E", "symbols": ["a"]}},
		{"name": "inner", "type": {"type": "record", "name": "Inner", "namespace": "n", "fields": [{"name": "e", "type": "E"}]}}]}`)
	require.Same(t, s.Fields[0].Type, s.Fields[1].Type.Fields[0].Type)
}

func TestHugeEmptyValuesCostNothing(t *testing.T) {
	writer, err := Parse(`{"type": "record", "name": "R", "fields": [
		{"name": "nothing", "type": ` + billionNothings(60) + `}, {"name": "a", "type": "int"}]}`)
	require.NoError(t, err)
	reader, err := Parse(`{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}`)
	require.NoError(t, err)
	out, _, err := Resolve(writer, reader).Append(nil, AppendLong(nil, 7))
	require.NoError(t, err)
	require.Equal(t, AppendLong(nil, 7), out)
}

func TestEqual(t *testing.T) {
	require.True(t, Equal(`{"a": 1, "b": [2]}`, ` {"b":[2],"a":1}`))
	require.False(t, Equal(`{"a": 1}`, `{"a": 2}`))
	require.False(t, Equal(`{"a": 1}`, `{`))
	require.True(t, Equal(`{`, `{`))
}

func TestDefaults(t *testing.T) {
	for _, c := range []struct{ schema, value, want string }{
		{`"boolean"`, `true`, "\x01"},
		{`"int"`, `-1`, "\x01"},
		{`"long"`, `9007199254740993`, string(AppendLong(nil, 9007199254740993))},
		{`"float"`, `1.5`, string(AppendFloat(nil, 1.5))},
		{`"double"`, `2`, string(AppendDouble(nil, 2))},
		{`"bytes"`, `"ÿ"`, "\x02\xff"},
		{`"string"`, `"é"`, "\x04é"},
		{`{"type": "fixed", "name": "F", "size": 2}`, `"ab"`, "ab"},
		{`{"type": "enum", "name": "E", "symbols": ["a", "b"]}`, `"b"`, "\x02"},
		{`["null", "int"]`, `null`, "\x00"},
		{`["null", "int"]`, `3`, "\x02\x06"},
		{`{"type": "array", "items": "int"}`, `[1, 2]`, "\x04\x02\x04\x00"},
		{`{"type": "array", "items": "int"}`, `[]`, "\x00"},
		{`{"type": "map", "values": "int"}`, `{"b": 2, "a": 1}`, "\x04\x02a\x02\x02b\x04\x00"},
		{`{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}, {"name": "b", "type": "int", "default": 4}]}`,
			`{"a": 3}`, "\x06\x08"},
	} {
		out, err := resolveDefault(t, c.schema, c.value)
		require.NoError(t, err, c)
		require.Equal(t, c.want, string(out), c)
	}
	for _, c := range []struct{ schema, value string }{
		{`"int"`, `2147483648`}, {`"int"`, `1.5`}, {`"int"`, `"1"`}, {`"boolean"`, `1`}, {`"string"`, `1`}, {`"null"`, `0`},
		{`"bytes"`, `"Ā"`},
		{`{"type": "fixed", "name": "F", "size": 2}`, `"abc"`}, {`{"type": "enum", "name": "E", "symbols": ["a"]}`, `"b"`},
		{`["null", "int"]`, `"a"`}, {`{"type": "array", "items": "int"}`, `{}`}, {`{"type": "array", "items": "int"}`, `["a"]`},
		{`{"type": "map", "values": "int"}`, `[]`}, {`{"type": "map", "values": "int"}`, `{"a": "b"}`},
		{`{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}`, `{}`},
		{`{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}`, `{"a": "x"}`},
		{`{"type": "record", "name": "R", "fields": [{"name": "a", "type": "int"}]}`, `[]`},
	} {
		_, err := resolveDefault(t, c.schema, c.value)
		require.Error(t, err, c)
	}
}

// resolveDefault reads an empty record as one with a field of the given type and default.
func resolveDefault(t *testing.T, schema, value string) ([]byte, error) {
	field := `{"name": "f", "type": ` + schema + `, "default": ` + value + `}`
	reader, err := Parse(`{"type": "record", "name": "Outer", "fields": [` + field + `]}`)
	require.NoError(t, err)
	writer, err := Parse(`{"type": "record", "name": "Outer", "fields": []}`)
	require.NoError(t, err)
	out, _, err := Resolve(writer, reader).Append(nil, nil)
	return out, err
}
