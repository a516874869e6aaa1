package items

import (
	"bytes"

	"github.com/freshet/freshet/schemas"
)

// fold is what the changes of one item in one call come to. Written one after the other, all that counts of them is: the
// last tombstone; of the changes before it the best one's version, which the deletion keeps; and the best one after it.
// Each is an index into the changes, or -1. The item's last change in the call, final, need not be one of them.
type fold struct{ before, tombstone, winner, final int }

// last is the index of a change that the fold has for certain.
func (f fold) last() int { return max(f.winner, f.tombstone) }

func (f fold) mark(changes []Change) Mark {
	if f.winner < 0 {
		return Mark{Deleted: true}
	}
	c := &changes[f.winner]
	return Mark{Deleted: c.Record.Op == schemas.DeleteItem, FilterDigest: c.FilterDigest}
}

func stampOf(c *Change) stamp { return makeStamp(c.Record.Version, c.Record.Op == schemas.DeleteItem) }

// foldByItem folds the changes of each item, items in the order of their first change.
func foldByItem(changes []Change) []fold {
	var folds []fold
	place := make(map[string]int, len(changes))
	for i := range changes {
		at, known := place[changes[i].Record.ItemID]
		if !known {
			at = len(folds)
			place[changes[i].Record.ItemID] = at
			folds = append(folds, fold{before: -1, tombstone: -1, winner: -1})
		}
		f := &folds[at]
		f.final = i
		switch {
		case changes[i].Tombstone:
			f.before = better(changes, f.before, f.winner)
			f.tombstone, f.winner = i, -1
		default:
			f.winner = better(changes, f.winner, i)
		}
	}
	return folds
}

// better returns the one of two changes that wins, the first one at equal stamps.
func better(changes []Change, a, b int) int {
	if a < 0 || b < 0 {
		return max(a, b)
	}
	x, y := stampOf(&changes[a]), stampOf(&changes[b])
	if bytes.Compare(y[:], x[:]) > 0 {
		return b
	}
	return a
}

// Winners returns the indexes of the changes whose content Write can store, so that a batch encodes each item once: at most
// one for each item, deletions left out.
func Winners(changes []Change) []int {
	var winners []int
	for _, f := range foldByItem(changes) {
		if f.winner >= 0 && changes[f.winner].Record.Op != schemas.DeleteItem {
			winners = append(winners, f.winner)
		}
	}
	return winners
}
