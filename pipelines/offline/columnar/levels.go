package columnar

import (
	"encoding/binary"
	"errors"
	"math/bits"
)

var errLevelsShort = errors.New("a page has fewer levels or indexes than values")

// hybrid reads small numbers in Parquet's hybrid of runs and bit packing, some at a time: a run of a billion takes no memory.
type hybrid struct {
	rest  []byte
	width int // bits of a number, at most 32

	left   int    // numbers left of the run or of the packed groups
	packed []byte // of the packed groups; nil in a run
	bit    int    // the position in packed
	run    uint32
}

// widthOf is how many bits hold numbers up to most.
func widthOf(most int) int { return bits.Len(uint(most)) }

// fill reads the next numbers, as many as there is room for. Levels fit a byte, since a run of them is not wider.
func fill[T uint8 | uint32](h *hybrid, into []T) error {
	for len(into) > 0 {
		if err := h.begin(); err != nil {
			return err
		}
		part := into[:min(h.left, len(into))]
		if h.packed == nil {
			for i := range part {
				part[i] = T(h.run)
			}
		} else {
			unpack(h.packed, h.bit, h.width, part)
			h.bit += len(part) * h.width
		}
		h.left -= len(part)
		into = into[len(part):]
	}
	return nil
}

// runOf passes over n numbers where all of them are of one run, and says which number it is.
func (h *hybrid) runOf(n int) (number int, ok bool) {
	if h.begin() != nil || h.packed != nil || h.left < n {
		return 0, false
	}
	h.left -= n
	return int(h.run), true
}

// begin reads the head of a run, or of groups of eight packed numbers, where the last has ended.
func (h *hybrid) begin() error {
	for h.left == 0 {
		head, n := binary.Uvarint(h.rest)
		if n <= 0 || head > 1<<32 {
			return errLevelsShort
		}
		h.rest = h.rest[n:]
		size := (h.width + 7) / 8
		if head&1 == 1 {
			groups := int(head >> 1)
			// Writers may cut the last group short.
			size = min(groups*h.width, len(h.rest))
			h.left, h.packed, h.bit = 8*groups, h.rest[:size:size], 0
			if h.width > 0 {
				h.left = min(h.left, 8*size/h.width)
			}
			h.rest = h.rest[size:]
			continue
		}
		if size > len(h.rest) {
			return errLevelsShort
		}
		h.left, h.packed, h.run = int(head>>1), nil, 0
		for i, b := range h.rest[:size] {
			h.run |= uint32(b) << (8 * i)
		}
		h.rest = h.rest[size:]
	}
	return nil
}

// unpack reads numbers of width bits, at most 32, from the position bit on.
func unpack[T uint8 | uint32](packed []byte, bit, width int, into []T) {
	mask := uint64(1)<<width - 1
	i := 0
	for ; i < len(into) && bit/8+8 <= len(packed); i++ {
		into[i] = T(binary.LittleEndian.Uint64(packed[bit/8:]) >> (bit % 8) & mask)
		bit += width
	}
	for ; i < len(into); i++ {
		into[i] = T(bitsAt(packed, bit, width))
		bit += width
	}
}

// bitsAt reads width bits, at most 64, from the position bit on, the least significant first; bits beyond the end are zero.
func bitsAt(packed []byte, bit, width int) uint64 {
	at, off := bit/8, bit%8
	var word uint64
	if at+8 <= len(packed) {
		word = binary.LittleEndian.Uint64(packed[at:])
	} else if at < len(packed) {
		for i, b := range packed[at:] {
			word |= uint64(b) << (8 * i)
		}
	}
	word >>= off
	if off+width > 64 && at+8 < len(packed) {
		word |= uint64(packed[at+8]) << (64 - off)
	}
	if width < 64 {
		word &= 1<<width - 1
	}
	return word
}
