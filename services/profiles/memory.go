package profiles

import (
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
)

// memory keeps what was written last of the users who were active last, taken apart, so that their next events need not be
// preceded by a read. It is only ever a guess at what Redis holds: whatever is computed from it is written under the revision
// that it has, and refused where another writer came in between. What would end without a write, a replay or a topic made
// anew, is never judged from it.
//
// A user whom another process erases meanwhile is forgotten here when the next users are remembered, RememberedFor later.
type memory struct {
	mu    sync.Mutex
	users *simplelru.LRU[string, *remembered] // nil for none
}

// RememberedFor bounds how long a profile is kept for a user without events.
const RememberedFor = 10 * time.Minute

// remembered is a profile as it was written.
type remembered struct {
	stored
	at      time.Time
	models  []string
	tastes  []*taste   // by model
	lacking [][]string // by model
}

func newMemory(users int) *memory {
	if users == 0 {
		return &memory{}
	}
	lru, err := simplelru.NewLRU[string, *remembered](users, nil)
	if err != nil {
		panic(err) // the size is negative, which Validate refuses
	}
	return &memory{users: lru}
}

// take hands a profile over: whoever takes it may change it, and nobody else gets it meanwhile.
func (m *memory) take(user string) *remembered {
	if m.users == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, _ := m.users.Peek(user)
	m.users.Remove(user)
	return r
}

func (m *memory) put(user string, r *remembered) {
	if m.users == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	// Whoever is taken is put back last, so the oldest one is in front.
	for {
		_, oldest, found := m.users.GetOldest()
		if !found || r.at.Sub(oldest.at) <= RememberedFor {
			break
		}
		m.users.RemoveOldest()
	}
	m.users.Add(user, r)
}

// recall has a user's events go on from memory, if that has the tastes of just the live models, and all events are new to it.
func (b *batch) recall(w *work) bool {
	r := b.store.memory.take(w.user)
	if r == nil || !slices.Equal(r.models, b.models) {
		return false
	}
	for _, e := range w.events {
		if mark, known := r.marks.of(e.Partition); known && e.Offset <= mark {
			return false
		}
	}
	w.stored, w.tastes, w.lacking, w.stamp = &r.stored, r.tastes, r.lacking, r.counters.remembered()
	return true
}

// remember keeps what was written. An erased user's profile is not kept longer than it must be.
func (b *batch) remember(w *work) {
	if w.plan.erased || w.again {
		return
	}
	r := &remembered{stored: w.plan.stored, at: time.Now(), models: b.models, tastes: w.tastes, lacking: w.lacking}
	r.revision = w.revision
	r.turnedStored = r.turnedStored || w.plan.turns || w.plan.kept && len(r.turned) > 0
	r.past.left.settle()
	r.past.shown.settle()
	for m := range w.plan.moves {
		r.tastes[m], r.lacking[m] = w.plan.moves[m].taste, w.plan.moves[m].lacking
	}
	b.store.memory.put(w.user, r)
}
