package profiles

import (
	"encoding/binary"
	"time"

	"github.com/freshet/freshet/schemas"
)

// plan is what the events of one user in a batch come to.
type plan struct {
	stored
	// changed: there is something to write.
	changed bool
	// erased: everything that was stored goes first.
	erased bool
	// erasedAt is the broker's time of the tombstone, in ms; 0 where it is not known.
	erasedAt int64
	// kept: the history has changed; passed: the past has.
	kept, passed bool
	// turns: the items turned down have changed.
	turns bool
	// seen is appended to the set of seen items.
	seen []byte
	// moves has, for each live model, how its taste moves.
	moves []move

	applied              []int // indexes into the batch
	late                 int
	duplicates, replayed int
	untold               int
	erasures             int
	unknown              []int // of the erasures, indexes into the batch: nothing was known of the user
}

// move is the way of one model's taste from what is stored to what will be.
type move struct {
	// taste is nil while the profile has none of this model that is current.
	taste *taste
	// anew: state and embedding are encoded from nothing; else they move on.
	anew bool
	// steps are the events to move by, oldest first.
	steps []step
	// missed are items of events that would have moved it, had they had a vector.
	missed []string
	// again: anew only if what the taste lacked has come; before is the taste that stays otherwise.
	again  bool
	before *taste
	// lacking is what the taste lacks now; relacked: that is not what is stored.
	lacking  []string
	relacked bool
}

// limits bound what a profile keeps of its events: the history's length, and how many ids make a block of the past.
// ratings says how ratings count.
type limits struct {
	history, block int
	ratings        schemas.RatingScale
}

func (c Config) limits() limits {
	return limits{history: c.HistoryLength, block: c.EventIDs / ringBlocks, ratings: c.Ratings}
}

// reader says what moves a model's taste.
type reader interface {
	// reads tells whether events of a kind move the model at this index.
	reads(model int, kind schemas.InteractionType) bool
	// has tells whether an item has a vector of that model.
	has(model int, itemID string) bool
	// reach is how many events before a new one that model has to see again with it.
	reach(model int) int
}

// foldUser folds a user's events, in their order, onto what is stored. It decides event by event, as if each were a batch of
// its own, which is what makes the outcome independent of where batches are cut. Only the encoding is left for later, since
// of several that late events ask for only the last one counts. What is stored passes into the plan: st is not to be used again.
func foldUser(st *stored, tastes []*taste, events []*Event, indexes []int, keep limits, r reader) *plan {
	p := &plan{stored: *st, moves: make([]move, len(tastes))}
	for m, t := range tastes {
		p.moves[m].taste = t
	}
	for i, e := range events {
		if mark, moved := p.marks.of(e.Partition); moved && e.Offset <= mark {
			p.replayed++
			continue
		}
		known := p.changed || p.revision != ""
		p.changed = true
		p.marks = p.marks.move(schemas.Position{Partition: e.Partition, Offset: e.Offset})
		if e.Erase {
			if !known {
				p.unknown = append(p.unknown, indexes[i])
			}
			p.erase(e.Time)
			continue
		}
		if !e.Time.IsZero() {
			p.updated = max(p.updated, e.Time.UnixMilli())
		}
		entry := entryOf(e, keep.ratings)
		switch p.met(&entry, keep) {
		case repeated:
			p.duplicates++
			continue
		case untold:
			p.untold++
			p.see(e)
			continue
		}
		p.applied = append(p.applied, indexes[i])
		p.counters = p.counters.add(e.Type)
		if entersHistory(e.Type) {
			p.see(e)
			p.remember(entry, keep, r)
		} else {
			p.pass(&entry, keep)
		}
	}
	return p
}

// met tells whether an event was counted before. One that has its place in the history is never refused for its age: of events
// of one moment, some may be forgotten and the others not.
func (p *plan) met(e *Entry, keep limits) sighting {
	if e.fingerprint == 0 {
		return fresh
	}
	if p.history.hasEvent(e.fingerprint) {
		return repeated
	}
	s := p.past.of(e.Type).sees(uint32(e.fingerprint), e.OccurredAt.UnixMilli())
	if s == untold && entersHistory(e.Type) && p.history.takes(e, keep.history) {
		return fresh
	}
	return s
}

// pass takes an event into the past.
func (p *plan) pass(e *Entry, keep limits) {
	p.passed = true
	if e.fingerprint != 0 {
		p.past.of(e.Type).add(uint32(e.fingerprint), e.OccurredAt.UnixMilli(), keep.block)
	}
}

func (p *plan) see(e *Event) {
	if entersHistory(e.Type) && !p.history.hasItem(e.ItemID) {
		p.seen = binary.LittleEndian.AppendUint32(p.seen, seenFingerprint(e.ItemID))
	}
}

// entersHistory leaves out impressions, which are the system's doing and would push everything else out of the history.
func entersHistory(t schemas.InteractionType) bool {
	return t != schemas.Impression && t != schemas.UnknownInteraction
}

func (p *plan) remember(e Entry, keep limits, r reader) {
	var late, kept bool
	turned, changed := p.turned.turn(&e, p.history)
	p.turned, p.turns = turned, p.turns || changed
	p.history, late, kept = p.history.insert(e, keep.history, func(gone *Entry) { p.pass(gone, keep) })
	if late {
		p.late++
	}
	if !kept {
		return
	}
	p.kept = true
	for m := range p.moves {
		switch {
		case !r.reads(m, e.Kind):
		case !r.has(m, e.ItemID):
			p.moves[m].missed = append(p.moves[m].missed, e.ItemID)
		default:
			reads := func(kind schemas.InteractionType) bool { return r.reads(m, kind) }
			p.moves[m].by(e.step(), late || r.reach(m) > 0, p.history, reads)
		}
	}
}

// by moves a taste by one event that is in the history already; whole asks for the history to be encoded anew in any case.
func (mv *move) by(s step, whole bool, h history, reads func(schemas.InteractionType) bool) {
	if mv.taste != nil && !whole {
		mv.steps = append(mv.steps, s)
		return
	}
	mv.taste, mv.anew, mv.steps = &taste{}, true, stepsOf(h, reads)
}

// erase forgets all but the watermarks, so that a replay of what was before stays refused.
func (p *plan) erase(at time.Time) {
	p.erasures++
	p.erasedAt = 0
	if !at.IsZero() {
		p.erasedAt = at.UnixMilli()
	}
	p.erased, p.kept, p.seen = true, false, nil
	p.history, p.counters, p.updated, p.past, p.passed = nil, nil, 0, newPast(), false
	p.turned, p.turns, p.turnedStored = nil, false, false
	for m := range p.moves {
		p.moves[m] = move{}
	}
}
