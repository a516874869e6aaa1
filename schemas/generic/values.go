package generic

import (
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// What Decode gives is nil, bool, int64, float32, float64, string, []byte, []any, or one of these.
type (
	// Entries are the fields of a record in their order, or what a map holds in the order of its keys.
	Entries []Entry
	// Decimal is an exact number, in digits.
	Decimal string
	// Date is a day, counted from 1970-01-01.
	Date int32
	// Interval is a span of calendar time.
	Interval struct{ Months, Days, Millis uint32 }
)

// Entry is a part with a name.
type Entry struct {
	Name  string
	Value any
}

// Moment is a timestamp: so many units since 1970, in UTC, or by the clocks of an unnamed place.
type Moment struct {
	Count int64
	Unit  time.Duration
	Local bool
}

// UnixMilli is the moment in milliseconds since 1970; one between two of them is the earlier.
func (m Moment) UnixMilli() int64 {
	return floorDiv(m.Count, int64(time.Millisecond/m.Unit))
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func (m Moment) time() time.Time {
	perSecond := int64(time.Second / m.Unit)
	seconds := floorDiv(m.Count, perSecond)
	return time.Unix(seconds, (m.Count-seconds*perSecond)*int64(m.Unit)).UTC()
}

// String is as in RFC 3339, without a zone where there is none; the number alone where the year has more than four digits.
func (m Moment) String() string {
	t := m.time()
	switch {
	case t.Year() < 0 || t.Year() > 9999:
		return strconv.FormatInt(m.Count, 10)
	case m.Local:
		return t.Format("2006-01-02T15:04:05.999999999")
	}
	return t.Format(time.RFC3339Nano)
}

// UnixMilli is the midnight in UTC with which the day begins.
func (d Date) UnixMilli() int64 { return int64(d) * 24 * 60 * 60 * 1000 }

// String is as in RFC 3339.
func (d Date) String() string {
	t := time.UnixMilli(d.UnixMilli()).UTC()
	if t.Year() < 0 || t.Year() > 9999 {
		return strconv.FormatInt(int64(d), 10)
	}
	return t.Format(time.DateOnly)
}

// TimeOfDay is so many units after midnight.
type TimeOfDay struct {
	Count int64
	Unit  time.Duration
}

// String is as in RFC 3339; the number alone where no day is so long.
func (t TimeOfDay) String() string {
	if t.Count < 0 || t.Count >= int64(24*time.Hour/t.Unit) {
		return strconv.FormatInt(t.Count, 10)
	}
	return time.Unix(0, 0).UTC().Add(time.Duration(t.Count) * t.Unit).Format("15:04:05.999999999")
}

// mostDecimalBytes bounds a decimal: making digits of it takes more than time in proportion.
const mostDecimalBytes = 1 << 10

// IsDecimal says whether values of a schema are decimals that can be read. The specification has invalid ones taken for bytes.
func IsDecimal(s *Schema) bool {
	return s.Logical == "decimal" && (s.Kind == avro.Bytes || s.Kind == avro.Fixed && s.Size <= mostDecimalBytes) &&
		s.Precision > 0 && s.Precision <= 2*mostDecimalBytes && s.Scale <= s.Precision
}

const (
	uuidBytes     = 16
	intervalBytes = 12
)

// raw goes by the logical type of bytes and of a fixed.
func raw(s *Schema, b []byte) any {
	switch {
	case IsDecimal(s):
		return decimal(b, s.Scale)
	case s.Kind == avro.Fixed && s.Logical == "uuid" && len(b) == uuidBytes:
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
	case s.Kind == avro.Fixed && s.Logical == "duration" && len(b) == intervalBytes:
		return Interval{binary.LittleEndian.Uint32(b), binary.LittleEndian.Uint32(b[4:]), binary.LittleEndian.Uint32(b[8:])}
	}
	return b
}

// decimal reads a number in two's complement, most significant byte first, that counts units of 10^-scale.
func decimal(b []byte, scale int) Decimal {
	n := new(big.Int).SetBytes(b)
	if len(b) > 0 && b[0] >= 0x80 {
		n.Sub(n, new(big.Int).Lsh(big.NewInt(1), uint(8*len(b))))
	}
	digits, sign := n.String(), ""
	if digits[0] == '-' {
		digits, sign = digits[1:], "-"
	}
	if scale == 0 {
		return Decimal(sign + digits)
	}
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - scale
	return Decimal(sign + digits[:point] + "." + digits[point:])
}

// AppendJSON appends a value that Decode gave as JSON for people: a decimal is a number with all its digits, times are as in RFC 3339,
// a member of a union is the plain value, bytes are text where they are UTF-8, else hexadecimal behind 0x, and a float that JSON has no
// number for is a string.
func AppendJSON(dst []byte, value any) []byte {
	switch v := value.(type) {
	case nil:
		return append(dst, "null"...)
	case bool:
		return strconv.AppendBool(dst, v)
	case int64:
		return strconv.AppendInt(dst, v, 10)
	case float32:
		return appendFloat(dst, float64(v), 32)
	case float64:
		return appendFloat(dst, v, 64)
	case string:
		return appendText(dst, v)
	case []byte:
		if utf8.Valid(v) {
			return appendText(dst, string(v))
		}
		return appendText(dst, "0x"+hex.EncodeToString(v))
	case Decimal:
		return append(dst, v...)
	case Interval:
		return fmt.Appendf(dst, `{"months":%d,"days":%d,"millis":%d}`, v.Months, v.Days, v.Millis)
	case fmt.Stringer: // Moment, Date, TimeOfDay
		return appendText(dst, v.String())
	case []any:
		dst = append(dst, '[')
		for i, element := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendJSON(dst, element)
		}
		return append(dst, ']')
	case Entries:
		dst = append(dst, '{')
		for i, entry := range v {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = AppendJSON(append(appendText(dst, entry.Name), ':'), entry.Value)
		}
		return append(dst, '}')
	}
	panic(fmt.Sprintf("generic: %T is no value of Decode", value)) // no input leads here
}

func appendFloat(dst []byte, v float64, bits int) []byte {
	switch {
	case math.IsNaN(v), math.IsInf(v, 0):
		return appendText(dst, strconv.FormatFloat(v, 'g', -1, bits))
	}
	return strconv.AppendFloat(dst, v, 'g', -1, bits)
}

func appendText(dst []byte, s string) []byte {
	text, _ := json.Marshal(s) // which takes any string
	return append(dst, text...)
}
