package profiles

import (
	"maps"
	"math"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/cespare/xxhash/v2"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// oracle is one user's profile as the words of doc.go say it, one event after the other, slow and simple. It shares
// nothing with the store but the user tower.
type oracle struct {
	limit    int
	marks    map[int32]int64
	last     schemas.Position
	erased   bool
	history  []Event // oldest first
	counters map[schemas.InteractionType]uint64
	seen     map[uint32]bool
	updated  time.Time
	tastes   map[string]*oracleTaste
	// left are the events that are in the history no more, shown the impressions, in the order in which they came.
	left, shown []Event
	untold      int
	lacks       map[string]map[string]bool // by model, items whose events came before their vectors
	// said is what was said of each item last, and when, of what turns it down or takes that back.
	said map[string]Event
}

// countsAs is a rating of the worse half's dislike.
func countsAs(e Event) schemas.InteractionType {
	if e.Type == schemas.Rating && e.Value != nil && (*e.Value == 1 || *e.Value == 2) {
		return schemas.Dislike
	}
	return e.Type
}

// say notes an event by when it occurred. Of what took something back nothing is known any more once it left the history.
func (o *oracle) say(e Event) {
	before, known := o.said[e.ItemID]
	switch countsAs(e) {
	case schemas.Like, schemas.AddToCart, schemas.Purchase, schemas.Rating, schemas.Complete:
		if known && e.OccurredAt.UnixMilli() >= before.OccurredAt.UnixMilli() {
			delete(o.said, e.ItemID)
		}
	case schemas.Hide, schemas.Dislike:
		for _, h := range o.history {
			switch countsAs(h) {
			case schemas.Like, schemas.AddToCart, schemas.Purchase, schemas.Rating, schemas.Complete:
				if h.ItemID == e.ItemID && older(e, h) {
					return
				}
			}
		}
		if !known || e.OccurredAt.After(before.OccurredAt) {
			o.said[e.ItemID] = e
		}
	}
}

// oracleEventIDs is how many ids the oracle's profiles keep: blocks of two.
const oracleEventIDs = 128

// met says what is known of an event among those of the past: the ids in halves of the ring that are not forgotten, and in the
// tail that is no whole block; and that nothing is known of one no younger than what is forgotten.
func met(past []Event, e Event) sighting {
	const block = oracleEventIDs / ringBlocks
	const half = block * ringBlocks / 2
	closed, held := len(past)/block*block, 0
	if closed > 0 {
		held = max(0, (closed-1)/half-1) * half
	}
	noYounger := func(events []Event) bool {
		for _, p := range events {
			if e.OccurredAt.UnixMilli() <= p.OccurredAt.UnixMilli() {
				return true
			}
		}
		return false
	}
	has := func(events []Event) bool {
		for _, p := range events {
			if p.EventID == e.EventID {
				return true
			}
		}
		return false
	}
	switch {
	case e.EventID == "" || !noYounger(past):
		return fresh
	case has(past[closed:]), noYounger(past[held:closed]) && has(past[held:closed]):
		return repeated
	case noYounger(past[:held]):
		return untold
	}
	return fresh
}

type oracleTaste struct {
	state     towers.State
	embedding []float32
	behind    bool
}

func newOracle(limit int) *oracle {
	return &oracle{
		limit: limit, marks: map[int32]int64{}, counters: map[schemas.InteractionType]uint64{}, tastes: map[string]*oracleTaste{},
		seen:  map[uint32]bool{},
		lacks: map[string]map[string]bool{"m1": {}, "m2": {}},
		said:  map[string]Event{},
	}
}

// oracleReads says which events move each model's tower: of m2, which reads items alone, those that are choices.
var oracleReads = map[string]map[schemas.InteractionType]bool{
	"m1": {
		schemas.View: true, schemas.Click: true, schemas.Like: true, schemas.AddToCart: true, schemas.Purchase: true,
		schemas.Rating: true, schemas.Complete: true, schemas.Dislike: true, schemas.Hide: true,
	},
	"m2": {
		schemas.View: true, schemas.Click: true, schemas.Like: true, schemas.AddToCart: true, schemas.Purchase: true,
		schemas.Rating: true, schemas.Complete: true,
	},
}

// advance moves a taste by one event.
func (t *oracleTaste) advance(tower *towers.UserTower, e Event, vector []float32) {
	tower.Follow(&t.state, t.embedding, []towers.Act{{Item: vector, Kind: countsAs(e), At: e.OccurredAt.UnixMilli()}})
}

func (o *oracle) apply(r *rig, e Event) {
	o.marks[e.Partition] = e.Offset
	o.last = schemas.Position{Partition: e.Partition, Offset: e.Offset}
	if e.Erase {
		marks, last := o.marks, o.last
		*o = *newOracle(o.limit)
		o.marks, o.last, o.erased = marks, last, true
		return
	}
	if e.Time.After(o.updated) {
		o.updated = e.Time
	}
	o.erased = false
	for _, h := range o.history {
		if h.EventID == e.EventID && e.EventID != "" {
			return
		}
	}
	past := &o.left
	if e.Type == schemas.Impression {
		past = &o.shown
	}
	s := met(*past, e)
	if s == repeated {
		return
	}
	if e.Type != schemas.Impression {
		o.seen[uint32(xxhash.Sum64String(e.ItemID))] = true
	}
	takes := len(o.history) < o.limit || older(o.history[0], e)
	if s == untold && (e.Type == schemas.Impression || !takes) {
		o.untold++
		return
	}
	o.counters[e.Type]++
	if e.Type == schemas.Impression {
		o.shown = append(o.shown, e)
		o.forgetAnonymous()
		return
	}
	o.say(e)
	o.history = append(o.history, e)
	sort.SliceStable(o.history, func(i, j int) bool { return older(o.history[i], o.history[j]) })
	at := func(i int) bool { return o.history[i].Partition == e.Partition && o.history[i].Offset == e.Offset }
	late := !at(len(o.history) - 1)
	kept := true
	if len(o.history) > o.limit {
		kept = !at(0)
		o.left = append(o.left, o.history[0])
		o.history = o.history[1:]
		o.forgetAnonymous()
	}
	o.taste(r, e, late, kept)
}

func older(a, b Event) bool {
	switch {
	case a.OccurredAt.UnixMilli() != b.OccurredAt.UnixMilli():
		return a.OccurredAt.UnixMilli() < b.OccurredAt.UnixMilli()
	case a.Partition != b.Partition:
		return a.Partition < b.Partition
	}
	return a.Offset < b.Offset
}

// forgetAnonymous leaves events without an id out of the past: nothing can be a repeat of them.
func (o *oracle) forgetAnonymous() {
	anonymous := func(e Event) bool { return e.EventID == "" }
	o.left, o.shown = slices.DeleteFunc(o.left, anonymous), slices.DeleteFunc(o.shown, anonymous)
}

func (o *oracle) taste(r *rig, e Event, late, kept bool) {
	liveNow := map[string]bool{}
	for _, tower := range r.live {
		model := tower.Version()
		liveNow[model] = true
		vector := r.vectors[model][e.ItemID]
		if !kept || !oracleReads[model][countsAs(e)] {
			continue
		}
		if vector == nil {
			o.lacks[model][e.ItemID] = true
			continue
		}
		if t := o.tastes[model]; t != nil && !t.behind && !late {
			t.advance(tower, e, vector)
			continue
		}
		o.encode(r, tower)
	}
	for model, t := range o.tastes {
		t.behind = t.behind || !liveNow[model]
	}
}

func (o *oracle) encode(r *rig, tower *towers.UserTower) {
	model := tower.Version()
	t := &oracleTaste{embedding: make([]float32, tower.Dim())}
	for _, h := range o.history {
		switch v := r.vectors[model][h.ItemID]; {
		case !oracleReads[model][countsAs(h)]:
		case v == nil:
			o.lacks[model][h.ItemID] = true
		default:
			t.advance(tower, h, v)
		}
	}
	o.tastes[model] = t
	maps.DeleteFunc(o.lacks[model], func(item string, _ bool) bool { return r.vectors[model][item] != nil })
}

// arrive encodes anew what items move that have got their first vector.
func (o *oracle) arrive(r *rig) {
	for _, tower := range r.live {
		model := tower.Version()
		if slices.ContainsFunc(o.history, func(h Event) bool {
			return oracleReads[model][countsAs(h)] && o.lacks[model][h.ItemID] && r.vectors[model][h.ItemID] != nil
		}) {
			o.encode(r, tower)
		}
		maps.DeleteFunc(o.lacks[model], func(item string, _ bool) bool { return r.vectors[model][item] != nil })
	}
}

// check compares a stored profile with the oracle, floats bit for bit.
func (o *oracle) check(t testing.TB, r *rig, user string) {
	t.Helper()
	for _, model := range []string{"m1", "m2"} {
		p := r.load(t, user, model)
		require.NotNil(t, p, user)
		require.NoError(t, p.Err)
		require.Equal(t, o.marks, p.Watermarks, user)
		require.Equal(t, o.last, *p.LastApplied(), user)
		require.Len(t, p.History, len(o.history), user)
		for i, h := range p.History {
			want := o.history[len(o.history)-1-i]
			require.Equal(t, want.ItemID, h.ItemID)
			require.Equal(t, want.Type, h.Type)
			require.Equal(t, want.OccurredAt.UnixMilli(), h.OccurredAt.UnixMilli())
			require.Equal(t, schemas.Position{Partition: want.Partition, Offset: want.Offset}, h.Position)
			require.Equal(t, want.Value != nil, h.HasValue)
			if want.Value != nil {
				require.Equal(t, math.Float32bits(float32(*want.Value)), math.Float32bits(h.Value))
			}
		}
		for kind := schemas.Impression; kind <= schemas.Hide; kind++ {
			require.Equal(t, o.counters[kind], p.Counters.Of(kind), "user %s type %v", user, kind)
		}
		require.Equal(t, o.updated.UnixMilli(), time.Time.UnixMilli(p.UpdatedAt), user)
		require.Equal(t, o.seen, seenOf(p), user)
		require.Equal(t, len(o.said), p.TurnedDownCount(), user)
		for item, e := range o.said {
			at, turned := p.TurnedDown(item)
			require.True(t, turned, "user %s item %s", user, item)
			require.Equal(t, e.OccurredAt.UnixMilli(), at)
		}
		want := o.tastes[model]
		if want == nil || want.behind {
			require.Nil(t, p.Embedding, "user %s model %s", user, model)
			require.Nil(t, p.State, "user %s model %s", user, model)
			continue
		}
		require.Equal(t, bits(want.embedding), bits(p.Embedding), "user %s model %s", user, model)
		require.Equal(t, want.state.Append(nil), p.State.Append(nil), "user %s model %s", user, model)
	}
	if o.erased {
		fields, err := r.client.HKeys(t.Context(), r.profileKey(user)).Result()
		require.NoError(t, err)
		require.Subset(t, []string{fieldRevision, fieldWatermarks, fieldErasedAt}, fields, "an erased user has nothing else")
		require.Zero(t, r.client.Exists(t.Context(), r.seenKey(user)).Val())
	}
}

func (o *oracle) total() (n uint64) {
	for _, count := range o.counters {
		n += count
	}
	return n
}

func seenOf(p *Profile) map[uint32]bool {
	seen := map[uint32]bool{}
	for _, id := range unpackIDs(p.seen) {
		seen[id] = true
	}
	return seen
}

func bits(floats []float32) []uint32 {
	b := make([]uint32, len(floats))
	for i, x := range floats {
		b[i] = math.Float32bits(x)
	}
	return b
}
