package columnar

import (
	"encoding/binary"
	"errors"

	"github.com/parquet-go/parquet-go/format"
)

// deltas reads integers that are written as differences to the one before (DELTA_BINARY_PACKED): blocks of a least difference
// and some miniblocks, each with a width of its own for what is added to it.
type deltas struct {
	*leaf
	rest      []byte
	left      int   // values
	value     int64 // the last
	begun     bool
	least     int64
	miniSize  int // values of a miniblock
	miniCount int // miniblocks of a block
	widths    []byte
	packed    []byte // of the miniblock
	width     int
	bit       int
	inMini    int // values left in the miniblock
}

var errDeltas = errors.New("a page of differences is damaged")

func newDeltas(l *leaf, data []byte) (*deltas, error) {
	d := &deltas{leaf: l, rest: data}
	block, minis, total := d.uvarint(), d.uvarint(), d.uvarint()
	first, n := binary.Varint(d.rest)
	if n <= 0 || minis == 0 || block > 1<<20 || minis > block || total > 1<<31 {
		return nil, errDeltas
	}
	d.rest = d.rest[n:]
	d.value, d.left, d.miniCount, d.miniSize = first, int(total), int(minis), int(block/minis)
	if d.miniSize == 0 || d.miniSize%8 != 0 {
		return nil, errDeltas
	}
	return d, nil
}

// uvarint is beyond all bounds where there is none.
func (d *deltas) uvarint() uint64 {
	v, n := binary.Uvarint(d.rest)
	if n <= 0 {
		d.rest = nil
		return 1 << 63
	}
	d.rest = d.rest[n:]
	return v
}

func (d *deltas) next() (Value, error) {
	v, err := d.number()
	if err != nil {
		return Value{}, err
	}
	if d.kind == format.Int32 {
		return d.convert.number(int64(int32(v)), 32)
	}
	return d.convert.number(v, 64)
}

func (d *deltas) number() (int64, error) {
	if d.left == 0 {
		return 0, errValuesShort
	}
	d.left--
	if !d.begun {
		d.begun = true
		return d.value, nil
	}
	if d.inMini == 0 {
		if err := d.miniblock(); err != nil {
			return 0, err
		}
	}
	d.value += d.least + int64(bitsAt(d.packed, d.bit, d.width))
	d.bit += d.width
	d.inMini--
	return d.value, nil
}

// miniblock begins the next one, and before it the next block where one is due.
func (d *deltas) miniblock() error {
	if len(d.widths) == 0 {
		least, n := binary.Varint(d.rest)
		if n <= 0 || len(d.rest)-n < d.miniCount {
			return errDeltas
		}
		d.least, d.widths, d.rest = least, d.rest[n:n+d.miniCount], d.rest[n+d.miniCount:]
	}
	d.width, d.widths = int(d.widths[0]), d.widths[1:]
	size := d.miniSize * d.width / 8
	if d.width > 64 || size > len(d.rest) {
		return errDeltas
	}
	d.packed, d.rest, d.bit, d.inMini = d.rest[:size:size], d.rest[size:], 0, d.miniSize
	return nil
}

// finish passes what is left, and gives what lies behind.
func (d *deltas) finish() ([]byte, error) {
	for d.left > 0 {
		if _, err := d.number(); err != nil {
			return nil, err
		}
	}
	for _, width := range d.widths { // miniblocks without values have a width and may have bytes, or not
		if width != 0 {
			return nil, errDeltas
		}
	}
	return d.rest, nil
}

// lengthened reads byte arrays of which all lengths come first (DELTA_LENGTH_BYTE_ARRAY).
type lengthened struct {
	lengths *deltas
	rest    []byte
}

func newLengthened(l *leaf, data []byte, n int) (*lengthened, error) {
	if len(data) == 0 { // all values are null
		return &lengthened{lengths: &deltas{leaf: l}}, nil
	}
	twice, err := newDeltas(l, data)
	if err != nil {
		return nil, err
	}
	if twice.left > n {
		return nil, errDeltas
	}
	rest, err := twice.finish()
	if err != nil {
		return nil, err
	}
	lengths, err := newDeltas(l, data)
	return &lengthened{lengths, rest}, err
}

func (b *lengthened) next() (Value, error) {
	n, err := b.lengths.number()
	if err != nil {
		return Value{}, err
	}
	if n < 0 || n > int64(len(b.rest)) {
		return Value{}, errValuesShort
	}
	v := Value{Kind: Text, Text: b.rest[:n:n]}
	b.rest = b.rest[n:]
	return v, nil
}
