package recommender

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
)

// Losses say what is lost, and the remedy; "" for what is whole.
type Losses struct {
	// Profiles and Items are those in Redis, Index the rows of the live collection.
	Profiles, Items, Index string
}

// Lost asks what is lost. An emptied Redis answers like one that works, and every user would look like one whom nobody knows
// yet; an emptied collection like one in which nothing suits anybody.
type Lost func(ctx context.Context) (Losses, error)

// lostCache asks now and then, so that batches do not each pay for it.
type lostCache struct {
	asking  sync.Mutex
	askedAt time.Time
	answer  atomic.Pointer[Losses]
}

// lostRefresh is how long an answer counts: for so long after Redis was emptied replies may not say so.
const lostRefresh = 100 * time.Millisecond

// askLost asks Redis now.
func (s *Service) askLost(ctx context.Context) (lost Losses, err error) {
	if s.Lost != nil {
		lost, err = s.Lost(ctx)
	}
	return lost, err
}

// lostNow goes by the last answer while another batch asks, and while Redis gives none.
func (s *Service) lostNow(ctx context.Context) Losses {
	l := &s.lost
	if s.Lost != nil && l.asking.TryLock() {
		if time.Since(l.askedAt) > lostRefresh {
			if lost, err := s.askLost(ctx); err == nil {
				l.answer.Store(&lost)
			}
			l.askedAt = time.Now()
		}
		l.asking.Unlock()
	}
	if last := l.answer.Load(); last != nil {
		return *last
	}
	return Losses{}
}

// admitLost has every reply say what it has to do without in Redis.
func (b *batch) admitLost(ctx context.Context) {
	b.lost = b.service.lostNow(ctx)
	for _, j := range b.jobs {
		if b.lost.Profiles != "" {
			j.degrade(schemas.DegradedUserProfile, "%s", b.lost.Profiles)
		}
		if b.lost.Items != "" {
			j.degrade(schemas.DegradedItemRecords, "%s", b.lost.Items)
		}
	}
}

// admitLostRows has every reply say what the index lacks. It comes after the wait for a seen_through position, which profiles
// reach without the index.
func (b *batch) admitLostRows() {
	for _, j := range b.jobs {
		if b.lost.Index != "" && b.model != "" { // without a live model that is said already
			j.degrade(schemas.DegradedCandidateIndex, "%s", b.lost.Index)
		}
	}
}

// remedyRows is what brings rows back into the index.
const remedyRows = "run `freshet rebuild candidates`"

// rowSeen is after how long an item's row must be found: the index may lag behind the records by so much, and its searches behind
// their writes.
const rowSeen = 10 * time.Second

// admitFoundNothing has replies say that the index found nothing at all where the shelf has items that suit the request: an index that
// has its rows would have found those. It goes by items that the index has acknowledged, and not just now.
func (b *batch) admitFoundNothing(ctx context.Context) {
	for _, j := range b.jobs {
		if j.vector == nil || len(j.hits) > 0 || j.lacks(schemas.DegradedCandidateIndex) || j.fallback == "" || j.answered.Load() {
			continue
		}
		var ids []string
		for _, c := range j.page {
			if time.Since(c.Item.OccurredAt) > rowSeen {
				ids = append(ids, c.Item.ItemID)
			}
		}
		if indexed, err := b.service.Items.Indexed(ctx, b.model, ids); err != nil || indexed == 0 {
			continue // without Redis, other troubles are told
		}
		j.degrade(schemas.DegradedCandidateIndex,
			"it found nothing, though the catalogue has items that suit the request: rows are missing: %s", remedyRows)
	}
}

// found says whether what was read of an item's record counts: where records are lost, that there is none tells nothing, and
// the shelf may have a copy.
func (b *batch) found(it *items.Item) bool { return it != nil || b.lost.Items == "" }
