package profiles

import (
	"encoding/binary"
	"slices"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// plan is what the events of one user in a batch come to.
type plan struct {
	stored
	// changed: there is something to write.
	changed bool
	// erased: everything that was stored goes first.
	erased bool
	// kept: the history has changed.
	kept bool
	// seen is appended to the set of seen items.
	seen []byte
	// moves has, for each live model, how its taste moves.
	moves []move

	applied              []int // indexes into the batch
	late                 int
	duplicates, replayed int
	erasures             int
}

// move is the way of one model's taste from what is stored to what will be.
type move struct {
	// taste is nil while the profile has none of this model that is current.
	taste *taste
	// anew: state and embedding are encoded from nothing; else they move on.
	anew bool
	// items are the events to move by, oldest first.
	items []string
}

// known tells whether an item has a vector of the model at this index.
type known func(model int, itemID string) bool

// recurrent tells whether a model has a state that one event can move. One that has none encodes the whole history for each.
type recurrent func(model int) bool

// foldUser folds a user's events, in their order, onto what is stored. It decides event by event, as if each were a batch of
// its own, which is what makes the outcome independent of where batches are cut. Only the encoding is left for later, since
// of several that late events ask for only the last one counts. What is stored passes into the plan: st is not to be used again.
func foldUser(st *stored, tastes []*taste, events []*Event, indexes []int, limit int, has known, moving recurrent) *plan {
	p := &plan{stored: *st, moves: make([]move, len(tastes))}
	for m, t := range tastes {
		p.moves[m].taste = t
	}
	for i, e := range events {
		if mark, moved := p.marks.of(e.Partition); moved && e.Offset <= mark {
			p.replayed++
			continue
		}
		p.changed = true
		p.marks = p.marks.move(schemas.Position{Partition: e.Partition, Offset: e.Offset})
		if e.Erase {
			p.erase()
			continue
		}
		if !e.Time.IsZero() {
			p.updated = max(p.updated, e.Time.UnixMilli())
		}
		if p.history.hasEvent(fingerprintOf(e.EventID)) {
			p.duplicates++
			continue
		}
		p.applied = append(p.applied, indexes[i])
		p.counters = p.counters.add(e.Type)
		if entersHistory(e.Type) {
			p.remember(e, limit, has, moving)
		}
	}
	return p
}

// entersHistory leaves out impressions, which are the system's doing and would push everything else out of the history.
func entersHistory(t schemas.InteractionType) bool {
	return t != schemas.Impression && t != schemas.UnknownInteraction
}

func (p *plan) remember(e *Event, limit int, has known, moving recurrent) {
	if !p.history.hasItem(e.ItemID) {
		p.seen = binary.LittleEndian.AppendUint32(p.seen, seenFingerprint(e.ItemID))
	}
	var late, kept bool
	p.history, late, kept = p.history.insert(entryOf(e), limit)
	if late {
		p.late++
	}
	if !kept {
		return
	}
	p.kept = true
	if !towers.CountsForTaste(e.Type) {
		return
	}
	for m := range p.moves {
		if has(m, e.ItemID) {
			p.moves[m].by(e.ItemID, late || !moving(m), p.history)
		}
	}
}

// by moves a taste by one event that is in the history already; whole asks for the history to be encoded anew in any case.
func (mv *move) by(itemID string, whole bool, h history) {
	if mv.taste != nil && !whole {
		mv.items = append(mv.items, itemID)
		return
	}
	mv.taste, mv.anew, mv.items = &taste{}, true, nil
	for _, entry := range slices.Backward(h) {
		if towers.CountsForTaste(entry.Type) {
			mv.items = append(mv.items, entry.ItemID)
		}
	}
}

// erase forgets all but the watermarks, so that a replay of what was before stays refused.
func (p *plan) erase() {
	p.erasures++
	p.erased, p.kept, p.seen = true, false, nil
	p.history, p.counters, p.updated = nil, nil, 0
	for m := range p.moves {
		p.moves[m] = move{}
	}
}
