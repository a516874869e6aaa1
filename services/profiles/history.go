package profiles

import (
	"cmp"
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/freshet/freshet/schemas"
)

// Entry is an event of a user's history.
type Entry struct {
	ItemID string
	Type   schemas.InteractionType
	// Kind is as which it counts: Type, but for a low rating, which is a dislike.
	Kind       schemas.InteractionType
	OccurredAt time.Time
	// Value counts only with HasValue.
	Value    float32
	HasValue bool
	// Position is where the event lies in the topic; it orders events of the same millisecond.
	Position schemas.Position

	fingerprint uint64
}

// fingerprintOf stands for an event id. 0 is that of an event without id, which is never taken for a duplicate.
func fingerprintOf(eventID string) uint64 {
	if eventID == "" {
		return 0
	}
	return xxhash.Sum64String(eventID)
}

func entryOf(e *Event, ratings schemas.RatingScale) Entry {
	entry := Entry{
		ItemID: e.ItemID, Type: e.Type, Kind: ratings.KindOf(&e.Interaction), OccurredAt: time.UnixMilli(e.OccurredAt.UnixMilli()).UTC(),
		Position:    schemas.Position{Partition: e.Partition, Offset: e.Offset},
		fingerprint: fingerprintOf(e.EventID),
	}
	if e.Value != nil {
		entry.Value, entry.HasValue = float32(*e.Value), true
	}
	return entry
}

// older orders a history: by the time of the event, then by its place in the topic.
func (e *Entry) older(than *Entry) bool { return compareEntries(e, than) < 0 }

func compareEntries(a, b *Entry) int {
	return cmp.Or(
		cmp.Compare(a.OccurredAt.UnixMilli(), b.OccurredAt.UnixMilli()),
		cmp.Compare(a.Position.Partition, b.Position.Partition),
		cmp.Compare(a.Position.Offset, b.Position.Offset),
	)
}

// history is a user's last events, newest first.
type history []Entry

func (h history) hasEvent(fingerprint uint64) bool {
	if fingerprint == 0 {
		return false
	}
	for i := range h {
		if h[i].fingerprint == fingerprint {
			return true
		}
	}
	return false
}

func (h history) hasItem(id string) bool {
	for i := range h {
		if h[i].ItemID == id {
			return true
		}
	}
	return false
}

// takes tells whether insert would keep an event.
func (h history) takes(e *Entry, limit int) bool {
	return len(h) < limit || !e.older(&h[limit-1])
}

// insert puts an event in its place, and gives the ones beyond limit to drop, oldest first. It tells whether the event is late
// (older than the newest) and whether it is kept.
func (h history) insert(e Entry, limit int, drop func(*Entry)) (grown history, late, kept bool) {
	if !h.takes(&e, limit) {
		drop(&e)
		return h, true, false
	}
	place := 0
	for place < len(h) && e.older(&h[place]) {
		place++
	}
	h = slices.Insert(h, place, e)
	for len(h) > limit {
		last := len(h) - 1
		drop(&h[last])
		h[last] = Entry{}
		h = h[:last]
	}
	return h, place > 0, true
}

// The packed history: format 1, number of events, then for each, newest first:
//
//	8 bytes  fingerprint of the event id, little-endian
//	byte     type; 0x80 added if a value follows
//	varint   the newest event's time in ms, signed; for the others how many ms before the one in front
//	         partition, offset
//	4 bytes  value as little-endian float32, if any
//	         length of the item id, item id
const (
	historyFormat = 1
	valueFollows  = 0x80
	maxItemID     = 1 << 20
)

func packHistory(h history) []byte {
	packed := append(make([]byte, 0, 4+40*len(h)), historyFormat)
	packed = appendUvarint(packed, int64(len(h)))
	for i := range h {
		e := &h[i]
		packed = binary.LittleEndian.AppendUint64(packed, e.fingerprint)
		kind := byte(e.Type)
		if e.HasValue {
			kind |= valueFollows
		}
		packed = append(packed, kind)
		if i == 0 {
			packed = binary.AppendVarint(packed, e.OccurredAt.UnixMilli())
		} else {
			packed = appendUvarint(packed, h[i-1].OccurredAt.UnixMilli()-e.OccurredAt.UnixMilli())
		}
		packed = appendUvarint(packed, int64(e.Position.Partition))
		packed = appendUvarint(packed, e.Position.Offset)
		if e.HasValue {
			packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(e.Value))
		}
		packed = appendUvarint(packed, int64(len(e.ItemID)))
		packed = append(packed, e.ItemID...)
	}
	return packed
}

func unpackHistory(value string) (history, error) {
	u := unpack("the history", value, historyFormat)
	count := int(u.uvarint(maxHistory))
	if count*minEntry > len(u.rest) {
		return nil, cmp.Or(u.err, errTruncated)
	}
	h := make(history, count, count+1)
	for i := range h {
		e := &h[i]
		e.fingerprint = u.uint64()
		kind := u.byte()
		e.Type, e.HasValue = schemas.InteractionType(kind&^valueFollows), kind&valueFollows != 0
		e.OccurredAt = time.UnixMilli(u.occurred(h[:i])).UTC()
		e.Position.Partition = int32(u.uvarint(math.MaxInt32))
		e.Position.Offset = int64(u.uvarint(math.MaxInt64))
		if e.HasValue {
			e.Value = math.Float32frombits(u.uint32())
		}
		e.ItemID = u.take(int(u.uvarint(maxItemID)))
		if i > 0 && u.err == nil && !e.older(&h[i-1]) {
			u.fail(errors.New("the events of the history are out of order"))
		}
		if u.err != nil {
			return nil, u.err
		}
	}
	if err := u.end(); err != nil {
		return nil, err
	}
	return h, nil
}

// minEntry is the fewest bytes of an event, so that a count can be believed before memory is taken for it.
const minEntry = 8 + 1 + 1 + 1 + 1 + 1

// occurred reads the time in ms of the event behind those already read.
func (u *unpacker) occurred(before history) int64 {
	if len(before) == 0 {
		return u.varint()
	}
	newer := before[len(before)-1].OccurredAt.UnixMilli()
	// Two's complement makes the difference to the smallest int64 the right limit for any newer.
	return newer - int64(u.uvarint(uint64(newer)-1<<63))
}
