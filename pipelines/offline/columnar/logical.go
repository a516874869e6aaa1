package columnar

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// logical is what the annotations of a leaf, new and old, make of the values that the file stores.
type logical struct {
	stored  Kind // of the values as the pages have them
	value   Kind // of those that are read
	convert conversion
	scale   int // of a decimal
	words   string
	json    bool
	local   bool
}

// conversion makes the Values that are read of those that are stored.
type conversion uint8

const (
	asIs conversion = iota
	asDays
	asMicros
	asNanos
	asUnsigned32
	asUnsigned64
	asDecimal
	asUUID
	asHalf
)

// widths in bytes, of the kinds that have one.
var widths = map[format.Type]int{format.Int32: 4, format.Int64: 8, format.Int96: 12, format.Float: 4, format.Double: 8}

func unreadable(what string) error {
	return fmt.Errorf("its type is %s: write it as a string, a number, a boolean, or a timestamp", what)
}

// interpret goes by the physical type first, and then by the annotations.
func (l *leaf) interpret(node *format.SchemaElement) error {
	l.width = widths[l.kind]
	switch l.kind {
	case format.Boolean:
		l.plainly(Bool, "boolean")
	case format.Int32, format.Int64:
		l.plainly(Int, fmt.Sprintf("whole number of %d bits", 8*l.width))
	case format.Int96:
		l.plainly(Time, "timestamp in INT96")
	case format.Float, format.Double:
		l.plainly(Float, fmt.Sprintf("number of %d bits", 8*l.width))
	case format.ByteArray:
		l.plainly(Text, "bytes")
	case format.FixedLenByteArray:
		if l.width = int(node.TypeLength.V); l.width <= 0 {
			return fmt.Errorf("its values have a fixed length of %d bytes: give it one", l.width)
		}
		l.plainly(Text, fmt.Sprintf("%d bytes", l.width))
	default:
		return unreadable(strings.ToLower(l.kind.String()))
	}
	if node.LogicalType.Value != nil {
		return l.annotated(node.LogicalType.Value)
	}
	if converted, ok := node.ConvertedType.Get(); ok {
		return l.annotatedOnce(converted, node)
	}
	return nil
}

func (l *leaf) plainly(k Kind, words string) { l.stored, l.value, l.words = k, k, words }

var errAnnotation = errors.New("its annotation does not fit its type: write the file with a newer version of your library")

func (l *leaf) annotated(annotation format.LogicalTypeValue) error {
	switch t := annotation.(type) {
	case *format.StringType, *format.EnumType:
		return l.text("text")
	case *format.JsonType:
		l.json = true
		return l.text("JSON text")
	case *format.TimestampType:
		return l.timestamp(t)
	case *format.DateType:
		return l.number(format.Int32, Time, asDays, "date")
	case *format.IntType:
		if l.stored != Int {
			return errAnnotation
		}
		if !t.IsSigned {
			return l.unsigned()
		}
	case *format.DecimalType:
		return l.decimal(int(t.Precision), int(t.Scale))
	case *format.UUIDType:
		const size = 16
		return l.bytes(size, Text, asUUID, "UUID")
	case *format.Float16Type:
		const size = 2
		return l.bytes(size, Float, asHalf, "number of 16 bits")
	case *format.NullType:
		l.words = "nothing but nulls"
	case *format.GeometryType, *format.GeographyType: // their descriptions may have pages of coordinate systems
		return unreadable("GEOMETRY or GEOGRAPHY")
	case *format.TimeType, *format.BsonType:
		return unreadable(t.String())
	}
	return nil
}

// annotatedOnce goes by the annotation of older writers.
func (l *leaf) annotatedOnce(t deprecated.ConvertedType, node *format.SchemaElement) error {
	switch t {
	case deprecated.UTF8, deprecated.Enum:
		return l.text("text")
	case deprecated.Json:
		l.json = true
		return l.text("JSON text")
	case deprecated.TimestampMillis:
		return l.number(format.Int64, Time, asIs, "timestamp in UTC, ms")
	case deprecated.TimestampMicros:
		return l.number(format.Int64, Time, asMicros, "timestamp in UTC, us")
	case deprecated.Date:
		return l.number(format.Int32, Time, asDays, "date")
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		return l.unsigned()
	case deprecated.Decimal:
		return l.decimal(int(node.Precision.V), int(node.Scale.V))
	case deprecated.TimeMillis, deprecated.TimeMicros, deprecated.Bson, deprecated.Interval:
		return unreadable("an old time, BSON or interval")
	}
	return nil
}

func (l *leaf) text(words string) error {
	if l.stored != Text {
		return errAnnotation
	}
	l.words = words
	return nil
}

func (l *leaf) number(of format.Type, value Kind, c conversion, words string) error {
	if l.kind != of {
		return errAnnotation
	}
	l.value, l.convert, l.words = value, c, words
	return nil
}

func (l *leaf) bytes(size int, value Kind, c conversion, words string) error {
	if l.kind != format.FixedLenByteArray || l.width != size {
		return errAnnotation
	}
	l.value, l.convert, l.words = value, c, words
	return nil
}

func (l *leaf) unsigned() error {
	if l.stored != Int {
		return errAnnotation
	}
	c := asUnsigned32
	if l.kind == format.Int64 {
		c = asUnsigned64
	}
	return l.number(l.kind, Int, c, fmt.Sprintf("unsigned whole number of %d bits", 8*l.width))
}

func (l *leaf) timestamp(t *format.TimestampType) error {
	if t.Unit.Value == nil {
		return errors.New("its type is a timestamp without a unit: write it with one")
	}
	zone := "in UTC"
	if l.local = !t.IsAdjustedToUTC; l.local {
		zone = "without zone"
	}
	c, unit := asNanos, "ns"
	switch t.Unit.Value.Duration() {
	case time.Millisecond:
		c, unit = asIs, "ms"
	case time.Microsecond:
		c, unit = asMicros, "us"
	}
	return l.number(format.Int64, Time, c, fmt.Sprintf("timestamp %s, %s", zone, unit))
}

// mostDigits of a decimal are as many as Arrow's largest has, in mostDecimal bytes.
const (
	mostDigits  = 76
	mostDecimal = 32
)

func (l *leaf) decimal(precision, scale int) error {
	if precision < 1 || precision > mostDigits || scale < 0 || scale > precision {
		return fmt.Errorf("its type is DECIMAL(%d,%d): write it with at most %d digits, or as a string", precision, scale, mostDigits)
	}
	switch l.kind {
	case format.Int32, format.Int64, format.ByteArray:
	case format.FixedLenByteArray:
		if l.width > mostDecimal {
			return fmt.Errorf("its decimals have %d bytes, more than %d: write it as a string", l.width, mostDecimal)
		}
	default:
		return errAnnotation
	}
	l.value, l.convert, l.scale, l.words = Decimal, asDecimal, scale, fmt.Sprintf("decimal(%d,%d)", precision, scale)
	return nil
}
