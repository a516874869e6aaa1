package recommender_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

func TestWhatARequestAsksFor(t *testing.T) {
	r := newRig(t)
	r.setRules(t, plainRules)
	r.stock(t, 100, func(n int, it *schemas.ItemChange) {
		switch n % 5 {
		case 1:
			it.Regions = []string{"DE", "AT"}
		case 2:
			it.MinAge = 18
		}
	})
	r.favour(t, itemIDs(0, 20)...)
	r.click(t, "ann", itemID(0), itemID(5), itemID(10))
	age := func(years int32) *int32 { return &years }
	all := r.nearest(t, model, r.profile(t, "ann").Embedding, 100)
	seen := []string{itemID(0), itemID(5), itemID(10)}

	every5 := func(rest ...int) (list []string) {
		for n := range 100 {
			for _, x := range rest {
				if n%5 == x {
					list = append(list, itemID(n))
				}
			}
		}
		return list
	}
	for name, c := range map[string]struct {
		change func(*schemas.RecommendationRequest)
		gone   []string
	}{
		"nothing in particular": {func(*schemas.RecommendationRequest) {}, append(every5(2), seen...)},
		"include_seen":          {func(q *schemas.RecommendationRequest) { q.IncludeSeen = true }, every5(2)},
		"region, inside":        {func(q *schemas.RecommendationRequest) { q.Region = "AT" }, append(every5(2), seen...)},
		"region, outside":       {func(q *schemas.RecommendationRequest) { q.Region = "FR" }, append(every5(1, 2), seen...)},
		"old enough":            {func(q *schemas.RecommendationRequest) { q.Age = age(18) }, seen},
		"too young":             {func(q *schemas.RecommendationRequest) { q.Age = age(17) }, append(every5(2), seen...)},
		"exclude": {func(q *schemas.RecommendationRequest) { q.ExcludeItemIDs = all[:10] },
			append(append(every5(2), seen...), all[:10]...)},
		"exclude so many that the index does it": {func(q *schemas.RecommendationRequest) { q.ExcludeItemIDs = all[:40] },
			append(append(every5(2), seen...), all[:40]...)},
		"filter": {func(q *schemas.RecommendationRequest) {
			q.Filter, q.Age = `item.id endsWith "3" or item.id endsWith "8"`, age(30)
		}, append(every5(0, 1, 2, 4), seen...)},
	} {
		t.Run(name, func(t *testing.T) {
			q := request("ann", 15)
			q.Explain = true
			c.change(&q)
			reply := r.ask(t, q)
			requireOK(t, reply)
			require.Equal(t, without(all, 15, c.gone...), ids(reply))
			requireTrueWaterfall(t, reply)
			require.Empty(t, reply.Fallback)

			q.UserID, q.RequestID = "nobody", "r-nobody" // the fallback obeys the same
			reply = r.ask(t, q)
			requireOK(t, reply)
			require.Len(t, reply.Items, 15)
			for _, id := range ids(reply) {
				if !contains(seen, id) {
					require.NotContains(t, c.gone, id)
				}
			}
			requireTrueWaterfall(t, reply)
		})
	}
}

func contains(list []string, id string) bool { return len(without(list, len(list), id)) < len(list) }

// requireTrueWaterfall checks that what comes out of a step goes into the next one and that the last one leaves the page.
func requireTrueWaterfall(t testing.TB, reply schemas.RecommendationReply) {
	t.Helper()
	require.NotEmpty(t, reply.Waterfall)
	for i, s := range reply.Waterfall {
		require.NotEmpty(t, s.Stage)
		if s.Stage != "fallback" && s.Stage != "pinned" {
			require.LessOrEqual(t, s.Out, s.In, "%+v", reply.Waterfall)
		}
		if i > 0 {
			require.Equal(t, reply.Waterfall[i-1].Out, s.In, "into %s: %+v", s.Stage, reply.Waterfall)
		}
	}
	last := reply.Waterfall[len(reply.Waterfall)-1]
	require.Equal(t, "page", last.Stage)
	require.Len(t, reply.Items, int(last.Out))
}

func TestExplainedReply(t *testing.T) {
	r := newRig(t, func(o *options) { o.Candidates = 30 })
	r.stock(t, 100, func(n int, it *schemas.ItemChange) { it.Available = n < 90 })
	gone := item(3)
	gone.Available = false
	r.record(t, model, gone)
	r.click(t, "ann", itemID(1), itemID(2))
	q := request("ann", 10)
	q.Explain = true
	reply := r.ask(t, q)
	requireOK(t, reply)
	requireTrueWaterfall(t, reply)
	steps := map[string]schemas.WaterfallStep{}
	for _, s := range reply.Waterfall {
		steps[s.Stage] = s
	}
	require.Equal(t, schemas.WaterfallStep{Stage: "index:available", In: 100, Out: 90}, steps["index:available"])
	require.EqualValues(t, 30, steps["retrieved"].Out, "as many as were asked for")
	require.EqualValues(t, 30, steps["live_records"].In)
	for _, it := range reply.Items {
		require.NotEmpty(t, it.Reasons, it.ItemID)
	}
	stages := map[string]bool{}
	for _, timing := range reply.Timings {
		require.False(t, stages[timing.Stage], "%s is there twice", timing.Stage)
		stages[timing.Stage] = true
		require.GreaterOrEqual(t, timing.Micros, int64(0))
	}
	for _, stage := range []string{"profile", "vector", "retrieve", "records", "rank", "fallback"} {
		require.True(t, stages[stage], stage)
	}
	q.Explain = false
	plain := r.ask(t, q)
	require.Equal(t, ids(reply), ids(plain), "to explain changes nothing")
}

func TestFreshnessStamp(t *testing.T) {
	r := newRig(t)
	r.stock(t, 20, nil)
	reply := r.ask(t, request("ann", 3))
	require.Equal(t, schemas.Freshness{ModelVersion: model, IndexVersion: model}, reply.Freshness)

	at := r.click(t, "ann", itemID(1), itemID(2))
	reply = r.ask(t, request("ann", 3))
	require.Equal(t, &at, reply.Freshness.Profile)
	require.InDelta(t, time.Since(r.clock).Milliseconds(), reply.Freshness.ProfileAgeMillis, 60_000)
	require.Nil(t, reply.Freshness.SeenThroughSatisfied)

	t.Run("an erased user", func(t *testing.T) {
		e := r.event("ann", schemas.UnknownInteraction, "")
		e.Erase = true
		r.apply(t, e)
		reply := r.ask(t, request("ann", 3))
		requireOK(t, reply)
		require.Zero(t, reply.Freshness.ProfileAgeMillis)
		require.Equal(t, []string{"recent"}, sources(reply), "nothing is known any more")
	})
}

func TestBadRequests(t *testing.T) {
	r := newRig(t)
	r.stock(t, 5, nil)
	calls := r.redis.Calls("") + r.milvus.Calls("")
	age := int32(-1)
	for field, change := range map[string]func(*schemas.RecommendationRequest){
		"count":        func(q *schemas.RecommendationRequest) { q.Count = 0 },
		"count:":       func(q *schemas.RecommendationRequest) { q.Count = 100_000 },
		"user_id":      func(q *schemas.RecommendationRequest) { q.UserID = "" },
		"request_id":   func(q *schemas.RecommendationRequest) { q.RequestID = strings.Repeat("x", 257) },
		"age":          func(q *schemas.RecommendationRequest) { q.Age = &age },
		"filter":       func(q *schemas.RecommendationRequest) { q.Filter = "item.price <" },
		"filter:":      func(q *schemas.RecommendationRequest) { q.Filter = `request.user_id == "ann"` },
		"seen_through": func(q *schemas.RecommendationRequest) { q.SeenThrough = &schemas.Position{Offset: -1} },
	} {
		t.Run(field, func(t *testing.T) {
			q := request("ann", 3)
			change(&q)
			p := r.post(t.Context(), q)
			reply := p.waitFor(t, 0)
			<-p.returned
			require.Equal(t, schemas.StatusInvalidRequest, reply.Status)
			require.Contains(t, reply.Error, strings.TrimSuffix(field, ":"))
			require.Empty(t, reply.Items)
			require.Equal(t, q.RequestID, reply.RequestID)
		})
	}
	require.Equal(t, calls, r.redis.Calls("")+r.milvus.Calls(""), "without any work")
}

// The rules remove nearly all neighbours: retrieval widens as far as it may, and the page is full.
func TestWidening(t *testing.T) {
	const eligible = 7
	// What a title begins with cannot be asked of the index.
	rare := func(n int, it *schemas.ItemChange) {
		if n%20 == 0 && n < 20*eligible {
			it.Title = "Rare " + it.Title
		}
	}
	q := request("ann", 5)
	q.Filter, q.Explain = `lower(item.title) startsWith "rare"`, true

	t.Run("within reach", func(t *testing.T) {
		r := newRig(t, func(o *options) {
			o.Candidates, o.MaxCandidates, o.ShelfSize = 10, 200, 1
			o.WorkReserve = 2 * time.Second
		})
		r.stock(t, 200, rare)
		r.click(t, "ann", itemID(1))
		reply := r.ask(t, q)
		requireOK(t, reply)
		require.Len(t, reply.Items, 5)
		require.Equal(t, []string{"retrieval"}, sources(reply))
		requireTrueWaterfall(t, reply)
		// The number that the rules let through also decides for a user of whom something else is missing.
		late := q
		late.SeenThrough, late.Deadline = &schemas.Position{Offset: 1 << 40}, time.Now().Add(2100*time.Millisecond)
		reply = r.ask(t, late)
		require.Equal(t, schemas.StatusDegraded, reply.Status)
		require.Len(t, reply.Items, 5)
		require.Equal(t, []string{"retrieval"}, sources(reply))
	})
	t.Run("no more than there are", func(t *testing.T) {
		r := newRig(t, func(o *options) { o.Candidates, o.MaxCandidates, o.ShelfSize = 10, 200, 1 })
		r.setRules(t, plainRules)
		r.stock(t, 200, rare)
		r.click(t, "ann", itemID(1))
		q := q
		q.Count = 50
		reply := r.ask(t, q)
		requireOK(t, reply)
		require.Len(t, reply.Items, eligible)
		requireTrueWaterfall(t, reply)
	})
	t.Run("never beyond max_candidates", func(t *testing.T) {
		r := newRig(t, func(o *options) { o.Candidates, o.MaxCandidates, o.ShelfSize = 10, 20, 1 })
		r.stock(t, 200, nil)
		r.click(t, "ann", itemID(1))
		q := request("ann", 100)
		q.Explain = true
		reply := r.ask(t, q)
		requireOK(t, reply)
		require.LessOrEqual(t, len(reply.Items), 21)
		requireTrueWaterfall(t, reply)
	})
	t.Run("what widening does not reach comes from the shelf", func(t *testing.T) {
		r := newRig(t, func(o *options) { o.Candidates, o.MaxCandidates = 10, 20 })
		r.stock(t, 200, rare)
		r.click(t, "ann", itemID(1))
		reply := r.ask(t, q)
		requireOK(t, reply)
		require.Len(t, reply.Items, 5)
		require.Equal(t, "recent", reply.Fallback)
		requireTrueWaterfall(t, reply)
	})
}

// Most neighbours were seen; one user in a batch needs more rounds than the others.
func TestWideningForSeenItems(t *testing.T) {
	r := newRig(t, func(o *options) { o.Candidates, o.MaxCandidates, o.ShelfSize = 10, 400, 1 })
	r.stock(t, 200, nil)
	r.click(t, "ann", itemIDs(0, 180)...)
	r.click(t, "bob", itemID(1))
	replies := r.askAll(t, request("ann", 20), request("bob", 20))
	for _, reply := range replies {
		requireOK(t, reply)
		require.Len(t, reply.Items, 20)
		require.Equal(t, []string{"retrieval"}, sources(reply))
	}
	for _, id := range ids(replies[0]) {
		require.GreaterOrEqual(t, id, itemID(180))
	}
}

// The index lags behind: what its rows say is not what is shown.
func TestRecordsDecideOverTheIndex(t *testing.T) {
	r := newRig(t)
	r.setRules(t, plainRules)
	r.stock(t, 50, nil)
	r.click(t, "ann", itemID(1))
	before := ids(r.ask(t, request("ann", 5)))

	deleted, away, elsewhere := item(0), item(0), item(0)
	deleted.ItemID, deleted.Op = before[0], schemas.DeleteItem
	away.ItemID, away.Available = before[1], false
	elsewhere.ItemID, elsewhere.Regions = before[2], []string{"XX"}
	r.record(t, model, deleted, away, elsewhere)
	q := request("ann", 50)
	q.Region = "DE"
	for _, user := range []string{"ann", "nobody"} {
		q.UserID = user
		reply := r.ask(t, q)
		requireOK(t, reply)
		require.NotEmpty(t, reply.Items)
		for _, id := range before[:3] {
			require.NotContains(t, ids(reply), id)
		}
	}
	_, there, err := r.index.Get(t.Context(), model, before[0])
	require.NoError(t, err)
	require.True(t, there, "the index still has it")
}

func TestCapOverRetrievalAndShelf(t *testing.T) {
	r := newRig(t, func(o *options) { o.Candidates, o.MaxCandidates = 5, 5 })
	r.stock(t, 60, nil)
	r.setRules(t, plainRules+"  - {kind: cap, by: category, max: 2}\n")
	r.click(t, "ann", itemID(1))
	q := request("ann", 30)
	q.Explain = true
	reply := r.ask(t, q)
	requireOK(t, reply)
	require.Len(t, reply.Items, 20, "two of each of ten categories")
	counts := map[byte]int{}
	for _, id := range ids(reply) {
		counts[id[3]]++
	}
	for digit, n := range counts {
		require.LessOrEqual(t, n, 2, "category %c", digit)
	}
	require.Equal(t, "recent", reply.Fallback)
	requireTrueWaterfall(t, reply)
}

// A window puts an item of the shelf before ones that retrieval found; the reply still names the fallback.
func TestFallbackBeforeRetrievedItems(t *testing.T) {
	r := newRig(t, func(o *options) { o.Candidates, o.MaxCandidates = 4, 4 })
	r.stock(t, 8, func(n int, it *schemas.ItemChange) {
		it.Categories = []string{"same"}
		if n == 7 {
			it.Categories = []string{"other"}
		}
	})
	r.setRules(t, plainRules+"  - {kind: cap, by: category, max: 1, window: 2}\n")
	r.favour(t, itemID(7))
	r.click(t, "ann", itemID(1))
	taste := r.nearest(t, model, r.profile(t, "ann").Embedding, 4)
	require.NotContains(t, taste, itemID(7), "the towers of this test put the odd item next to the user: choose another")
	reply := r.ask(t, request("ann", 3))
	requireOK(t, reply)
	require.Equal(t, itemID(7), ids(reply)[1])
	require.Equal(t, "retrieval", reply.Items[2].Source)
	require.Equal(t, "popular", reply.Fallback)
}

// An item that a rule pins comes on the page though it is far from the user's taste, unless the request may not see it.
func TestPinnedItems(t *testing.T) {
	r := newRig(t, func(o *options) { o.Candidates = 10 })
	r.stock(t, 100, func(n int, it *schemas.ItemChange) {
		if n == 90 {
			it.Regions = []string{"DE"}
		}
	})
	r.setRules(t, plainRules+`
  - {kind: pin, item: i090, position: 2, when: request.surface == "home"}
`)
	r.click(t, "ann", itemID(1))
	r.favour(t, itemIDs(10, 20)...)
	require.NotContains(t, r.nearest(t, model, r.profile(t, "ann").Embedding, 10), itemID(90))
	for _, user := range []string{"ann", "nobody"} {
		q := request(user, 5)
		q.Surface, q.Explain = "home", true
		reply := r.ask(t, q)
		requireOK(t, reply)
		require.Equal(t, itemID(90), ids(reply)[1])
		require.Equal(t, "pinned", reply.Items[1].Source)
		require.Contains(t, reply.Items[1].Reasons, "pinned by rule pin")
		requireTrueWaterfall(t, reply)

		for name, change := range map[string]func(*schemas.RecommendationRequest){
			"another surface": func(q *schemas.RecommendationRequest) { q.Surface = "mail" },
			"another region":  func(q *schemas.RecommendationRequest) { q.Region = "FR" },
			"excluded":        func(q *schemas.RecommendationRequest) { q.ExcludeItemIDs = []string{itemID(90)} },
		} {
			q := q
			change(&q)
			require.NotContains(t, ids(r.ask(t, q)), itemID(90), name)
		}
	}
	away := item(90)
	away.Available = false
	r.record(t, model, away)
	q := request("ann", 5)
	q.Surface = "home"
	require.NotContains(t, ids(r.ask(t, q)), itemID(90))
}
