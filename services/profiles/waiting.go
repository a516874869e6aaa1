package profiles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/redisdb"
)

func (s *Store) waiters() *items.Waiters {
	return s.items.Waiters(s.cfg.KeyPrefix, s.cfg.WaitingUsers, s.cfg.InactiveTTL)
}

// await has the users whose events came before their items' vectors wait for these, before their profiles say so:
//
//	role:      reads: X has no vector ... Await: X is there by now: reads again, and folds with it
//	catalogue: ......................... writes X .............................................
//
//	role:      Await: waits ......................................... writes the profile, which says that it lacks X
//	catalogue: .............. writes X, queues it ............................................
//	arrivals:  ................................... the profile does not say so yet: X stays queued ........ encodes anew
//
// It returns the users to be read again. A shadow's users wait when they are put in place (Replace).
func (b *batch) await(ctx context.Context, pending []*work) (again []*work) {
	var waits, gone []items.Wait
	var of []*work
	for _, w := range pending {
		if w.err != nil || !w.plan.changed {
			continue
		}
		for m, model := range b.models {
			if w.plan.erased { // Await has run, the process died before the profile said so, and now the events come again with the erasure
				for _, e := range w.events {
					if e.ItemID != "" {
						gone = append(gone, items.Wait{Model: model, ItemID: e.ItemID, User: w.user})
					}
				}
			}
			begun, ended := w.lack(m, func(id string) bool { return b.vectors.has(m, id) }, b.store.cfg.HistoryLength)
			for _, id := range begun {
				waits, of = append(waits, items.Wait{Model: model, ItemID: id, User: w.user}), append(of, w)
			}
			for _, id := range ended {
				if w.plan.erased || !b.vectors.has(m, id) { // else its arrival is about to be served
					gone = append(gone, items.Wait{Model: model, ItemID: id, User: w.user})
				}
			}
		}
	}
	if b.store.folding != nil {
		return nil
	}
	b.forget(ctx, pending, gone)
	if len(waits) == 0 {
		return nil
	}
	answers, err := b.store.waiters().Await(ctx, waits)
	for i, w := range of {
		switch {
		case err != nil:
			w.fail(err)
		case answers[i] == items.Arrived:
			b.vectors.forget(waits[i].ItemID)
			b.items = append(b.items, waits[i].ItemID)
			if !slices.Contains(again, w) {
				again = append(again, w)
			}
		case answers[i] == items.TooMany:
			w.unheard++
		}
	}
	b.items = slices.Compact(slices.Sorted(slices.Values(b.items)))
	return again
}

// forget takes users out of the waiting sets of items that their profiles no longer lack, before the profiles forget which.
func (b *batch) forget(ctx context.Context, pending []*work, gone []items.Wait) {
	if len(gone) == 0 {
		return
	}
	if err := b.store.waiters().Forget(ctx, gone); err != nil {
		for _, w := range pending {
			if w.err == nil && w.plan.erased {
				w.fail(err)
			}
		}
	}
}

// encodeAgain encodes the histories of users anew whose tastes lack items. It tells whose profile was written for it, whose does not
// lack the item of a model, and joins the errors of the others.
func (s *Store) encodeAgain(ctx context.Context, users []string, model, itemID string) (moved, unknown []string, err error) {
	b := newBatch(s, nil)
	for _, user := range users {
		b.users = append(b.users, &work{user: user, again: true})
	}
	m := slices.Index(b.models, model)
	if _, err := b.run(ctx, nil); err != nil {
		return nil, nil, err
	}
	for _, w := range b.users {
		switch {
		case redisdb.IsCorrupt(w.err): // its remedy makes the profile anew
			unknown = append(unknown, w.user)
		case w.err != nil:
			err = errors.Join(err, w.err)
		case m >= 0 && w.lacked(m, itemID):
			moved = append(moved, w.user)
		default:
			unknown = append(unknown, w.user)
		}
	}
	return moved, unknown, err
}

func (w *work) lacked(m int, itemID string) bool {
	return slices.Contains(w.lacking[m], itemID) && !slices.Contains(w.plan.moves[m].lacking, itemID)
}

const (
	// arrivalsPoll is how often a process asks for items that have arrived, while there are none: one command a model.
	arrivalsPoll = 200 * time.Millisecond
	// failureSaidEvery is how often it is said that arrivals cannot be served.
	failureSaidEvery = time.Minute
	// An arrival's users are served some at a time, so that many processes can serve one item.
	arrivalsTaken, usersTaken = 64, 256
)

// FollowArrivals encodes the profiles of users anew whose items' vectors have come, until ctx ends. Any number of processes may do
// it side by side: an arrival that is served twice gives the same.
func (s *Store) FollowArrivals(ctx context.Context, log *slog.Logger) {
	var said time.Time
	for ctx.Err() == nil {
		served, err := s.serveArrivals(ctx)
		if err != nil && ctx.Err() == nil && time.Since(said) > failureSaidEvery {
			said = time.Now()
			log.Warn("items have arrived, but profiles that wait for them could not be encoded anew; trying again", "error", err)
		}
		if served > 0 && err == nil {
			continue
		}
		select {
		case <-ctx.Done():
		case <-time.After(arrivalsPoll):
		}
	}
}

// serveArrivals serves some arrivals, and tells how many users.
func (s *Store) serveArrivals(ctx context.Context) (served int, err error) {
	for _, tower := range s.models() {
		arrivals, takeErr := s.waiters().Take(ctx, tower.Version(), arrivalsTaken, usersTaken)
		if takeErr != nil {
			return served, takeErr
		}
		for _, a := range arrivals {
			moved, unknown, one := s.encodeAgain(ctx, a.Users, a.Model, a.ItemID)
			if one != nil {
				one = fmt.Errorf("encoding the histories anew that have item %q: %w", a.ItemID, one)
			}
			err = errors.Join(err, one, s.waiters().Serve(ctx, a, moved, unknown))
			served += len(moved)
		}
	}
	return served, err
}
