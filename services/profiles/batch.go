package profiles

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/services/redisdb"
)

// batch is one call of Apply.
type batch struct {
	store   *Store
	models  []string // the live models' versions
	users   []*work
	vectors *vectorSet
	// items of the events that any model reads, whose vectors the first round trip reads along
	items []string
}

func newBatch(s *Store, events []Event) *batch {
	b := &batch{store: s, vectors: newVectorSet(s.models())}
	for _, tower := range b.vectors.towers {
		b.models = append(b.models, tower.Version())
	}
	byUser := map[string]*work{}
	known := map[string]bool{}
	for i := range events {
		e := &events[i]
		w := byUser[e.UserID]
		if w == nil {
			w = &work{user: e.UserID}
			byUser[e.UserID] = w
			b.users = append(b.users, w)
		}
		w.events, w.indexes = append(w.events, e), append(w.indexes, i)
		if !e.Erase && b.vectors.readsAny(s.cfg.Ratings.KindOf(&e.Interaction)) && !known[e.ItemID] {
			known[e.ItemID] = true
			b.items = append(b.items, e.ItemID)
		}
	}
	return b
}

// read reads the profiles of the users who are not remembered, and in the same round trip the vectors that are not there yet.
func (b *batch) read(ctx context.Context, pending []*work) {
	pipe := b.store.rdb.Pipeline()
	queued := b.vectors.queue(ctx, b.store.items, pipe, b.items)
	b.items = nil
	reads := make([]*redis.SliceCmd, len(pending))
	fields := b.fields()
	for i, w := range pending {
		w.stored, w.tastes, w.lacking, w.plan, w.unheard = nil, nil, nil, nil, 0
		// Where an item arrived for a user, another owner may have written what is not remembered: that the profile lacks it.
		if w.recalled = !w.again && b.recall(w); w.recalled {
			continue
		}
		reads[i] = pipe.HMGet(ctx, b.store.profileKey(w.user), fields...)
	}
	// The error of Exec is the first of the reads' own errors.
	_, _ = pipe.Exec(ctx)
	b.vectors.take(queued)
	for i, w := range pending {
		if !w.recalled {
			b.take(w, reads[i])
		}
		for _, e := range w.events {
			w.fail(b.vectors.errs[e.ItemID])
		}
	}
}

// take takes what was read of a user apart.
func (b *batch) take(w *work, read *redis.SliceCmd) {
	if err := read.Err(); err != nil {
		w.err = fmt.Errorf("reading the user's profile: %w", err)
		return
	}
	values := read.Val()
	if w.stored, w.err = b.store.readStored(values); w.err != nil {
		return
	}
	w.stamp = w.stored.counters.remembered()
	for m, tower := range b.vectors.towers {
		field := len(profileFields) + tasteFields*m
		t := unpackTaste(text(values[field]), text(values[field+1]), w.stamp, tower)
		lacking, err := unpackLacking(text(values[field+2]))
		if err != nil {
			w.err = redisdb.ReadError(unnamedKey(b.store.cfg.KeyPrefix), remedyProfile, err)
			return
		}
		w.tastes, w.lacking = append(w.tastes, t), append(w.lacking, lacking)
	}
}

// tasteFields is how many fields a model has.
const tasteFields = 3

func (b *batch) fields() []string {
	fields := append([]string(nil), profileFields...)
	for _, model := range b.models {
		fields = append(fields, stateField(model), embeddingField(model), lackingField(model))
	}
	return fields
}

// readPast reads the blocks of the past in which an event of the batch may be found.
func (b *batch) readPast(ctx context.Context, pending []*work) {
	pipe := b.store.rdb.Pipeline()
	var takes []func()
	for _, w := range pending {
		if w.err != nil {
			continue
		}
		w.stored.past.each(func(kind string, past *window) {
			if !w.reaches(past) {
				return
			}
			first := past.held()
			var fields []string
			for n := first; n < past.blocks; n++ {
				fields = append(fields, blockField(kind, n))
			}
			read := pipe.HMGet(ctx, b.store.profileKey(w.user), fields...)
			takes = append(takes, func() { w.takePast(past, first, read) })
		})
	}
	if len(takes) == 0 {
		return
	}
	// The error of Exec is the first of the reads' own errors.
	_, _ = pipe.Exec(ctx)
	for _, take := range takes {
		take()
	}
}

// reaches tells whether one of the events is no younger than what a window's blocks hold.
func (w *work) reaches(past *window) bool {
	return past.blocks > 0 && slices.ContainsFunc(w.events, func(e *Event) bool {
		return !e.Erase && e.EventID != "" && w.stored.past.of(e.Type) == past &&
			e.OccurredAt.UnixMilli() <= max(past.halves[0], past.halves[1])
	})
}

// takePast takes the blocks from first on. One that is not there was replaced after the profile was read; the write is refused then.
func (w *work) takePast(past *window, first int64, read *redis.SliceCmd) {
	if err := read.Err(); err != nil {
		w.fail(err)
		return
	}
	for i, packed := range read.Val() {
		past.give(first+int64(i), text(packed))
	}
}

// readHistoryVectors reads what encoding histories anew needs beyond the vectors of the batch's own events.
func (b *batch) readHistoryVectors(ctx context.Context, pending []*work) {
	var missing []string
	asked := map[string]bool{}
	for _, w := range pending {
		w.eachMove(func(m int, mv *move) {
			ask := func(id string) {
				if !b.vectors.knows(m, id) && !asked[id] {
					asked[id] = true
					missing = append(missing, id)
				}
			}
			for _, s := range mv.steps {
				ask(s.item)
			}
			if mv.anew {
				for _, id := range w.lacking[m] {
					ask(id)
				}
			}
		})
	}
	if len(missing) == 0 {
		return
	}
	pipe := b.store.rdb.Pipeline()
	queued := b.vectors.queue(ctx, b.store.items, pipe, missing)
	_, _ = pipe.Exec(ctx)
	b.vectors.take(queued)
	for _, w := range pending {
		w.eachMove(func(_ int, mv *move) {
			for _, s := range mv.steps {
				w.fail(b.vectors.errs[s.item])
			}
		})
	}
}

// eachMove goes through the moves of a user that has a plan and no error.
func (w *work) eachMove(f func(model int, mv *move)) {
	if w.err != nil || w.plan == nil {
		return
	}
	for m := range w.plan.moves {
		f(m, &w.plan.moves[m])
	}
}

func (w *work) fail(err error) {
	if w.err == nil && err != nil {
		w.err = fmt.Errorf("applying the user's events: %w", err)
	}
}
