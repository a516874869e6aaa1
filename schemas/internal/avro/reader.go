package avro

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"time"
)

// Error says that bytes are not a record of the schema they were read by; no retry can change that.
type Error struct {
	Offset int // of the byte that could not be read
	Reason string
}

func (e *Error) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.Reason) }

// firstStep bounds the room that a list gets on the word of a count alone; only when so many elements have been read is there
// more.
const firstStep = 256

// Reader reads Avro binary from one slice. The first error sticks: whatever is read after it is zero and every list ends, so
// that a decoder reads all its fields and asks Finish once.
//
// The strings of one Reader share one copy of the input: strings.Clone one that is to outlive its record.
type Reader struct {
	src     []byte
	pos     int
	text    string
	err     error
	depth   int
	offsets []int // of record fields, a stack: see compileRecord
	// values counts those that Skip passed over, of mostValues.
	values, mostValues int
	unknown            *UnknownSymbol
}

// NewReader reads from src, which it never changes.
func NewReader(src []byte) *Reader { return &Reader{src: src} }

// Fail makes the reader fail with the given reason, unless it has failed before.
func (r *Reader) Fail(reason string) {
	if r.err == nil {
		r.err = &Error{Offset: r.pos, Reason: reason}
		r.pos = len(r.src)
	}
}

func (r *Reader) failf(format string, args ...any) {
	if r.err == nil {
		r.Fail(fmt.Sprintf(format, args...))
	}
}

// Finish returns the first error; bytes left over are one.
func (r *Reader) Finish() error {
	if r.err == nil && r.pos < len(r.src) {
		r.failf("%d bytes follow the record", len(r.src)-r.pos)
	}
	return r.err
}

// Err returns the first error, whatever is left over.
func (r *Reader) Err() error { return r.err }

func (r *Reader) remaining() int { return len(r.src) - r.pos }

// Long reads an Avro long.
func (r *Reader) Long() int64 {
	u, n := binary.Uvarint(r.src[r.pos:])
	if n <= 0 {
		if n == 0 {
			r.Fail("the record ends within a number")
		} else {
			r.Fail("a number has more than 64 bits")
		}
		return 0
	}
	r.pos += n
	return int64(u>>1) ^ -int64(u&1)
}

// Int reads an Avro int.
func (r *Reader) Int() int32 {
	v := r.Long()
	if v < math.MinInt32 || v > math.MaxInt32 {
		r.failf("int %d does not fit 32 bits", v)
		return 0
	}
	return int32(v)
}

// Index reads the index of an enum's symbol or of a union's branch, below n.
func (r *Reader) Index(n int) int {
	v := r.Long()
	if v < 0 || v >= int64(n) {
		r.failf("index %d is not one of the %d that the schema has", v, n)
		return 0
	}
	return int(v)
}

// Bool reads an Avro boolean.
func (r *Reader) Bool() bool {
	b := r.next(1)
	if b == nil {
		return false
	}
	if b[0] > 1 {
		r.failf("boolean is %d, not 0 or 1", b[0])
		return false
	}
	return b[0] == 1
}

// Float reads an Avro float.
func (r *Reader) Float() float32 {
	if b := r.next(4); b != nil {
		return math.Float32frombits(binary.LittleEndian.Uint32(b))
	}
	return 0
}

// Double reads an Avro double.
func (r *Reader) Double() float64 {
	if b := r.next(8); b != nil {
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	return 0
}

// next takes n bytes off the input, or fails and returns nil.
func (r *Reader) next(n int) []byte {
	if n > r.remaining() {
		r.failf("%d bytes wanted, %d left", n, r.remaining())
		return nil
	}
	b := r.src[r.pos : r.pos+n]
	r.pos += n
	return b
}

// length reads the length of a string or of bytes and checks that so much is there.
func (r *Reader) length() int {
	n := r.Long()
	if n < 0 || n > int64(r.remaining()) {
		r.failf("length %d, with %d bytes left", n, r.remaining())
		return 0
	}
	return int(n)
}

// Text reads an Avro string.
func (r *Reader) Text() string {
	n := r.length()
	if n == 0 {
		return ""
	}
	if r.text == "" {
		r.text = string(r.src)
	}
	s := r.text[r.pos : r.pos+n]
	r.pos += n
	return s
}

// Time reads an Avro timestamp-millis, as UTC.
func (r *Reader) Time() time.Time { return time.UnixMilli(r.Long()).UTC() }

// Optional reads the branch of a ["null", T] union and says whether a value follows.
func (r *Reader) Optional() bool { return r.Index(2) == branchValue }

// OptionalString reads a ["null", "string"] union, null as the empty string.
func (r *Reader) OptionalString() string {
	if r.Optional() {
		return r.Text()
	}
	return ""
}

// OptionalTime reads a ["null", timestamp-millis] union, null as the zero time.
func (r *Reader) OptionalTime() time.Time {
	if r.Optional() {
		return r.Time()
	}
	return time.Time{}
}

// OptionalDouble reads a ["null", "double"] union.
func (r *Reader) OptionalDouble() *float64 {
	if r.Optional() {
		v := r.Double()
		return &v
	}
	return nil
}

// Block reads the head of an array's or a map's block and returns how many elements it holds; 0 is the end of the list.
// An element takes at least size bytes, size > 0: a count that the remaining bytes cannot hold fails here, before anybody
// makes room for it.
func (r *Reader) Block(size int) int {
	n := r.Long()
	if n < 0 {
		if bytes := r.Long(); bytes < 0 || bytes > int64(r.remaining()) {
			r.failf("block of %d bytes, with %d left", bytes, r.remaining())
			return 0
		}
		n = -n // stays negative for the least long
	}
	if n < 0 || n > int64(r.remaining()/size) {
		r.failf("block of %d elements, with %d bytes left", n, r.remaining())
		return 0
	}
	return int(n)
}

// List reads an Avro array whose elements take at least size bytes each; an empty one is nil.
func List[T any](r *Reader, size int, element func(*Reader) T) []T {
	var list []T
	for n := r.Block(size); n > 0; n = r.Block(size) {
		if list == nil {
			list = make([]T, 0, min(n, firstStep))
		}
		for ; n > 0 && r.err == nil; n-- {
			if len(list) == cap(list) {
				list = slices.Grow(list, n) // all that is left of the block, which Block has held against the input
			}
			list = append(list, element(r))
		}
	}
	return list
}

// Strings reads an Avro array of strings; an empty one is nil.
func (r *Reader) Strings() []string { return List(r, 1, (*Reader).Text) }

// StringMap reads an Avro map of strings; an empty one is nil. A key that comes twice is an error, since readers would differ
// in which value they keep.
func (r *Reader) StringMap() map[string]string {
	var m map[string]string
	for n := r.Block(2); n > 0; n = r.Block(2) {
		if m == nil {
			m = make(map[string]string, min(n, firstStep))
		}
		for ; n > 0 && r.err == nil; n-- {
			key := r.Text()
			if _, twice := m[key]; twice {
				r.Fail("a map has a key twice")
				return nil
			}
			m[key] = r.Text()
		}
	}
	return m
}
