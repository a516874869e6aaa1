package tablefile

import (
	"bytes"
	"compress/flate"
	"compress/gzip"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/linkedin/goavro/v2"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/columnar"
)

// rows reads all columns of a file, or some, and shows each cell.
func rows(path string, columns ...string) (all [][]string, err error) {
	t, err := Open(path, "f", How{})
	if err != nil {
		return nil, err
	}
	defer t.Close()
	var places []int
	for i, name := range t.Columns() {
		if len(columns) == 0 || strings.Contains(" "+strings.Join(columns, " ")+" ", " "+name+" ") {
			places = append(places, i)
		}
	}
	if err := t.Begin(places); err != nil {
		return nil, err
	}
	for {
		more, err := t.Next()
		if err != nil || !more {
			return all, err
		}
		var row []string
		for i := range places {
			row = append(row, shown(t.Cell(i)))
		}
		all = append(all, row)
	}
}

func shown(c *columnar.Cell) string {
	one := func(v columnar.Value) string {
		switch v.Kind {
		case columnar.Null:
			return "null"
		case columnar.Float:
			return fmt.Sprint("float ", v.Float)
		case columnar.Text:
			return fmt.Sprintf("text %s", v.Text)
		case columnar.Decimal:
			return fmt.Sprintf("decimal %s", v.Text)
		}
		return fmt.Sprint(map[columnar.Kind]string{columnar.Bool: "bool ", columnar.Int: "int ", columnar.Time: "time "}[v.Kind], v.Int)
	}
	if c.Shape == columnar.Scalar {
		return one(c.Values[0])
	}
	var parts []string
	for i, v := range c.Values {
		part := one(v)
		if c.Shape == columnar.Map {
			part = one(c.Keys[i]) + ": " + part
		}
		parts = append(parts, part)
	}
	return map[columnar.Shape]string{columnar.List: "list", columnar.Map: "map"}[c.Shape] + "(" + strings.Join(parts, ", ") + ")"
}

func fixture(name string) string { return filepath.Join("testdata", "avro", name+".avro") }

func TestAvroCodecs(t *testing.T) {
	for _, codec := range []string{"null", "deflate", "snappy", "zstandard", "bzip2"} {
		got, err := rows(fixture("codec-" + codec))
		require.NoError(t, err, codec)
		require.Len(t, got, 100, codec)
		for i := range got {
			require.Equal(t, []string{fmt.Sprintf("text user-%d", i), fmt.Sprint("int ", i*i)}, got[i], codec)
		}
		only, err := rows(fixture("codec-"+codec), "n")
		require.NoError(t, err)
		require.Equal(t, []string{"int 81"}, only[9])
	}
	_, err := rows(fixture("codec-xz"))
	require.ErrorContains(t, err, `its blocks are compressed with "xz": write it with deflate, snappy, zstandard, bzip2`)
}

// TestAvroKinds reads what fastavro wrote; each value is in make.py.
func TestAvroKinds(t *testing.T) {
	for name, want := range map[string]string{
		"boolean": "bool 1", "int": "int -7", "long": "int -9223372036854775808", "float": "float 1.5", "double": "float 0.1",
		"string": "text é", "bytes": "text text", "fixed": "text abc", "enum": "text BUY", "date": "time -86400000",
		"timestamp_millis": "time 1769860800123", "timestamp_micros": "time 1769860800123", "timestamp_nanos": "time 1769860800123",
		"local_millis": "text 2026-01-31T12:00:00.123", "local_micros": "text 2026-01-31T12:00:00.123456",
		"local_nanos": "text 2026-01-31T12:00:00.123456789",
		"uuid":        "text 6ba7b810-9dad-11d1-80b4-00c04fd430c8", "decimal": "decimal -0.05",
		"decimal_fixed": "decimal 12345678901234567890.123456789", "decimal_zero": "decimal 0",
		"list": "list(text a, null, text )", "map": "map(text a: float 1.5, text b: null)",
		"record": "map(text x: int 1, text y: null)", "pairs": "map(int 7: text seven)", "several": "text s", "odd_decimal": "decimal 1.5",
	} {
		got, err := rows(fixture("kinds"), name)
		require.NoError(t, err, name)
		require.Equal(t, [][]string{{want}, {"null"}}, got, name)
	}
	for name, want := range map[string]string{
		"time_millis": "column time_millis: its type is time-millis: write it as a string, a number, a boolean, or a timestamp",
		"time_micros": "its type is time-micros",
		"deep":        "column deep: it is neither a plain value, nor a list of them, nor a map",
	} {
		_, err := rows(fixture("kinds"), name)
		require.ErrorContains(t, err, want)
	}
}

func TestAvroOfOtherWriters(t *testing.T) {
	got, err := rows(fixture("defaults"))
	require.NoError(t, err, "a reader needs no defaults")
	require.Equal(t, [][]string{{"text u", "int 1", "text b"}}, got)
	got, err = rows(fixture("polars"))
	require.NoError(t, err)
	require.Equal(t, [][]string{
		{"text u1", "int 1", "text 2026-01-31T12:00:00", "text 2026-01-31T12:00:00.123456", "list(text a, null)",
			"map(text x: int 1, text y: text q)", "decimal 9.50"},
		{"text u2", "null", "null", "null", "null", "null", "null"},
	}, got)
	got, err = rows(fixture("polars-empty"))
	require.NoError(t, err)
	require.Empty(t, got)
	got, err = rows(fixture("polars-appended"))
	require.NoError(t, err, "an empty block is no end")
	require.Equal(t, [][]string{{"text u1", "int 1"}}, got)
}

// A container is read from its beginning to its end, so it may be packed as text may.
func TestAvroInGzip(t *testing.T) {
	whole, err := os.ReadFile(fixture("kinds"))
	require.NoError(t, err)
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, err = w.Write(whole)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	got, err := rows(written(t, b.Bytes()), "int")
	require.NoError(t, err)
	require.Equal(t, [][]string{{"int -7"}, {"null"}}, got)
}

// made is a container of blocks as they are given: how many records each says it has, and its bytes.
type made struct {
	count int64
	body  []byte
}

func containerOf(schema, codec string, blocks ...made) []byte {
	text := func(dst []byte, s string) []byte { return append(binary.AppendVarint(dst, int64(len(s))), s...) }
	b := binary.AppendVarint([]byte(containerMagic), 2)
	b = text(text(b, "avro.schema"), schema)
	b = text(text(b, "avro.codec"), codec)
	b = append(append(b, 0), "0123456789abcdef"...)
	for _, block := range blocks {
		b = binary.AppendVarint(b, block.count)
		b = text(b, string(block.body))
		b = append(b, "0123456789abcdef"...)
	}
	return b
}

func written(t testing.TB, b []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "table")
	require.NoError(t, os.WriteFile(path, b, 0o600))
	return path
}

func deflated(n int) []byte {
	var b bytes.Buffer
	w, _ := flate.NewWriter(&b, flate.BestCompression)
	_, _ = w.Write(make([]byte, n))
	_ = w.Close()
	return b.Bytes()
}

func one(field string) string {
	return `{"type": "record", "name": "R", "fields": [{"name": "a", "type": ` + field + `}]}`
}

// TestAvroRefusals: nothing that a file says of itself is believed.
func TestAvroRefusals(t *testing.T) {
	whole, err := os.ReadFile(fixture("codec-snappy"))
	require.NoError(t, err)
	flipped := bytes.Clone(whole)
	at := bytes.Index(flipped, []byte("user-0")) // a literal within the packed bytes, which stay snappy
	require.Positive(t, at)
	flipped[at] ^= 1
	otherSync := bytes.Clone(whole)
	otherSync[len(otherSync)-1] ^= 1
	huge := func(n int64) []byte { return binary.AppendVarint(nil, n) }
	list := `{"type": "array", "items": "boolean"}`
	many := append(huge(1<<17), make([]byte, 1<<17+1)...)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"flipped bit":       {flipped, "block 1: unpacking snappy: its checksum is another: the file is damaged"},
		"sync marker":       {otherSync, "it does not end with the file's sync marker"},
		"cut off":           {whole[:len(whole)-9], "the file ends too early"},
		"cut header":        {whole[:40], "reading the header: the file ends too early"},
		"no schema":         {containerOf("", "null"), "it has no avro.schema"},
		"no JSON":           {containerOf("{", "null"), "parsing schema"},
		"no record":         {containerOf(`"string"`, "null"), "it holds values of type string: write records"},
		"no bytes":          {containerOf(one(`"null"`), "null", made{1 << 27, nil}), "its records have no fields with values"},
		"more than unpacks": {containerOf(one(`"boolean"`), "deflate", made{1, deflated(mostBlock + 1)}), "it unpacks to more than 67108864 bytes"},
		"claims gigabytes":  {append(containerOf(one(`"int"`), "null"), huge(1)[0], 0x80, 0x80, 0x80, 0x80, 0x80, 1), "write smaller blocks"},
		"snappy claims": {containerOf(one(`"int"`), "snappy", made{1, append(binary.AppendUvarint(nil, 1<<31), 0, 0, 0, 0)}),
			"it unpacks to more than"},
		"negative count":     {containerOf(one(`"int"`), "null", made{-1, []byte{0}}), "the file is damaged"},
		"too many rows":      {containerOf(one(`"int"`), "null", made{1 << 40, []byte{0}}), "more records than any that is read"},
		"more records":       {containerOf(one(`"int"`), "null", made{2, []byte{0}}), "ends within a number"},
		"fewer records":      {containerOf(one(`"int"`), "null", made{1, []byte{0, 0}}, made{1, []byte{0}}), "1 bytes follow the record"},
		"fewer at the end":   {containerOf(one(`"int"`), "null", made{1, []byte{0, 0}}), "1 bytes follow the record"},
		"elements claimed":   {containerOf(one(list), "null", made{1, huge(1 << 60)}), "block of 1152921504606846976 elements"},
		"too many elements":  {containerOf(one(list), "null", made{1, many}), "more than 65536 values in one"},
		"large value":        {containerOf(one(`"string"`), "null", made{1, append(huge(3<<20), make([]byte, 3<<20)...)}), "column a has a value of 3145732 bytes: give at most 2097152"},
		"key twice":          {containerOf(one(`{"type": "map", "values": "null"}`), "null", made{1, []byte{4, 2, 'k', 2, 'k', 0}}), "duplicate key"},
		"elements of nought": {containerOf(one(`{"type": "array", "items": "null"}`), "null"), "takes no bytes"},
		"other compression":  {containerOf(one(`"int"`), "lzo"), `its blocks are compressed with "lzo"`},
		"decimal of nothing": {containerOf(one(`{"type": "bytes", "logicalType": "decimal", "scale": 3}`), "null"), "decimal of precision 0 and scale 3"},
		"long decimal": {containerOf(one(`{"type": "bytes", "logicalType": "decimal", "precision": 3}`), "null",
			made{1, append(huge(2000), make([]byte, 2000)...)}), "a decimal has more than 1024 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := rows(written(t, c.file))
			require.ErrorContains(t, err, c.want)
		})
	}
	// What is not asked for may be of any size and type.
	deep := `[{"type": "array", "items": {"type": "array", "items": "boolean"}}, "int"]`
	body := append(append([]byte{0, 2}, many...), 0, 8)
	got, err := rows(written(t, containerOf(`{"type": "record", "name": "R", "fields": [{"name": "a", "type": `+deep+
		`}, {"name": "b", "type": "int"}]}`, "", made{1, body})), "b")
	require.NoError(t, err)
	require.Equal(t, [][]string{{"int 4"}}, got)
}

// goavro writes an empty block for an empty Append, and reads none.
func TestAvroIsReadAsGoavroWritesIt(t *testing.T) {
	for _, codec := range []string{goavro.CompressionNullLabel, goavro.CompressionDeflateLabel, goavro.CompressionSnappyLabel} {
		var b bytes.Buffer
		w, err := goavro.NewOCFWriter(goavro.OCFConfig{W: &b, CompressionName: codec, Schema: one(`["null", "string"]`)})
		require.NoError(t, err)
		require.NoError(t, w.Append([]any{map[string]any{"a": goavro.Union("string", "x")}}))
		require.NoError(t, w.Append([]any{}))
		require.NoError(t, w.Append([]any{map[string]any{"a": nil}}))
		got, err := rows(written(t, b.Bytes()))
		require.NoError(t, err)
		require.Equal(t, [][]string{{"text x"}, {"null"}}, got)
	}
}

// TestAvroClaimsTakeNoMemory: sizes and counts of hundreds of megabytes, in files of a hundred bytes.
func TestAvroClaimsTakeNoMemory(t *testing.T) {
	claim := binary.AppendVarint(nil, mostBlock)
	list := one(`{"type": "map", "values": "string"}`)
	header := append(binary.AppendVarint([]byte(containerMagic), 2), binary.AppendVarint(nil, mostContainerHeader-100)...)
	for name, file := range map[string][]byte{
		"block":    append(append(containerOf(list, "null"), 2), claim...),
		"elements": containerOf(list, "null", made{1, binary.AppendVarint(nil, 1<<28)}),
		"text":     containerOf(one(`"string"`), "null", made{1, claim}),
		"rows":     containerOf(one(`"string"`), "deflate", made{1 << 27, []byte{3, 0}}),
		"header":   append(header, "key"...),
	} {
		path := written(t, file)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := rows(path)
		runtime.ReadMemStats(&after)
		require.Error(t, err, name)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20), name)
	}
}

// FuzzAvro: any bytes are rows or an error, within bounded memory.
func FuzzAvro(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "avro", "*.avro"))
	require.NoError(f, err)
	require.NotEmpty(f, files)
	for _, path := range files {
		b, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(b)
	}
	f.Add(containerOf(one(`{"type": "map", "values": ["R", "null"]}`), "null", made{1, []byte{2, 2, 'k', 2, 0}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		if !bytes.HasPrefix(b, []byte(containerMagic)) || len(b) > 1<<16 {
			return
		}
		path := written(t, b)
		table, err := Open(path, "f", How{Bounds: columnar.Bounds{Rows: 1 << 12}})
		if err != nil {
			return
		}
		defer table.Close()
		for i := range table.Columns() {
			again, err := Open(path, "f", How{Bounds: columnar.Bounds{Rows: 1 << 12}})
			require.NoError(t, err)
			if again.Begin([]int{i}) == nil {
				for more := true; more && err == nil; {
					if more, err = again.Next(); more {
						require.NotEmpty(t, shown(again.Cell(0)))
					}
				}
			}
			again.Close()
			if i == 8 {
				return
			}
		}
	})
}
