package profiles

import (
	"cmp"
	"math"
	"slices"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// maxTurnedDown is how many items a profile keeps that its user turned down: those that were turned down last.
const maxTurnedDown = 1024

// turnedDown are the items that a user turned down and did not take back, by when.
type turnedDown []refusal

type refusal struct {
	item uint32 // its fingerprint, as among the seen items
	at   int64  // ms
}

// TakesBack says which kinds of events say that an item which was turned down is welcome again. To look at it is not enough.
func TakesBack(kind schemas.InteractionType) bool {
	return towers.CountsForTaste(kind) && kind != schemas.View && kind != schemas.Click
}

// turn takes an event of the history in, or one that comes too late for it; whichever of an item's events occurred last counts.
func (t turnedDown) turn(e *Entry, h history) (turned turnedDown, changed bool) {
	item, at := seenFingerprint(e.ItemID), e.OccurredAt.UnixMilli()
	place := slices.IndexFunc(t, func(r refusal) bool { return r.item == item })
	switch {
	case TakesBack(e.Kind):
		if place < 0 || t[place].at > at {
			return t, false
		}
		return slices.Delete(t, place, place+1), true
	case !towers.TurnsDown(e.Kind) || place >= 0 && t[place].at >= at || h.takenBack(e):
		return t, false
	}
	if place >= 0 {
		t = slices.Delete(t, place, place+1)
	}
	t = append(t, refusal{item, at})
	slices.SortStableFunc(t, func(a, b refusal) int { return cmp.Compare(a.at, b.at) })
	return t[max(0, len(t)-maxTurnedDown):], true
}

// takenBack tells whether the history has a younger event that takes back what e says.
func (h history) takenBack(e *Entry) bool {
	return slices.ContainsFunc(h, func(other Entry) bool {
		return other.ItemID == e.ItemID && TakesBack(other.Kind) && e.older(&other)
	})
}

// turnedDownOf is what a history tells, for a profile of a release that kept nothing else.
func turnedDownOf(h history) (t turnedDown) {
	for i := range h {
		t, _ = t.turn(&h[len(h)-1-i], h)
	}
	return t
}

// at is when the user turned an item down, in ms.
func (t turnedDown) at(itemID string) (at int64, is bool) {
	if len(t) == 0 {
		return 0, false
	}
	item := seenFingerprint(itemID)
	place := slices.IndexFunc(t, func(r refusal) bool { return r.item == item })
	if place < 0 {
		return 0, false
	}
	return t[place].at, true
}

// The packed items: format 1, number, then for each, oldest first, 4 bytes fingerprint, little-endian, and its time as a signed
// varint.
const turnedFormat = 1

func packTurned(t turnedDown) []byte {
	packed := appendUvarint([]byte{turnedFormat}, int64(len(t)))
	for _, r := range t {
		packed = appendVarint(packIDs(packed, []uint32{r.item}), r.at)
	}
	return packed
}

func unpackTurned(value string) (turnedDown, error) {
	u := unpack("the items turned down", value, turnedFormat)
	count := int(u.uvarint(maxTurnedDown))
	var t turnedDown
	for range count {
		t = append(t, refusal{item: u.uint32(), at: u.varint()})
		if u.err != nil {
			return nil, u.err
		}
	}
	if err := u.end(); err != nil {
		return nil, err
	}
	return t, nil
}

// TurnedDown tells when the user turned an item down (hide, dislike, a low rating) without having taken that back since by liking,
// buying, finishing or rating it well. For an item that was not turned down the answer is wrong with a probability of the number of
// those that were in 2^32. The last 1,024 are known.
func (p *Profile) TurnedDown(itemID string) (atMillis int64, is bool) { return p.turned.at(itemID) }

// TurnedDownCount is how many items TurnedDown knows.
func (p *Profile) TurnedDownCount() int { return len(p.turned) }

// kindOf is the kind as which an entry counts.
func kindOf(s schemas.RatingScale, e *Entry) schemas.InteractionType {
	value := float32(math.NaN())
	if e.HasValue {
		value = e.Value
	}
	return s.Judge(e.Type, value)
}
