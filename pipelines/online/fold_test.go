package online

import (
	"cmp"
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/towers"
)

// fact is one event as it lies in the topic.
type fact struct {
	schemas.Interaction
	erase     bool
	partition int32
	offset    int64
	written   int64 // ms
}

// fold is one user's profile as the plan says it: a plain fold over the topic, one event after the other. It shares nothing
// with services/profiles but the user tower's Advance.
type fold struct {
	limit   int
	tower   *towers.UserTower
	vectors map[string][]float32

	marks   map[int32]int64
	history []fact // oldest first
	counts  map[schemas.InteractionType]uint64
	seen    map[string]bool
	updated int64
	state   []float32 // nil before the first event of taste
	taste   []float32
}

var movesTaste = map[schemas.InteractionType]bool{
	schemas.View: true, schemas.Click: true, schemas.Like: true, schemas.AddToCart: true, schemas.Purchase: true,
	schemas.Rating: true, schemas.Complete: true,
}

func (f *fold) forget() {
	f.history, f.counts, f.seen = nil, map[schemas.InteractionType]uint64{}, map[string]bool{}
	f.updated, f.state, f.taste = 0, nil, nil
}

func (f *fold) apply(e fact) {
	f.marks[e.partition] = e.offset
	if e.erase {
		f.forget()
		return
	}
	f.updated = max(f.updated, e.written)
	if slices.ContainsFunc(f.history, func(h fact) bool { return h.EventID == e.EventID }) {
		return
	}
	f.counts[e.Type]++
	if e.Type == schemas.Impression {
		return
	}
	f.seen[e.ItemID] = true
	f.history = append(f.history, e)
	slices.SortStableFunc(f.history, byTime)
	newest := same(f.history[len(f.history)-1], e)
	if len(f.history) > f.limit {
		dropped := f.history[0]
		f.history = f.history[1:]
		if same(dropped, e) {
			return
		}
	}
	vector := f.vectors[e.ItemID]
	switch {
	case vector == nil || !movesTaste[e.Type]:
	case newest && f.state != nil:
		f.tower.Advance(f.state, f.taste, vector)
	default:
		f.encode()
	}
}

// encode moves the tower over the history, from nothing.
func (f *fold) encode() {
	f.state, f.taste = make([]float32, f.tower.StateSize()), make([]float32, f.tower.Dim())
	for _, h := range f.history {
		if v := f.vectors[h.ItemID]; v != nil && movesTaste[h.Type] {
			f.tower.Advance(f.state, f.taste, v)
		}
	}
}

func byTime(a, b fact) int {
	return cmp.Or(
		cmp.Compare(a.OccurredAt.UnixMilli(), b.OccurredAt.UnixMilli()),
		cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
}

func same(a, b fact) bool { return a.partition == b.partition && a.offset == b.offset }

// foldTopic folds all events of the interactions topic. Of a user whose events lie on several partitions the order between
// them is anybody's; as long as no history is full, no such user is erased and no two events have one time, the outcome does
// not depend on it, and floats are equal to the bit even so.
func (w *world) foldTopic(vectors map[string][]float32) (people map[string]*fold, events, poison int) {
	w.t.Helper()
	people = map[string]*fold{}
	tower := w.userTower()
	err := stream.Scan(w.t.Context(), w.settings.Kafka, w.settings.Topics.Interactions.Name, func(r stream.Record) error {
		e, ok := w.factOf(r)
		if !ok {
			poison++
			return nil
		}
		events++
		p := people[e.UserID]
		if p == nil {
			p = &fold{limit: w.settings.Profiles.HistoryLength, tower: tower, vectors: vectors, marks: map[int32]int64{}}
			p.forget()
			people[e.UserID] = p
		}
		p.apply(e)
		return nil
	})
	require.NoError(w.t, err)
	return people, events, poison
}

func (w *world) factOf(r stream.Record) (fact, bool) {
	e := fact{partition: r.Partition, offset: r.Offset, written: r.Time.UnixMilli()}
	if r.Value == nil {
		e.erase, e.UserID = true, string(r.Key)
		return e, true
	}
	var err error
	e.Interaction, err = w.events.Decode(context.Background(), r.Value)
	return e, err == nil
}

// check compares a stored profile with the fold, floats bit for bit.
func (f *fold) check(t testing.TB, user string, p *profiles.Profile) {
	t.Helper()
	require.NotNil(t, p, user)
	require.NoError(t, p.Err, user)
	require.Equal(t, f.marks, p.Watermarks, user)
	require.Len(t, p.History, len(f.history), user)
	for i, h := range p.History {
		want := f.history[len(f.history)-1-i]
		require.Equal(t, want.ItemID, h.ItemID, "user %s event %d", user, i)
		require.Equal(t, want.Type, h.Type, user)
		require.Equal(t, want.OccurredAt.UnixMilli(), h.OccurredAt.UnixMilli(), user)
		if len(f.marks) == 1 { // else which of two copies came first is anybody's
			require.Equal(t, schemas.Position{Partition: want.partition, Offset: want.offset}, h.Position, user)
		}
	}
	for kind := schemas.Impression; kind <= schemas.Hide; kind++ {
		require.Equal(t, f.counts[kind], p.Counters.Of(kind), "user %s %v", user, kind)
	}
	for i := range knownItems + unknownItems {
		require.Equal(t, f.seen[itemID(i)], p.HasSeen(itemID(i)), "user %s item %d", user, i)
	}
	if f.updated != 0 {
		require.Equal(t, f.updated, p.UpdatedAt.UnixMilli(), user)
	}
	require.Equal(t, f.state, p.State, user)
	require.Equal(t, f.taste, p.Embedding, user)
}
