package recommender_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/faults"
	"github.com/freshet/freshet/infra/embedded/milvus"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/redisdb"
)

const loading = "LOADING Redis is loading the dataset in memory"

// faultRig has a catalogue, two popular items, a user with a taste, and a service that has read its shelf once.
func faultRig(t *testing.T, settings ...setting) *rig {
	t.Helper()
	r := newRig(t, settings...)
	r.stock(t, 60, nil)
	r.favour(t, itemID(50), itemID(51))
	r.click(t, "ann", itemID(1))
	requireOK(t, r.ask(t, request("ann", 5)))
	return r
}

func soon(user string, left time.Duration) schemas.RecommendationRequest {
	q := request(user, 5)
	q.Deadline = time.Now().Add(left)
	return q
}

func TestDeadlineAlreadyPast(t *testing.T) {
	r := faultRig(t)
	r.Close() // the shelf's refresh would count as work
	calls := r.redis.Calls(faults.Any) + r.milvus.Calls(faults.Any)
	for _, left := range []time.Duration{-time.Hour, -time.Millisecond, 5 * time.Millisecond} {
		reply := r.ask(t, soon("ann", left))
		require.Equal(t, schemas.StatusDeadlineExceeded, reply.Status)
		require.Contains(t, reply.Error, "deadline: ")
		require.Empty(t, reply.Items)
	}
	require.Equal(t, calls, r.redis.Calls(faults.Any)+r.milvus.Calls(faults.Any))
	replies := r.askAll(t, soon("ann", -time.Second), request("ann", 5))
	require.Equal(t, schemas.StatusDeadlineExceeded, replies[0].Status)
	requireOK(t, replies[1])
}

// Whatever is away: one reply, before the deadline, that says what it had to do without and shows what is left.
func TestServersAway(t *testing.T) {
	for name, c := range map[string]struct {
		fail  func(*rig)
		error string
		// sources of the page; shelf tells that the page begins with what is popular.
		sources []string
		shelf   bool
		// seen tells that the page may hold what the user has seen.
		seen bool
	}{
		"Redis is gone": {
			fail:  func(r *rig) { r.redis.Stop() },
			error: "user profile: ", sources: []string{"popular", "recent"}, shelf: true, seen: true,
		},
		"Redis is loading": {
			fail:  func(r *rig) { r.redis.Fail(faults.Any, faults.Every, loading) },
			error: "user profile: ", sources: []string{"popular", "recent"}, shelf: true, seen: true,
		},
		"profiles cannot be read": {
			fail:  func(r *rig) { r.redis.Fail("HMGET", faults.Every, loading) },
			error: "user profile: ", sources: []string{"popular", "recent"}, shelf: true, seen: true,
		},
		"records cannot be read: those of the shelf's items are known": {
			fail:  func(r *rig) { r.redis.Sever("GET", faults.Every) },
			error: "user profile: ", sources: []string{"popular", "recent"}, shelf: true, seen: true,
		},
		"Redis hangs": {
			fail:  func(r *rig) { r.redis.Delay(faults.Any, faults.Every, time.Hour) },
			error: "", sources: []string{"popular", "recent"}, shelf: true, seen: true,
		},
		"Milvus is gone": {
			fail:  func(r *rig) { r.milvus.Stop() },
			error: "candidate index: ", sources: []string{"popular", "recent"}, shelf: true,
		},
		"Milvus hangs": {
			fail:  func(r *rig) { r.milvus.Delay(faults.Any, faults.Every, time.Hour) },
			error: "candidate index: ", sources: []string{"popular", "recent"}, shelf: true,
		},
		"the collection is not loaded": {
			fail: func(r *rig) {
				r.milvus.Fail("Search", faults.Every, &milvus.StatusError{Code: 101, Reason: "collection not loaded"})
			},
			error: "candidate index: ", sources: []string{"popular", "recent"}, shelf: true,
		},
		"only the alias cannot be resolved": {
			fail:    func(r *rig) { r.milvus.Delay("DescribeCollection", faults.Every, time.Hour) },
			sources: []string{"retrieval"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := faultRig(t, func(o *options) { o.StageTimeout = 250 * time.Millisecond })
			c.fail(r)
			replies := r.askAll(t, soon("ann", 10*time.Second), soon("nobody", 10*time.Second))
			for _, reply := range replies {
				if c.sources[0] == "retrieval" {
					requireOK(t, reply)
					continue
				}
				require.Len(t, reply.Items, 5, reply.Error)
				if reply.UserID == "ann" || c.seen {
					require.Equal(t, schemas.StatusDegraded, reply.Status)
					require.Contains(t, reply.Error, c.error)
				}
				require.Equal(t, c.sources, sources(reply))
				require.Equal(t, itemIDs(50, 52), ids(reply)[:2])
				require.Equal(t, "recent", reply.Fallback)
			}
			if !c.seen {
				require.NotContains(t, ids(replies[0]), itemID(1), "the profile is there, so what it saw is known")
			}
		})
	}
}

// Slower than the deadline: the watchdog answers from the shelf while the batch still hangs.
func TestServersSlowerThanTheDeadline(t *testing.T) {
	for name, slow := range map[string]func(*rig){
		"Redis":  func(r *rig) { r.redis.Delay(faults.Any, faults.Every, time.Hour) },
		"Milvus": func(r *rig) { r.milvus.Delay(faults.Any, faults.Every, time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := faultRig(t, func(o *options) { o.StageTimeout = 600 * time.Millisecond })
			slow(r)
			q := soon("ann", 300*time.Millisecond)
			q.Recent = []schemas.RecentEvent{recent(schemas.Click, itemID(50), r.clock)}
			q.SeenThrough = &schemas.Position{Offset: 0}
			q.Explain = true
			patient := soon("bob", 3*time.Second)
			replies := r.askAll(t, q, patient)
			require.Equal(t, schemas.StatusDegraded, replies[0].Status)
			require.Contains(t, replies[0].Error, "deadline: Redis or Milvus did not answer in time")
			require.Equal(t, []string{itemID(51), itemID(0), itemID(1), itemID(2), itemID(3)}, ids(replies[0]))
			require.Equal(t, "recent", replies[0].Fallback)
			require.False(t, *replies[0].Freshness.SeenThroughSatisfied)
			requireTrueWaterfall(t, replies[0])
			require.Len(t, replies[1].Items, 5)
		})
	}
}

// Nothing has ever been read: there is no shelf to fall back on.
func TestServersAwayFromTheStart(t *testing.T) {
	t.Run("Redis away", func(t *testing.T) {
		r := newRig(t)
		r.redis.Stop()
		reply := r.ask(t, soon("ann", 2*time.Second))
		require.Equal(t, schemas.StatusUnavailable, reply.Status)
		require.Contains(t, reply.Error, "user profile: ")
	})
	t.Run("Redis hangs", func(t *testing.T) {
		r := newRig(t)
		r.redis.Delay(faults.Any, faults.Every, time.Hour)
		reply := r.ask(t, soon("ann", 200*time.Millisecond))
		require.Equal(t, schemas.StatusDeadlineExceeded, reply.Status)
		require.Empty(t, reply.Items)
	})
	t.Run("no model is live", func(t *testing.T) {
		r := newRigWithoutLive(t)
		item := item(1)
		r.record(t, model, item)
		reply := r.ask(t, request("ann", 5))
		require.Equal(t, schemas.StatusDegraded, reply.Status)
		require.Contains(t, reply.Error, "candidate index: ")
		require.Equal(t, []string{itemID(1)}, ids(reply))
		require.Equal(t, schemas.Freshness{}, reply.Freshness)

		r.switchLive(t, model)
		requireOK(t, r.ask(t, request("ann", 5)))
	})
	t.Run("Milvus away, then there", func(t *testing.T) {
		r := newRig(t)
		r.stock(t, 20, nil)
		r.click(t, "ann", itemID(1))
		r.milvus.Stop()
		reply := r.ask(t, request("ann", 5))
		require.Equal(t, schemas.StatusDegraded, reply.Status)
		require.Contains(t, reply.Error, "candidate index: ")
		require.NoError(t, r.milvus.Restart(t.Context()))
		requireOKSoon(t, r)
	})
}

// The model that was live is switched off: no embedding is compared with another collection's vectors.
func TestAliasDropped(t *testing.T) {
	r := faultRig(t)
	r.milvus.Fail("DescribeCollection", faults.Every, &milvus.StatusError{Code: 100, Reason: "collection not found"})
	require.Eventually(t, func() bool {
		reply := r.ask(t, request("ann", 5))
		return reply.Status == schemas.StatusDegraded && reply.Freshness.ModelVersion == ""
	}, patience, time.Millisecond)
	r.milvus.ClearFaults()
	requireOKSoon(t, r)
}

func requireOKSoon(t *testing.T, r *rig) {
	t.Helper()
	require.Eventually(t, func() bool { return r.ask(t, request("ann", 5)).Status == schemas.StatusOK }, patience, time.Millisecond)
}

// Corrupt values harm none but their own user or item.
func TestUnreadableValues(t *testing.T) {
	r := faultRig(t)
	r.click(t, "bad", itemID(2))
	keys, ctx := r.redis.Client, t.Context()
	require.NoError(t, keys.HSet(ctx, redisdb.Key(r.redis.Prefix, "bad", "profile"), "h", "\xff\xff\xff").Err())
	first := ids(r.ask(t, request("ann", 5)))[0]
	require.NoError(t, keys.Set(ctx, redisdb.Key(r.redis.Prefix, first, "item"), "\xff\xff", 0).Err())
	replies := r.askAll(t, request("bad", 5), request("ann", 5))
	require.Equal(t, schemas.StatusDegraded, replies[0].Status)
	require.Contains(t, replies[0].Error, "user profile: ")
	require.Len(t, replies[0].Items, 5)
	requireOK(t, replies[1])
	require.NotContains(t, ids(replies[1]), first)

	t.Run("an item's vector", func(t *testing.T) {
		vectors := redisdb.Key(r.redis.Prefix, "i040", "vectors")
		require.NotEmpty(t, keys.HGet(ctx, vectors, "v:"+model).Val())
		require.NoError(t, keys.HSet(ctx, vectors, "v:"+model, "\xff\xff").Err())
		seeded := func(user, seed string) schemas.RecommendationRequest {
			q := request(user, 5)
			q.SeedItemID = seed
			return q
		}
		carrying := request("ann", 5)
		carrying.Recent = []schemas.RecentEvent{recent(schemas.Click, itemID(40), r.clock.Add(time.Second))}
		replies := r.askAll(t, seeded("bad", itemID(40)), seeded("bob", itemID(41)), carrying)
		require.Equal(t, schemas.StatusDegraded, replies[0].Status)
		require.Contains(t, replies[0].Error, "item vectors: ")
		requireOK(t, replies[1])
		require.Equal(t, schemas.StatusDegraded, replies[2].Status)
		require.Equal(t, []string{"retrieval"}, sources(replies[2]), "the embedding without the recent event")
	})
}

// Profiles can be read, item records cannot any more: the shelf's copies serve, and the reply says so.
func TestRecordsAway(t *testing.T) {
	r := faultRig(t, func(o *options) { o.ShelfRefresh, o.ShelfSize = time.Hour, 30 })
	r.redis.Fail("MGET", faults.Every, loading)
	reply := r.ask(t, soon("ann", 10*time.Second))
	require.Equal(t, schemas.StatusDegraded, reply.Status)
	require.Equal(t, 1, strings.Count(reply.Error, "item records: "), reply.Error)
	require.Len(t, reply.Items, 5)
	require.Contains(t, sources(reply), "retrieval", "neighbours that are on the shelf")
	require.NotContains(t, ids(reply), itemID(1), "the profile is there, so what it saw is known")
	for _, id := range ids(reply) {
		require.True(t, id < itemID(30) || id == itemID(50) || id == itemID(51), "%s is not on the shelf", id)
	}
	r.redis.ClearFaults()
	requireOKSoon(t, r)
}
