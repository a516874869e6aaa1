package interactions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const topic = "freshet.interactions"

// rig is a Handler on a Redis, and the log of one partition that its batches come from.
type rig struct {
	*Handler
	t      testing.TB
	redis  *servertest.Redis
	rdb    redis.UniversalClient
	serde  *schemas.Serde[schemas.Interaction]
	tower  *towers.UserTower
	offset int64
	end    func() (int64, error)
	logged bytes.Buffer
}

func newRig(t testing.TB, change ...func(*profiles.Config)) *rig {
	t.Helper()
	server := servertest.StartRedis(t)
	cfg := redisdb.DefaultConfig()
	cfg.Addresses = server.Addresses
	rdb, err := redisdb.Connect(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	serde, err := schemas.NewSerde[schemas.Interaction](t.Context(), schemas.EmbeddedRegistry(), topic)
	require.NoError(t, err)

	r := &rig{t: t, redis: server, rdb: rdb, serde: serde}
	_, r.tower = towertest.Towers(towertest.Shape{Dim: 8}, nil)
	itemsConfig, profilesConfig := items.DefaultConfig(), profiles.DefaultConfig()
	itemsConfig.KeyPrefix, profilesConfig.KeyPrefix = server.Prefix, server.Prefix
	for _, c := range change {
		c(&profilesConfig)
	}
	catalogue := items.New(rdb, itemsConfig)
	live := func() []*towers.UserTower { return []*towers.UserTower{r.tower} }
	store := profiles.New(rdb, catalogue, live, profilesConfig)
	r.end = func() (int64, error) { return r.offset, nil }
	end := func(context.Context, int32) (int64, error) { return r.end() }
	keys := schemas.NewKeys(schemas.KeyConfig{Format: schemas.KeyRaw}, "topics.interactions", schemas.DefaultLimits(), nil)
	r.Handler = New(serde, keys, schemas.DefaultLimits(), store, catalogue, end, slog.New(slog.NewTextHandler(&r.logged, nil)))
	t.Cleanup(r.Close)
	return r
}

func alwaysReading(c *profiles.Config) { c.RememberedUsers = 0 }

func event(id, user, item string, kind schemas.InteractionType) schemas.Interaction {
	return schemas.Interaction{EventID: id, UserID: user, ItemID: item, Type: kind, OccurredAt: time.Now().Add(-time.Minute)}
}

// record is the next of the partition.
func (r *rig) record(key string, value []byte) stream.Record {
	at := r.offset
	r.offset++
	return stream.Record{Topic: topic, Partition: 3, Offset: at, Key: []byte(key), Value: value, Time: time.Now(), Arrived: time.Now()}
}

func (r *rig) eventRecord(e schemas.Interaction) stream.Record {
	return r.record(e.UserID, r.serde.Append(nil, &e))
}

func (r *rig) tombstone(user string) stream.Record { return r.record(user, nil) }

// handle gives records to the Handler as a fetch would: with the log's end as of now.
func (r *rig) handle(records ...stream.Record) error {
	for i := range records {
		records[i].EndOffset = r.offset
	}
	return r.Handle(r.t.Context(), records)
}

func (r *rig) load(user string) *profiles.Profile {
	r.t.Helper()
	loaded, err := r.profiles.Load(r.t.Context(), []string{user}, r.tower.Version())
	require.NoError(r.t, err)
	return loaded[0]
}

// failures returns the errors by the records' places.
func failures(t testing.TB, err error) map[int]error {
	t.Helper()
	var failed stream.Failures
	require.ErrorAs(t, err, &failed)
	byIndex := map[int]error{}
	for _, f := range failed {
		byIndex[f.Index] = f.Err
	}
	return byIndex
}

func TestWhatMakesNoSenseIsAPermanentFailureOfItsRecordAlone(t *testing.T) {
	good := event("e", "ann", "i", schemas.Click)
	framed := func(change func(*schemas.Interaction)) func(*rig) []byte {
		return func(r *rig) []byte {
			e := good
			change(&e)
			return r.serde.Append(nil, &e)
		}
	}
	bytesOf := func(b string) func(*rig) []byte { return func(*rig) []byte { return []byte(b) } }
	for name, c := range map[string]struct {
		value func(*rig) []byte
		says  string
	}{
		"empty value":    {bytesOf(""), ""},
		"text":           {bytesOf(`{"event_id":"e"}`), ""},
		"unknown schema": {bytesOf("\x00\x7f\xff\xff\xffrest"), ""},
		"header alone":   {func(r *rig) []byte { return r.serde.Append(nil, &good)[:5] }, ""},
		"truncated":      {func(r *rig) []byte { b := r.serde.Append(nil, &good); return b[:len(b)-1] }, ""},
		"trailing bytes": {func(r *rig) []byte { return append(r.serde.Append(nil, &good), 0) }, ""},
		"other schema":   {otherSchema, ""},
		"no event id":    {framed(func(e *schemas.Interaction) { e.EventID = "" }), "event_id"},
		"no user":        {framed(func(e *schemas.Interaction) { e.UserID = "" }), "user_id"},
		"long item id":   {framed(func(e *schemas.Interaction) { e.ItemID = strings.Repeat("x", 257) }), "item_id"},
		"unknown type":   {framed(func(e *schemas.Interaction) { e.Type = schemas.UnknownInteraction }), "type"},
		"far future":     {framed(func(e *schemas.Interaction) { e.OccurredAt = time.Now().Add(time.Hour) }), "occurred_at"},
		"no time":        {framed(func(e *schemas.Interaction) { e.OccurredAt = time.Time{} }), "occurred_at"},
		"seconds": {framed(func(e *schemas.Interaction) { e.OccurredAt = time.UnixMilli(time.Now().Unix()) }),
			"looks like seconds: multiply by 1,000"},
		"time 0":           {framed(func(e *schemas.Interaction) { e.OccurredAt = time.UnixMilli(0) }), "invalid occurred_at 0 (1970"},
		"user is no UTF-8": {framed(func(e *schemas.Interaction) { e.UserID = "\xff" }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			before, after := event("1", "ann", "a", schemas.Click), event("2", "ann", "b", schemas.Click)
			failed := failures(t, r.handle(r.eventRecord(before), r.record("ann", c.value(r)), r.eventRecord(after)))
			require.Len(t, failed, 1)
			require.True(t, stream.IsPermanent(failed[1]), "%v", failed[1])
			require.ErrorContains(t, failed[1], c.says)
			require.Len(t, r.load("ann").History, 2, "its neighbours are applied")
		})
	}
}

func otherSchema(*rig) []byte {
	serde, err := schemas.NewSerde[schemas.ItemChange](context.Background(), schemas.EmbeddedRegistry(), "freshet.items")
	if err != nil {
		panic(err)
	}
	return serde.Append(nil, &schemas.ItemChange{ItemID: "i", Op: schemas.UpsertItem, Version: 1, OccurredAt: time.Now()})
}

func TestTombstoneWithoutAUserIsRefused(t *testing.T) {
	r := newRig(t)
	for _, key := range []string{"", strings.Repeat("k", 1<<20)} {
		failed := failures(t, r.handle(r.tombstone(key), r.eventRecord(event("1", "ann", "i", schemas.Like))))
		require.Len(t, failed, 1)
		require.True(t, stream.IsPermanent(failed[0]))
		require.ErrorContains(t, failed[0], "reading a tombstone: invalid key")
	}
	r.Close()
	require.Len(t, r.redis.Keys(t), 6, "ann's profile and seen items, that she waits for the item, the shelf and its clock: "+
		"nothing under a hostile key")
}

func TestTombstoneErases(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.handle(
		r.eventRecord(event("1", "ann", "a", schemas.Click)), r.eventRecord(event("2", "bob", "b", schemas.Click))))
	old := r.eventRecord(event("3", "ann", "c", schemas.Click))
	require.NoError(t, r.handle(old, r.tombstone("ann")))
	ann := r.load("ann")
	require.Empty(t, ann.History)
	require.Zero(t, ann.SeenCount())
	require.False(t, ann.HasSeen("a"))
	require.Nil(t, ann.Embedding)
	require.Len(t, r.load("bob").History, 1)

	require.NoError(t, r.handle(old), "a replay of what was before the tombstone")
	require.Empty(t, r.load("ann").History)
	require.NoError(t, r.handle(r.eventRecord(event("4", "ann", "d", schemas.Click))), "a new life")
	require.Len(t, r.load("ann").History, 1)
	require.False(t, r.load("ann").HasSeen("a"))
}

func TestPopularityCountsEachEventOnce(t *testing.T) {
	r := newRig(t)
	batch := []stream.Record{
		r.eventRecord(event("1", "ann", "a", schemas.Click)),
		r.eventRecord(event("2", "bob", "a", schemas.Purchase)),
		r.eventRecord(event("2", "bob", "a", schemas.Purchase)), // the producer's duplicate
		r.eventRecord(event("3", "bob", "b", schemas.Like)),
		r.eventRecord(event("4", "bob", "c", schemas.Impression)),
		r.eventRecord(event("5", "bob", "c", schemas.Hide)),
	}
	for range 3 { // the first time, and two replays after crashes
		require.NoError(t, r.handle(batch...))
	}
	r.Close()
	popular, err := r.items.Popular(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, popular, 2)
	require.Equal(t, "a", popular[0].ItemID)
	require.InDelta(t, 5, popular[0].Score, 1e-6)
	require.Equal(t, "b", popular[1].ItemID)
	require.InDelta(t, 2, popular[1].Score, 1e-6)
}

func TestPopularityIsBestEffort(t *testing.T) {
	r := newRig(t)
	record := r.eventRecord(event("1", "ann", "a", schemas.Click))
	known := items.Change{Model: r.tower.Version(), Vector: make([]float32, r.tower.Dim())} // else ann would wait for it, in a script
	known.Record.ItemID, known.Record.Op, known.Record.Version = "a", schemas.UpsertItem, 1
	_, err := r.items.Write(t.Context(), []items.Change{known})
	require.NoError(t, err)
	// The profile's script is the first, the shelf's the second.
	r.redis.Fail("EVALSHA", 2, "ERR out of memory")
	r.redis.Fail("EVALSHA", 4, "ERR out of memory") // after NOSCRIPT of the first
	r.redis.Fail("EVAL", 2, "ERR out of memory")
	require.NoError(t, r.handle(record), "the event itself is applied")
	r.Close()
	require.Len(t, r.load("ann").History, 1)
}

// TestTopicMadeAnew: the log is shorter than what was applied from it, so the role must stop and say so.
func TestTopicMadeAnew(t *testing.T) {
	r := newRig(t)
	require.NoError(t, r.handle(
		r.eventRecord(event("1", "ann", "a", schemas.Click)), r.eventRecord(event("2", "ann", "b", schemas.Click))))
	r.offset = 0
	err := r.handle(r.eventRecord(event("3", "ann", "c", schemas.Click)))
	require.True(t, stream.IsPermanent(err), "%v", err)
	require.True(t, profiles.IsTopicRecreated(err))
	require.ErrorContains(t, err, "key_prefix")
	require.Len(t, r.load("ann").History, 2, "nothing is written")
}

// TestABatchInHandGoesOnByItself: it was fetched when the log was short, and is handled after something else has moved the
// profile on: the partition's new owner, a second group, a rebuild, or a dump of Redis that is newer than the batch.
func TestABatchInHandGoesOnByItself(t *testing.T) {
	r := newRig(t)
	hand := []stream.Record{
		r.eventRecord(event("1", "ann", "a", schemas.Click)), r.eventRecord(event("2", "bob", "a", schemas.Click)),
	}
	for i := range hand {
		hand[i].EndOffset = r.offset
	}
	require.NoError(t, r.handle(hand[0], r.eventRecord(event("3", "ann", "b", schemas.Click))), "another writer, who is behind with bob")

	away := errors.New("the broker is away")
	r.end = func() (int64, error) { return 0, away }
	err := r.Handle(t.Context(), hand)
	require.ErrorIs(t, err, away)
	require.False(t, stream.IsPermanent(err), "without knowing the end nobody can judge: %v", err)
	require.Nil(t, r.load("bob"))

	r.end = func() (int64, error) { return r.offset, nil }
	require.NoError(t, r.Handle(t.Context(), hand))
	require.Len(t, r.load("ann").History, 2)
	require.Len(t, r.load("bob").History, 1)
}

func TestACorruptProfileDoesNotHoldUpTheOthers(t *testing.T) {
	r := newRig(t, alwaysReading)
	require.NoError(t, r.handle(r.eventRecord(event("1", "bad", "a", schemas.Click))))
	key := redisdb.Key(r.redis.Prefix, "bad", "profile")
	require.NoError(t, r.rdb.HSet(t.Context(), key, "h", "\x01garbage").Err())

	failed := failures(t, r.handle(
		r.eventRecord(event("2", "ann", "a", schemas.Click)), r.eventRecord(event("3", "bad", "b", schemas.Click)),
		r.record("x", []byte("no record")), r.eventRecord(event("4", "ann", "b", schemas.Click))))
	require.Len(t, failed, 2)
	require.True(t, stream.IsPermanent(failed[1]))
	require.NotContains(t, failed[1].Error(), "{bad}", "the record tells whose it is")
	require.ErrorContains(t, failed[1], "delete")
	require.True(t, stream.IsPermanent(failed[2]))
	require.Len(t, r.load("ann").History, 2)
}

func TestAProfileOfANewerReleaseIsWaitedFor(t *testing.T) {
	r := newRig(t, alwaysReading)
	require.NoError(t, r.handle(r.eventRecord(event("1", "new", "a", schemas.Click))))
	key := redisdb.Key(r.redis.Prefix, "new", "profile")
	require.NoError(t, r.rdb.HSet(t.Context(), key, "h", "\x02of a newer format").Err())
	failed := failures(t, r.handle(r.eventRecord(event("2", "new", "b", schemas.Click))))
	require.False(t, stream.IsPermanent(failed[0]), "%v", failed[0])
}

func TestFaultsOfRedisAreTransientAndTheRetryAppliesOnce(t *testing.T) {
	for _, command := range []string{"HMGET", "EVALSHA", "HGET"} {
		t.Run(command, func(t *testing.T) {
			r := newRig(t)
			require.NoError(t, r.handle(r.eventRecord(event("0", "ann", "z", schemas.View)))) // so that the script is loaded
			var batch []stream.Record
			for i := range 6 {
				user := []string{"ann", "bob", "cid"}[i%3]
				batch = append(batch, r.eventRecord(event(fmt.Sprint("e", i), user, fmt.Sprint("i", i), schemas.Click)))
			}
			r.redis.Fail(command, 2, "LOADING Redis is loading the dataset in memory")
			rest := batch
			for range 3 { // what consumers/stream does
				err := r.handle(rest...)
				if err == nil {
					break
				}
				failed := failures(t, err)
				var again []stream.Record
				for i := range rest {
					if reason := failed[i]; reason != nil {
						require.False(t, stream.IsPermanent(reason), "%v", reason)
						again = append(again, rest[i])
					}
				}
				rest = again
			}
			for user, want := range map[string]int{"ann": 3, "bob": 2, "cid": 2} {
				require.Len(t, r.load(user).History, want, user)
			}
		})
	}
}

// TestRegistryOutOfReachHasTheWholeBatchTriedAgain: later events of the user must not overtake the one that waits.
func TestRegistryOutOfReachHasTheWholeBatchTriedAgain(t *testing.T) {
	r := newRig(t)
	away := &awayRegistry{Registry: schemas.EmbeddedRegistry()}
	serde, err := schemas.NewSerde[schemas.Interaction](t.Context(), away, topic)
	require.NoError(t, err)
	r.records.Serde = serde
	e := event("1", "ann", "a", schemas.Click)
	value := r.serde.Append(nil, &e)
	strange := append([]byte{0, 0, 0, 0, 42}, value[5:]...) // a schema that has to be asked for
	away.down = true
	err = r.handle(r.record("ann", strange), r.eventRecord(event("2", "ann", "b", schemas.Click)))
	require.ErrorContains(t, err, "registry is away")
	require.False(t, stream.IsPermanent(err))
	require.Nil(t, r.load("ann"), "nothing is applied")
}

type awayRegistry struct {
	schemas.Registry
	down bool
}

func (a *awayRegistry) Schema(ctx context.Context, id schemas.SchemaID) (schemas.Schema, error) {
	if a.down {
		return schemas.Schema{}, errors.New("the registry is away")
	}
	return a.Registry.Schema(ctx, id)
}

func FuzzHandleNeverPanicsNorDrops(f *testing.F) {
	serde, err := schemas.NewSerde[schemas.Interaction](context.Background(), schemas.EmbeddedRegistry(), topic)
	require.NoError(f, err)
	good := event("1", "ann", "a", schemas.Click)
	f.Add([]byte("ann"), serde.Append(nil, &good))
	f.Add([]byte(""), []byte{})
	f.Add([]byte("ann"), []byte{0, 0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x0f})
	r := newRig(f)
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r.t = t
		err := r.handle(r.record(string(key), value))
		if err == nil {
			return
		}
		require.True(t, stream.IsPermanent(failures(t, err)[0]), "%v", err)
	})
}
