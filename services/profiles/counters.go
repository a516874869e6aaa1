package profiles

import (
	"math"

	"github.com/freshet/freshet/schemas"
)

// Counters say how many events of each type were applied, duplicates that were found left out.
type Counters []uint64

// Of returns the number of events of a type.
func (c Counters) Of(t schemas.InteractionType) uint64 {
	if int(t) < len(c) {
		return c[t]
	}
	return 0
}

func (c Counters) add(t schemas.InteractionType) Counters {
	for len(c) <= int(t) {
		c = append(c, 0)
	}
	c[t]++
	return c
}

// remembered is the number that stamps a user tower's state: how many events have entered the user's history. It counts what
// any tower may read, and so does not depend on the tower.
func (c Counters) remembered() uint64 {
	var n uint64
	for t, count := range c {
		if entersHistory(schemas.InteractionType(t)) {
			n += count
		}
	}
	return n
}

// The packed counters: format 1, number of types, then the count of each, in the order of schemas.InteractionType.
const (
	countersFormat = 1
	maxCounters    = 256
)

func packCounters(c Counters) []byte {
	packed := appendUvarint([]byte{countersFormat}, int64(len(c)))
	for _, n := range c {
		packed = appendUvarint(packed, int64(n))
	}
	return packed
}

func unpackCounters(value string) (Counters, error) {
	u := unpack("the counters", value, countersFormat)
	c := make(Counters, u.uvarint(maxCounters))
	for i := range c {
		c[i] = u.uvarint(math.MaxUint64)
	}
	if err := u.end(); err != nil {
		return nil, err
	}
	return c, nil
}
