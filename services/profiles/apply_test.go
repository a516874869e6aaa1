package profiles

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

const user = "ann"

// at makes an event at an offset that occurred so many seconds after the epoch of the tests.
func at(offset, second int64, kind schemas.InteractionType, item string) Event {
	e := Event{Offset: offset, EndOffset: math.MaxInt64, Time: time.Unix(1_700_000_000+second, 0).UTC()}
	e.UserID, e.ItemID, e.Type, e.EventID, e.OccurredAt = user, item, kind, fmt.Sprint("e", offset), e.Time
	return e
}

func (r *rig) apply(t testing.TB, events ...Event) Report {
	t.Helper()
	report, err := r.Apply(t.Context(), events)
	require.NoError(t, err)
	require.Empty(t, report.Failed)
	return report
}

// embeddingOf is what a live model makes of events, oldest first, each with a vector.
func (r *rig) embeddingOf(model string, events ...Event) []float32 {
	i := slices.IndexFunc(r.live, func(t *towers.UserTower) bool { return t.Version() == model })
	tower := r.live[i]
	acts := make([]towers.Act, len(events))
	for i, e := range events {
		acts[i] = towers.Act{Item: r.vectors[model][e.ItemID], Kind: e.Type, At: e.OccurredAt.UnixMilli()}
	}
	embedding := make([]float32, tower.Dim())
	tower.Follow(new(towers.State), embedding, acts)
	return embedding
}

// packedTime is how a state has the time of the event that moved it last.
func packedTime(t time.Time) string {
	return string(binary.LittleEndian.AppendUint64(nil, uint64(t.UnixMilli())))
}

func TestFirstEvents(t *testing.T) {
	r := newRig(t)
	r.setVector(t, "m1", "i1", 1)
	r.setVector(t, "m1", "i2", 2)
	require.Nil(t, r.load(t, user, "m1"), "an unknown user")
	first, second := at(4, 0, schemas.Click, "i1"), at(7, 1, schemas.Purchase, "i2")
	report := r.apply(t, first, second)
	require.Equal(t, Report{Applied: 2, NewlyApplied: []int{0, 1}, Read: 1}, report)

	p := r.load(t, user, "m1")
	require.Equal(t, r.embeddingOf("m1", first, second), p.Embedding)
	require.Len(t, p.State.Values(), r.live[0].StateSize())
	require.Equal(t, packedTime(second.OccurredAt), string(p.State.Append(nil)[:8]))
	require.Equal(t, []string{"i2", "i1"}, []string{p.History[0].ItemID, p.History[1].ItemID})
	require.Equal(t, map[int32]int64{0: 7}, p.Watermarks)
	require.Equal(t, &schemas.Position{Offset: 7}, p.LastApplied())
	require.Equal(t, time.Unix(1_700_000_001, 0).UTC(), p.UpdatedAt)
	require.Equal(t, uint64(1), p.Counters.Of(schemas.Click))
	require.True(t, p.HasSeen("i1") && p.HasSeen("i2"))
	require.False(t, p.HasSeen("i3"))
	require.Equal(t, 2, p.SeenCount())
	require.Nil(t, r.load(t, user, "m2").Embedding)
}

// The decisions, one each: the events, then what the history (oldest first), the seen-set and the embeddings are made of: those
// of a tower that reads items alone, and, where it differs, those of one that reads everything.
func TestDecisions(t *testing.T) {
	erase := Event{Interaction: schemas.Interaction{UserID: user}, Erase: true, Offset: 2}
	duplicate := at(2, 2, schemas.Click, "b")
	duplicate.EventID = "e1"
	anonymous := func(offset int64, item string) Event {
		e := at(offset, offset, schemas.Click, item)
		e.EventID = ""
		return e
	}
	for name, c := range map[string]struct {
		events               []Event
		report               Report
		history, seen, tower []string
		everything           []string
	}{
		"an impression only counts": {
			[]Event{at(1, 1, schemas.Impression, "a")},
			Report{Applied: 1}, nil, nil, nil, nil},
		"a dislike and a hide are remembered and move the tower that knows them": {
			[]Event{at(1, 1, schemas.Click, "a"), at(2, 2, schemas.Dislike, "b"), at(3, 3, schemas.Hide, "c")},
			Report{Applied: 3}, []string{"a", "b", "c"}, []string{"a", "b", "c"}, []string{"a"}, []string{"a", "b", "c"}},
		"a late dislike takes its place": {
			[]Event{at(1, 1, schemas.Click, "a"), at(2, 9, schemas.Click, "b"), at(3, 5, schemas.Dislike, "c")},
			Report{Applied: 3, Late: 1}, []string{"a", "c", "b"}, []string{"a", "b", "c"}, []string{"a", "b"}, []string{"a", "c", "b"}},
		"no gap counts from an event of an item that is not known yet": {
			[]Event{at(1, 0, schemas.Click, "a"), at(2, 5000, schemas.Click, "unknown"), at(3, 5001, schemas.Click, "b")},
			Report{Applied: 3}, []string{"a", "unknown", "b"}, []string{"a", "unknown", "b"}, []string{"a", "b"}, nil},
		"an event of an item that is not known yet is remembered": {
			[]Event{at(1, 1, schemas.Click, "unknown"), at(2, 2, schemas.Click, "a")},
			Report{Applied: 2}, []string{"unknown", "a"}, []string{"unknown", "a"}, []string{"a"}, nil},
		"a late event takes its place": {
			[]Event{at(1, 1, schemas.Click, "a"), at(2, 9, schemas.Click, "b"), at(3, 5, schemas.Click, "c")},
			Report{Applied: 3, Late: 1}, []string{"a", "c", "b"}, []string{"a", "b", "c"}, []string{"a", "c", "b"}, nil},
		"events of one millisecond stay in the order of the topic": {
			[]Event{at(1, 1, schemas.Click, "a"), at(2, 1, schemas.Click, "b")},
			Report{Applied: 2}, []string{"a", "b"}, []string{"a", "b"}, []string{"a", "b"}, nil},
		"a duplicate is dropped": {
			[]Event{at(1, 1, schemas.Click, "a"), duplicate, at(3, 3, schemas.Click, "c")},
			Report{Applied: 2, Duplicates: 1}, []string{"a", "c"}, []string{"a", "c"}, []string{"a", "c"}, nil},
		"events without an id are no duplicates": {
			[]Event{anonymous(1, "a"), anonymous(2, "b")},
			Report{Applied: 2}, []string{"a", "b"}, []string{"a", "b"}, []string{"a", "b"}, nil},
		"a replay is skipped": {
			[]Event{at(5, 1, schemas.Click, "a"), at(5, 1, schemas.Click, "a"), at(4, 2, schemas.Click, "b")},
			Report{Applied: 1, Replayed: 2}, []string{"a"}, []string{"a"}, []string{"a"}, nil},
		"an item that comes again is seen once": {
			[]Event{at(1, 1, schemas.Click, "a"), at(2, 2, schemas.Like, "a")},
			Report{Applied: 2}, []string{"a", "a"}, []string{"a"}, []string{"a", "a"}, nil},
		"an erasure forgets what was before": {
			[]Event{at(1, 1, schemas.Click, "a"), erase, at(3, 3, schemas.Click, "b")},
			Report{Applied: 2, Erased: 1}, []string{"b"}, []string{"b"}, []string{"b"}, nil},
		"an older event than a full history holds only counts": {
			[]Event{at(1, 1, schemas.Click, "a"), at(2, 2, schemas.Click, "b"), at(3, 3, schemas.Click, "c"), at(4, 4, schemas.Click, "d"),
				at(5, 0, schemas.Click, "e")},
			Report{Applied: 5, Late: 1}, []string{"a", "b", "c", "d"}, []string{"a", "b", "c", "d", "e"}, []string{"a", "b", "c", "d"}, nil},
	} {
		for _, cut := range []string{"one batch", "one by one"} {
			t.Run(name+"/"+cut, func(t *testing.T) {
				r := newRig(t, func(c *Config) { c.HistoryLength = 4 })
				r.live = append(r.live, testTower("m2", 2))
				for i, item := range []string{"a", "b", "c", "d", "e"} {
					r.setVector(t, "m1", item, uint64(i))
					r.setVector(t, "m2", item, uint64(i+7))
				}
				var report Report
				if cut == "one batch" {
					report = r.apply(t, c.events...)
				} else {
					for _, e := range c.events {
						one := r.apply(t, e)
						report.Applied += one.Applied
						report.Late += one.Late
						report.Duplicates += one.Duplicates
						report.Replayed += one.Replayed
						report.Erased += one.Erased
					}
				}
				report.NewlyApplied, report.Read, report.Recalled = nil, 0, 0
				require.Equal(t, c.report, report)
				p := r.load(t, user, "m1")
				var got []string
				for _, entry := range slices.Backward(p.History) {
					got = append(got, entry.ItemID)
				}
				require.Equal(t, c.history, got)
				require.Equal(t, len(c.seen), p.SeenCount())
				for _, item := range c.seen {
					require.True(t, p.HasSeen(item), item)
				}
				everything := c.everything
				if everything == nil {
					everything = c.tower
				}
				for model, made := range map[string][]string{"m1": everything, "m2": c.tower} {
					p := r.load(t, user, model)
					if made == nil {
						require.Nil(t, p.Embedding)
						continue
					}
					require.Equal(t, r.embeddingOf(model, eventsOf(c.events, made)...), p.Embedding, model)
				}
			})
		}
	}
}

// eventsOf picks, for each item of a list, an event with it, for an item that comes again the next one.
func eventsOf(events []Event, list []string) (picked []Event) {
	times := map[string]int{}
	for _, item := range list {
		skip := times[item]
		times[item]++
		for _, e := range events {
			if e.ItemID == item && skip == 0 {
				picked = append(picked, e)
				break
			} else if e.ItemID == item {
				skip--
			}
		}
	}
	return picked
}

// The user's event for an item that was deleted moves the tower like any other: the vector stays until DeletedRetention.
func TestEventOfADeletedItem(t *testing.T) {
	r := newRig(t)
	r.setVector(t, "m1", "a", 1)
	gone := items.Change{Tombstone: true, Model: "m1"}
	gone.Record.ItemID = "a"
	outcomes, err := r.items.Write(t.Context(), []items.Change{gone})
	require.NoError(t, err)
	require.NoError(t, outcomes[0].Err)
	click := at(1, 1, schemas.Click, "a")
	r.apply(t, click)
	require.Equal(t, r.embeddingOf("m1", click), r.load(t, user, "m1").Embedding)
}

// An item whose vector comes after its event counts when the history is next encoded.
func TestItemThatBecomesKnownCountsAtTheNextEncoding(t *testing.T) {
	r := newRig(t)
	r.setVector(t, "m1", "a", 1)
	a, toCome := at(1, 1, schemas.Click, "a"), at(2, 20, schemas.Click, "late to come")
	b, again := at(3, 21, schemas.Click, "b"), at(4, 0, schemas.Click, "a")
	r.apply(t, a, toCome)
	r.setVector(t, "m1", "late to come", 2)
	r.setVector(t, "m1", "b", 3)
	r.apply(t, b)
	require.Equal(t, r.embeddingOf("m1", a, b), r.load(t, user, "m1").Embedding)
	r.apply(t, again)
	require.Equal(t, r.embeddingOf("m1", again, a, toCome, b), r.load(t, user, "m1").Embedding)
}

// Model m1 was live, then m2 alone, then m1 again: its state has missed an event and must not be moved on.
func TestReturningModelIsEncodedAnew(t *testing.T) {
	r := newRig(t)
	m1, m2 := testTower("m1", 1), testTower("m2", 2)
	for i, item := range []string{"a", "b", "c"} {
		r.setVector(t, "m1", item, uint64(i))
		r.setVector(t, "m2", item, uint64(i+9))
	}
	a, b, c := at(1, 1, schemas.Click, "a"), at(2, 20, schemas.Dislike, "b"), at(3, 3000, schemas.Click, "c")
	r.live = []*towers.UserTower{m1}
	r.apply(t, a)
	r.live = []*towers.UserTower{m2}
	r.apply(t, b)
	require.Nil(t, r.load(t, user, "m1").Embedding, "m1's embedding is not current")
	require.Nil(t, r.load(t, user, "m1").State)
	r.live = []*towers.UserTower{m1, m2}
	r.apply(t, c)
	require.Equal(t, r.embeddingOf("m1", a, b, c), r.load(t, user, "m1").Embedding)
	require.Equal(t, r.embeddingOf("m2", a, c), r.load(t, user, "m2").Embedding)
}

func TestErasedUserKeepsNothingButRevisionWatermarksAndTime(t *testing.T) {
	r := newRig(t)
	r.setVector(t, "m1", "a", 1)
	r.apply(t, at(1, 1, schemas.Click, "a"))
	left := r.client.PTTL(t.Context(), r.profileKey(user)).Val()
	require.InDelta(t, r.cfg.InactiveTTL.Hours(), left.Hours(), 1)
	_, erased, err := r.ErasedAt(t.Context(), user)
	require.NoError(t, err)
	require.False(t, erased)
	when := time.UnixMilli(1_700_000_000_123).UTC()
	erase := Event{Interaction: schemas.Interaction{UserID: user}, Erase: true, Offset: 2, Time: when}
	require.Equal(t, Report{Erased: 1, Recalled: 1}, r.apply(t, erase))
	require.Equal(t, Report{Replayed: 2, Read: 1}, r.apply(t, at(1, 1, schemas.Click, "a"), erase), "a zombie cannot bring the user back")

	require.ElementsMatch(t, []string{fieldRevision, fieldWatermarks, fieldErasedAt}, r.client.HKeys(t.Context(), r.profileKey(user)).Val())
	require.Zero(t, r.client.Exists(t.Context(), r.seenKey(user)).Val())
	left = r.client.PTTL(t.Context(), r.profileKey(user)).Val()
	require.InDelta(t, r.cfg.ErasedRetention.Hours(), left.Hours(), 1)
	p := r.load(t, user, "m1")
	require.Empty(t, p.History)
	require.Equal(t, int64(2), p.Watermarks[0])
	require.True(t, p.UpdatedAt.IsZero())
	require.False(t, p.HasSeen("a"))
	at2, erased, err := r.ErasedAt(t.Context(), user)
	require.NoError(t, err)
	require.True(t, erased)
	require.Equal(t, when, at2)

	r.apply(t, at(3, 3, schemas.Click, "b"))
	at2, erased, err = r.ErasedAt(t.Context(), user)
	require.NoError(t, err)
	require.True(t, erased, "the user came back: the erasure stays known")
	require.Equal(t, when, at2)
	require.Len(t, r.load(t, user, "m1").History, 1)
}

func TestRecreatedTopicIsRefused(t *testing.T) {
	r := newRig(t)
	r.apply(t, at(100, 1, schemas.Click, "a"))
	e := at(3, 2, schemas.Click, "b")
	e.EndOffset = 100
	other := at(2, 2, schemas.Click, "b")
	other.UserID = "bob"
	_, err := r.Apply(t.Context(), []Event{other, e})
	require.True(t, IsTopicRecreated(err))
	require.ErrorContains(t, err, "partition 0 ends at offset 100")
	require.Nil(t, r.load(t, "bob", ""), "nothing was written")
	e.EndOffset = 101
	require.Equal(t, Report{Replayed: 1, Read: 1}, r.apply(t, e))
	e.EndOffset = 0
	require.Equal(t, Report{Replayed: 1, Read: 1}, r.apply(t, e), "unknown end")
}

// TestALogThatMovedOn: events in hand, fetched when the log of each partition ended at 10, meet profiles that others have moved.
func TestALogThatMovedOn(t *testing.T) {
	for name, c := range map[string]struct {
		ends      map[int32]int64 // as of now; none: the brokers do not answer
		recreated int32           // -1 for none
		asked     int
	}{
		"both partitions moved on":                  {ends: map[int32]int64{0: 51, 1: 500}, recreated: -1, asked: 2},
		"one was made anew":                         {ends: map[int32]int64{0: 51, 1: 12}, recreated: 1, asked: 2},
		"one was made anew and is just as long":     {ends: map[int32]int64{0: 50, 1: 51}, recreated: 0, asked: 1},
		"one lost its end since the fetch":          {ends: map[int32]int64{0: 3, 1: 51}, recreated: 0, asked: 1},
		"made anew, it has outgrown all watermarks": {ends: map[int32]int64{0: 1000, 1: 1000}, recreated: -1, asked: 2},
		"the brokers do not answer":                 {recreated: -1, asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			others := New(r.client, r.items, r.models, r.cfg) // another process
			on := func(partition int32, offset int64, who string) Event {
				e := at(offset, offset, schemas.Click, "a")
				e.EventID, e.UserID, e.Partition, e.EndOffset = fmt.Sprint(partition, offset), who, partition, 10
				return e
			}
			ahead := []Event{on(0, 50, user), on(1, 50, "bob")}
			for i := range ahead {
				ahead[i].EndOffset = 51
			}
			_, err := others.Apply(t.Context(), ahead)
			require.NoError(t, err)
			asked := 0
			end := func(_ context.Context, partition int32) (int64, error) {
				asked++
				if c.ends == nil {
					return 0, errors.New("away")
				}
				return c.ends[partition], nil
			}
			hand := []Event{on(0, 8, user), on(0, 9, "cid"), on(1, 8, "bob"), on(1, 9, "bob")}
			report, err := r.ApplyFrom(t.Context(), end, hand)
			require.Equal(t, c.asked, asked, "a partition is asked for once")
			switch {
			case c.ends == nil:
				require.ErrorContains(t, err, "away")
				require.NotContains(t, err.Error(), "key_prefix", "no advice that throws profiles away before it is known what is true")
				require.False(t, IsTopicRecreated(err))
			case c.recreated >= 0:
				recreated, is := errors.AsType[*TopicRecreatedError](err)
				require.True(t, is, "%v", err)
				require.Equal(t, c.recreated, recreated.Partition)
				require.Nil(t, r.load(t, "cid", ""), "nothing was written")
			default:
				require.NoError(t, err)
				require.Equal(t, Report{Applied: 1, Replayed: 3, Read: 3, NewlyApplied: []int{1}}, report)
				require.Len(t, r.load(t, user, "").History, 1)
				require.Len(t, r.load(t, "cid", "").History, 1)
			}
		})
	}
}

func TestUnreadableProfileFailsItsUserAlone(t *testing.T) {
	r := newRig(t, func(c *Config) { c.RememberedUsers = 0 })
	r.apply(t, at(1, 1, schemas.Click, "a"))
	require.NoError(t, r.client.HSet(t.Context(), r.profileKey(user), fieldHistory, "garbage").Err())
	bob := at(2, 2, schemas.Click, "a")
	bob.UserID = "bob"
	report, err := r.Apply(t.Context(), []Event{at(2, 2, schemas.Click, "b"), bob, at(3, 3, schemas.Click, "c")})
	require.NoError(t, err)
	require.Equal(t, []int{1}, report.NewlyApplied)
	require.Len(t, report.Failed, 2)
	for _, i := range []int{0, 2} {
		require.True(t, redisdb.IsCorrupt(report.Failed[i]))
		require.ErrorContains(t, report.Failed[i], unnamedKey(r.cfg.KeyPrefix))
		require.ErrorContains(t, report.Failed[i], "delete the user's keys")
	}
	require.Equal(t, "garbage", r.client.HGet(t.Context(), r.profileKey(user), fieldHistory).Val(), "nothing is overwritten")
	loaded, err := r.Load(t.Context(), []string{"bob", user}, "m1")
	require.NoError(t, err)
	require.NoError(t, loaded[0].Err)
	require.True(t, redisdb.IsCorrupt(loaded[1].Err))
	require.Empty(t, loaded[1].History)

	require.NoError(t, r.client.HSet(t.Context(), r.profileKey(user), fieldHistory, "\x02newer").Err())
	report, err = r.Apply(t.Context(), []Event{at(2, 2, schemas.Click, "b")})
	require.NoError(t, err)
	require.False(t, redisdb.IsCorrupt(report.Failed[0]), "what a newer release wrote must wait, not be given up")
	require.ErrorContains(t, report.Failed[0], "has format 2")
}

func TestUnfitVectorFailsTheUsersThatNeedIt(t *testing.T) {
	r := newRig(t)
	r.setVector(t, "m1", "a", 1)
	short := items.Change{Model: "m1", Vector: []float32{1}}
	short.Record.ItemID, short.Record.Op, short.Record.Version = "short", schemas.UpsertItem, 1
	_, err := r.items.Write(t.Context(), []items.Change{short})
	require.NoError(t, err)
	bob := at(2, 2, schemas.Click, "a")
	bob.UserID = "bob"
	report, err := r.Apply(t.Context(), []Event{at(1, 1, schemas.Click, "short"), bob})
	require.NoError(t, err)
	require.Equal(t, []int{1}, report.NewlyApplied)
	require.ErrorContains(t, report.Failed[0], "it has 1 numbers where model m1 has 8")
	require.True(t, redisdb.IsCorrupt(report.Failed[0]))
}

func TestRedisAway(t *testing.T) {
	r := newRig(t)
	hook := &steps{until: -1}
	watched := r.server.Connect(t, func(o *redis.UniversalOptions) { o.MaxRetries = -1 })
	watched.AddHook(hook)
	s := New(watched, items.New(watched, items.DefaultConfig()), r.models, r.cfg)
	for step := range 2 {
		hook.until, hook.act = step, crashAfter(0)
		report, err := s.Apply(t.Context(), []Event{at(1, 1, schemas.Click, "a")})
		require.NoError(t, err)
		require.ErrorIs(t, report.Failed[0], errCrash)
	}
	hook.until = 0
	_, err := s.Load(t.Context(), []string{user}, "m1")
	require.ErrorIs(t, err, errCrash)
	require.ErrorContains(t, err, `reading the user's profile`)
}

// The client sends a pipeline again when a connection breaks after the write: the second write finds its own revision.
func TestWriteThatTheClientRepeatsIsNoConflict(t *testing.T) {
	r := newRig(t)
	r.apply(t, at(1, 1, schemas.Click, "a")) // the server knows the script
	hook := &steps{until: 1, act: func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
		_ = next(ctx, cmds)
		return next(ctx, cmds)
	}}
	r.client.AddHook(hook)
	require.Equal(t, Report{Applied: 1, NewlyApplied: []int{0}, Recalled: 1}, r.apply(t, at(2, 2, schemas.Click, "b")))
	require.Equal(t, 2, r.load(t, user, "").SeenCount())
}

func TestRoundTrips(t *testing.T) {
	r := newRig(t)
	for i := range 10 {
		r.setVector(t, "m1", fmt.Sprint(i), uint64(i))
	}
	var batch []Event
	for i := range int64(100) {
		e := at(i, i, schemas.Click, fmt.Sprint(i%10))
		e.UserID = fmt.Sprint("u", i%37)
		batch = append(batch, e)
	}
	for u := range 37 { // so that the server, each node of a cluster, knows the script
		known := at(0, 0, schemas.Click, "0")
		known.UserID = fmt.Sprint("known", u)
		r.apply(t, known)
	}
	hook := &steps{until: -1}
	pipelines := 0
	hook.after = func() { pipelines++ }
	r.client.AddHook(hook)
	r.apply(t, batch...)
	require.Equal(t, 2, pipelines, "read, write")
	for i := range batch {
		batch[i].Offset += 100
	}
	pipelines = 0
	r.apply(t, batch...)
	require.Equal(t, 2, pipelines, "the items' vectors, write")
	late := at(300, 0, schemas.Click, "3")
	late.UserID = "u1"
	pipelines = 0
	r.apply(t, late)
	require.Equal(t, 3, pipelines, "the item's vector, history vectors, write")
	pipelines = 0
	_, err := r.Load(t.Context(), []string{"u1", "u2", "u3"}, "m1")
	require.NoError(t, err)
	require.Equal(t, 1, pipelines)
}

// Several writers race over the same partition from its start; afterwards each user is the fold over the topic.
func TestRacingWriters(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HistoryLength = scheduleHistory })
	for i := range 8 {
		r.setVector(t, "m1", fmt.Sprint("i", i), uint64(i))
	}
	rng := random(5)
	var topic []Event
	oracles := map[string]*oracle{}
	for i := range int64(300) {
		e := at(i, i-rng.Int64N(4), schemas.InteractionType(1+rng.IntN(10)), fmt.Sprint("i", rng.IntN(10)))
		e.UserID = fmt.Sprint("u", rng.IntN(4))
		topic = append(topic, e)
		if oracles[e.UserID] == nil {
			oracles[e.UserID] = newOracle(scheduleHistory)
		}
		oracles[e.UserID].apply(r, e)
	}
	var writers sync.WaitGroup
	newly := make([]int, 4)
	for w := range newly {
		writers.Go(func() {
			for from := 0; from < len(topic); {
				to := min(from+1+(from*7+w*3)%20, len(topic))
				report, err := r.Apply(t.Context(), topic[from:to])
				if err != nil || len(report.Failed) > 0 {
					t.Errorf("writer %d: %v %v", w, err, report.Failed)
					return
				}
				newly[w] += report.Applied
				from = to
			}
		})
	}
	writers.Wait()
	total := 0
	for _, n := range newly {
		total += n
	}
	require.Equal(t, len(topic), total, "each event counted for one writer")
	for u, o := range oracles {
		o.check(t, r, u)
	}
}

func TestConfigValidate(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	for want, change := range map[string]func(*Config){
		"key_prefix":             func(c *Config) { c.KeyPrefix = "a{b" },
		"history_length is 0":    func(c *Config) { c.HistoryLength = 0 },
		"history_length is 5000": func(c *Config) { c.HistoryLength = 5000 },
		"event_ids is 63":        func(c *Config) { c.EventIDs = 63 },
		"event_ids is 65537":     func(c *Config) { c.EventIDs = 1<<16 + 1 },
		"seen_items is 0":        func(c *Config) { c.SeenItems = 0 },
		"inactive_ttl is 1ms":    func(c *Config) { c.InactiveTTL = time.Millisecond },
		"remembered_users is -1": func(c *Config) { c.RememberedUsers = -1 },
		"erased_retention is 0s": func(c *Config) { c.ErasedRetention = 0 },
	} {
		cfg := DefaultConfig()
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), want)
	}
}

// TestTimeToLiveBeginsAnewInSteps: most events of a user leave it alone, and no key ever has none.
func TestTimeToLiveBeginsAnewInSteps(t *testing.T) {
	r := newRig(t)
	step := r.cfg.InactiveTTL / ttlSteps
	start := time.UnixMilli(1000 * step.Milliseconds()).UTC()
	left := func() time.Duration { return r.client.PTTL(t.Context(), r.profileKey(user)).Val() }
	offset := int64(0)
	apply := func(kind schemas.InteractionType, after time.Duration) {
		offset++
		e := at(offset, offset, kind, "a")
		e.Time = start.Add(after)
		require.Equal(t, 1, r.apply(t, e).Applied)
	}
	apply(schemas.Impression, 0)
	require.Greater(t, left(), r.cfg.InactiveTTL-time.Minute, "the first event")
	forget := func() { r.client.PExpire(t.Context(), r.profileKey(user), time.Hour) }

	forget()
	apply(schemas.Impression, step/2)
	require.LessOrEqual(t, left(), time.Hour, "less than a step later")
	apply(schemas.Click, step/2)
	require.Greater(t, left(), r.cfg.InactiveTTL-time.Minute, "the first seen item makes a key")
	require.Greater(t, r.client.PTTL(t.Context(), r.seenKey(user)).Val(), r.cfg.InactiveTTL-time.Minute)

	forget()
	apply(schemas.Click, step+time.Second)
	require.Greater(t, left(), r.cfg.InactiveTTL-time.Minute, "a step later")
}

// TestATowerWithoutAStateEncodesTheHistory: each event's embedding is that of the history with it, wherever batches are cut.
func TestATowerWithoutAStateEncodesTheHistory(t *testing.T) {
	r := newRig(t, func(c *Config) { c.HistoryLength = 3 })
	r.live = []*towers.UserTower{towertest.Encoder(t, "m1", testDim)}
	var events []Event
	for i := range 6 {
		item := string(rune('a' + i))
		r.setVector(t, "m1", item, uint64(i))
		events = append(events, at(int64(i), int64(i), schemas.Click, item))
	}
	mean := func(items ...string) []float32 {
		sum := make([]float32, testDim)
		for _, item := range items {
			for j, v := range r.vectors["m1"][item] {
				sum[j] += v / float32(len(items))
			}
		}
		return sum
	}
	for _, step := range []struct {
		events []Event
		want   []float32
	}{
		{events[:1], mean("a")}, {events[1:2], mean("a", "b")}, {events[2:5], mean("c", "d", "e")}, {events[5:], mean("d", "e", "f")},
	} {
		r.apply(t, step.events...)
		p := r.load(t, user, "m1")
		require.Empty(t, p.State.Values())
		require.InDeltaSlice(t, step.want, p.Embedding, 1e-5)
	}
}
