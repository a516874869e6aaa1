package recommender

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/services/items"
)

// Lost says what Redis has lost of profiles and of item records, and the remedy; "" for what is whole. An emptied Redis answers
// like one that works, and every user would look like one whom nobody knows yet.
type Lost func(ctx context.Context) (profiles, items string, err error)

// lostCache asks now and then, so that batches do not each pay for it.
type lostCache struct {
	asking  sync.Mutex
	askedAt time.Time
	answer  atomic.Pointer[lostParts]
}

// lostRefresh is how long an answer counts: for so long after Redis was emptied replies may not say so.
const lostRefresh = 100 * time.Millisecond

// lostParts are the two answers of Lost.
type lostParts struct{ profiles, items string }

// askLost asks Redis now.
func (s *Service) askLost(ctx context.Context) (lost lostParts, err error) {
	if s.Lost != nil {
		lost.profiles, lost.items, err = s.Lost(ctx)
	}
	return lost, err
}

// lostNow goes by the last answer while another batch asks, and while Redis gives none.
func (s *Service) lostNow(ctx context.Context) (profiles, items string) {
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
		return last.profiles, last.items
	}
	return "", ""
}

// admitLost has every reply say what it has to do without.
func (b *batch) admitLost(ctx context.Context) {
	profiles, items := b.service.lostNow(ctx)
	b.itemsLost = items != ""
	for _, j := range b.jobs {
		if profiles != "" {
			j.trouble("user profile: %s", profiles)
		}
		if items != "" {
			j.trouble("item records: %s", items)
		}
	}
}

// found says whether what was read of an item's record counts: where records are lost, that there is none tells nothing, and
// the shelf may have a copy.
func (b *batch) found(it *items.Item) bool { return it != nil || !b.itemsLost }
