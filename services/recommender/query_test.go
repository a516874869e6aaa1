package recommender_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/recommender"
	"github.com/freshet/freshet/services/towers/towertest"
)

func search(user, text string) schemas.RecommendationRequest {
	q := request(user, 10)
	q.Query = text
	return q
}

// queryVector is what a request with the text "thing 42" searches by: the tower's vector and a share of the user's embedding.
func (r *rig) queryVector(t *testing.T, taste []float32, share float32) []float32 {
	t.Helper()
	v := make([]float32, dim)
	require.True(t, r.queryTower.Encode(v, "thing 42"))
	for i := range taste {
		v[i] += share * taste[i]
	}
	return v
}

func TestSearchByText(t *testing.T) {
	r := tasteRig(t)
	share := float32(recommender.DefaultConfig().QueryTaste)
	past := []string{itemID(3), itemID(14), itemID(15)}
	r.click(t, "ann", past...)
	embedding := r.profile(t, "ann").Embedding

	t.Run("of nobody in particular", func(t *testing.T) {
		reply := r.ask(t, search("nobody", "Thing 42"))
		requireOK(t, reply)
		require.Equal(t, r.nearest(t, model, r.queryVector(t, nil, 0), 10), ids(reply))
		require.Equal(t, []string{"search"}, sources(reply))
		require.Empty(t, reply.Fallback)
	})
	t.Run("leans to the user's taste", func(t *testing.T) {
		reply := r.ask(t, search("ann", "thing 42"))
		requireOK(t, reply)
		want := without(r.nearest(t, model, r.queryVector(t, embedding, share), 20), 10, past...)
		require.Equal(t, want, ids(reply))
		require.NotEqual(t, ids(r.ask(t, search("nobody", "thing 42"))), ids(reply), "the taste is of no weight")
	})
	t.Run("with events of the request", func(t *testing.T) {
		q := search("eve", "thing 42")
		q.Recent = []schemas.RecentEvent{recent(schemas.Like, itemID(70), r.clock)}
		q.IncludeSeen = true
		reply := r.ask(t, q)
		requireOK(t, reply)
		require.Equal(t, r.nearest(t, model, r.queryVector(t, r.taste(t, model, q.Recent...), share), 10), ids(reply))
	})
	t.Run("filters and exclusions", func(t *testing.T) {
		q := search("nobody", "thing 42")
		top := ids(r.ask(t, q))
		q.Filter, q.ExcludeItemIDs = `not ("kind1" in item.categories)`, top[:2]
		reply := r.ask(t, q)
		requireOK(t, reply)
		require.Len(t, reply.Items, 10)
		require.NotContains(t, ids(reply), top[0])
		for _, id := range ids(reply) {
			require.NotEqual(t, "1", id[3:], "an item of kind1")
		}
	})
	t.Run("of many at once", func(t *testing.T) {
		replies := r.askAll(t, search("nobody", "thing 7"), request("ann", 10), search("ann", "thing 7"), search("nobody", "thing 9"))
		for i, q := range []schemas.RecommendationRequest{search("nobody", "thing 7"), request("ann", 10), search("ann", "thing 7")} {
			require.Equal(t, r.ask(t, q).Items, replies[i].Items, "what a batch of one gives")
		}
	})
}

func TestSearchForAllAlike(t *testing.T) {
	r := newRig(t, func(o *options) { o.QueryTaste = 0 })
	r.setRules(t, plainRules)
	r.stock(t, 100, nil)
	r.click(t, "ann", itemID(3))
	r.load() // the text alone needs no user tower
	q := search("ann", "thing 42")
	q.IncludeSeen = true
	reply := r.ask(t, q)
	requireOK(t, reply)
	require.Equal(t, r.nearest(t, model, r.queryVector(t, nil, 0), 10), ids(reply))
}

func TestSearchExplains(t *testing.T) {
	r := newRig(t)
	r.setRules(t, plainRules)
	r.stock(t, 100, func(_ int, it *schemas.ItemChange) { it.PublishedAt = it.PublishedAt.AddDate(-1, 0, 0) })
	r.click(t, "ann", itemID(3), itemID(14))
	for user, sought := range map[string]string{"nobody": "your search", "ann": "your search and your taste"} {
		q := search(user, "thing 42")
		q.Count, q.Explain = 60, true
		reply := r.ask(t, q)
		requireOK(t, reply)
		require.NotEmpty(t, reply.Waterfall)
		all := ""
		for _, it := range reply.Items {
			require.NotEmpty(t, it.Reasons)
			all += strings.Join(it.Reasons, ", ") + "\n"
		}
		require.Contains(t, all, "fits your search")
		require.Regexp(t, `no\. \d+ of the \d+ nearest to `+sought+"\n", all)
		require.NotContains(t, all, "close to your recent taste")
		require.Equal(t, user == "ann", strings.Contains(all, "like Thing"), "reasons of a taste that took no part")
	}
}

// Where a search cannot be made, the page says so instead of passing the user's taste off as an answer.
func TestSearchWithout(t *testing.T) {
	r := tasteRig(t)
	r.favour(t, itemID(50))
	r.click(t, "ann", itemID(3))
	degraded := func(t *testing.T, text, says string) {
		t.Helper()
		reply := r.ask(t, search("ann", text))
		require.Equal(t, schemas.StatusDegraded, reply.Status)
		require.Contains(t, reply.Error, says)
		require.Equal(t, itemID(50), ids(reply)[0])
		require.Equal(t, "recent", reply.Fallback)
		require.Equal(t, []string{"popular", "recent"}, sources(reply))
	}
	t.Run("a word that is known", func(t *testing.T) { degraded(t, "zzzzzz", `query: model m1 knows no part of "zzzzzz"`) })
	r.loadQueries()
	t.Run("a query tower", func(t *testing.T) { degraded(t, "thing 4", "query: model m1 has no query tower here") })
	r.loadQueries(towertest.QueryTower(towertest.Shape{Version: otherModel, Dim: dim}, features(200)))
	t.Run("the live model's query tower", func(t *testing.T) { degraded(t, "thing 4", "query: model m1 has no query tower here") })
}

func TestSearchRefuses(t *testing.T) {
	r := tasteRig(t)
	q := search("ann", "thing 42")
	q.SeedItemID = itemID(1)
	reply := r.ask(t, q)
	require.Equal(t, schemas.StatusInvalidRequest, reply.Status)
	require.Contains(t, reply.Error, `query "thing 42" beside seed_item_id "i001": give query or seed_item_id, not both`)
	reply = r.ask(t, search("ann", "?!"))
	require.Equal(t, schemas.StatusInvalidRequest, reply.Status)
	require.Contains(t, reply.Error, "give words made of letters or digits")
	reply = r.ask(t, search("ann", strings.Repeat("x", 513)))
	require.Equal(t, schemas.StatusInvalidRequest, reply.Status)
	require.Contains(t, reply.Error, "give at most 512 bytes")
}
