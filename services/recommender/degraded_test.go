package recommender_test

import (
	"context"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/faults"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/recommender"
	"github.com/freshet/freshet/services/redisdb"
)

// subjects are how the text of a reply names each code.
var subjects = map[schemas.Degradation]string{
	schemas.DegradedCandidateIndex: "candidate index", schemas.DegradedDeadline: "deadline", schemas.DegradedItemRecords: "item records",
	schemas.DegradedItemVectors: "item vectors", schemas.DegradedQuery: "query", schemas.DegradedSeedItem: "seed_item_id",
	schemas.DegradedSeenThrough: "seen_through", schemas.DegradedUserProfile: "user profile", schemas.DegradedUserTower: "user tower",
}

// requireCodes holds what is true of every reply: a status that admits a lack has codes, each once and known, and its text tells of each.
func requireCodes(t testing.TB, reply schemas.RecommendationReply) {
	t.Helper()
	lacks := reply.Status == schemas.StatusDegraded || reply.Status == schemas.StatusUnavailable
	require.Equal(t, lacks, len(reply.Degraded) > 0, "%s: %v", reply.Status, reply.Degraded)
	for i, code := range reply.Degraded {
		require.NotContains(t, reply.Degraded[:i], code)
		require.Contains(t, reply.Error, subjects[code]+": ")
	}
	require.Subset(t, schemas.Degradations(), reply.Degraded)
	if lacks {
		require.True(t, strings.HasPrefix(reply.Error, subjects[reply.Degraded[0]]+": "), reply.Error)
	}
}

// Each code comes of what its name says, and of nothing else; there is none that nothing brings about.
func TestDegradations(t *testing.T) {
	cases := map[schemas.Degradation]struct {
		spoil  func(*testing.T, *rig)
		change func(*rig, *schemas.RecommendationRequest)
		says   string
		also   []schemas.Degradation
	}{
		schemas.DegradedCandidateIndex: {
			spoil: func(_ *testing.T, r *rig) { r.milvus.Stop() },
			says:  "candidate index: ",
		},
		schemas.DegradedDeadline: {
			spoil:  func(_ *testing.T, r *rig) { r.redis.Delay(faults.Any, faults.Every, time.Hour) },
			change: func(_ *rig, q *schemas.RecommendationRequest) { q.Deadline = time.Now().Add(200 * time.Millisecond) },
			says:   "deadline: Redis or Milvus did not answer in time; popular items are shown",
			also:   []schemas.Degradation{schemas.DegradedItemRecords}, // the watchdog has the shelf's copies alone
		},
		schemas.DegradedItemRecords: {
			spoil: func(_ *testing.T, r *rig) { r.redis.Fail("MGET", faults.Every, loading) },
			says:  "item records: ",
		},
		schemas.DegradedItemVectors: {
			spoil: func(t *testing.T, r *rig) {
				vectors := redisdb.Key(r.redis.Prefix, itemID(40), "vectors")
				require.NoError(t, r.redis.Client.HSet(t.Context(), vectors, "v:"+model, "\xff\xff").Err())
			},
			change: func(_ *rig, q *schemas.RecommendationRequest) { q.SeedItemID = itemID(40) },
			says:   "item vectors: ",
		},
		schemas.DegradedQuery: {
			change: func(_ *rig, q *schemas.RecommendationRequest) { q.Query = "zzzzzz" },
			says:   `query: model m1 knows no part of "zzzzzz": search for words that items have`,
		},
		schemas.DegradedSeedItem: {
			change: func(_ *rig, q *schemas.RecommendationRequest) { q.SeedItemID = "who" },
			says:   `seed_item_id: item "who" is not in the catalogue of model m1: send an item that is`,
		},
		schemas.DegradedSeenThrough: {
			change: func(_ *rig, q *schemas.RecommendationRequest) {
				q.SeenThrough = &schemas.Position{Offset: 77}
			},
			says: "seen_through: partition 0 had not reached offset 77 in time",
		},
		schemas.DegradedUserProfile: {
			spoil: func(_ *testing.T, r *rig) { r.redis.Fail("HMGET", faults.Every, loading) },
			says:  "user profile: ",
		},
		schemas.DegradedUserTower: {
			spoil: func(_ *testing.T, r *rig) { r.load() },
			change: func(r *rig, q *schemas.RecommendationRequest) {
				q.Recent = []schemas.RecentEvent{recent(schemas.Like, itemID(9), r.clock.Add(time.Second))}
			},
			says: "user tower: version m1 is live but not loaded here: load its bundle",
		},
	}
	require.ElementsMatch(t, schemas.Degradations(), slices.Collect(maps.Keys(cases)))
	for code, c := range cases {
		t.Run(string(code), func(t *testing.T) {
			t.Parallel()
			r := faultRig(t, func(o *options) {
				o.ShelfRefresh, o.ShelfSize = time.Hour, 30
				o.WorkReserve = 9 * time.Second // of ten, so that what waits for a position has time for its page on a slow machine too
			})
			if c.spoil != nil {
				c.spoil(t, r)
			}
			q := soon("ann", 10*time.Second)
			if c.change != nil {
				c.change(r, &q)
			}
			reply := r.ask(t, q)
			require.Equal(t, schemas.StatusDegraded, reply.Status, reply.Error)
			require.Equal(t, append([]schemas.Degradation{code}, c.also...), reply.Degraded, reply.Error)
			require.True(t, strings.HasPrefix(reply.Error, c.says), reply.Error)
		})
	}
}

// Two details of one code are two parts of the text and one code.
func TestACodeIsToldOnce(t *testing.T) {
	r := faultRig(t, func(o *options) { o.ShelfRefresh, o.ShelfSize = time.Hour, 30 })
	r.Lost = func(context.Context) (recommender.Losses, error) {
		return recommender.Losses{Profiles: "profiles are away", Items: "records are away"}, nil
	}
	r.redis.Fail("MGET", faults.Every, loading)
	reply := r.ask(t, soon("ann", 10*time.Second))
	require.Equal(t, []schemas.Degradation{schemas.DegradedUserProfile, schemas.DegradedItemRecords}, reply.Degraded)
	require.True(t, strings.HasPrefix(reply.Error, "user profile: profiles are away; item records: records are away; item records: "), reply.Error)
}
