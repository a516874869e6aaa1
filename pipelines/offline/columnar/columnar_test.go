package columnar

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The files of testdata are written by pyarrow 26, in row groups of several pages: row i has what the cells of wantRow say.
const fixtureRows = 300

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".parquet"))
	require.NoError(t, err)
	return b
}

// plainCell renders a cell.
func plainCell(c *Cell) string {
	s := ""
	for i, v := range c.Values {
		if c.Shape == Map {
			s += string(c.Keys[i].Text) + "="
		}
		switch v.Kind {
		case Text:
			s += string(v.Text)
		case Float:
			s += fmt.Sprint(v.Float)
		case Null:
			s += "null"
		default:
			s += fmt.Sprint(v.Int)
		}
		s += ";"
	}
	return s
}

var fixtureColumns = []string{"text", "int", "small", "float", "flag", "ms", "us", "day", "list", "map", "none"}

func wantRow(i int) []string {
	text, float, list, pairs, flag := fmt.Sprintf("t%dé;", i%11), fmt.Sprint(float64(i)/8, ";"), "", "", "0;"
	if i%7 == 0 {
		text = "null;"
	}
	if i%3 == 0 {
		float = "null;"
	}
	if i%4 == 0 {
		flag = "1;"
	}
	for j := range i % 4 {
		if i%5 != 0 {
			list += fmt.Sprintf("e%d;", j)
		}
	}
	for j := range i % 3 {
		pairs += fmt.Sprintf("k%d=v%d;", j, i)
	}
	ms := fmt.Sprintf("%d;", i*1000+7)
	return []string{
		text, fmt.Sprintf("%d;", i*i-1000), fmt.Sprintf("%d;", i%5), float, flag, ms, ms, fmt.Sprintf("%d;", (i-100)*msADay), list, pairs, "null;",
	}
}

func TestReadsWhatOthersWrite(t *testing.T) {
	for _, name := range []string{"none", "snappy", "zstd", "gzip", "lz4", "v2", "int96", "delta"} {
		t.Run(name, func(t *testing.T) {
			b := fixture(t, name)
			f, err := Open(bytes.NewReader(b), int64(len(b)), DefaultBounds())
			require.NoError(t, err)
			require.EqualValues(t, fixtureRows, f.NumRows())
			require.Subset(t, f.Names(), fixtureColumns)
			rows, err := f.Rows(fixtureColumns...)
			require.NoError(t, err)
			defer rows.Close()
			for i := range fixtureRows {
				require.True(t, rows.Next(), "row %d: %v", i, rows.Err())
				var got []string
				for c := range fixtureColumns {
					got = append(got, plainCell(rows.Cell(c)))
				}
				require.Equal(t, wantRow(i), got, "row %d", i)
			}
			require.False(t, rows.Next())
			require.NoError(t, rows.Err())
			for column, want := range map[string]string{
				"deep":  "column deep: it is neither a plain value, nor a list, a map or a struct of them",
				"other": "column other is not in the file",
			} {
				_, err := f.Rows(column)
				require.ErrorContains(t, err, want)
			}
		})
	}
}

// read reads all of a file, and returns how many rows came before the error.
func read(b []byte, bounds Bounds) (n int, err error) {
	f, err := Open(bytes.NewReader(b), int64(len(b)), bounds)
	if err != nil {
		return 0, err
	}
	var names []string
	for _, c := range f.columns {
		if c.problem == nil {
			names = append(names, c.name)
		}
	}
	rows, err := f.Rows(names...)
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		n++
		for i := range names {
			touch(rows.Cell(i))
		}
	}
	return n, rows.Err()
}

// touch reads all that a cell has.
func touch(c *Cell) (sum int) {
	for _, values := range [][]Value{c.Keys, c.Values} {
		for _, v := range values {
			sum += int(v.Kind)
			for _, b := range v.Text[:min(len(v.Text), 1<<10)] {
				sum += int(b)
			}
		}
	}
	return sum
}

// refooted is a file with another footer.
func refooted(t *testing.T, b []byte, change func(*format.FileMetaData)) []byte {
	t.Helper()
	n := int(binary.LittleEndian.Uint32(b[len(b)-8:]))
	data, footer := b[:len(b)-8-n], b[len(b)-8-n:len(b)-8]
	var meta format.FileMetaData
	require.NoError(t, thrift.Unmarshal(new(thrift.CompactProtocol), footer, &meta))
	change(&meta)
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &meta)
	require.NoError(t, err)
	return withFooter(data, footer)
}

func withFooter(data, footer []byte) []byte {
	out := append(bytes.Clone(data), footer...)
	return append(binary.LittleEndian.AppendUint32(out, uint32(len(footer))), magic...)
}

// onePage is a file of one required column of text, with a page made by hand.
func onePage(t *testing.T, rows int64, codec format.CompressionCodec, header *format.PageHeader, page []byte) []byte {
	t.Helper()
	h, err := thrift.Marshal(new(thrift.CompactProtocol), header)
	require.NoError(t, err)
	data := append(append([]byte(magic), h...), page...)
	meta := format.FileMetaData{Version: 1, NumRows: rows}
	meta.Schema = append(meta.Schema, format.SchemaElement{Name: "root", NumChildren: thrift.New(int32(1))},
		format.SchemaElement{Name: "flag", Type: thrift.New(format.Boolean), RepetitionType: thrift.New(format.Optional)})
	chunk := format.ColumnChunk{MetaData: format.ColumnMetaData{
		Type: format.Boolean, Codec: codec, NumValues: rows, DataPageOffset: 4, TotalCompressedSize: int64(len(data) - 4),
	}}
	chunk.MetaData.PathInSchema = append(chunk.MetaData.PathInSchema, "flag")
	meta.RowGroups = append(meta.RowGroups, format.RowGroup{Columns: []format.ColumnChunk{chunk}, NumRows: rows})
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &meta)
	require.NoError(t, err)
	return withFooter(data, footer)
}

func dataPage(values int32, size, unpacked int) *format.PageHeader {
	return &format.PageHeader{
		Type: format.DataPage, CompressedPageSize: int32(size), UncompressedPageSize: int32(unpacked),
		DataPageHeader: thrift.New(format.DataPageHeader{
			NumValues: values, Encoding: format.Plain, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
		}),
	}
}

func bomb(t *testing.T) []byte {
	t.Helper()
	w, err := zstd.NewWriter(nil, zstd.WithWindowSize(1<<20))
	require.NoError(t, err)
	defer w.Close()
	return w.EncodeAll(make([]byte, 64<<20), nil)
}

// TestHostileFiles: what the files declare is beyond the bounds or beyond themselves, and none of it may cost memory.
func TestHostileFiles(t *testing.T) {
	base := fixture(t, "none")
	list := func(n uint64) []byte { // a footer that begins with a list of so many structures
		return append(binary.AppendUvarint([]byte{0x29, 0xfc}, n), 0, 0)
	}
	packed := bomb(t)
	runs := func(n uint64) []byte { // a page of one run of n levels that say null
		run := append(binary.AppendUvarint(nil, n<<1), 0)
		return append(binary.LittleEndian.AppendUint32(nil, uint32(len(run))), run...)
	}
	nulls := runs(1 << 27)
	first := func(change func(*format.ColumnChunk)) []byte {
		return refooted(t, base, func(m *format.FileMetaData) { change(&m.RowGroups[0].Columns[0]) })
	}
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"nothing":         {nil, "too short"},
		"text":            {bytes.Repeat([]byte("a,b\n"), 10), "it is no Parquet file"},
		"cut":             {base[:len(base)-1], "it is no Parquet file"},
		"encrypted":       {append(bytes.Clone(base[:len(base)-4]), "PARE"...), "it is encrypted"},
		"long footer":     {append(append([]byte(magic), 0, 0, 0, 0xff, 0xff, 0xff, 0x00), magic...), "it says that its footer has"},
		"long list":       {withFooter([]byte(magic), list(1<<31-1)), "a list says that it has 2147483647 elements, in 2 bytes"},
		"many structures": {withFooter([]byte(magic), append(list(1<<20), make([]byte, 1<<20)...)), "more than 524288 elements"},
		"deep footer":     {withFooter([]byte(magic), bytes.Repeat([]byte{0x1c}, 1<<16)), "nested too deep"},
		"no schema":       {refooted(t, base, func(m *format.FileMetaData) { m.Schema = nil }), "the schema has 0 nodes"},
		"schema cut":      {refooted(t, base, func(m *format.FileMetaData) { m.Schema[0].NumChildren = thrift.New(int32(1 << 30)) }), "does not have the nodes"},
		"rows":            {refooted(t, base, func(m *format.FileMetaData) { m.RowGroups[0].NumRows = 1 << 40 }), "more than 1000000 rows"},
		"rows less":       {refooted(t, base, func(m *format.FileMetaData) { m.RowGroups[0].NumRows = -1 }), "more than 1000000 rows"},
		"rows differ":     {refooted(t, base, func(m *format.FileMetaData) { m.NumRows++ }), "its row groups have 300"},
		"more rows":       {refooted(t, base, func(m *format.FileMetaData) { m.NumRows++; m.RowGroups[0].NumRows++ }), "fewer rows than the file says"},
		"less rows":       {refooted(t, base, func(m *format.FileMetaData) { m.NumRows--; m.RowGroups[0].NumRows-- }), "more rows than the file says"},
		"columns":         {refooted(t, base, func(m *format.FileMetaData) { m.RowGroups[0].Columns = m.RowGroups[0].Columns[1:] }), "row group 1 has"},
		"outside":         {first(func(c *format.ColumnChunk) { c.MetaData.DataPageOffset = 1 << 60; c.MetaData.DictionaryPageOffset = 0 }), "outside of the file"},
		"outside, longer": {first(func(c *format.ColumnChunk) { c.MetaData.TotalCompressedSize = 1<<63 - 1 }), "outside of the file"},
		"another type":    {first(func(c *format.ColumnChunk) { c.MetaData.Type = format.Double }), "in a row group"},
		"another file":    {first(func(c *format.ColumnChunk) { c.FilePath = "secret" }), `its data lies in another file, "secret"`},
		"another codec":   {first(func(c *format.ColumnChunk) { c.MetaData.Codec = 3 }), "compressed with LZO"},
		"codec that lies": {first(func(c *format.ColumnChunk) { c.MetaData.Codec = format.Snappy }), "does not unpack to the size"},
		"long page":       {onePage(t, 10, format.Uncompressed, dataPage(10, 1<<30, 1<<30), nil), "longer than what is left of its column"},
		"unpacks to much": {onePage(t, 10, format.Zstd, dataPage(10, len(packed), 2<<20), packed), "a page has 2097152 bytes, more than 1048576"},
		"unpacks to more": {onePage(t, 10, format.Zstd, dataPage(10, len(packed), 1000), packed), "does not unpack to the size"},
		"long run":        {onePage(t, 1_000_000, format.Uncompressed, dataPage(1<<27, len(nulls), len(nulls)), nulls), "a header that makes no sense"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := read(c.file, Bounds{Rows: 1_000_000, PageBytes: 1 << 20})
			runtime.ReadMemStats(&after)
			require.ErrorContains(t, err, c.want)
			require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(32<<20))
		})
	}
	t.Run("a run of a million takes no memory", func(t *testing.T) {
		nulls := runs(1_000_000)
		file := onePage(t, 1_000_000, format.Uncompressed, dataPage(1_000_000, len(nulls), len(nulls)), nulls)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, err := read(file, Bounds{Rows: 1_000_000, PageBytes: 1 << 20})
		runtime.ReadMemStats(&after)
		require.NoError(t, err)
		require.Equal(t, 1_000_000, n)
		require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(1<<20))
	})
}

// TestDamagedFiles: one byte after the other is another one; all may happen but a panic.
func TestDamagedFiles(t *testing.T) {
	for _, name := range []string{"v2", "delta", "int96", "types-delta", "types-split", "types-dictionary"} {
		base := fixture(t, name)
		for at := 0; at < len(base); at += 29 {
			b := bytes.Clone(base)
			b[at] ^= byte(1 + at%255)
			_, _ = read(b, Bounds{Rows: 10_000, PageBytes: 1 << 20})
		}
	}
}
