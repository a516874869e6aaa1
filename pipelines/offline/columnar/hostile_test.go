package columnar

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"
	"github.com/stretchr/testify/require"
)

// page is one that a test makes.
type page struct {
	header format.PageHeader
	body   []byte
}

// fileOf has one column, optional unless element says otherwise, of pages as they are.
func fileOf(t testing.TB, rows, values int64, codec format.CompressionCodec, element *format.SchemaElement, pages ...page) []byte {
	t.Helper()
	data := []byte(magic)
	for _, p := range pages {
		p.header.CompressedPageSize = int32(len(p.body))
		h, err := thrift.Marshal(new(thrift.CompactProtocol), &p.header)
		require.NoError(t, err)
		data = append(append(data, h...), p.body...)
	}
	if !element.RepetitionType.Valid {
		element.RepetitionType = thrift.New(format.Optional)
	}
	element.Name = "c"
	meta := format.FileMetaData{Version: 1, NumRows: rows}
	meta.Schema = append(meta.Schema, format.SchemaElement{Name: "root", NumChildren: thrift.New(int32(1))}, *element)
	chunk := format.ColumnChunk{MetaData: format.ColumnMetaData{
		Type: element.Type.V, Codec: codec, NumValues: values, DataPageOffset: 4, TotalCompressedSize: int64(len(data) - 4),
	}}
	meta.RowGroups = append(meta.RowGroups, format.RowGroup{Columns: []format.ColumnChunk{chunk}, NumRows: rows})
	footer, err := thrift.Marshal(new(thrift.CompactProtocol), &meta)
	require.NoError(t, err)
	return withFooter(data, footer)
}

func of(kind format.Type, repetition format.FieldRepetitionType) *format.SchemaElement {
	return &format.SchemaElement{Type: thrift.New(kind), RepetitionType: thrift.New(repetition)}
}

func v1(entries int32, encoding format.Encoding, unpacked int, body []byte) page {
	return page{format.PageHeader{Type: format.DataPage, UncompressedPageSize: int32(unpacked), DataPageHeader: thrift.New(format.DataPageHeader{
		NumValues: entries, Encoding: encoding, DefinitionLevelEncoding: format.RLE, RepetitionLevelEncoding: format.RLE,
	})}, body}
}

func v2(entries int32, encoding format.Encoding, levels, unpacked int, body []byte) page {
	return page{format.PageHeader{Type: format.DataPageV2, UncompressedPageSize: int32(unpacked), DataPageHeaderV2: thrift.New(format.DataPageHeaderV2{
		NumValues: entries, NumNulls: 0, NumRows: entries, Encoding: encoding, DefinitionLevelsByteLength: int32(levels),
	})}, body}
}

func dictionaryPage(n int32, body []byte) page {
	return page{format.PageHeader{
		Type: format.DictionaryPage, UncompressedPageSize: int32(len(body)),
		DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{NumValues: n, Encoding: format.Plain}),
	}, body}
}

// fronts are n texts, each of which is the one before and one byte more (DELTA_BYTE_ARRAY).
func fronts(n int) []byte {
	head := func(first, difference int64) []byte { // one block of one miniblock, without bits
		const block, minis = 1 << 16, 1
		b := binary.AppendUvarint(binary.AppendUvarint(nil, block), minis)
		b = binary.AppendVarint(binary.AppendUvarint(b, uint64(n)), first)
		return append(binary.AppendVarint(b, difference), 0)
	}
	return append(append(head(0, 1), head(1, 0)...), bytes.Repeat([]byte{'x'}, n)...)
}

// TestHostilePages: a page says in a few bytes what would take gigabytes, or hours.
func TestHostilePages(t *testing.T) {
	texts := of(format.ByteArray, format.Required)
	fixed := func(length int32) *format.SchemaElement {
		e := of(format.FixedLenByteArray, format.Required)
		e.TypeLength = thrift.New(length)
		return e
	}
	decimal := func(kind format.Type, precision, scale int32) *format.SchemaElement {
		e := of(kind, format.Required)
		e.ConvertedType = thrift.New(deprecated.Decimal)
		e.Precision, e.Scale = thrift.New(precision), thrift.New(scale)
		return e
	}
	// repeated is a page of n numbers that all lie in the first list, or, where first is 1, in one that never began.
	repeated := func(n uint64, first byte) page {
		run := func(n uint64, of ...byte) []byte { return append(binary.AppendUvarint(nil, n<<1), of...) }
		part := func(b []byte) []byte { return append(binary.LittleEndian.AppendUint32(nil, uint32(len(b))), b...) }
		body := append(part(append(run(1, first), run(n-1, 1)...)), part(run(n, 1))...)
		body = append(append(body, 0), run(n)...)
		return v1(int32(n), format.RLEDictionary, len(body), body)
	}
	number := dictionaryPage(1, make([]byte, 4))
	bigDict := append(binary.LittleEndian.AppendUint32(nil, 1<<16), make([]byte, 1<<16)...)
	plain := binary.LittleEndian.AppendUint64(nil, 1)
	for name, c := range map[string]struct {
		file []byte
		want string
	}{
		"texts of the square of their page": {
			fileOf(t, 50_000, 50_000, format.Uncompressed, texts, v1(50_000, format.DeltaByteArray, len(fronts(50_000)), fronts(50_000))),
			"the texts of a page are longer than a page may be: write it with smaller pages",
		},
		"nothing that says it unpacks to much": {
			fileOf(t, 10, 10, format.Snappy, texts, v1(10, format.Plain, 1<<20, []byte{0x80, 0x80, 0x40, 0})),
			"does not unpack to the size that its header says",
		},
		"lz4 likewise":    {fileOf(t, 10, 10, lz4Hadoop, texts, v1(10, format.Plain, 1<<20, make([]byte, 99))), "does not unpack to the size"},
		"zstd likewise":   {fileOf(t, 10, 10, format.Zstd, texts, v1(10, format.Plain, 1<<20, make([]byte, 9))), "does not unpack to the size"},
		"brotli likewise": {fileOf(t, 10, 10, format.Brotli, texts, v1(10, format.Plain, 1<<20, []byte{6})), "does not unpack to the size"},
		"gzip likewise":   {fileOf(t, 10, 10, format.Gzip, texts, v1(10, format.Plain, 1<<20, make([]byte, 99))), "does not unpack to the size"},
		"more entries than bytes": {
			fileOf(t, 1<<19, 1<<19, format.Uncompressed, texts, v1(1<<19, format.Plain, 8, plain)), "a page has fewer values than it says",
		},
		"values without end": {
			fileOf(t, 10, 1<<40, format.Uncompressed, of(format.Int32, format.Repeated), v1(10, format.Plain, 8, plain)),
			"it has more than 1073741824 values: part the file",
		},
		"a list without end": {
			fileOf(t, 1, 1<<26, format.Uncompressed, of(format.Int32, format.Repeated), number, repeated(1<<26, 0)),
			"a list has more than 65536 elements: write shorter ones",
		},
		"an element of no list": {
			fileOf(t, 1, 10, format.Uncompressed, of(format.Int32, format.Repeated), number, repeated(10, 1)),
			"a page has levels that its schema does not have",
		},
		"a dictionary that is longer than it is": {
			fileOf(t, 10, 10, format.Uncompressed, texts, dictionaryPage(math.MaxInt32, bigDict), v1(10, format.RLEDictionary, 8, plain)),
			"a page has fewer values than it says",
		},
		"an index beyond the dictionary": {
			fileOf(t, 8, 8, format.Uncompressed, texts, dictionaryPage(1, bigDict), v1(8, format.RLEDictionary, 3, []byte{1, 16, 1})),
			"a page refers to a place that the dictionary does not have",
		},
		"no dictionary": {
			fileOf(t, 8, 8, format.Uncompressed, texts, v1(8, format.RLEDictionary, 3, []byte{1, 16, 1})), "refers to a dictionary, and there is none",
		},
		"two dictionaries": {
			fileOf(t, 8, 8, format.Uncompressed, texts, dictionaryPage(1, bigDict), dictionaryPage(1, bigDict)), "a header that makes no sense",
		},
		"a dictionary of another encoding": {
			fileOf(t, 8, 8, format.Uncompressed, texts, page{format.PageHeader{
				Type:                 format.DictionaryPage,
				DictionaryPageHeader: thrift.New(format.DictionaryPageHeader{Encoding: format.DeltaByteArray}),
			}, nil}), "the dictionary is encoded with DELTA_BYTE_ARRAY: write the column with a plain encoding",
		},
		"a long fixed length":      {fileOf(t, 1, 1, format.Uncompressed, fixed(math.MaxInt32), v1(1, format.Plain, 8, plain)), "fewer values"},
		"no fixed length":          {fileOf(t, 1, 1, format.Uncompressed, fixed(0), v1(1, format.Plain, 8, plain)), "have a fixed length of 0 bytes"},
		"a negative fixed length":  {fileOf(t, 1, 1, format.Uncompressed, fixed(-5), v1(1, format.Plain, 8, plain)), "have a fixed length of -5 bytes"},
		"a scale of gigabytes":     {fileOf(t, 1, 1, format.Uncompressed, decimal(format.Int64, math.MaxInt32, math.MaxInt32)), "write it with at most 76 digits"},
		"a negative scale":         {fileOf(t, 1, 1, format.Uncompressed, decimal(format.Int64, 5, -1)), "its type is DECIMAL(5,-1)"},
		"a decimal of floats":      {fileOf(t, 1, 1, format.Uncompressed, decimal(format.Double, 5, 1)), "its annotation does not fit its type"},
		"split into uneven pieces": {fileOf(t, 1, 1, format.Uncompressed, of(format.Double, format.Required), v1(1, format.ByteStreamSplit, 9, make([]byte, 9))), "fewer values"},
		"levels beyond the page":   {fileOf(t, 1, 1, format.Uncompressed, of(format.Int64, format.Optional), v2(1, format.Plain, 9, 8, plain)), "a header that makes no sense"},
		"more levels than unpacked": {
			fileOf(t, 1, 1, format.Uncompressed, of(format.Int64, format.Optional), v2(1, format.Plain, 8, 7, plain)), "does not unpack to the size",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var err error
			used := allocated(func() {
				var f *File
				if f, err = Open(bytes.NewReader(c.file), int64(len(c.file)), Bounds{Rows: 1_000_000, PageBytes: 1 << 20}); err == nil {
					_, err = cellsOf(f, "c")
				}
			})
			require.ErrorContains(t, err, c.want)
			require.Less(t, used, uint64(32<<20))
		})
	}
}

// TestPagesHeldTogether: many columns, each with a page within the bound.
func TestPagesHeldTogether(t *testing.T) {
	b := fixture(t, "types-plain")
	bounds := DefaultBounds()
	bounds.PageBytes = 1 << 9
	_, err := read(b, bounds)
	require.ErrorContains(t, err, "the pages that must be read together have more than 4096 bytes: leave columns out, or write it with smaller pages")
	f, err := Open(bytes.NewReader(b), int64(len(b)), bounds)
	require.NoError(t, err)
	_, err = cellsOf(f, "text")
	require.NoError(t, err)
}

// TestLargePages: DuckDB makes one page of what a row group has in a column, and zstd's highest levels look back over all of it.
func TestLargePages(t *testing.T) {
	const rows, text = 1 << 17, 640
	var plain []byte
	for i := range rows {
		plain = binary.LittleEndian.AppendUint32(plain, text)
		plain = append(plain, strings.Repeat(string('a'+rune(i%26)), text)...)
	}
	require.Greater(t, len(plain), 80<<20)
	w, err := zstd.NewWriter(nil, zstd.WithWindowSize(128<<20), zstd.WithSingleSegment(false), zstd.WithEncoderLevel(zstd.SpeedFastest))
	require.NoError(t, err)
	defer w.Close()
	packed := w.EncodeAll(plain, nil)
	file := fileOf(t, rows, rows, format.Zstd, of(format.ByteArray, format.Required), v1(rows, format.Plain, len(plain), packed))
	n := 0
	used := allocated(func() { n, err = read(file, DefaultBounds()) })
	require.NoError(t, err)
	require.Equal(t, rows, n)
	require.Less(t, used, uint64(2*len(plain)))
	_, err = read(file, Bounds{Rows: rows, PageBytes: 64 << 20})
	require.ErrorContains(t, err, "a page has 84410368 bytes, more than 67108864: write it with smaller pages "+
		"(data_page_size in pyarrow and polars, parquet.page.size in Spark, a smaller ROW_GROUP_SIZE in DuckDB)")
}

// TestEmptyPages: parquet-java compresses no values to no bytes, of which no decompressor makes anything.
func TestEmptyPages(t *testing.T) {
	nulls := []byte{6, 0} // a run of three levels that say null
	for _, codec := range []format.CompressionCodec{
		format.Uncompressed, format.Snappy, format.Gzip, format.Brotli, lz4Hadoop, format.Zstd, format.Lz4Raw,
	} {
		for _, encoding := range []format.Encoding{
			format.Plain, format.DeltaByteArray, format.DeltaLengthByteArray, format.RLEDictionary,
		} {
			page := v2(3, encoding, len(nulls), len(nulls), nulls)
			dict := dictionaryPage(0, nil)
			f := open(t, fileOf(t, 3, 3, codec, of(format.ByteArray, format.Optional), dict, page))
			cells, err := cellsOf(f, "c")
			require.NoError(t, err, "%v, %v", codec, encoding)
			require.Equal(t, []any{nil, nil, nil}, cells)
		}
	}
}

// TestOptionalFields: the value of a pair in the metadata is optional, and so is all that is not needed here.
func TestOptionalFields(t *testing.T) {
	type pair struct {
		Key string `thrift:"1,required"`
	}
	type chunk struct {
		Offset int64 `thrift:"2,required"`
		Meta   struct {
			Type       format.Type             `thrift:"1,required"`
			Codec      format.CompressionCodec `thrift:"4,required"`
			NumValues  int64                   `thrift:"5,required"`
			Size       int64                   `thrift:"7,required"`
			Pairs      []pair                  `thrift:"8,optional"`
			DataOffset int64                   `thrift:"9,required"`
		} `thrift:"3,optional"`
	}
	b := fileOf(t, 1, 1, format.Uncompressed, of(format.Int64, format.Required), v1(1, format.Plain, 8, make([]byte, 8)))
	n := int(binary.LittleEndian.Uint32(b[len(b)-8:]))
	data, footer := b[:len(b)-8-n], b[len(b)-8-n:len(b)-8]
	var old fileMeta
	_, err := unmarshal(footer, &old)
	require.NoError(t, err)
	c := chunk{}
	from := old.RowGroups[0].Columns[0].Meta
	c.Meta.Type, c.Meta.Codec, c.Meta.NumValues, c.Meta.Size, c.Meta.DataOffset = from.Type, from.Codec, from.NumValues, from.Size, from.DataOffset
	c.Meta.Pairs = []pair{{"key without value"}}
	type group struct {
		Columns []chunk `thrift:"1,required"`
		NumRows int64   `thrift:"3,required"`
	}
	changed := struct {
		Schema    thrift.Slice[format.SchemaElement] `thrift:"2,required"`
		NumRows   int64                              `thrift:"3,required"`
		RowGroups []group                            `thrift:"4,required"`
		Pairs     []pair                             `thrift:"5,optional"`
	}{old.Schema, 1, []group{{[]chunk{c}, 1}}, c.Meta.Pairs}
	footer, err = thrift.Marshal(new(thrift.CompactProtocol), &changed)
	require.NoError(t, err)
	b = withFooter(data, footer)
	require.Contains(t, string(b), "key without value")
	cells, err := cellsOf(open(t, b), "c")
	require.NoError(t, err)
	require.Equal(t, []any{"0"}, cells)
}
