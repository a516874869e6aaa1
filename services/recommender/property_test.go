package recommender_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/ranking"
)

// A random catalogue, random users, and random requests; an oracle that knows only the records says what may be shown.
func FuzzPagesOfRandomRequests(f *testing.F) {
	for seed := range uint64(6) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		w := newWorld(t, rand.New(rand.NewPCG(seed, 2)))
		for range 8 {
			list := make([]schemas.RecommendationRequest, 1+w.rng.IntN(10))
			for i := range list {
				list[i] = w.request(i)
			}
			for i, reply := range w.askAll(t, list...) {
				w.check(t, &list[i], reply)
			}
			w.change(t)
		}
	})
}

// world is a rig whose whole content the test remembers.
type world struct {
	*rig
	rng   *rand.Rand
	items map[string]schemas.ItemChange
	// indexed are the items as the index has them.
	indexed map[string]schemas.ItemChange
	seen    map[string]map[string]bool
	turned  map[string]bool // by user/item: turned down
	sorted  bool            // the rules do not arrange
	reach   bool            // retrieval and shelf reach the whole catalogue
}

const worldItems, worldUsers = 120, 6

var (
	worldRegions = []string{"DE", "AT", "FR"}
	// worldFilters pairs a filter with what it means.
	worldFilters = []struct {
		source string
		keeps  func(*schemas.ItemChange) bool
	}{
		{"", func(*schemas.ItemChange) bool { return true }},
		{"item.price < 20", func(it *schemas.ItemChange) bool { return it.Price == nil || *it.Price < 20 }},
		{`"kind1" in item.categories or item.brand == "brand2"`, func(it *schemas.ItemChange) bool {
			return slices.Contains(it.Categories, "kind1") || it.Brand == "brand2"
		}},
		{`lower(item.title) contains "thing 1"`, func(it *schemas.ItemChange) bool {
			return len(it.Title) > 6 && it.Title[:7] == "Thing 1"
		}},
	}
)

func newWorld(t *testing.T, rng *rand.Rand) *world {
	t.Helper()
	w := &world{rng: rng, items: map[string]schemas.ItemChange{}, seen: map[string]map[string]bool{}, turned: map[string]bool{}, reach: rng.IntN(2) == 0}
	w.rig = newRig(t, func(o *options) {
		o.ranking = ranking.DefaultConfig()
		o.StageTimeout = patience // a machine that is busy is no server that is away
		o.Candidates, o.MaxCandidates, o.ShelfSize = 1+rng.IntN(20), 20+rng.IntN(80), 1+rng.IntN(worldItems)
		if w.reach {
			o.MaxCandidates = 2 * worldItems
		}
	})
	if w.sorted = rng.IntN(3) > 0; w.sorted {
		w.setRules(t, plainRules)
	}
	var list []schemas.ItemChange
	for n := range worldItems {
		list = append(list, w.randomItem(n))
	}
	w.publish(t, model, list...)
	w.remember(list)
	w.indexed = maps.Clone(w.items)
	w.favour(t, itemIDs(rng.IntN(50), 50+rng.IntN(50))...)
	for u := range worldUsers {
		if u%3 == 1 {
			w.load() // this one gets no embedding
		}
		for range rng.IntN(30) {
			w.act(t, fmt.Sprint("user", u))
		}
		w.load(model)
	}
	return w
}

func (w *world) randomItem(n int) schemas.ItemChange {
	it := item(n)
	it.Available = w.rng.IntN(6) > 0
	it.MinAge = int32(w.rng.IntN(3) * 9)
	for _, region := range worldRegions {
		if w.rng.IntN(3) == 0 {
			it.Regions = append(it.Regions, region)
		}
	}
	if w.rng.IntN(5) == 0 {
		it.Price = nil
	}
	if w.rng.IntN(20) == 0 {
		it.Op = schemas.DeleteItem
	}
	return it
}

func (w *world) remember(list []schemas.ItemChange) {
	for _, it := range list {
		w.items[it.ItemID] = it
	}
}

func (w *world) act(t *testing.T, user string) {
	kinds := []schemas.InteractionType{schemas.Click, schemas.Like, schemas.Dislike, schemas.Impression, schemas.View}
	e := w.event(user, kinds[w.rng.IntN(len(kinds))], itemID(w.rng.IntN(worldItems+5))) // some that nobody knows
	w.apply(t, e)
	if e.Type != schemas.Impression {
		if w.seen[user] == nil {
			w.seen[user] = map[string]bool{}
		}
		w.seen[user][e.ItemID] = true
		if e.Type == schemas.Like || e.Type == schemas.Dislike { // the last that was said
			w.turned[user+"/"+e.ItemID] = e.Type == schemas.Dislike
		}
	}
}

// change lets some records move on without the index, and some users act.
func (w *world) change(t *testing.T) {
	for range 3 {
		it := w.randomItem(w.rng.IntN(worldItems))
		w.record(t, model, it)
		w.remember([]schemas.ItemChange{it})
		w.act(t, fmt.Sprint("user", w.rng.IntN(worldUsers)))
	}
}

func (w *world) request(i int) schemas.RecommendationRequest {
	rng := w.rng
	q := request(fmt.Sprint("user", rng.IntN(worldUsers+1)), 1+rng.Int32N(40))
	q.RequestID, q.Explain, q.IncludeSeen = fmt.Sprint("r", i), rng.IntN(2) == 0, rng.IntN(3) == 0
	q.Filter = worldFilters[rng.IntN(len(worldFilters))].source
	if rng.IntN(2) == 0 {
		q.Region = worldRegions[rng.IntN(len(worldRegions))]
	}
	if rng.IntN(2) == 0 {
		age := rng.Int32N(30)
		q.Age = &age
	}
	if rng.IntN(4) == 0 {
		q.SeedItemID = itemID(rng.IntN(worldItems))
	} else if rng.IntN(3) == 0 {
		q.Query = item(rng.IntN(worldItems)).Title
	}
	for range rng.IntN(2) * rng.IntN(60) {
		q.ExcludeItemIDs = append(q.ExcludeItemIDs, itemID(rng.IntN(worldItems)))
	}
	for range rng.IntN(3) {
		at := w.clock.Add(time.Duration(rng.IntN(9)) * time.Second)
		q.Recent = append(q.Recent, recent(schemas.Click, itemID(rng.IntN(worldItems)), at))
	}
	return q
}

// may tells whether an item may be shown: the oracle of everything but order.
func (w *world) may(q *schemas.RecommendationRequest, it *schemas.ItemChange) bool {
	age := int32(0)
	if q.Age != nil {
		age = *q.Age
	}
	recently := slices.ContainsFunc(q.Recent, func(e schemas.RecentEvent) bool { return e.ItemID == it.ItemID })
	filter := slices.IndexFunc(worldFilters, func(f struct {
		source string
		keeps  func(*schemas.ItemChange) bool
	}) bool {
		return f.source == q.Filter
	})
	return it.Op != schemas.DeleteItem && it.Available && it.MinAge <= age &&
		(q.Region == "" || len(it.Regions) == 0 || slices.Contains(it.Regions, q.Region)) &&
		!slices.Contains(q.ExcludeItemIDs, it.ItemID) && it.ItemID != q.SeedItemID &&
		!w.turned[q.UserID+"/"+it.ItemID] && (q.IncludeSeen || !w.seen[q.UserID][it.ItemID] && !recently) && worldFilters[filter].keeps(it)
}

func (w *world) check(t *testing.T, q *schemas.RecommendationRequest, reply schemas.RecommendationReply) {
	t.Helper()
	if seed := w.items[q.SeedItemID]; q.SeedItemID == "" || seed.Op != schemas.DeleteItem {
		requireOK(t, reply)
	}
	eligible := 0
	for id, it := range w.items {
		if row := w.indexed[id]; w.may(q, &it) && w.may(q, &row) {
			eligible++
		}
	}
	shown := map[string]bool{}
	for i, r := range reply.Items {
		require.False(t, shown[r.ItemID], "%s is there twice", r.ItemID)
		shown[r.ItemID] = true
		it, known := w.items[r.ItemID]
		require.True(t, known, r.ItemID)
		require.True(t, w.may(q, &it), "%+v may not be shown to %+v", it, q)
		require.Equal(t, q.Explain, len(r.Reasons) > 0, "reasons of %+v", r)
		if w.sorted && i > 0 {
			require.LessOrEqual(t, r.Score, reply.Items[i-1].Score, "%+v", reply.Items)
		}
	}
	retrieved := has(reply, "retrieval") || has(reply, "similar") || has(reply, "search")
	if w.sorted && w.reach && retrieved {
		require.GreaterOrEqual(t, len(reply.Items), min(int(q.Count), eligible), "%+v", q)
	}
	require.Equal(t, has(reply, "popular") || has(reply, "recent"), reply.Fallback != "")
	if q.Explain {
		requireTrueWaterfall(t, reply)
	}
}

func has(reply schemas.RecommendationReply, source string) bool {
	return slices.ContainsFunc(reply.Items, func(it schemas.RecommendedItem) bool { return it.Source == source })
}
