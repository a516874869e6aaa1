package recommender_test

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers/towertest"
)

// tasteRig has 100 items and shows them in the order of the index.
func tasteRig(t *testing.T) *rig {
	t.Helper()
	r := newRig(t)
	r.setRules(t, plainRules)
	r.stock(t, 100, nil)
	return r
}

func TestEmbeddingOfTheProfile(t *testing.T) {
	r := tasteRig(t)
	past := []string{itemID(3), itemID(14), itemID(15)}
	r.click(t, "ann", past...)
	reply := r.ask(t, request("ann", 10))
	requireOK(t, reply)
	require.Equal(t, without(r.nearest(t, model, r.profile(t, "ann").Embedding, 20), 10, past...), ids(reply))
	require.Equal(t, []string{"retrieval"}, sources(reply))
	require.Empty(t, reply.Fallback)
	require.Nil(t, reply.Waterfall)
	require.Nil(t, reply.Timings)
	for _, it := range reply.Items {
		require.Nil(t, it.Reasons)
	}
}

// The profile was made while another model was live; the history is encoded on the fly.
func TestHistoryWithoutEmbedding(t *testing.T) {
	r := tasteRig(t)
	past := []string{itemID(3), itemID(14), itemID(15)}
	r.load() // no tower: the interactions role that applies these events knows another model
	r.click(t, "ann", past...)
	r.load(model)
	require.Nil(t, r.profile(t, "ann").Embedding)
	r.click(t, "bob", past...)
	require.Equal(t, r.taste(t, model, r.past(t, "bob")...), r.profile(t, "bob").Embedding, "the same floats")

	replies := r.askAll(t, request("ann", 10), request("bob", 10))
	requireOK(t, replies[0])
	require.Equal(t, replies[1].Items, replies[0].Items, "the very same items and scores")
	require.Equal(t, []string{"retrieval"}, sources(replies[0]))
}

func TestEmbeddingsNeverCrossModels(t *testing.T) {
	r := tasteRig(t)
	r.favour(t, itemID(50))
	r.switchLive(t, otherModel)
	list := make([]schemas.ItemChange, 100)
	for n := range list {
		list[n] = item(n)
	}
	r.publish(t, otherModel, list...)
	r.load(model, otherModel)
	past := []string{itemID(1), itemID(2)}
	r.load(model)
	r.click(t, "ann", past...) // has an embedding of model alone
	r.load(model, otherModel)

	reply := r.ask(t, request("ann", 5))
	requireOK(t, reply)
	require.Equal(t, otherModel, reply.Freshness.ModelVersion)
	require.Equal(t, otherModel, reply.Freshness.IndexVersion)
	require.Equal(t, without(r.nearest(t, otherModel, r.taste(t, otherModel, r.past(t, "ann")...), 10), 5, past...), ids(reply))

	t.Run("a dislike moves no tower that does not know it", func(t *testing.T) {
		q := request("ann", 5)
		q.Recent = []schemas.RecentEvent{recent(schemas.Dislike, itemID(90), r.clock.Add(time.Hour))}
		again := r.ask(t, q)
		requireOK(t, again)
		require.Equal(t, without(r.nearest(t, otherModel, r.taste(t, otherModel, r.past(t, "ann")...), 10), 5,
			append(past, itemID(90))...), ids(again))
	})

	t.Run("tower of the live model is not loaded", func(t *testing.T) {
		r.load(model)
		reply := r.ask(t, request("ann", 5))
		require.Equal(t, schemas.StatusDegraded, reply.Status)
		require.Contains(t, reply.Error, "user tower: version m2 is live but not loaded here")
		require.Equal(t, "recent", reply.Fallback)
		require.Equal(t, itemID(50), ids(reply)[0])
	})

	t.Run("back to the first model", func(t *testing.T) {
		require.NoError(t, r.index.SwitchLive(t.Context(), model))
		require.Eventually(t, func() bool {
			reply = r.ask(t, request("ann", 5))
			return reply.Freshness.ModelVersion == model
		}, patience, time.Millisecond)
		requireOK(t, reply)
		require.Equal(t, without(r.nearest(t, model, r.profile(t, "ann").Embedding, 10), 5, past...), ids(reply))
	})
}

func recent(kind schemas.InteractionType, id string, at time.Time) schemas.RecentEvent {
	return schemas.RecentEvent{ItemID: id, Type: kind, OccurredAt: at}
}

// A request may carry events that the profile does not hold: the answer is the one that the profile would give after them.
func TestRecentEvents(t *testing.T) {
	r := tasteRig(t)
	past := []string{itemID(3), itemID(14)}
	r.click(t, "ann", past...)
	third, fourth := r.event("ann", schemas.Like, itemID(70)), r.event("ann", schemas.Click, itemID(71))
	top := without(r.nearest(t, model, r.profile(t, "ann").Embedding, 5), 1, past...)[0]
	like, click := recent(schemas.Like, itemID(70), third.OccurredAt), recent(schemas.Click, itemID(71), fourth.OccurredAt)
	view, dislike := recent(schemas.View, itemID(70), third.OccurredAt), recent(schemas.Dislike, top, third.OccurredAt)
	held := recent(schemas.Click, itemID(14), r.profile(t, "ann").History[0].OccurredAt)
	between := recent(schemas.Like, itemID(70), r.clock.Add(-2500*time.Millisecond)) // between the two past clicks

	for name, c := range map[string]struct {
		recent []schemas.RecentEvent
		moves  []schemas.RecentEvent // beside what the profile holds
		seen   []string
	}{
		"none": {},
		"two, in order": {
			recent: []schemas.RecentEvent{like, click}, moves: []schemas.RecentEvent{like, click}, seen: []string{itemID(70), itemID(71)},
		},
		"two, newest first": {
			recent: []schemas.RecentEvent{click, like}, moves: []schemas.RecentEvent{like, click}, seen: []string{itemID(70), itemID(71)},
		},
		"the same twice": {
			recent: []schemas.RecentEvent{like, like}, moves: []schemas.RecentEvent{like}, seen: []string{itemID(70)},
		},
		"two kinds in one moment": {
			recent: []schemas.RecentEvent{like, view}, moves: []schemas.RecentEvent{like, view}, seen: []string{itemID(70)},
		},
		"one that the profile holds": {
			recent: []schemas.RecentEvent{held, like}, moves: []schemas.RecentEvent{like}, seen: []string{itemID(70)},
		},
		"older than the newest of the profile": {
			recent: []schemas.RecentEvent{between}, moves: []schemas.RecentEvent{between}, seen: []string{itemID(70)},
		},
		"a dislike moves the tower that knows it and is seen": {
			recent: []schemas.RecentEvent{dislike}, moves: []schemas.RecentEvent{dislike}, seen: []string{top},
		},
		"an impression is neither": {
			recent: []schemas.RecentEvent{recent(schemas.Impression, top, third.OccurredAt)},
		},
		"an item that nobody knows": {
			recent: []schemas.RecentEvent{recent(schemas.Click, "who", third.OccurredAt)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := request("ann", 20)
			q.Recent = c.recent
			reply := r.ask(t, q)
			requireOK(t, reply)
			want := r.nearest(t, model, r.taste(t, model, append(r.past(t, "ann"), c.moves...)...), 100)
			require.Equal(t, without(want, 20, append(c.seen, past...)...), ids(reply))

			q.UserID = "nobody" // without a profile the recent events are all there is
			q.IncludeSeen = true
			reply = r.ask(t, q)
			requireOK(t, reply)
			if len(c.moves) > 0 && name != "one that the profile holds" {
				var turnedDown []string
				if c.recent[0].Type == schemas.Dislike {
					turnedDown = c.seen
				}
				want := r.nearest(t, model, r.taste(t, model, c.moves...), 100)
				require.Equal(t, without(want, 20, turnedDown...), ids(reply))
			}
		})
	}
}

// TestATowerWithoutAStateReadsAllAgain: its embedding serves as it is; with events of the request it reads history and events anew.
func TestATowerWithoutAStateReadsAllAgain(t *testing.T) {
	encoder := towertest.Encoder(t, model, dim)
	r := tasteRig(t)
	r.userTowers[model] = encoder
	r.load(model)
	past := []string{itemID(3), itemID(14)}
	r.click(t, "ann", past...)
	for _, after := range [][]string{nil, {itemID(70)}} {
		q := request("ann", 20)
		for _, id := range after {
			q.Recent = append(q.Recent, recent(schemas.Like, id, r.event("ann", schemas.Like, id).OccurredAt))
		}
		reply := r.ask(t, q)
		requireOK(t, reply)
		want := r.nearest(t, model, r.taste(t, model, append(r.past(t, "ann"), q.Recent...)...), 100)
		require.Equal(t, without(want, 20, append(slices.Clone(past), after...)...), ids(reply))
	}
}

func TestRecentEventsOfAProfileWithoutEmbedding(t *testing.T) {
	r := tasteRig(t)
	r.load()
	r.click(t, "ann", itemID(3))
	r.load(model)
	q := request("ann", 10)
	q.Recent = []schemas.RecentEvent{recent(schemas.Click, itemID(4), r.clock.Add(time.Second))}
	reply := r.ask(t, q)
	requireOK(t, reply)
	want := r.nearest(t, model, r.taste(t, model, append(r.past(t, "ann"), q.Recent...)...), 20)
	require.Equal(t, without(want, 10, itemID(3), itemID(4)), ids(reply))
}

func TestSimilarItems(t *testing.T) {
	r := tasteRig(t)
	r.click(t, "ann", itemID(1))
	seed := itemID(42)
	q := request("ann", 10)
	q.SeedItemID = seed
	reply := r.ask(t, q)
	requireOK(t, reply)
	vectors, err := r.items.Vectors(t.Context(), model, []string{seed})
	require.NoError(t, err)
	require.Equal(t, without(r.nearest(t, model, vectors[0], 20), 10, seed, itemID(1)), ids(reply))
	require.Equal(t, []string{"similar"}, sources(reply))

	t.Run("a user that nobody knows", func(t *testing.T) {
		q := request("nobody", 10)
		q.SeedItemID = seed
		reply := r.ask(t, q)
		requireOK(t, reply)
		require.Equal(t, without(r.nearest(t, model, vectors[0], 20), 10, seed), ids(reply))
	})
	t.Run("an item that nobody knows", func(t *testing.T) {
		q.SeedItemID = "who"
		reply := r.ask(t, q)
		require.Equal(t, schemas.StatusDegraded, reply.Status)
		require.Contains(t, reply.Error, `seed_item_id: item "who" is not in the catalogue`)
		require.Equal(t, "recent", reply.Fallback)
		require.Len(t, reply.Items, 10)
	})
}

func TestUnknownUserGetsPopularThenRecent(t *testing.T) {
	r := tasteRig(t)
	r.favour(t, itemID(60), itemID(61), itemID(62))
	reply := r.ask(t, request("nobody", 6))
	requireOK(t, reply)
	require.Equal(t, []string{itemID(60), itemID(61), itemID(62), itemID(0), itemID(1), itemID(2)}, ids(reply))
	require.Equal(t, []string{"popular", "recent"}, sources(reply))
	require.Equal(t, "recent", reply.Fallback)

	reply = r.ask(t, request("nobody", 2))
	requireOK(t, reply)
	require.Equal(t, itemIDs(60, 62), ids(reply))
	require.Equal(t, "popular", reply.Fallback)

	t.Run("whose every item is unknown", func(t *testing.T) {
		r.click(t, "eve", "who", "what")
		reply := r.ask(t, request("eve", 3))
		requireOK(t, reply)
		require.Equal(t, itemIDs(60, 63), ids(reply))
	})
	t.Run("in an empty catalogue", func(t *testing.T) {
		reply := newRig(t).ask(t, request("nobody", 3))
		requireOK(t, reply)
		require.Empty(t, reply.Items)
		require.Empty(t, reply.Fallback)
	})
}
