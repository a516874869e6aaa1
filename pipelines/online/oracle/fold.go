package oracle

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/producers/kafkaio"
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

// World is what folding goes by.
type World struct {
	Tower *towers.UserTower
	// Vectors are those of the items that have one.
	Vectors map[string][]float32
	// Items are all that users may have seen.
	Items []string
	// HistoryLength is that of the profiles.
	HistoryLength int
	// Ratings is the profiles' scale.
	Ratings schemas.RatingScale
}

// Fold is one user's profile as the topic says it.
type Fold struct {
	*World
	// Marks are the last offsets, by partition.
	Marks map[int32]int64
	// Events counts what moved the profile, of each type.
	Events map[schemas.InteractionType]uint64

	history []fact // oldest first
	ids     map[string]bool
	seen    map[string]bool
	updated int64 // ms
	// undated says that an event's record is of a time that has not come: nobody but the role knows when it came.
	undated bool
	state   *towers.State // nil before the first event that moves the tower
	taste   []float32
}

// Topic is the fold over a topic.
type Topic struct {
	Users map[string]*Fold
	// Events were folded; Poison are records that are none.
	Events, Poison int
}

// FoldTopic folds all events that a topic holds as of now. Of a user whose events lie on several partitions the order between
// them is anybody's; as long as no history is full, no such user is erased and no two events have one time, the outcome does
// not depend on it, and floats are equal to the bit even so.
func FoldTopic(
	ctx context.Context, k kafkaio.Config, topic string, serde *schemas.Serde[schemas.Interaction], keys *schemas.Keys, w *World,
) (Topic, error) {
	t := Topic{Users: map[string]*Fold{}}
	err := replay.Scan(ctx, k, topic, func(r stream.Record) error {
		e, err := factOf(ctx, serde, keys, r)
		if schemas.IsMalformed(err) || schemas.IsInvalid(err) {
			t.Poison++
			return nil
		}
		if err != nil {
			return err
		}
		t.Events++
		f := t.Users[e.UserID]
		if f == nil {
			f = &Fold{World: w, Marks: map[int32]int64{}}
			f.forget()
			t.Users[e.UserID] = f
		}
		f.apply(e)
		return nil
	})
	return t, err
}

func factOf(
	ctx context.Context, serde *schemas.Serde[schemas.Interaction], keys *schemas.Keys, r stream.Record,
) (e fact, err error) {
	e = fact{partition: r.Partition, offset: r.Offset}
	if r.Value == nil {
		e.erase = true
		e.UserID, err = keys.Tombstone(ctx, r.Key, &r)
		return e, err
	}
	e.Interaction, err = serde.Decode(ctx, r.Value, &r)
	e.written = max(r.Time.UnixMilli(), e.OccurredAt.UnixMilli())
	return e, err
}

var movesTaste = map[schemas.InteractionType]bool{
	schemas.View: true, schemas.Click: true, schemas.Like: true, schemas.AddToCart: true, schemas.Purchase: true,
	schemas.Rating: true, schemas.Complete: true,
}

// moves says whether the tower reads an event: what the user chose, and what the user turned down where the tower knows such.
func (f *Fold) moves(e fact) bool {
	kind := f.kind(e)
	turnedDown := kind == schemas.Dislike || kind == schemas.Hide
	return movesTaste[kind] || turnedDown && slices.Contains(f.Tower.Inputs().Kinds, kind)
}

// kind is as which an event counts: a rating below the middle is a dislike.
func (f *Fold) kind(e fact) schemas.InteractionType {
	s := f.Ratings
	if e.Type == schemas.Rating && e.Value != nil && *e.Value >= s.Lowest && *e.Value <= s.Highest && *e.Value < (s.Lowest+s.Highest)/2 {
		return schemas.Dislike
	}
	return e.Type
}

// advance moves the tower by an event.
func (f *Fold) advance(e fact, vector []float32) {
	f.Tower.Follow(f.state, f.taste, []towers.Act{{Item: vector, Kind: f.kind(e), At: e.OccurredAt.UnixMilli()}})
}

func (f *Fold) forget() {
	f.history, f.ids, f.Events, f.seen = nil, map[string]bool{}, map[schemas.InteractionType]uint64{}, map[string]bool{}
	f.updated, f.undated, f.state, f.taste = 0, false, nil, nil
}

func (f *Fold) apply(e fact) {
	f.Marks[e.partition] = e.offset
	if e.erase {
		f.forget()
		return
	}
	f.updated, f.undated = max(f.updated, e.written), f.undated || e.written > time.Now().UnixMilli()
	id := fmt.Sprint(e.Type == schemas.Impression, e.OccurredAt.UnixMilli(), e.EventID)
	if f.ids[id] || slices.ContainsFunc(f.history, func(h fact) bool { return h.EventID == e.EventID }) {
		return
	}
	f.ids[id] = true
	f.Events[e.Type]++
	if e.Type == schemas.Impression {
		return
	}
	f.seen[e.ItemID] = true
	f.history = append(f.history, e)
	slices.SortStableFunc(f.history, byTime)
	newest := same(f.history[len(f.history)-1], e)
	if len(f.history) > f.HistoryLength {
		dropped := f.history[0]
		f.history = f.history[1:]
		if same(dropped, e) {
			return
		}
	}
	vector := f.Vectors[e.ItemID]
	switch {
	case vector == nil || !f.moves(e):
	case newest && f.state != nil:
		f.advance(e, vector)
	default:
		f.encode()
	}
}

// encode moves the tower over the history, from nothing.
func (f *Fold) encode() {
	f.state, f.taste = new(towers.State), make([]float32, f.Tower.Dim())
	for _, h := range f.history {
		if v := f.Vectors[h.ItemID]; v != nil && f.moves(h) {
			f.advance(h, v)
		}
	}
}

func byTime(a, b fact) int {
	return cmp.Or(
		cmp.Compare(a.OccurredAt.UnixMilli(), b.OccurredAt.UnixMilli()),
		cmp.Compare(a.partition, b.partition), cmp.Compare(a.offset, b.offset))
}

func same(a, b fact) bool { return a.partition == b.partition && a.offset == b.offset }

// Full says that the history has reached its length, from where on the order of events counts.
func (f *Fold) Full() bool { return len(f.history) >= f.HistoryLength }

// Total is how many events moved the profile.
func (f *Fold) Total() (n uint64) {
	for _, count := range f.Events {
		n += count
	}
	return n
}

// Compare says how a stored profile differs from the fold; nil where it does not, floats to the bit.
func (f *Fold) Compare(p *profiles.Profile) error {
	switch {
	case p == nil:
		return fmt.Errorf("there is no profile, of %d events", f.Total())
	case p.Err != nil:
		return p.Err
	case !maps.Equal(f.Marks, p.Watermarks):
		return fmt.Errorf("watermarks are %v, not %v", p.Watermarks, f.Marks)
	case len(p.History) != len(f.history):
		return fmt.Errorf("the history has %d events, not %d", len(p.History), len(f.history))
	}
	for kind := schemas.Impression; kind <= schemas.Hide; kind++ {
		if f.Events[kind] != p.Counters.Of(kind) {
			return fmt.Errorf("%d events of type %v, not %d", p.Counters.Of(kind), kind, f.Events[kind])
		}
	}
	for i, h := range p.History {
		if err := f.compareEntry(h, f.history[len(f.history)-1-i]); err != nil {
			return fmt.Errorf("event %d of the history: %w", i, err)
		}
	}
	for _, item := range f.Items {
		if f.seen[item] != p.HasSeen(item) {
			return fmt.Errorf("item %s: seen %t, not %t", item, p.HasSeen(item), f.seen[item])
		}
	}
	switch {
	case f.updated != 0 && !f.undated && f.updated != p.UpdatedAt.UnixMilli():
		return fmt.Errorf("updated at %d, not %d", p.UpdatedAt.UnixMilli(), f.updated)
	case !slices.Equal(packed(f.state), packed(p.State)):
		return errors.New("another state of the tower, or another time at which it was moved last")
	case !slices.Equal(f.taste, p.Embedding):
		return errors.New("another embedding")
	}
	return nil
}

func packed(s *towers.State) []byte {
	if s == nil {
		return nil
	}
	return s.Append(nil)
}

func (f *Fold) compareEntry(have profiles.Entry, want fact) error {
	position := schemas.Position{Partition: want.partition, Offset: want.offset}
	switch {
	case have.ItemID != want.ItemID, have.Type != want.Type, have.OccurredAt.UnixMilli() != want.OccurredAt.UnixMilli():
		return fmt.Errorf("%v of %s at %v, not %v of %s at %v",
			have.Type, have.ItemID, have.OccurredAt, want.Type, want.ItemID, want.OccurredAt)
	case len(f.Marks) == 1 && have.Position != position: // else which of two copies came first is anybody's
		return fmt.Errorf("at %v, not %v", have.Position, position)
	}
	return nil
}
