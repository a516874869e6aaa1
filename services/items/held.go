package items

import (
	"bytes"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/redisdb"
)

// heldInstead returns what the catalogue holds of an item after a call whose last change of it lost; nil where that change did not.
// stored is the stamp that the catalogue has now, and value the live record that was there before and won; "" where the call's own
// winner is what is stored.
func (s *Store) heldInstead(changes []Change, f fold, stored stamp, value string) (*Item, error) {
	last := &changes[f.final]
	if last.Tombstone {
		return nil, nil // whatever is known of an item, a tombstone leaves it deleted
	}
	equal := stampOf(last) == stored
	if stored.deleted() {
		if equal {
			return nil, nil
		}
		gone := schemas.ItemChange{ItemID: last.Record.ItemID, Op: schemas.DeleteItem, Version: stored.version()}
		return &Item{ItemChange: gone, Deleted: true}, nil
	}
	held := &Item{}
	if value == "" {
		held.ItemChange = changes[f.winner].Record
	} else {
		var err error
		if held, err = decodeRecord(last.Record.ItemID, []byte(value)); err != nil {
			return nil, redisdb.ReadError(s.recordKey(last.Record.ItemID), remedyRecord, err)
		}
	}
	if equal && sameContent(&held.ItemChange, &last.Record) {
		return nil, nil
	}
	return held, nil
}

// sameContent says whether two states of one item are the same to all who read them. The time of the change is used where it dates
// the item, for want of a date of publication.
func sameContent(a, b *schemas.ItemChange) bool {
	x, y := *a, *b
	if !x.PublishedAt.IsZero() {
		x.OccurredAt = y.OccurredAt
	}
	return bytes.Equal(schemas.AppendItemChange(nil, &x), schemas.AppendItemChange(nil, &y))
}
