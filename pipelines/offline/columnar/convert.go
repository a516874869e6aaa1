package columnar

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"math/bits"
	"strconv"
)

const msADay = 24 * 60 * 60 * 1000

// converted makes of stored values those that are read. It writes texts behind those that arena has, and returns it.
func (l *logical) converted(values []Value, arena []byte) ([]byte, error) {
	switch l.convert {
	case asDays:
		for i := range values {
			values[i].Int *= msADay // of an int32
		}
	case asMicros:
		for i := range values {
			values[i].Int = floorDiv(values[i].Int, 1000)
		}
	case asNanos:
		for i := range values {
			values[i].Int = floorDiv(values[i].Int, 1_000_000)
		}
	case asUnsigned32:
		for i := range values {
			values[i].Int = int64(uint32(values[i].Int))
		}
	case asUnsigned64:
		return beyondInt64(values, arena), nil
	case asDecimal:
		return l.decimals(values, arena)
	case asUUID:
		return uuids(values, arena), nil
	case asHalf:
		for i, v := range values {
			values[i] = Value{Float: half(binary.LittleEndian.Uint16(v.Text))}
		}
	}
	if l.value != l.stored {
		for i := range values {
			values[i].Kind = l.value
		}
	}
	return arena, nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// beyondInt64 makes decimals of the numbers that an int64 does not hold.
func beyondInt64(values []Value, arena []byte) []byte {
	for i := range values {
		n := values[i].Int
		if n >= 0 {
			values[i].Text = nil
			continue
		}
		from := len(arena)
		arena = strconv.AppendUint(arena, uint64(n), 10)
		values[i] = Value{Kind: Decimal, Text: arena[from:len(arena):len(arena)]}
	}
	return arena
}

// decimals writes the digits of unscaled numbers, which are integers or two's complement in big-endian bytes.
func (l *logical) decimals(values []Value, arena []byte) ([]byte, error) {
	for i := range values {
		v := &values[i]
		var n wide
		negative := v.Int < 0
		if l.stored == Text {
			if len(v.Text) > mostDecimal {
				return arena, fmt.Errorf("a decimal has %d bytes, more than %d: write it as a string", len(v.Text), mostDecimal)
			}
			n, negative = wideOf(v.Text)
		} else {
			n[len(n)-1] = uint64(v.Int)
			if negative {
				n[len(n)-1] = -n[len(n)-1]
			}
		}
		from := len(arena)
		arena = n.append(arena, negative, l.scale)
		*v = Value{Kind: Decimal, Text: arena[from:len(arena):len(arena)]}
	}
	return arena, nil
}

// wide is a number of up to mostDecimal bytes, the most significant word first.
type wide [mostDecimal / 8]uint64

// wideOf is the amount of a number in two's complement, most significant byte first, and whether it is negative.
func wideOf(b []byte) (n wide, negative bool) {
	negative = len(b) > 0 && b[0]&0x80 != 0
	var padded [mostDecimal]byte
	if negative {
		for i := range padded {
			padded[i] = 0xff
		}
	}
	copy(padded[mostDecimal-len(b):], b)
	for i := range n {
		n[i] = binary.BigEndian.Uint64(padded[8*i:])
	}
	if negative {
		carry := uint64(1)
		for i := len(n) - 1; i >= 0; i-- {
			n[i], carry = bits.Add64(^n[i], 0, carry)
		}
	}
	return n, negative
}

// append writes the digits with scale of them behind the point.
func (n *wide) append(to []byte, negative bool, scale int) []byte {
	// Groups of nineteen digits, which is what a word holds, from the last one on.
	const group, groupDigits = 10_000_000_000_000_000_000, 19
	var reversed [mostDigits + 2*groupDigits]byte
	count := 0
	for more := true; more; {
		rest, left := uint64(0), uint64(0)
		for i, word := range n {
			n[i], rest = bits.Div64(rest, word, group)
			left |= n[i]
		}
		more = left != 0
		for digit := 0; rest > 0 || more && digit < groupDigits; digit++ {
			reversed[count] = byte('0' + rest%10)
			rest /= 10
			count++
		}
	}
	for count <= scale {
		reversed[count] = '0'
		count++
	}
	if negative {
		to = append(to, '-')
	}
	for i := count - 1; i >= 0; i-- {
		to = append(to, reversed[i])
		if i == scale && i > 0 {
			to = append(to, '.')
		}
	}
	return to
}

// uuids are written as RFC 9562 says.
func uuids(values []Value, arena []byte) []byte {
	for i := range values {
		b := values[i].Text
		from := len(arena)
		for _, part := range [][]byte{b[:4], b[4:6], b[6:8], b[8:10], b[10:]} {
			if len(arena) > from {
				arena = append(arena, '-')
			}
			arena = hex.AppendEncode(arena, part)
		}
		values[i].Text = arena[from:len(arena):len(arena)]
	}
	return arena
}

// half is a number of IEEE 754's binary16.
func half(b uint16) float64 {
	sign, exponent, fraction := 1-2*float64(b>>15), int(b>>10&0x1f), float64(b&0x3ff)
	switch {
	case exponent == 0:
		return math.Copysign(math.Ldexp(fraction, -24), sign)
	case exponent < 0x1f:
		return sign * math.Ldexp(1024+fraction, exponent-25)
	case fraction != 0:
		return math.NaN()
	default:
		return math.Inf(int(sign))
	}
}

// int96 is how Hive, Impala and older versions of Spark write a moment: ns of a day, and the Julian day.
func int96(b []byte) (ms int64) {
	const julianEpoch = 2_440_588
	ns, day := int64(binary.LittleEndian.Uint64(b)), int64(int32(binary.LittleEndian.Uint32(b[8:])))
	return (day-julianEpoch)*msADay + floorDiv(ns, 1_000_000)
}
