package profiles

import (
	"context"
	"slices"

	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/redisdb"
)

func (p *pair) readLacking(shadow, live []any) error {
	for i := len(profileFields) + 1; i < len(shadow); i++ {
		lacks, err := unpackLacking(text(shadow[i]))
		if err != nil {
			return err
		}
		lacked, _ := unpackLacking(text(live[i])) // what cannot be read is about to be replaced
		p.lacks, p.lacked = append(p.lacks, lacks), append(p.lacked, lacked)
	}
	return nil
}

// await has users whose shadow takes the live profile's place wait for what it lacks, as users of the live profiles, before it does:
//
//	rebuild:   folds; X has no vector ............ Await: X is there: encodes the shadow anew, and the user is ahead
//	catalogue: ...................... writes X ...
//
// A user who waits but is not put in place in the end waits for nothing: the arrival finds nothing to do. What the live profile
// lacked and the shadow does not know is forgotten: the topic may have erased it.
func (h *Shadow) await(ctx context.Context, pairs []pair, verdicts []verdict) error {
	var waits []items.Wait
	var of []int
	models := h.live.models()
	for i, p := range pairs {
		if verdicts[i] != swap {
			continue
		}
		user := redisdb.ID(string(p.user))
		for m := range p.lacks {
			model := models[m].Version()
			for _, id := range p.lacks[m] {
				waits, of = append(waits, items.Wait{Model: model, ItemID: id, User: user}), append(of, i)
			}
		}
	}
	if len(waits) == 0 {
		return nil
	}
	answers, err := h.live.waiters().Await(ctx, waits)
	if err != nil {
		return err
	}
	for n, answer := range answers {
		if answer != items.Arrived || verdicts[of[n]] == ahead {
			continue
		}
		verdicts[of[n]] = ahead
		if _, _, err := h.store.encodeAgain(ctx, []string{waits[n].User}, waits[n].Model, waits[n].ItemID); err != nil {
			return err
		}
	}
	return nil
}

// leave takes users out of the waiting sets of items that their profiles lacked before they were replaced. It comes after the swap: a
// live profile that stays must not lack what it does not wait for.
func (h *Shadow) leave(ctx context.Context, replaced []pair) error {
	var gone []items.Wait
	models := h.live.models()
	for _, p := range replaced {
		for m := range p.lacked {
			for _, id := range p.lacked[m] {
				if !slices.Contains(p.lacks[m], id) {
					gone = append(gone, items.Wait{Model: models[m].Version(), ItemID: id, User: redisdb.ID(string(p.user))})
				}
			}
		}
	}
	if len(gone) == 0 {
		return nil
	}
	return h.live.waiters().Forget(ctx, gone)
}
