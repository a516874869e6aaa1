package avro

import (
	"encoding/binary"
	"math"
	"slices"
	"time"
)

// AppendLong appends an Avro long; an int and an enum's index are written alike.
func AppendLong(dst []byte, v int64) []byte {
	return binary.AppendUvarint(dst, uint64(v)<<1^uint64(v>>63))
}

// AppendBool appends an Avro boolean.
func AppendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

// AppendFloat appends an Avro float.
func AppendFloat(dst []byte, v float32) []byte {
	return binary.LittleEndian.AppendUint32(dst, math.Float32bits(v))
}

// AppendDouble appends an Avro double.
func AppendDouble(dst []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
}

// AppendString appends an Avro string.
func AppendString(dst []byte, s string) []byte {
	dst = AppendLong(dst, int64(len(s)))
	return append(dst, s...)
}

// AppendTime appends an Avro timestamp-millis; what is finer than a millisecond is dropped.
func AppendTime(dst []byte, t time.Time) []byte {
	return AppendLong(dst, t.UnixMilli())
}

// AppendStrings appends an Avro array of strings, as one block.
func AppendStrings(dst []byte, list []string) []byte {
	if len(list) > 0 {
		dst = AppendLong(dst, int64(len(list)))
		for _, s := range list {
			dst = AppendString(dst, s)
		}
	}
	return append(dst, 0)
}

// AppendStringMap appends an Avro map of strings as one block, keys in order, so that equal maps give equal bytes.
func AppendStringMap(dst []byte, m map[string]string) []byte {
	if len(m) > 0 {
		dst = AppendLong(dst, int64(len(m)))
		var few [16]string // keeps most maps off the heap
		keys := few[:0]
		for key := range m {
			keys = append(keys, key)
		}
		slices.Sort(keys)
		for _, key := range keys {
			dst = AppendString(dst, key)
			dst = AppendString(dst, m[key])
		}
	}
	return append(dst, 0)
}

// The optional values below are unions of null and a type, in this order.
const (
	branchNull  = 0
	branchValue = 1
)

// AppendOptional appends the branch of a ["null", T] union; where it says present, the value follows.
func AppendOptional(dst []byte, present bool) []byte {
	if present {
		return append(dst, branchValue<<1)
	}
	return append(dst, branchNull)
}

// AppendOptionalString appends a ["null", "string"] union, the empty string as null.
func AppendOptionalString(dst []byte, s string) []byte {
	dst = AppendOptional(dst, s != "")
	if s != "" {
		dst = AppendString(dst, s)
	}
	return dst
}

// AppendOptionalTime appends a ["null", timestamp-millis] union, the zero time as null.
func AppendOptionalTime(dst []byte, t time.Time) []byte {
	present := !t.IsZero()
	dst = AppendOptional(dst, present)
	if present {
		dst = AppendTime(dst, t)
	}
	return dst
}

// AppendOptionalDouble appends a ["null", "double"] union.
func AppendOptionalDouble(dst []byte, v *float64) []byte {
	dst = AppendOptional(dst, v != nil)
	if v != nil {
		dst = AppendDouble(dst, *v)
	}
	return dst
}
