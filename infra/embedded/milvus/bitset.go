package milvus

import "math/bits"

// bitset is a set of rows. Bits past the last row are zero.
type bitset struct {
	words []uint64
	rows  int
}

func newBitset(rows int) bitset { return bitset{words: make([]uint64, (rows+63)/64), rows: rows} }

// fill makes the set of those rows for which in holds.
func fill(rows int, in func(row int) bool) bitset {
	b := newBitset(rows)
	for w := range b.words {
		var word uint64
		first := w * 64
		for row := first; row < min(first+64, rows); row++ {
			if in(row) {
				word |= 1 << (row - first)
			}
		}
		b.words[w] = word
	}
	return b
}

func all(rows int) bitset { return newBitset(rows).not() }

func (b bitset) add(row int)      { b.words[row/64] |= 1 << (row % 64) }
func (b bitset) has(row int) bool { return b.words[row/64]&(1<<(row%64)) != 0 }

func (b bitset) and(o bitset) bitset {
	for i := range b.words {
		b.words[i] &= o.words[i]
	}
	return b
}

func (b bitset) or(o bitset) bitset {
	for i := range b.words {
		b.words[i] |= o.words[i]
	}
	return b
}

func (b bitset) not() bitset {
	for i := range b.words {
		b.words[i] = ^b.words[i]
	}
	if tail := b.rows % 64; tail != 0 {
		b.words[len(b.words)-1] &= 1<<tail - 1
	}
	return b
}

func (b bitset) count() int {
	n := 0
	for _, w := range b.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// list returns the rows in ascending order.
func (b bitset) list() []int32 {
	rows := make([]int32, 0, b.count())
	for i, w := range b.words {
		for ; w != 0; w &= w - 1 {
			rows = append(rows, int32(i*64+bits.TrailingZeros64(w)))
		}
	}
	return rows
}
