package columnar

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/parquet-go/parquet-go/encoding/thrift"
)

// The kinds of values in Thrift's compact protocol.
const (
	thriftTrue   = 1
	thriftFalse  = 2
	thriftByte   = 3
	thriftI16    = 4
	thriftI32    = 5
	thriftI64    = 6
	thriftDouble = 7
	thriftBinary = 8
	thriftList   = 9
	thriftSet    = 10
	thriftMap    = 11
	thriftStruct = 12
)

const (
	// mostNested is deeper than any structure of Parquet.
	mostNested = 24
	// mostElements bounds the structures in lists, which take up to a hundred times as much memory as bytes in the file: a footer
	// of a thousand row groups of a hundred columns has some 400,000.
	mostElements = 1 << 19
)

var errThriftShort = errors.New("the structure ends too early")

// unmarshal decodes the structure at the beginning of b into v and returns how many bytes it took. It is checked first, since
// the library allocates as many elements as a list says it has.
func unmarshal(b []byte, v any) (n int, err error) {
	w := thriftWalk{rest: b}
	if err := w.structure(0); err != nil {
		return 0, err
	}
	n = len(b) - len(w.rest)
	// The library decodes by reflection, and promises nothing for structures that are sound as Thrift but not as Parquet.
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("decoding a structure: %v", p)
		}
	}()
	return n, thrift.Unmarshal(new(thrift.CompactProtocol), b[:n], v)
}

// thriftWalk passes over a structure and holds each length against what is left.
type thriftWalk struct {
	rest     []byte
	elements int
}

func (w *thriftWalk) structure(depth int) error {
	if depth > mostNested {
		return errors.New("the structure is nested too deep")
	}
	for {
		head, err := w.byte()
		if err != nil {
			return err
		}
		if head == 0 {
			return nil
		}
		if head>>4 == 0 { // the field's number in full, instead of its distance to the last
			if _, err := w.varint(); err != nil {
				return err
			}
		}
		if kind := head & 0xf; kind != thriftTrue && kind != thriftFalse {
			if err := w.value(kind, depth); err != nil {
				return err
			}
		}
	}
}

func (w *thriftWalk) value(kind byte, depth int) error {
	switch kind {
	case thriftTrue, thriftFalse, thriftByte:
		return w.skip(1)
	case thriftI16, thriftI32, thriftI64:
		_, err := w.varint()
		return err
	case thriftDouble:
		return w.skip(8)
	case thriftBinary:
		n, err := w.varint()
		if err != nil {
			return err
		}
		return w.skip(n)
	case thriftList, thriftSet:
		return w.list(depth)
	case thriftMap:
		return w.pairs(depth)
	case thriftStruct:
		return w.structure(depth + 1)
	default:
		return fmt.Errorf("the structure has a value of the unknown kind %d", kind)
	}
}

func (w *thriftWalk) list(depth int) error {
	head, err := w.byte()
	if err != nil {
		return err
	}
	kind, n := head&0xf, uint64(head>>4)
	if n == 0xf {
		if n, err = w.varint(); err != nil {
			return err
		}
	}
	return w.values(n, depth, kind)
}

func (w *thriftWalk) pairs(depth int) error {
	n, err := w.varint()
	if err != nil || n == 0 {
		return err
	}
	kinds, err := w.byte()
	if err != nil {
		return err
	}
	return w.values(n, depth, kinds>>4, kinds&0xf)
}

// values passes n elements of one kind, or n pairs of two. Each takes a byte at least.
func (w *thriftWalk) values(n uint64, depth int, kinds ...byte) error {
	if n > uint64(len(w.rest)) {
		return fmt.Errorf("a list says that it has %d elements, in %d bytes", n, len(w.rest))
	}
	for _, kind := range kinds {
		if kind >= thriftBinary {
			w.elements += int(n)
		}
	}
	if w.elements > mostElements {
		return fmt.Errorf("the structure has more than %d elements", mostElements)
	}
	for range n {
		for _, kind := range kinds {
			if err := w.value(kind, depth+1); err != nil {
				return err
			}
		}
	}
	return nil
}

func (w *thriftWalk) byte() (byte, error) {
	if len(w.rest) == 0 {
		return 0, errThriftShort
	}
	b := w.rest[0]
	w.rest = w.rest[1:]
	return b, nil
}

func (w *thriftWalk) varint() (uint64, error) {
	v, n := binary.Uvarint(w.rest)
	if n <= 0 {
		return 0, errThriftShort
	}
	w.rest = w.rest[n:]
	return v, nil
}

func (w *thriftWalk) skip(n uint64) error {
	if n > uint64(len(w.rest)) {
		return errThriftShort
	}
	w.rest = w.rest[n:]
	return nil
}
