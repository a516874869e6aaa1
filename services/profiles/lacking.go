package profiles

import (
	"slices"

	"github.com/freshet/freshet/schemas"
)

// A profile says, for each model, which items had no vector when their events came: its taste lacks them. The field is written in
// the same step as the history, and the user waits for those items (items.Waiters) before that. When one arrives, FollowArrivals
// encodes the history anew.
//
// The packed field: format 1, number, then the length of each item id, and the id.
const (
	lackingFormat = 1
	maxLacking    = 2 * maxHistory
)

func lackingField(model string) string { return "l:" + model }

func packLacking(ids []string) []byte {
	packed := appendUvarint([]byte{lackingFormat}, int64(len(ids)))
	for _, id := range ids {
		packed = appendUvarint(packed, int64(len(id)))
		packed = append(packed, id...)
	}
	return packed
}

func unpackLacking(value string) ([]string, error) {
	if value == "" {
		return nil, nil
	}
	u := unpack("the items without a vector", value, lackingFormat)
	var ids []string
	for range int(u.uvarint(maxLacking)) {
		id := u.take(int(u.uvarint(maxItemID)))
		if u.err != nil {
			return nil, u.err
		}
		ids = append(ids, id)
	}
	return ids, u.end()
}

// lack works out what a model's taste lacks, once it has been encoded: begun are the items that it lacks from now on, ended those
// that it lacks no more.
func (w *work) lack(m int, has func(itemID string) bool, limit int) (begun, ended []string) {
	mv, before := &w.plan.moves[m], w.lacking[m]
	if w.plan.erased {
		before = nil
	}
	lacking := slices.Clip(before)
	add := func(id string) {
		if !slices.Contains(lacking, id) {
			lacking = append(lacking, id)
		}
	}
	for _, id := range mv.missed {
		add(id)
	}
	if mv.anew || mv.again {
		for _, s := range mv.steps {
			add(s.item)
		}
		lacking = slices.DeleteFunc(slices.Clone(lacking), has)
	}
	if len(lacking) > limit { // what has fallen out of the history cannot move the taste any more
		lacking = slices.DeleteFunc(slices.Clone(lacking), func(id string) bool { return !w.plan.history.hasItem(id) })
	}
	mv.lacking = lacking
	for _, id := range lacking {
		if !slices.Contains(before, id) {
			begun = append(begun, id)
		}
	}
	for _, id := range w.lacking[m] {
		if !slices.Contains(lacking, id) {
			ended = append(ended, id)
		}
	}
	mv.relacked = len(begun)+len(ended) > 0
	return begun, ended
}

// planAgain has the history of a user encoded anew for the models whose taste lacks some of it.
func planAgain(w *work, r reader) *plan {
	p := &plan{stored: *w.stored, moves: make([]move, len(w.tastes))}
	for m, t := range w.tastes {
		mv := &p.moves[m]
		mv.taste, mv.before = t, t
		if len(w.lacking[m]) == 0 {
			continue
		}
		reads := func(kind schemas.InteractionType) bool { return r.reads(m, kind) }
		mv.by(step{}, true, p.history, reads)
		mv.again, p.changed = true, true
	}
	return p
}

// undoAgain leaves a taste as it was where nothing that it lacks has come: its state knows events that the history has no more.
func (w *work) undoAgain(m int, has func(itemID string) bool) {
	mv := &w.plan.moves[m]
	if !mv.again || slices.ContainsFunc(mv.steps, func(s step) bool { return has(s.item) && slices.Contains(w.lacking[m], s.item) }) {
		return
	}
	mv.taste, mv.anew, mv.steps = mv.before, false, nil
}
