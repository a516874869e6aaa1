package items

import (
	"context"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/faults"
	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/redisdb"
)

func write(t testing.TB, s *Store, changes ...Change) []Outcome {
	t.Helper()
	outcomes, err := s.Write(t.Context(), changes)
	require.NoError(t, err)
	for _, o := range outcomes {
		require.NoError(t, o.Err)
	}
	return outcomes
}

func markIndexed(t testing.TB, s *Store, marks ...Mark) []string {
	t.Helper()
	moved, err := s.MarkIndexed(t.Context(), "m1", marks)
	require.NoError(t, err)
	return moved
}

func load(t testing.TB, s *Store, id string) *Item {
	t.Helper()
	loaded, err := s.Load(t.Context(), []string{id})
	require.NoError(t, err)
	return loaded[0]
}

func vector(t testing.TB, s *Store, model, id string) []float32 {
	t.Helper()
	vectors, err := s.Vectors(t.Context(), model, []string{id})
	require.NoError(t, err)
	return vectors[0]
}

func TestWriteAndLoadWholeRecords(t *testing.T) {
	s := newStore(t)
	price := 9.99
	full := schemas.ItemChange{
		ItemID: "i", Op: schemas.UpsertItem, Version: 3, OccurredAt: time.UnixMilli(5).UTC(), Title: "ü", Description: "d",
		Categories: []string{"a", "b"}, Tags: []string{"t"}, Brand: "b", Price: &price, Currency: "EUR", Available: true,
		Regions: []string{"CH"}, PublishedAt: time.UnixMilli(7).UTC(), MinAge: 16, Attributes: map[string]string{"k": "v"},
	}
	bare := schemas.ItemChange{
		ItemID: "bare", Op: schemas.UpsertItem, Version: math.MinInt64 + 1, OccurredAt: time.UnixMilli(0).UTC(),
	}
	write(t, s, Change{Record: full}, Change{Record: bare})
	loaded, err := s.Load(t.Context(), []string{"bare", "unknown", "i", "i"})
	require.NoError(t, err)
	require.Equal(t, bare, loaded[0].ItemChange)
	require.Nil(t, loaded[1])
	require.Equal(t, full, loaded[2].ItemChange)
	require.Equal(t, full, loaded[3].ItemChange)
	require.Nil(t, vector(t, s, "m1", "i"))
}

func TestHostileIDs(t *testing.T) {
	s := newStore(t)
	ids := []string{"", "{", "}", "a}b{c", "{}", "%", "%7B", "ü世界", "a\nb", string(make([]byte, 256))}
	for i, id := range ids {
		o := write(t, s, upsert(id, int64(i+1), float32(i), 1))
		require.Equal(t, Applied, o[0].Status)
		require.Empty(t, markIndexed(t, s, o[0].Mark))
	}
	for i, id := range ids {
		require.Equal(t, int64(i+1), load(t, s, id).Version)
		require.Equal(t, []float32{float32(i), 1}, vector(t, s, "m1", id))
	}
}

// The decisions about order, one line each: what is written, then the status and whether the index has to hear of it.
func TestOrderOfChanges(t *testing.T) {
	type step struct {
		change Change
		want   Status
		index  bool
		mark   bool
	}
	huge := int64(math.MaxInt64)
	for name, steps := range map[string][]step{
		"an older change is stale": {
			{upsert("i", 2, 1), Applied, true, true},
			{upsert("i", 1, 2), Stale, false, false},
		},
		"a replay asks for the index until marked": {
			{upsert("i", 2, 1), Applied, true, false},
			{upsert("i", 2, 1), Replayed, true, true},
			{upsert("i", 2, 1), Replayed, false, false},
		},
		"versions beyond a double's precision": {
			{upsert("i", huge-1, 1), Applied, true, false},
			{upsert("i", huge, 1), Applied, true, false},
			{upsert("i", huge-1, 1), Stale, false, false},
		},
		"negative versions are the oldest": {
			{upsert("i", -5, 1), Applied, true, false},
			{upsert("i", 0, 1), Applied, true, false},
			{upsert("i", -1, 1), Stale, false, false},
		},
		"a deletion by an older version is stale": {
			{upsert("i", 2, 1), Applied, true, false},
			{deletion("i", 1), Stale, false, false},
		},
		"a deletion wins at equal version": {
			{upsert("i", 2, 1), Applied, true, true},
			{deletion("i", 2), Applied, true, true},
			{upsert("i", 2, 1), Stale, false, false},
		},
		"a deletion replayed": {
			{deletion("i", 2), Applied, true, true},
			{deletion("i", 2), Replayed, false, false},
		},
		"a newer upsert revives": {
			{deletion("i", 2), Applied, true, true},
			{upsert("i", 3, 1), Applied, true, true},
		},
		"a tombstone deletes whatever the version": {
			{upsert("i", 9, 1), Applied, true, true},
			{tombstone("i"), Applied, true, true},
			{tombstone("i"), Replayed, false, false},
		},
		"after a tombstone old changes stay refused": {
			{upsert("i", 9, 1), Applied, true, true},
			{tombstone("i"), Applied, true, true},
			{upsert("i", 9, 1), Stale, false, false},
			{upsert("i", 10, 1), Applied, true, true},
		},
		"a tombstone of an unknown item": {
			{tombstone("i"), Applied, true, true},
			{upsert("i", 0, 1), Applied, true, true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore(t)
			for i, st := range steps {
				o := write(t, s, st.change)[0]
				require.Equal(t, st.want, o.Status, "step %d", i)
				require.Equal(t, st.index, o.NeedsIndex, "step %d", i)
				if st.mark {
					require.Empty(t, markIndexed(t, s, o.Mark), "step %d", i)
				}
			}
		})
	}
}

func TestDeletedItemKeepsItsVectorForHistoriesUntilRetentionEnds(t *testing.T) {
	s := newStore(t)
	write(t, s, upsert("i", 1, 1, 2))
	o := write(t, s, tombstone("i"))[0]
	require.Equal(t, Mark{ItemID: "i", Version: 1, Deleted: true, FilterDigest: 0}, o.Mark)
	require.Empty(t, markIndexed(t, s, o.Mark))
	gone := schemas.ItemChange{ItemID: "i", Op: schemas.DeleteItem, Version: 1}
	require.Equal(t, &Item{ItemChange: gone, Deleted: true}, load(t, s, "i"))
	require.Equal(t, []float32{1, 2}, vector(t, s, "m1", "i"))
	for _, key := range []string{s.recordKey("i"), s.vectorsKey("i")} {
		left, err := s.rdb.PTTL(t.Context(), key).Result()
		require.NoError(t, err)
		require.InDelta(t, s.cfg.DeletedRetention.Hours(), left.Hours(), 1)
	}
	write(t, s, upsert("i", 2, 3, 4))
	for _, key := range []string{s.recordKey("i"), s.vectorsKey("i")} {
		left, err := s.rdb.PTTL(t.Context(), key).Result()
		require.NoError(t, err)
		require.Negative(t, left, "a revived item does not expire")
	}
}

func TestNearlyEqualVectorIsNotIndexedAgain(t *testing.T) {
	s := newStore(t)
	first := write(t, s, upsert("i", 1, 1, 0))[0]
	o := write(t, s, upsert("i", 2, 1, 0.0005))[0]
	require.True(t, o.NeedsIndex, "the first vector was never indexed")
	require.Equal(t, []string{"i"}, markIndexed(t, s, first.Mark), "the record has moved on")
	require.Empty(t, markIndexed(t, s, o.Mark))

	for v := int64(3); v < 6; v++ {
		o = write(t, s, upsert("i", v, 1, 0.0005+0.0003*float32(v-2)))[0]
		require.Equal(t, Applied, o.Status)
		require.Equal(t, v > 5, o.NeedsIndex, "version %d", v)
		require.Equal(t, []float32{1, 0.0005}, vector(t, s, "m1", "i"), "the indexed vector stays")
	}
	o = write(t, s, upsert("i", 6, 1, 0.0017))[0]
	require.True(t, o.NeedsIndex, "small steps have added up")
	require.Equal(t, []float32{1, 0.0017}, vector(t, s, "m1", "i"))
	require.Empty(t, markIndexed(t, s, o.Mark))

	changed := upsert("i", 7, 1, 0.0017)
	changed.FilterDigest = 8
	require.True(t, write(t, s, changed)[0].NeedsIndex, "another column of the index has changed")
}

func TestEachModelHasItsOwnVectorAndMark(t *testing.T) {
	s := newStore(t)
	require.Empty(t, markIndexed(t, s, write(t, s, upsert("i", 1, 1))[0].Mark))
	second := upsert("i", 1, 5, 6)
	second.Model = "m2"
	o := write(t, s, second)[0]
	require.Equal(t, Replayed, o.Status)
	require.True(t, o.NeedsIndex)
	require.Equal(t, []float32{1}, vector(t, s, "m1", "i"))
	require.Equal(t, []float32{5, 6}, vector(t, s, "m2", "i"))

	write(t, s, upsert("i", 2, 2))
	second.Record.Version, second.Vector = 2, []float32{7, 8}
	require.True(t, write(t, s, second)[0].NeedsIndex, "the vector of the other model was of the old record")
	require.Equal(t, []float32{7, 8}, vector(t, s, "m2", "i"))

	bare := Change{Record: record("i", 3)}
	require.False(t, write(t, s, bare)[0].NeedsIndex, "no model, no index")
}

// oracle is the same decisions over a map, written apart.
type oracle map[string]struct {
	version int64
	deleted bool
}

func (o oracle) write(c *Change) {
	have, known := o[c.Record.ItemID]
	switch {
	case c.Tombstone:
		if !known {
			have.version = noVersion
		}
		have.deleted = true
	case !known || c.Record.Version > have.version ||
		c.Record.Version == have.version && c.Record.Op == schemas.DeleteItem:
		have.version, have.deleted = c.Record.Version, c.Record.Op == schemas.DeleteItem
	}
	o[c.Record.ItemID] = have
}

func TestRandomBatchesEqualChangesOneByOne(t *testing.T) {
	for seed := range uint64(60) {
		rng := random(seed)
		s, want := newStore(t), oracle{}
		for range 12 {
			batch := make([]Change, 1+rng.IntN(12))
			for i := range batch {
				id, version := fmt.Sprint(rng.IntN(3)), rng.Int64N(6)
				batch[i] = [](func() Change){
					func() Change { return upsert(id, version, 1) }, func() Change { return upsert(id, version, 1) },
					func() Change { return deletion(id, version) }, func() Change { return tombstone(id) },
				}[rng.IntN(4)]()
				want.write(&batch[i])
			}
			for i, o := range write(t, s, batch...) {
				if o.NeedsIndex {
					require.NotEqual(t, Superseded, o.Status)
					require.Equal(t, want[batch[i].Record.ItemID].version, o.Mark.Version)
					require.Equal(t, want[batch[i].Record.ItemID].deleted, o.Mark.Deleted)
				}
			}
			for id, w := range want {
				got := load(t, s, id)
				require.NotNil(t, got, "seed %d item %s", seed, id)
				require.Equal(t, w.version, got.Version, "seed %d item %s", seed, id)
				require.Equal(t, w.deleted, got.Deleted, "seed %d item %s", seed, id)
			}
		}
	}
}

func TestWinners(t *testing.T) {
	changes := []Change{
		upsert("a", 1), upsert("b", 5), upsert("a", 3), upsert("a", 2), deletion("c", 1),
		upsert("b", 5), upsert("d", 1), tombstone("d"),
	}
	require.Equal(t, []int{2, 1}, Winners(changes))
	statuses := []Status{}
	for _, o := range write(t, newStore(t), changes...) {
		statuses = append(statuses, o.Status)
	}
	require.Equal(t, []Status{Superseded, Applied, Applied, Superseded, Applied, Superseded, Superseded, Applied}, statuses)
}

func TestZombieIsToldThatTheRecordMovedOn(t *testing.T) {
	s := newStore(t)
	zombie := write(t, s, upsert("i", 1, 1))[0]
	owner := write(t, s, upsert("i", 2, 2))[0]
	require.Empty(t, markIndexed(t, s, owner.Mark))
	require.Equal(t, []string{"i"}, markIndexed(t, s, zombie.Mark))
	require.Equal(t, []string{"never"}, markIndexed(t, s, Mark{ItemID: "never", Version: 1}))
}

func TestUnreadableRecords(t *testing.T) {
	s := newStore(t)
	garbage := map[string]string{"short": "\x01abc", "garbage": "\x00" + string(make([]byte, 40)), "empty": ""}
	for name, value := range garbage {
		require.NoError(t, s.rdb.Set(t.Context(), s.recordKey(name), value, 0).Err())
		it := load(t, s, name)
		require.True(t, it.Deleted)
		require.True(t, redisdb.IsCorrupt(it.Err), name)
		outcomes, err := s.Write(t.Context(), []Change{upsert(name, 1, 1)})
		require.NoError(t, err)
		require.Equal(t, Unwritten, outcomes[0].Status)
		require.ErrorContains(t, outcomes[0].Err, "delete the key and publish the item again")
		require.True(t, redisdb.IsCorrupt(outcomes[0].Err))
	}
	require.NoError(t, s.rdb.Set(t.Context(), s.recordKey("newer"), "\x02"+string(make([]byte, 40)), 0).Err())
	outcomes, err := s.Write(t.Context(), []Change{upsert("newer", 1, 1)})
	require.NoError(t, err)
	require.ErrorContains(t, outcomes[0].Err, "has format 2")
	require.False(t, redisdb.IsCorrupt(outcomes[0].Err))

	require.NoError(t, s.rdb.HSet(t.Context(), s.vectorsKey("i"), vectorField("m1"), "\x01abc").Err())
	_, err = s.Vectors(t.Context(), "m1", []string{"i"})
	require.True(t, redisdb.IsCorrupt(err))
	write(t, s, upsert("i", 1, 1, 2))
	require.Equal(t, []float32{1, 2}, vector(t, s, "m1", "i"), "a new vector takes the place of a broken one")
}

func TestRedisAway(t *testing.T) {
	server := servertest.StartRedis(t)
	server.Fail(faults.Any, faults.Every, "LOADING Redis is loading the dataset in memory")
	rdb := redis.NewClient(&redis.Options{Addr: server.Addresses[0], MaxRetries: -1})
	defer func() { require.NoError(t, rdb.Close()) }()
	s := New(rdb, DefaultConfig())
	outcomes, err := s.Write(t.Context(), []Change{upsert("i", 1, 1), tombstone("j")})
	require.NoError(t, err, "each item has its own error")
	for _, o := range outcomes {
		require.Equal(t, Unwritten, o.Status)
		require.ErrorContains(t, o.Err, "LOADING")
	}
	ctx := context.Background()
	_, err = s.Load(ctx, []string{"i"})
	require.ErrorContains(t, err, `reading the record of item "i"`)
	_, err = s.Vectors(ctx, "m1", []string{"i"})
	require.ErrorContains(t, err, `reading the vector of item "i"`)
	_, err = s.MarkIndexed(ctx, "m1", []Mark{{ItemID: "i"}})
	require.ErrorContains(t, err, `marking item "i"`)
	require.ErrorContains(t, s.AddPopularity(ctx, map[string]float64{"i": 1}, time.Now()), "adding to popularity")
	_, err = s.Popular(ctx, 1)
	require.ErrorContains(t, err, "shelf of popular items")
	_, err = s.Recent(ctx, 1)
	require.ErrorContains(t, err, "shelf of recent items")
}
