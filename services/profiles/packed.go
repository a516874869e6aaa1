package profiles

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/freshet/freshet/services/redisdb"
)

// Packed values begin with a format byte. Whole numbers are unsigned varints (encoding/binary) unless said otherwise.

var errTruncated = errors.New("the value ends too early")

// unpacker reads a packed value; after the first error every read gives zero. It works on a string, so that ids in it share
// the value's memory.
type unpacker struct {
	rest string
	err  error
}

// unpack checks the format byte of a value.
func unpack(what, value string, known byte) *unpacker { //nolint:unparam // each value has a format of its own
	u := &unpacker{rest: value}
	if format := u.byte(); u.err == nil {
		u.err = redisdb.CheckFormat(what, format, known)
	}
	return u
}

func (u *unpacker) take(n int) string {
	if u.err != nil || n > len(u.rest) {
		u.fail(errTruncated)
		return ""
	}
	taken := u.rest[:n]
	u.rest = u.rest[n:]
	return taken
}

func (u *unpacker) byte() byte {
	if b := u.take(1); b != "" {
		return b[0]
	}
	return 0
}

func (u *unpacker) uint32() uint32 {
	b := u.take(4)
	if b == "" {
		return 0
	}
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24
}

func (u *unpacker) uint64() uint64 {
	low := u.uint32()
	return uint64(low) | uint64(u.uint32())<<32
}

// uvarint reads a number of at most limit.
func (u *unpacker) uvarint(limit uint64) uint64 {
	var x uint64
	for shift := 0; u.err == nil; shift += 7 {
		b := u.byte()
		if shift == 63 && b > 1 || shift > 63 {
			u.fail(errors.New("a number has more than 64 bits"))
			return 0
		}
		x |= uint64(b&0x7f) << shift
		if b < 0x80 {
			break
		}
	}
	if x > limit {
		u.fail(fmt.Errorf("a number is %d, more than %d", x, limit))
	}
	if u.err != nil {
		return 0
	}
	return x
}

func (u *unpacker) varint() int64 {
	x := u.uvarint(1<<64 - 1)
	return int64(x>>1) ^ -int64(x&1)
}

func (u *unpacker) fail(err error) {
	if u.err == nil {
		u.err = err
	}
}

// end reports the first error, or bytes that nobody has read.
func (u *unpacker) end() error {
	if u.err == nil && u.rest != "" {
		u.err = fmt.Errorf("%d bytes follow the value", len(u.rest))
	}
	return u.err
}

func appendVarint(dst []byte, x int64) []byte { return binary.AppendVarint(dst, x) }

func appendUvarint(dst []byte, x int64) []byte { return binary.AppendUvarint(dst, uint64(x)) }
