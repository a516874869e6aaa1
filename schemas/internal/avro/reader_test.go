package avro

import (
	"bytes"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestNumbersRoundTrip(t *testing.T) {
	for _, v := range []int64{0, 1, -1, 63, 64, -64, -65, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64} {
		r := NewReader(AppendLong(nil, v))
		require.Equal(t, v, r.Long())
		require.NoError(t, r.Finish())

		r = NewReader(AppendLong(nil, v))
		got := r.Int()
		if v >= math.MinInt32 && v <= math.MaxInt32 {
			require.Equal(t, int32(v), got)
			require.NoError(t, r.Finish())
		} else {
			require.ErrorContains(t, r.Finish(), "does not fit 32 bits")
		}
	}
	for _, v := range []float64{0, math.Copysign(0, -1), 1.5, math.Inf(1), math.SmallestNonzeroFloat64} {
		require.Equal(t, math.Float64bits(v), math.Float64bits(NewReader(AppendDouble(nil, v)).Double()))
		require.Equal(t, math.Float32bits(float32(v)), math.Float32bits(NewReader(AppendFloat(nil, float32(v))).Float()))
	}
}

func TestTimesKeepMilliseconds(t *testing.T) {
	for _, at := range []time.Time{{}, time.Unix(0, 0), time.Date(2026, 1, 31, 12, 0, 0, 123_999_999, time.Local)} {
		got := NewReader(AppendTime(nil, at)).Time()
		require.Equal(t, at.Truncate(time.Millisecond).UTC(), got)
		require.Equal(t, at.IsZero(), got.IsZero())
	}
}

func TestReaderRefuses(t *testing.T) {
	cat := slices.Concat[[]byte]
	for _, c := range []struct {
		name string
		src  []byte
		read func(*Reader)
		want string
	}{
		{"nothing", nil, func(r *Reader) { r.Long() }, "byte 0: the record ends within a number"},
		{"a number cut short", []byte{0x80}, func(r *Reader) { r.Long() }, "ends within a number"},
		{"a number of 70 bits", bytes.Repeat([]byte{0xff}, 11), func(r *Reader) { r.Long() }, "more than 64 bits"},
		{"boolean 2", []byte{2}, func(r *Reader) { r.Bool() }, "boolean is 2"},
		{"half a double", make([]byte, 4), func(r *Reader) { r.Double() }, "8 bytes wanted, 4 left"},
		{"half a float", make([]byte, 2), func(r *Reader) { r.Float() }, "4 bytes wanted, 2 left"},
		{"a string longer than the input", AppendLong(nil, 1<<40), func(r *Reader) { r.Text() }, "length 1099511627776"},
		{"a string of negative length", AppendLong(nil, -1), func(r *Reader) { r.Text() }, "length -1"},
		{"a symbol that is not there", AppendLong(nil, 3), func(r *Reader) { r.Index(3) }, "index 3"},
		{"a negative symbol", AppendLong(nil, -1), func(r *Reader) { r.Index(3) }, "index -1"},
		{"a third branch of an optional", AppendLong(nil, 2), func(r *Reader) { r.Optional() }, "index 2"},
		{"a list of a billion", cat(AppendLong(nil, 1e9), make([]byte, 10)), func(r *Reader) { r.Strings() }, "block of 1000000000"},
		{"a list of -2^63", cat(AppendLong(nil, math.MinInt64), AppendLong(nil, 1), []byte{0}),
			func(r *Reader) { r.Strings() }, "block of -9223372036854775808"},
		{"a block of negative size", cat(AppendLong(nil, -1), AppendLong(nil, -5)), func(r *Reader) { r.Strings() },
			"block of -5 bytes"},
		{"a list without its end", cat(AppendLong(nil, 1), AppendString(nil, "a")), func(r *Reader) { r.Strings() }, "ends within"},
		{"a key twice", cat(AppendLong(nil, 2), AppendString(nil, "k"), AppendString(nil, "1"), AppendString(nil, "k"),
			AppendString(nil, "2"), []byte{0}), func(r *Reader) { r.StringMap() }, "a key twice"},
		{"bytes left over", []byte{0, 0, 0}, func(r *Reader) { r.Long() }, "byte 1: 2 bytes follow the record"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := NewReader(c.src)
			c.read(r)
			err := r.Finish()
			require.ErrorContains(t, err, c.want)
			var own *Error
			require.ErrorAs(t, err, &own)
		})
	}
}

// Java's encoders write blocks with a negative count and a size in bytes, and may cut a list into several.
func TestBlocksWithSizes(t *testing.T) {
	var src []byte
	src = AppendLong(src, -2)
	src = AppendLong(src, 4)
	src = AppendString(AppendString(src, "a"), "b")
	src = AppendLong(src, 1)
	src = AppendString(src, "c")
	src = append(src, 0)
	r := NewReader(src)
	require.Equal(t, []string{"a", "b", "c"}, r.Strings())
	require.NoError(t, r.Finish())
}

func TestFirstErrorSticks(t *testing.T) {
	r := NewReader([]byte{0x80})
	require.Zero(t, r.Long())
	require.Empty(t, r.Text())
	require.Zero(t, r.Double())
	require.Nil(t, r.OptionalDouble())
	require.Nil(t, r.Strings())
	require.Nil(t, r.StringMap())
	require.EqualError(t, r.Finish(), "byte 0: the record ends within a number")
}

// A list of a million empty strings is a megabyte, and may become no more than that many string headers.
func TestStringsShareOneCopy(t *testing.T) {
	src := AppendStrings(nil, []string{strings.Repeat("x", 1000), "y", "z"})
	allocations := testing.AllocsPerRun(100, func() { NewReader(src).Strings() })
	require.LessOrEqual(t, allocations, 3.0, "the list, the copy, the reader")
}
