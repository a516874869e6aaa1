package recommender_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/faults"
	"github.com/freshet/freshet/infra/embedded/milvus"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/recommender"
)

// followRig has a user with a taste, and searches that find 20 of 100 items. Index and records differ about three of them.
type followRig struct {
	*rig
	// near are ids in the order of the user's taste, the seen ones, and those that the index keeps back for all, left out.
	near []string
	// takenDown and moved are near items whose records say so, while the index lags behind; absent is one that the index lacks.
	takenDown, moved, absent string
}

const (
	followed    = 10 // places on the page
	unavailable = 7  // the item of which index and record say so
	regional    = 8  // the one for DE alone
)

func newFollowRig(t *testing.T) *followRig {
	t.Helper()
	f := &followRig{rig: newRig(t, func(o *options) { o.Candidates, o.MaxCandidates = 20, 20 })}
	f.setRules(t, plainRules)
	f.stock(t, 100, func(n int, it *schemas.ItemChange) {
		it.Available = n != unavailable
		if n == regional {
			it.Regions = []string{"DE"}
		}
	})
	f.favour(t, itemIDs(40, 70)...)
	f.click(t, "ann", itemID(1), itemID(2))
	f.near = without(f.nearest(t, model, f.profile(t, "ann").Embedding, 100), 100, itemID(1), itemID(2), itemID(unavailable), itemID(regional))
	f.takenDown, f.moved, f.absent = f.near[3], f.near[5], f.near[7]
	down, moved := f.nth(f.takenDown), f.nth(f.moved)
	down.Available, moved.Regions = false, []string{"XX"}
	f.record(t, model, down, moved)
	require.NoError(t, f.index.Delete(t.Context(), model, []string{f.absent}))
	f.milvus.Settle(t)
	f.near = without(f.near, 100, f.takenDown, f.moved, f.absent)
	return f
}

// nth is the item of an id as it was stocked.
func (f *followRig) nth(id string) schemas.ItemChange {
	for n := range 100 {
		if itemID(n) == id {
			return item(n)
		}
	}
	return schemas.ItemChange{}
}

func TestFateOfAnItem(t *testing.T) {
	f := newFollowRig(t)
	page, behind, far := f.near[:followed], f.near[followed], f.near[40]
	kind := f.nth(page[0]).Categories[0]
	var alike string // the next one of the kind of the first
	for _, id := range page[1:] {
		if f.nth(id).Categories[0] == kind {
			alike = id
			break
		}
	}
	require.NotEmpty(t, alike, "the towers of this test put no two of a kind on the page: choose another seed")
	title := f.nth(page[2]).Title
	of := func(user string) schemas.RecommendationRequest {
		q := request(user, followed)
		q.Region = "FR"
		return q
	}
	asking := func(change func(*schemas.RecommendationRequest)) schemas.RecommendationRequest {
		q := of("ann")
		change(&q)
		return q
	}
	ann := of("ann")
	for name, c := range map[string]struct {
		rules   string // beside plainRules
		request schemas.RecommendationRequest
		item    string
		lost    recommender.Loss
		rule    string
	}{
		"first of the page":          {"", ann, page[0], recommender.NotLost, ""},
		"last of the page":           {"", ann, page[followed-1], recommender.NotLost, ""},
		"next after the page":        {"", ann, behind, recommender.LostByRanking, ""},
		"too far for the search":     {"", ann, far, recommender.LostByIndex, ""},
		"without a row":              {"", ann, f.absent, recommender.LostByIndex, ""},
		"nobody knows it":            {"", ann, "who", recommender.LostByIndex, ""},
		"seen":                       {"", ann, itemID(1), recommender.LostToRule, "exclude_seen"},
		"not available, says a row":  {"", ann, itemID(unavailable), recommender.LostToRule, "index:available"},
		"of another region in a row": {"", ann, itemID(regional), recommender.LostToRule, "index:region"},
		"taken down since":           {"", ann, f.takenDown, recommender.LostToRule, "live_records"},
		"moved to a region since":    {"", ann, f.moved, recommender.LostToRule, "region"},
		"of any region, without one": {"", request("ann", followed), f.moved, recommender.NotLost, ""},
		"listed": {
			"", asking(func(q *schemas.RecommendationRequest) { q.ExcludeItemIDs = page[:1] }), page[0], recommender.LostToRule, "exclude_listed",
		},
		"one of many listed": {
			"", asking(func(q *schemas.RecommendationRequest) { q.ExcludeItemIDs = f.near[:40] }), page[0], recommender.LostToRule, "index:exclude_listed",
		},
		"filtered by the index": {
			"", asking(func(q *schemas.RecommendationRequest) { q.Filter = fmt.Sprintf(`not (%q in item.categories)`, kind) }), page[0],
			recommender.LostToRule, "index:request_filter",
		},
		"filtered on the list": {
			"", asking(func(q *schemas.RecommendationRequest) {
				q.Filter = fmt.Sprintf(`lower(item.title) != %q`, strings.ToLower(title))
			}), page[2],
			recommender.LostToRule, "request_filter",
		},
		"one too many of a kind": {
			"  - {kind: cap, name: two, by: category, max: 1}\n", ann, alike, recommender.LostToRule, "two",
		},
		"buried behind the page": {
			fmt.Sprintf("  - {kind: bury, when: 'item.id == %q', add: -1000}\n", page[0]), ann, page[0], recommender.LostToRule, recommender.RulePageOrder,
		},
		"buried from behind the page": {
			fmt.Sprintf("  - {kind: bury, when: 'item.id == %q', add: -1000}\n", behind), ann, behind, recommender.LostByRanking, "",
		},
		"boosted onto the page": {
			fmt.Sprintf("  - {kind: boost, when: 'item.id == %q', add: 1000}\n", behind), ann, behind, recommender.NotLost, "",
		},
		"pushed off by a boost": {
			fmt.Sprintf("  - {kind: boost, when: 'item.id == %q', add: 1000}\n", behind), ann, page[followed-1], recommender.LostToRule, recommender.RulePageOrder,
		},
		"pinned from far": {
			fmt.Sprintf("  - {kind: pin, item: %s, position: 2}\n", far), ann, far, recommender.NotLost, "",
		},
		"on the shelf for a stranger":         {"", of("nobody"), itemID(40), recommender.NotLost, ""},
		"behind the page from the shelf":      {"", of("nobody"), itemID(40 + followed), recommender.LostUnsought, ""},
		"not on the shelf for a stranger":     {"", of("nobody"), itemID(unavailable), recommender.LostUnsought, ""},
		"the shelf fills what the rules left": {"", filtered("thing 40"), itemID(40), recommender.NotLost, ""},
	} {
		t.Run(name, func(t *testing.T) {
			f.setRules(t, plainRules+c.rules)
			fates, err := f.Follow(t.Context(), []schemas.RecommendationRequest{c.request}, []string{c.item})
			require.NoError(t, err)
			require.Len(t, fates, 1)
			require.Equal(t, c.lost, fates[0].Lost, "%+v", fates[0])
			require.Equal(t, c.rule, fates[0].Rule)
			require.Equal(t, f.ask(t, c.request).Items, fates[0].Reply.Items, "it is the page that Recommend makes")
			require.Equal(t, c.lost == recommender.NotLost, slices.Contains(ids(fates[0].Reply), c.item))
			if c.request.UserID == "nobody" {
				require.Nil(t, fates[0].Vector)
			} else {
				require.Equal(t, f.profile(t, "ann").Embedding, fates[0].Vector)
			}
		})
	}
}

// TestTheRuleThatRemovesIsNamed although the item took the place of another in the rule before:
//
//	brands: first and item are kept, other goes for item's sake .... kinds: item goes for first's sake
//	brands, without item: first and other are kept ................. kinds: both stay
func TestTheRuleThatRemovesIsNamed(t *testing.T) {
	f := newFollowRig(t)
	first, target, other := f.nth(f.near[0]), f.nth(f.near[1]), f.nth(f.near[2])
	first.Brand, first.Categories = "ours", []string{"lamps"}
	target.Brand, target.Categories = "theirs", []string{"lamps"}
	other.Brand, other.Categories = "theirs", []string{"chairs"}
	f.record(t, model, first, target, other)
	const brands, kinds = "  - {kind: cap, name: brands, by: brand, max: 1}\n", "  - {kind: cap, name: kinds, by: category, max: 1}\n"
	for rule, c := range map[string]struct{ rules, item string }{
		"kinds":  {brands + kinds, target.ItemID},
		"brands": {brands + kinds, other.ItemID},
	} {
		f.setRules(t, plainRules+c.rules)
		fates, err := f.Follow(t.Context(), []schemas.RecommendationRequest{request("ann", followed)}, []string{c.item})
		require.NoError(t, err)
		require.Equal(t, recommender.LostToRule, fates[0].Lost)
		require.Equal(t, rule, fates[0].Rule)
	}
}

// filtered asks for the items of a title, of which the index knows nothing.
func filtered(title string) schemas.RecommendationRequest {
	q := request("ann", followed)
	q.Filter = fmt.Sprintf(`lower(item.title) == %q`, title)
	return q
}

// TestFollowMovesManyTogether: each request keeps its own item, and they travel 64 at a time.
func TestFollowMovesManyTogether(t *testing.T) {
	f := newFollowRig(t)
	const many = 150
	requests, targets := make([]schemas.RecommendationRequest, many), make([]string, many)
	for i := range requests {
		requests[i] = request("ann", int32(1+i%9))
		requests[i].RequestID, requests[i].Region = fmt.Sprint("r", i), "FR"
		targets[i] = f.near[i%7]
	}
	searches := f.milvus.Calls("Search")
	fates, err := f.Follow(t.Context(), requests, targets)
	require.NoError(t, err)
	require.Equal(t, 3, f.milvus.Calls("Search")-searches, "one search for each 64")
	require.Len(t, fates, many)
	for i, fate := range fates {
		require.Equal(t, requests[i].RequestID, fate.Reply.RequestID)
		require.Equal(t, f.near[:1+i%9], ids(fate.Reply))
		want := recommender.NotLost
		if i%7 > i%9 {
			want = recommender.LostByRanking
		}
		require.Equal(t, want, fate.Lost, "request %d", i)
	}
	none, err := f.Follow(t.Context(), nil, nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

// What is not a whole reply says nothing of how good one is: it is an error that names the request.
func TestFollowRefuses(t *testing.T) {
	age := int32(-1)
	for name, c := range map[string]struct {
		spoil  func(*rig)
		change func(*schemas.RecommendationRequest)
		want   []string
	}{
		"to wait": {
			change: func(q *schemas.RecommendationRequest) { q.SeenThrough = &schemas.Position{} }, want: []string{"leave seen_through out"},
		},
		"what makes no sense": {change: func(q *schemas.RecommendationRequest) { q.Age = &age }, want: []string{"invalid_request", "age"}},
		"a bad filter": {
			change: func(q *schemas.RecommendationRequest) { q.Filter = "item.price <" }, want: []string{"invalid_request", "filter"},
		},
		"what comes too late": {
			change: func(q *schemas.RecommendationRequest) { q.Deadline = time.Now().Add(-time.Second) }, want: []string{"deadline_exceeded"},
		},
		"without the live model's tower": {
			spoil: func(r *rig) { r.load() },
			change: func(q *schemas.RecommendationRequest) {
				q.Recent = []schemas.RecentEvent{recent(schemas.Like, itemID(9), time.Now())}
			},
			want: []string{"the reply is degraded", "version m1 is live but not loaded here"},
		},
		"without Redis":  {spoil: func(r *rig) { r.redis.Stop() }, want: []string{"the reply is degraded", "user profile: "}},
		"without Milvus": {spoil: func(r *rig) { r.milvus.Stop() }, want: []string{"the reply is degraded", "candidate index: "}},
		"where what is left out cannot be told": {
			spoil: func(r *rig) { r.milvus.Fail("Query", faults.Every, &milvus.StatusError{Code: 1, Reason: "canary"}) }, want: []string{"canary"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := faultRig(t, func(o *options) { o.Candidates, o.MaxCandidates = 10, 10 })
			far := r.nearest(t, model, r.profile(t, "ann").Embedding, 60)[59]
			if c.spoil != nil {
				c.spoil(r)
			}
			requests := []schemas.RecommendationRequest{request("ann", 5)}
			if c.change != nil {
				c.change(&requests[0])
			}
			fates, err := r.Follow(t.Context(), requests, []string{far})
			require.Nil(t, fates)
			require.ErrorContains(t, err, "following request r-ann: ")
			for _, want := range c.want {
				require.ErrorContains(t, err, want)
			}
		})
	}
}

// FuzzFatesOfRandomRequests holds what Follow says against the page and against an oracle that knows only rows and records.
func FuzzFatesOfRandomRequests(f *testing.F) {
	for seed := range uint64(6) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		w := newWorld(t, rand.New(rand.NewPCG(seed, 3)))
		losses := map[recommender.Loss]int{}
		for range 4 {
			w.change(t)
			list, targets := make([]schemas.RecommendationRequest, 20), make([]string, 20)
			for i := range list {
				list[i] = w.request(i)
				if seed := w.items[list[i].SeedItemID]; seed.Op == schemas.DeleteItem {
					list[i].SeedItemID = "" // the reply would be degraded
				}
				targets[i] = itemID(w.rng.IntN(worldItems + 2))
			}
			fates, err := w.Follow(t.Context(), list, targets)
			require.NoError(t, err)
			for i := range fates {
				w.check(t, &list[i], fates[i].Reply)
				w.checkFate(t, &list[i], targets[i], &fates[i])
				losses[fates[i].Lost]++
			}
		}
		if seed < 6 {
			require.Greater(t, len(losses), 2, "the requests lose items in several ways: %v", losses)
		}
	})
}

func (w *world) checkFate(t *testing.T, q *schemas.RecommendationRequest, id string, f *recommender.Fate) {
	t.Helper()
	it, row := w.items[id], w.indexed[id]
	_, known := w.items[id]
	require.Equal(t, f.Lost == recommender.NotLost, slices.Contains(ids(f.Reply), id), "%+v", f)
	require.Equal(t, f.Lost == recommender.LostToRule, f.Rule != "", "%+v", f)
	switch f.Lost {
	case recommender.NotLost:
		require.True(t, w.may(q, &it))
	case recommender.LostUnsought:
		require.Nil(t, f.Vector)
	case recommender.LostToRule:
		require.NotNil(t, f.Vector)
		if w.sorted { // otherwise a rule that arranges may keep it off
			require.False(t, w.may(q, &it) && w.may(q, &row), "%+v may be shown to %+v, and was lost to %s", it, q, f.Rule)
		}
	case recommender.LostByRanking:
		require.True(t, w.may(q, &it), "%+v may not be shown to %+v", it, q)
		require.Len(t, f.Reply.Items, int(q.Count))
	case recommender.LostByIndex:
		require.NotNil(t, f.Vector)
		if known && w.sorted && w.reach && w.may(q, &it) && w.may(q, &row) {
			require.Len(t, f.Reply.Items, int(q.Count), "a short page had reached it")
		}
	}
}
