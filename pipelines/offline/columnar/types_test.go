package columnar

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/parquet-go/parquet-go"
	"github.com/pierrec/lz4/v4"
	"github.com/stretchr/testify/require"
)

func open(t testing.TB, b []byte) *File {
	t.Helper()
	f, err := Open(bytes.NewReader(b), int64(len(b)), DefaultBounds())
	require.NoError(t, err)
	return f
}

// fixtureCells are what pyarrow reads in a fixture.
func fixtureCells(t *testing.T, name string) map[string][]any {
	t.Helper()
	b, err := os.ReadFile("testdata/" + name)
	require.NoError(t, err)
	var want map[string][]any
	require.NoError(t, json.Unmarshal(b, &want))
	return want
}

// TestTypesAndEncodings: the fixtures have the same rows, and each value in the forms of several writers.
func TestTypesAndEncodings(t *testing.T) {
	want := fixtureCells(t, "types.json")
	for _, name := range []string{"types-plain", "types-dictionary", "types-delta", "types-split"} {
		t.Run(name, func(t *testing.T) {
			f := open(t, fixture(t, name))
			require.Len(t, f.Names(), len(want))
			for _, column := range f.Names() {
				cells, err := cellsOf(f, column)
				require.NoError(t, err, column)
				require.Equal(t, want[column], cells, column)
			}
		})
	}
}

func TestEmptyRowGroups(t *testing.T) {
	f := open(t, fixture(t, "empty"))
	require.Len(t, f.meta.RowGroups, 5)
	for column, want := range fixtureCells(t, "empty.parquet.json") {
		cells, err := cellsOf(f, column)
		require.NoError(t, err, column)
		require.Equal(t, want, cells, column)
	}
}

func TestColumnsSayWhatTheyAre(t *testing.T) {
	got := map[string]string{}
	for _, c := range open(t, fixture(t, "types-plain")).Columns() {
		require.NoError(t, c.Problem)
		got[c.Name] = fmt.Sprintf("%d %d %s", c.Shape, c.Kind, c.Type)
		require.Equal(t, c.Name == "json", c.JSON, c.Name)
		require.Equal(t, c.Name == "us", c.Local, c.Name)
	}
	say := func(s Shape, k Kind, words string) string { return fmt.Sprintf("%d %d %s", s, k, words) }
	require.Equal(t, map[string]string{
		"decimal32":  say(Scalar, Decimal, "decimal(9,2)"),
		"decimal64":  say(Scalar, Decimal, "decimal(18,3)"),
		"decimal128": say(Scalar, Decimal, "decimal(38,0)"),
		"decimal256": say(Scalar, Decimal, "decimal(76,70)"),
		"uuid":       say(Scalar, Text, "UUID"),
		"fixed":      say(Scalar, Text, "5 bytes"),
		"half":       say(Scalar, Float, "number of 16 bits"),
		"float":      say(Scalar, Float, "number of 32 bits"),
		"double":     say(Scalar, Float, "number of 64 bits"),
		"u64":        say(Scalar, Int, "unsigned whole number of 64 bits"),
		"u32":        say(Scalar, Int, "unsigned whole number of 32 bits"),
		"i32":        say(Scalar, Int, "whole number of 32 bits"),
		"i64":        say(Scalar, Int, "whole number of 64 bits"),
		"text":       say(Scalar, Text, "text"),
		"one":        say(Scalar, Text, "text"),
		"flag":       say(Scalar, Bool, "boolean"),
		"ns":         say(Scalar, Time, "timestamp in UTC, ns"),
		"us":         say(Scalar, Time, "timestamp without zone, us"),
		"json":       say(Scalar, Text, "JSON text"),
		"none":       say(Scalar, Int, "nothing but nulls"),
		"list":       say(List, Text, "list of text"),
		"prices":     say(List, Decimal, "list of decimal(20,0)"),
		"map":        say(Map, Float, "map of text to number of 64 bits"),
		"struct":     say(Map, Null, "struct of size (whole number of 32 bits), colour (text)"),
	}, got)
}

// TestDecimals compares the digits with those of math/big.
func TestDecimals(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	most := new(big.Int).Lsh(big.NewInt(1), 8*mostDecimal-1)
	var edges []*big.Int
	for _, bits := range []uint{0, 7, 8, 31, 63, 64, 127, 128, 191, 192, 254} {
		n := new(big.Int).Lsh(big.NewInt(1), bits)
		edges = append(edges, n, new(big.Int).Neg(n), new(big.Int).Sub(n, big.NewInt(1)), new(big.Int).Not(n))
	}
	for i := range 20_000 {
		var n *big.Int
		if i < len(edges) {
			n = edges[i]
		} else {
			var random [mostDecimal]byte
			for j := range random {
				random[j] = byte(rng.Uint32())
			}
			n = new(big.Int).SetBytes(random[:rng.IntN(len(random))])
			if rng.IntN(2) == 0 {
				n.Neg(n)
			}
		}
		scale := rng.IntN(mostDigits + 1)
		l := leaf{logical: logical{stored: Text, convert: asDecimal, scale: scale}}
		values := []Value{{Kind: Text, Text: twosComplement(n, most, rng)}}
		if n.IsInt64() && rng.IntN(2) == 0 {
			l.stored, values[0] = Int, Value{Kind: Int, Int: n.Int64()}
		}
		_, err := l.converted(values, nil)
		require.NoError(t, err)
		want := new(big.Int).Abs(n).String()
		want = strings.Repeat("0", max(0, scale+1-len(want))) + want
		if scale > 0 {
			want = want[:len(want)-scale] + "." + want[len(want)-scale:]
		}
		if n.Sign() < 0 {
			want = "-" + want
		}
		require.Equal(t, Decimal, values[0].Kind)
		require.Equal(t, want, string(values[0].Text))
	}
	l := leaf{logical: logical{stored: Text, convert: asDecimal}}
	_, err := l.converted([]Value{{Kind: Text, Text: make([]byte, mostDecimal+1)}}, nil)
	require.ErrorContains(t, err, "a decimal has 33 bytes, more than 32: write it as a string")
	values := []Value{{Kind: Text}} // no byte at all is zero, as for parquet-cpp
	_, err = l.converted(values, nil)
	require.NoError(t, err)
	require.Equal(t, "0", string(values[0].Text))
}

// twosComplement writes a number in as few bytes as it needs, or more.
func twosComplement(n, most *big.Int, rng *rand.Rand) []byte {
	size := mostDecimal - rng.IntN(mostDecimal-(n.BitLen()/8+1)+1)
	b := make([]byte, mostDecimal)
	new(big.Int).And(n, new(big.Int).Sub(new(big.Int).Lsh(most, 1), big.NewInt(1))).FillBytes(b)
	return b[mostDecimal-size:]
}

func TestHalves(t *testing.T) {
	for bits, want := range map[uint16]float64{
		0: 0, 1: 0x1p-24, 0x3ff: 0x3ffp-24, 0x400: 0x1p-14, 0x3c00: 1, 0xc000: -2, 0x7bff: 65504, 0xfbff: -65504,
		0x3555: 0.333251953125, 0x7c00: math.Inf(1), 0xfc00: math.Inf(-1),
	} {
		require.Equal(t, math.Float64bits(want), math.Float64bits(half(bits)), "%#x", bits)
	}
	require.True(t, math.Signbit(half(0x8000)))
	require.True(t, math.IsNaN(half(0x7e00)))
}

// row has each type in the encodings that parquet-go writes.
type row struct {
	Plain  *string           `parquet:"plain,optional,plain"`
	Dict   *string           `parquet:"dict,optional,dict"`
	Front  string            `parquet:"front,delta"`
	Gaps   string            `parquet:"gaps,optional,delta"` // null where it is empty
	Int    int64             `parquet:"int,delta"`
	Small  int32             `parquet:"small,optional,delta"` // null, or not, where it is 0
	Split  *float64          `parquet:"split,optional,split"`
	Flag   *bool             `parquet:"flag,optional"`
	List   []string          `parquet:"list,list"`
	Map    map[string]*int64 `parquet:"map" parquet-value:",optional"`
	Struct *inner            `parquet:"struct,optional"`
}

type inner struct {
	A *int64 `parquet:"a,optional"`
	B string `parquet:"b"`
}

func randomRow(rng *rand.Rand) row {
	text := func() string { return strings.Repeat(string('a'+rune(rng.IntN(26))), rng.IntN(12)) }
	r := row{Front: text(), Gaps: text(), Int: rng.Int64() >> rng.IntN(64), List: []string{}}
	if rng.IntN(3) > 0 {
		r.Plain, r.Dict = new(text()), new(text())
	}
	if rng.IntN(3) > 0 {
		r.Small, r.Split, r.Flag = int32(rng.Uint32()), new(rng.NormFloat64()), new(rng.IntN(2) == 0)
	}
	if rng.IntN(3) > 0 {
		// Some lists are longer than a batch, and than a page.
		for range rng.IntN(1 << rng.IntN(12)) {
			r.List = append(r.List, text())
		}
	}
	if rng.IntN(3) > 0 {
		r.Map = map[string]*int64{text(): nil, text(): new(rng.Int64())}
	}
	if rng.IntN(3) > 0 {
		r.Struct = &inner{B: text()}
		if rng.IntN(2) > 0 {
			r.Struct.A = new(rng.Int64())
		}
	}
	return r
}

// TestReadsWhatIsWritten reads random rows in pages and row groups of random sizes, of both versions of the format.
func TestReadsWhatIsWritten(t *testing.T) {
	text := func(s *string) Value {
		if s == nil {
			return Value{}
		}
		return Value{Kind: Text, Text: []byte(*s)}
	}
	integer := func(n *int64) Value {
		if n == nil {
			return Value{}
		}
		return Value{Kind: Int, Int: *n}
	}
	for seed := range uint64(12) {
		rng := rand.New(rand.NewPCG(seed, 0))
		want := make([]row, rng.IntN(900))
		for i := range want {
			want[i] = randomRow(rng)
		}
		var b bytes.Buffer
		w := parquet.NewGenericWriter[row](&b, parquet.PageBufferSize(64<<rng.IntN(10)), parquet.DataPageVersion(1+int(seed%2)),
			parquet.MaxRowsPerRowGroup(1+rng.Int64N(1000)), parquet.Compression(&parquet.Snappy))
		_, err := w.Write(want)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		f := open(t, b.Bytes())
		names := []string{"plain", "dict", "front", "gaps", "int", "small", "split", "flag", "list", "map", "struct"}
		rows, err := f.Rows(names...)
		require.NoError(t, err)
		for i := range want {
			r := &want[i]
			require.True(t, rows.Next(), "seed %d, row %d: %v", seed, i, rows.Err())
			gaps := text(&r.Gaps)
			if r.Gaps == "" {
				gaps = Value{}
			}
			scalar := func(c int) Value { return rows.Cell(c).Values[0] }
			for c, want := range []Value{text(r.Plain), text(r.Dict), text(&r.Front), gaps, integer(&r.Int)} {
				require.Equal(t, sayValue(&want), sayValue(&rows.Cell(c).Values[0]), "seed %d, row %d, column %s", seed, i, names[c])
			}
			require.Equal(t, r.Split != nil, scalar(6).Kind == Float)
			require.Equal(t, r.Flag != nil, scalar(7).Kind == Bool)
			require.EqualValues(t, r.Small, scalar(5).Int)
			if r.Split != nil {
				require.Equal(t, math.Float64bits(*r.Split), math.Float64bits(scalar(6).Float))
				require.Equal(t, *r.Flag, scalar(7).Int == 1)
			}
			list := rows.Cell(8).Values
			require.Len(t, list, len(r.List), "seed %d, row %d", seed, i)
			for j, element := range r.List {
				require.Equal(t, element, string(list[j].Text), "seed %d, row %d, element %d", seed, i, j)
			}
			pairs := rows.Cell(9)
			require.Len(t, pairs.Keys, len(r.Map))
			for j, key := range pairs.Keys {
				require.Equal(t, integer(r.Map[string(key.Text)]), pairs.Values[j])
			}
			parts := rows.Cell(10)
			if r.Struct == nil {
				require.Empty(t, parts.Values)
				require.Empty(t, parts.Keys)
				continue
			}
			require.Equal(t, []Value{{Kind: Text, Text: []byte("a")}, {Kind: Text, Text: []byte("b")}}, parts.Keys)
			require.Equal(t, integer(r.Struct.A), parts.Values[0])
			require.Equal(t, r.Struct.B, string(parts.Values[1].Text))
		}
		require.False(t, rows.Next())
		require.NoError(t, rows.Err())
		rows.Close()
	}
}

// TestRowsTwice: the end of one reading is not that of another.
func TestRowsTwice(t *testing.T) {
	f := open(t, fixture(t, "zstd"))
	first, err := f.Rows("text")
	require.NoError(t, err)
	second, err := f.Rows("text", "int")
	require.NoError(t, err)
	require.True(t, first.Next())
	require.True(t, second.Next())
	first.Close()
	first.Close()
	for i := 1; i < fixtureRows; i++ {
		require.True(t, second.Next(), "row %d: %v", i, second.Err())
		require.Equal(t, wantRow(i)[0], plainCell(second.Cell(0)))
	}
	second.Close()
	cells, err := cellsOf(f, "text")
	require.NoError(t, err)
	require.Len(t, cells, fixtureRows)
}

// TestHadoopFraming reads what is called LZ4 in its two forms.
func TestHadoopFraming(t *testing.T) {
	text := []byte(strings.Repeat("freshet ", 50))
	block := lz4Block(t, text)
	half := lz4Block(t, text[:200])
	head := func(unpacked, packed int) []byte {
		return []byte{0, 0, byte(unpacked >> 8), byte(unpacked), 0, 0, byte(packed >> 8), byte(packed)}
	}
	two := append(append(append(head(200, len(half)), half...), head(200, len(half))...), half...)
	for name, c := range map[string]struct {
		packed []byte
		want   string
	}{
		"one block":   {append(head(400, len(block)), block...), ""},
		"two blocks":  {two, ""},
		"no head":     {block, ""},
		"too short":   {two[:len(two)-1], "a page does not unpack to the size"},
		"one of two":  {append(head(200, len(half)), half...), "a page does not unpack to the size"},
		"too long":    {append(bytes.Clone(two), two...), "a page does not unpack to the size"},
		"wrong sizes": {append(head(401, len(block)), block...), "a page does not unpack to the size"},
	} {
		t.Run(name, func(t *testing.T) {
			into := make([]byte, len(text), len(text)+slack)
			err := new(decompressor).unpack(lz4Hadoop, c.packed, into)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			require.Equal(t, text, into)
		})
	}
}

// TestTwoFieldsAreNoMap: a list of structs is not read as pairs.
func TestTwoFieldsAreNoMap(t *testing.T) {
	type part struct {
		Size  int64
		Price int64
	}
	var b bytes.Buffer
	require.NoError(t, parquet.Write(&b, []struct{ Parts []part }{{[]part{{1, 2}}}}))
	_, err := open(t, b.Bytes()).Rows("Parts")
	require.ErrorContains(t, err, "column Parts: it is neither a plain value, nor a list, a map or a struct of them: write it as one")
}

func lz4Block(t *testing.T, text []byte) []byte {
	t.Helper()
	out := make([]byte, lz4.CompressBlockBound(len(text)))
	n, err := lz4.CompressBlock(text, out, nil)
	require.NoError(t, err)
	return out[:n]
}
