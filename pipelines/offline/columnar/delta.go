package columnar

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// deltas reads integers that are written as differences to the one before (DELTA_BINARY_PACKED): blocks of a least difference
// and some miniblocks, each with a width of its own for what is added to it.
type deltas struct {
	rest      []byte
	left      int   // values
	value     int64 // the next one
	least     int64
	miniSize  int // values of a miniblock
	miniCount int // miniblocks of a block
	widths    []byte
	packed    []byte // of the miniblock
	width     int
	bit       int
	inMini    int // values left in the miniblock
}

var errDeltas = errors.New("a page of differences is damaged: write the file anew")

// newDeltas begins with a page's head. A page without values may have none.
func newDeltas(data []byte) (d deltas, err error) {
	if len(data) == 0 {
		return d, nil
	}
	d.rest = data
	block, minis, total := d.uvarint(), d.uvarint(), d.uvarint()
	first, n := binary.Varint(d.rest)
	if n <= 0 || minis == 0 || block > 1<<20 || minis > block || total > 1<<31 {
		return d, errDeltas
	}
	d.rest = d.rest[n:]
	d.value, d.left, d.miniCount, d.miniSize = first, int(total), int(minis), int(block/minis)
	if d.miniSize == 0 || d.miniSize%8 != 0 {
		return d, errDeltas
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

// fill reads the next numbers.
func (d *deltas) fill(into []int64) error {
	if len(into) > d.left {
		return errValuesShort
	}
	for i := range into {
		into[i] = d.value
		if d.left--; d.left == 0 {
			break
		}
		if d.inMini == 0 {
			if err := d.miniblock(); err != nil {
				return err
			}
		}
		d.value += d.least + int64(bitsAt(d.packed, d.bit, d.width))
		d.bit += d.width
		d.inMini--
	}
	return nil
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

// behind gives what lies behind the numbers, of which none was read.
func (d deltas) behind() ([]byte, error) {
	for d.left > 1 {
		if err := d.miniblock(); err != nil {
			return nil, err
		}
		d.left -= d.miniSize
	}
	// Miniblocks without values have a width that means nothing, and no bytes.
	return d.rest, nil
}

// integers are numbers written so.
type integers struct {
	deltas
	*leaf
	scratch []int64
}

func (d *integers) begin(l *leaf, data []byte) (err error) {
	d.leaf = l
	d.deltas, err = newDeltas(data)
	return err
}

func (d *integers) decode(into []Value) error {
	d.scratch = sizedTo(d.scratch, len(into))
	if err := d.fill(d.scratch); err != nil {
		return err
	}
	for i, n := range d.scratch {
		if d.leaf.width == 4 {
			n = int64(int32(n))
		}
		into[i].Kind, into[i].Int = Int, n
	}
	return nil
}

// lengthened reads byte arrays of which all lengths come first (DELTA_LENGTH_BYTE_ARRAY).
type lengthened struct {
	lengths deltas
	rest    []byte
	scratch []int64
}

func (b *lengthened) begin(data []byte) (err error) {
	if b.lengths, err = newDeltas(data); err != nil {
		return err
	}
	b.rest, err = b.lengths.behind()
	return err
}

func (b *lengthened) decode(into []Value) error {
	b.scratch = sizedTo(b.scratch, len(into))
	if err := b.lengths.fill(b.scratch); err != nil {
		return err
	}
	for i, n := range b.scratch {
		if n < 0 || n > int64(len(b.rest)) {
			return errValuesShort
		}
		into[i].Kind, into[i].Text = Text, b.rest[:n:n]
		b.rest = b.rest[n:]
	}
	return nil
}

// fronted reads byte arrays that say how many bytes they begin with as the one before does (DELTA_BYTE_ARRAY).
type fronted struct {
	*leaf
	shared   *shared
	prefixes deltas
	suffixes lengthened
	scratch  []int64
	left     int64 // bytes that the values of a page may have
	last     []byte
	arena    []byte
}

func (f *fronted) begin(l *leaf, data []byte, most int64, s *shared) (err error) {
	f.leaf, f.shared, f.left, f.last = l, s, most, f.last[:0]
	if f.prefixes, err = newDeltas(data); err != nil {
		return err
	}
	rest, err := f.prefixes.behind()
	if err != nil {
		return err
	}
	return f.suffixes.begin(rest)
}

func (f *fronted) decode(into []Value) error {
	if err := f.suffixes.decode(into); err != nil {
		return err
	}
	f.scratch = sizedTo(f.scratch, len(into))
	if err := f.prefixes.fill(f.scratch); err != nil {
		return err
	}
	size, err := f.measure(into)
	if err != nil {
		return err
	}
	if f.arena, err = f.shared.sized(f.arena, size); err != nil {
		return err
	}
	last, rest := f.last, f.arena
	for i, prefix := range f.scratch {
		n := copy(rest, last[:prefix])
		n += copy(rest[n:], into[i].Text)
		last, rest = rest[:n:n], rest[n:]
		into[i].Text = last
	}
	if f.last, err = f.shared.sized(f.last, int64(len(last))); err != nil {
		return err
	}
	copy(f.last, last)
	return nil
}

// measure says how many bytes the values have, of which into has the suffixes.
func (f *fronted) measure(into []Value) (total int64, err error) {
	last := int64(len(f.last))
	for i, prefix := range f.scratch {
		if prefix < 0 || prefix > last {
			return 0, errValuesShort
		}
		last = prefix + int64(len(into[i].Text))
		if f.width > 0 && last != int64(f.width) {
			return 0, fmt.Errorf("a value has %d bytes, and its type %d: write the file anew", last, f.width)
		}
		// Each value may repeat all of the one before, so that a short page could have as many bytes as the square of its own.
		if f.left -= last; f.left < 0 {
			return 0, errors.New("the texts of a page are longer than a page may be: " + smallerPages)
		}
		total += last
	}
	return total, nil
}

// sizedTo gives n elements, in the memory of s where they fit.
func sizedTo[T any](s []T, n int) []T {
	if n > cap(s) {
		return make([]T, n)
	}
	return s[:n]
}
