package profiles

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/redisdb"
)

// TestABackfillThatIsPublishedAgainCountsOnce is the case event-id-counts-again: 200 events, and the same at new offsets.
func TestABackfillThatIsPublishedAgainCountsOnce(t *testing.T) {
	for name, partition := range map[string]int32{"on the same partition": 0, "on another": 1} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			var events, again []Event
			for i := range int64(200) {
				kind := schemas.Click
				if i%4 == 3 {
					kind = schemas.Impression
				}
				e := at(i, i, kind, fmt.Sprint("i", i))
				events = append(events, e)
				e.Offset, e.Partition = i+1000, partition
				again = append(again, e)
			}
			for batch := range slices.Chunk(events, 30) {
				require.Equal(t, len(batch), r.apply(t, batch...).Applied)
			}
			before := r.load(t, user, "")
			for batch := range slices.Chunk(again, 30) {
				report := r.apply(t, batch...)
				require.Equal(t, []int{0, len(batch)}, []int{report.Applied, report.Duplicates})
				require.Empty(t, report.NewlyApplied, "popularity counts what is new")
			}
			p := r.load(t, user, "")
			require.Equal(t, before.Counters, p.Counters)
			require.Equal(t, uint64(150), p.Counters.Of(schemas.Click))
			require.Equal(t, 150, p.SeenCount())
			require.Equal(t, before.History, p.History)
		})
	}
}

// pastStream is events of one user, many of which come again, or long after younger ones.
func pastStream(seed uint64, n int) []Event {
	rng := random(seed)
	var events []Event
	for i := range int64(n) {
		e := at(i, i, schemas.Click, fmt.Sprint("i", rng.IntN(40)))
		switch rng.IntN(8) {
		case 0:
			e.OccurredAt = e.OccurredAt.Add(-time.Duration(rng.IntN(n)) * time.Second)
		case 1, 2:
			if i > 0 {
				e.Interaction = events[rng.IntN(len(events))].Interaction
			}
		case 3:
			e.Type = schemas.Impression
		case 4:
			e.OccurredAt = e.OccurredAt.Truncate(time.Minute) // many of one moment
		case 5:
			if rng.IntN(40) == 0 {
				e.EventID = ""
			}
		}
		if rng.IntN(600) == 0 {
			e.Erase = true
		}
		events = append(events, e)
	}
	return events
}

// TestThePastIsAPlainFold cuts one stream into batches at random, for stores that remember and such that read; the ring of ids is
// gone through several times.
func TestThePastIsAPlainFold(t *testing.T) {
	untold := 0
	for seed := range uint64(6) {
		r := newRig(t, func(c *Config) { c.HistoryLength, c.EventIDs = scheduleHistory, oracleEventIDs })
		cfg := r.cfg
		cfg.RememberedUsers = 0
		stores := []*Store{r.Store, New(r.client, r.items, r.models, cfg)}
		o, rng := newOracle(scheduleHistory), random(seed)
		for events := pastStream(seed, 1200); len(events) > 0; {
			n := min(1+rng.IntN(60), len(events))
			batch := events[:n]
			events = events[n:]
			before := o.untold
			for _, e := range batch {
				o.apply(r, e)
				if e.Erase {
					before -= o.untold
				}
			}
			report, err := stores[rng.IntN(2)].Apply(t.Context(), batch)
			require.NoError(t, err)
			require.Empty(t, report.Failed)
			untold += report.Untold
			o.check(t, r, user)
		}
	}
	require.Positive(t, untold, "the ring was never forgotten")
}

// A profile of the release before has no past: what left its history may have been counted, and is not counted again.
func TestAProfileWithoutAPast(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HistoryLength = 4 })
	for i := range int64(10) {
		r.apply(t, at(i, i, schemas.Click, fmt.Sprint("i", i)))
	}
	require.NoError(t, r.client.HDel(t.Context(), r.profileKey(user), fieldPast).Err())
	old := New(r.client, r.items, r.models, r.cfg) // remembers nothing
	e := at(20, 2, schemas.Click, "i2")
	e.EventID = "e2"
	report, err := old.Apply(t.Context(), []Event{e, at(21, 30, schemas.Click, "new")})
	require.NoError(t, err)
	require.Equal(t, Report{Applied: 1, Untold: 1, NewlyApplied: []int{1}, Read: 1}, report)
	require.Equal(t, uint64(11), r.load(t, user, "").Counters.Of(schemas.Click))
}

// TestAFloodCostsItsDistinctItems has one id do more than a hundred thousand things with few items.
func TestAFloodCostsItsDistinctItems(t *testing.T) {
	const distinct, batches, batchSize = 1500, 120, 1000
	r := newRig(t, func(c *Config) { c.EventIDs = 1024 })
	var offset int64
	apply := func() {
		batch := make([]Event, batchSize)
		for i := range batch {
			batch[i] = at(offset, offset, schemas.Click, fmt.Sprint("i", offset*7%distinct))
			offset++
		}
		r.apply(t, batch...)
	}
	for range batches {
		apply()
	}
	p := r.load(t, user, "")
	require.Equal(t, distinct, p.SeenCount())
	require.Equal(t, uint64(batches*batchSize), p.Counters.Of(schemas.Click))
	for i := range distinct {
		require.True(t, p.HasSeen(fmt.Sprint("i", i)))
	}
	require.LessOrEqual(t, len(p.seen), seenBytes*(distinct*3/2+batchSize))
	bytes := 0
	for _, value := range r.client.HGetAll(t.Context(), r.profileKey(user)).Val() {
		bytes += len(value)
	}
	require.Less(t, bytes, 64*60+seenBytes*1024+2000, "history, ids, and a little")
	require.Positive(t, r.client.TTL(t.Context(), r.seenKey(user)).Val())
}

func TestSeenItemsAreBounded(t *testing.T) {
	r := newRig(t, func(c *Config) { c.SeenItems = 2000 })
	var offset int64
	for range 5 {
		batch := make([]Event, 1000)
		for i := range batch {
			batch[i] = at(offset, offset, schemas.Click, fmt.Sprint("i", offset))
			offset++
		}
		r.apply(t, batch...)
	}
	p := r.load(t, user, "")
	require.LessOrEqual(t, p.SeenCount(), 2000*3/2+1000)
	for i := offset - 2000; i < offset; i++ {
		require.True(t, p.HasSeen(fmt.Sprint("i", i)), "the newest are known")
	}
	require.False(t, p.HasSeen("i0"), "the oldest is forgotten")
}

func TestDistinctSeen(t *testing.T) {
	pack := func(ids ...uint32) string { return string(packIDs(nil, ids)) }
	for name, c := range map[string]struct {
		seen, want string
		most       int
	}{
		"none":                           {pack(), pack(), 5},
		"the last of each stays":         {pack(1, 2, 1, 3, 2), pack(1, 3, 2), 5},
		"of too many, the last":          {pack(1, 2, 1, 3, 2), pack(3, 2), 2},
		"0 is a fingerprint":             {pack(0, 7, 0), pack(7, 0), 5},
		"fingerprints that meet in slot": {pack(8, 16, 24, 16), pack(8, 24, 16), 5},
	} {
		require.Equal(t, c.want, string(distinctSeen(c.seen, c.most)), name)
	}
}

// TestASeenSetThatAnotherWriterChangesIsLeftAlone: between the read and the swap another process writes.
func TestASeenSetThatAnotherWriterChangesIsLeftAlone(t *testing.T) {
	r := newRig(t)
	r.apply(t, at(1, 1, schemas.Click, "a"))
	revision := r.client.HGet(t.Context(), r.profileKey(user), fieldRevision).Val()
	for _, c := range []struct {
		revision string
		want     int
	}{{"another", 0}, {revision, 1}} {
		done, err := compactScript.Run(t.Context(), r.client, []redisdb.Call{{
			Keys: []string{r.profileKey(user), r.seenKey(user)}, Args: []any{c.revision, "1234", fieldPast, "\x01"},
		}})[0].Int()
		require.NoError(t, err)
		require.Equal(t, c.want, done)
		if c.want == 0 {
			require.NotEqual(t, "1234", r.client.Get(t.Context(), r.seenKey(user)).Val())
		}
	}
	require.Equal(t, "1234", r.client.Get(t.Context(), r.seenKey(user)).Val())
}
