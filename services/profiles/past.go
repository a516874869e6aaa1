package profiles

import (
	"encoding/binary"
	"math"
	"slices"
	"strconv"

	"github.com/freshet/freshet/schemas"
)

// past is what a profile remembers of events that it has counted and that its history does not hold, so that one of them that
// comes again is not counted again.
type past struct {
	// left are the events that fell out of the history or came too late for it, shown are impressions, which never enter it.
	left, shown window
	// compactAt is the length in fingerprints at which the set of seen items is made distinct again; 0 for compactSeenAt.
	compactAt int64
}

// window is the ids of past events: a tail, and behind it a ring of closed blocks, which lie in fields of their own. They are
// read only for an event that is not younger than what the blocks hold, which is none that comes in order.
//
// The ring is forgotten by halves. What is not younger than anything that was forgotten is not taken for new: horizon.
type window struct {
	tail []uint32
	// tailNewest is when the newest event of the tail occurred, halves when the newest of each half of the ring did, horizon
	// when the newest did that is forgotten; all in ms, or never.
	tailNewest int64
	halves     [2]int64
	horizon    int64
	// blocks is how many have been closed so far.
	blocks int64

	// ids are those of closed blocks, by half, that this process knows: those that it was given and closed itself.
	ids [2][]uint32
	// closed are the blocks that were closed since the last write.
	closed []block
}

type block struct {
	number int64
	ids    []uint32
}

const (
	ringBlocks = 64
	halfRing   = ringBlocks / 2
	// never is before any event.
	never = math.MinInt64
)

func newPast() past { return past{left: newWindow(), shown: newWindow()} }

func newWindow() window {
	return window{tailNewest: never, halves: [2]int64{never, never}, horizon: never}
}

// sighting is what is known of an event's id.
type sighting int

const (
	fresh    sighting = iota
	repeated          // it was counted before
	untold            // it is so old that nobody knows
)

// sees looks an id up. For a fresh event that is not the newest the answer repeated is wrong with a probability of the number of
// ids in 2^32.
func (w *window) sees(id uint32, at int64) sighting {
	blocks := max(w.halves[0], w.halves[1])
	switch {
	case at > max(blocks, w.tailNewest, w.horizon):
		return fresh
	case slices.Contains(w.tail, id):
		return repeated
	case at <= blocks && (slices.Contains(w.ids[0], id) || slices.Contains(w.ids[1], id)):
		return repeated
	case at <= w.horizon:
		return untold
	}
	return fresh
}

// add takes an id in; size is how many make a block.
func (w *window) add(id uint32, at int64, size int) {
	w.tail, w.tailNewest = append(w.tail, id), max(w.tailNewest, at)
	if len(w.tail) < size {
		return
	}
	half := w.blocks / halfRing % 2
	if w.blocks%halfRing == 0 { // the first block that is written over the older half
		w.horizon = max(w.horizon, w.halves[half])
		w.halves[half], w.ids[half] = never, nil
	}
	w.halves[half] = max(w.halves[half], w.tailNewest)
	w.ids[half] = append(w.ids[half], w.tail...)
	w.closed = append(w.closed, block{w.blocks, w.tail})
	w.blocks++
	w.tail, w.tailNewest = nil, never
}

// held is the numbers of the blocks that are not forgotten: from first up to w.blocks.
func (w *window) held() (first int64) {
	if w.blocks == 0 {
		return 0
	}
	return max(0, (w.blocks-1)/halfRing-1) * halfRing
}

// give has the window know a block that was read.
func (w *window) give(number int64, packed string) {
	half := number / halfRing % 2
	w.ids[half] = append(w.ids[half], unpackIDs(packed)...)
}

// settle forgets what belongs to one fold.
func (w *window) settle() { w.ids, w.closed = [2][]uint32{}, nil }

// of is the window that has the events of a type.
func (p *past) of(t schemas.InteractionType) *window {
	if entersHistory(t) {
		return &p.left
	}
	return &p.shown
}

// pastOf makes the past of a profile that has none, since an earlier release wrote it or nothing has left its history. What
// that release has counted nobody knows: nothing is taken for new that is not younger than what can have been counted.
func (st *stored) pastOf() past {
	p := newPast()
	if n := len(st.history); n > 0 && st.counters.remembered() > uint64(n) {
		p.left.horizon = st.history[n-1].OccurredAt.UnixMilli()
	}
	if st.counters.Of(schemas.Impression) > 0 {
		p.shown.horizon = st.updated
	}
	return p
}

// blockField is the field of a block in a user's hash.
func blockField(kind string, number int64) string {
	return kind + strconv.FormatInt(number%ringBlocks, 10)
}

// each goes through the windows and what their blocks' fields begin with.
func (p *past) each(f func(kind string, w *window)) {
	f("l:", &p.left)
	f("i:", &p.shown)
}

// The packed past: format 1, compactAt, then for left and shown:
//
//	         length of the tail, its fingerprints as 4 bytes little-endian each
//	         blocks
//	times    of the tail, of both halves, the horizon
//
// A time is a varint (signed) plus one, never being 0. A block is fingerprints alone.
const (
	pastFormat = 1
	maxTail    = maxEventIDs / ringBlocks
)

func packPast(p *past) []byte {
	packed := make([]byte, 0, 24+4*(len(p.left.tail)+len(p.shown.tail)))
	packed = appendUvarint(append(packed, pastFormat), p.compactAt)
	for _, w := range []*window{&p.left, &p.shown} {
		packed = appendUvarint(packed, int64(len(w.tail)))
		packed = packIDs(packed, w.tail)
		packed = appendUvarint(packed, w.blocks)
		for _, t := range []int64{w.tailNewest, w.halves[0], w.halves[1], w.horizon} {
			packed = binary.AppendUvarint(packed, (uint64(t)<<1^uint64(t>>63))+1)
		}
	}
	return packed
}

func unpackPast(value string) (past, error) {
	p := newPast()
	u := unpack("the past", value, pastFormat)
	p.compactAt = int64(u.uvarint(math.MaxInt32))
	for _, w := range []*window{&p.left, &p.shown} {
		if tail := u.take(4 * int(u.uvarint(maxTail))); tail != "" {
			w.tail = unpackIDs(tail)
		}
		w.blocks = int64(u.uvarint(math.MaxInt64))
		for _, t := range []*int64{&w.tailNewest, &w.halves[0], &w.halves[1], &w.horizon} {
			x := u.uvarint(math.MaxUint64) - 1
			*t = int64(x>>1) ^ -int64(x&1)
		}
	}
	if err := u.end(); err != nil {
		return past{}, err
	}
	return p, nil
}

func packIDs(dst []byte, ids []uint32) []byte {
	for _, id := range ids {
		dst = binary.LittleEndian.AppendUint32(dst, id)
	}
	return dst
}

func unpackIDs(packed string) []uint32 {
	u := unpacker{rest: packed}
	ids := make([]uint32, len(packed)/4)
	for i := range ids {
		ids[i] = u.uint32()
	}
	return ids
}
