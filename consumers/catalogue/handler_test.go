package catalogue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 10 * time.Second
)

// rig is a Handler on a Redis and a Milvus.
type rig struct {
	*Handler
	t      testing.TB
	redis  *servertest.Redis
	milvus *servertest.Milvus
	rdb    redis.UniversalClient
	store  *items.Store
	index  *candidates.Index
	tower  *towers.ItemTower
	kafka  *servertest.Kafka
	writer *kafkaio.Writer
	topic  string
	log    lines
	offset int64
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{t: t}
	r.redis, r.milvus, r.kafka = servertest.StartRedis(t), servertest.StartMilvus(t), servertest.StartKafka(t)
	r.startWriter()
	cfg := redisdb.DefaultConfig()
	cfg.Addresses = r.redis.Addresses
	var err error
	r.rdb, err = redisdb.Connect(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.rdb.Close()) })
	milvus := candidates.DefaultConfig()
	milvus.Address, milvus.Collection, milvus.Alias = r.milvus.Addr(), r.milvus.Collection, r.milvus.Alias
	milvus.DialTimeout = servertest.MilvusDialTimeout
	r.index, err = candidates.Connect(t.Context(), milvus)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.index.Close()) })

	r.tower, _ = towertest.Towers(towertest.Shape{Dim: 8}, []towers.ItemFeatures{
		{ItemID: "a", Title: "red boots", Categories: []string{"shoes"}},
		{ItemID: "b", Title: "blue hat", Categories: []string{"hats"}},
	})
	require.NoError(t, r.index.Ensure(t.Context(), r.tower.Version(), r.tower.Dim()))
	itemsConfig := items.DefaultConfig()
	itemsConfig.KeyPrefix = r.redis.Prefix
	r.store = items.New(r.rdb, itemsConfig)
	r.Handler = r.member()
	return r
}

// member is one more consumer of the same stores.
func (r *rig) member() *Handler {
	serde, err := schemas.NewSerde[schemas.ItemChange](r.t.Context(), schemas.EmbeddedRegistry(), "freshet.items")
	require.NoError(r.t, err)
	keys := schemas.NewKeys(schemas.KeyConfig{Format: schemas.KeyRaw}, "topics.items", schemas.DefaultLimits(), nil)
	return New(serde, keys, schemas.DefaultLimits(), NewIndexer(r.store, r.index, r.tower), r.writer, slog.New(slog.NewTextHandler(&r.log, nil)))
}

func change(id string, version int64, with ...func(*schemas.ItemChange)) schemas.ItemChange {
	price := 10.0
	c := schemas.ItemChange{
		ItemID: id, Op: schemas.UpsertItem, Version: version, OccurredAt: time.Now().Add(-time.Hour), Title: "red boots",
		Categories: []string{"shoes"}, Price: &price, Available: true, Brand: fmt.Sprint("brand of version ", version),
	}
	for _, w := range with {
		w(&c)
	}
	return c
}

func deletion(id string, version int64) schemas.ItemChange {
	return schemas.ItemChange{ItemID: id, Op: schemas.DeleteItem, Version: version, OccurredAt: time.Now()}
}

func (r *rig) raw(key string, value []byte) stream.Record {
	r.offset++
	return stream.Record{
		Topic: r.topic, Offset: r.offset, Key: []byte(key), Value: value, Time: time.Now(), Arrived: time.Now(), EndOffset: r.offset + 1,
	}
}

func (r *rig) record(c schemas.ItemChange) stream.Record {
	return r.raw(c.ItemID, r.records.Serde.Append(nil, &c))
}

func (r *rig) handle(records ...stream.Record) error { return r.Handle(r.t.Context(), records) }

func (r *rig) write(changes ...schemas.ItemChange) {
	r.t.Helper()
	var batch []stream.Record
	for _, c := range changes {
		batch = append(batch, r.record(c))
	}
	require.NoError(r.t, r.handle(batch...))
}

// row is what Milvus holds of an item.
func (r *rig) row(id string) (candidates.Row, bool) {
	r.t.Helper()
	row, found, err := r.index.Get(r.t.Context(), r.tower.Version(), id)
	require.NoError(r.t, err)
	return row, found
}

func (r *rig) item(id string) *items.Item {
	r.t.Helper()
	loaded, err := r.store.Load(r.t.Context(), []string{id})
	require.NoError(r.t, err)
	return loaded[0]
}

// requireIndexed checks that Redis and Milvus hold the item at a version, and agree.
func (r *rig) requireIndexed(id string, version int64) {
	r.t.Helper()
	it := r.item(id)
	require.NotNil(r.t, it)
	require.False(r.t, it.Deleted)
	require.Equal(r.t, version, it.Version)
	row, found := r.row(id)
	require.True(r.t, found, "item %s has no row", id)
	require.Equal(r.t, it.Brand, row.Brand, "the row is that of the record")
	vectors, err := r.store.Vectors(r.t.Context(), r.tower.Version(), []string{id})
	require.NoError(r.t, err)
	require.Equal(r.t, vectors[0], row.Vector)
}

func (r *rig) requireGone(id string) {
	r.t.Helper()
	it := r.item(id)
	require.NotNil(r.t, it)
	require.True(r.t, it.Deleted)
	_, found := r.row(id)
	require.False(r.t, found)
}

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

func requirePermanent(t testing.TB, err error, says string) {
	t.Helper()
	require.True(t, stream.IsPermanent(err), "%v", err)
	require.ErrorContains(t, err, says)
}

func TestWhatMakesNoSenseIsAPermanentFailureOfItsRecordAlone(t *testing.T) {
	r := newRig(t)
	bad := change("b", 0)
	noID := change("", 1)
	good := r.record(change("b", 1))
	failed := failures(t, r.handle(
		r.record(change("a", 1)),
		r.raw("b", []byte{}),
		r.raw("b", []byte("{}")),
		r.raw("b", []byte{0, 0x7f, 0, 0, 0, 1}),
		r.raw("b", good.Value[:len(good.Value)-1]),
		r.record(bad),
		r.record(noID),
		r.raw("", nil),
		r.raw(strings.Repeat("k", 1<<20), nil),
		r.record(change("b", 7, func(c *schemas.ItemChange) { c.OccurredAt = time.UnixMilli(c.OccurredAt.Unix()) })),
		r.record(change("b", 7, func(c *schemas.ItemChange) { c.PublishedAt = time.UnixMilli(c.OccurredAt.Unix()) })),
		r.record(change("b", 7, func(c *schemas.ItemChange) { c.PublishedAt = time.UnixMilli(c.OccurredAt.UnixMicro()) })),
		good,
	))
	require.Len(t, failed, 11)
	for i, says := range map[int]string{
		1: "", 2: "", 3: "", 4: "", 5: "version", 6: "item_id", 7: "send the id as the key", 8: "give at most 256 bytes",
		9: "looks like seconds: multiply by 1,000", 10: "looks like seconds: multiply by 1,000", 11: "looks like microseconds",
	} {
		requirePermanent(t, failed[i], says)
	}
	r.requireIndexed("a", 1)
	r.requireIndexed("b", 1)
}

func TestVersionsWinWhateverTheirOrder(t *testing.T) {
	r := newRig(t)
	r.write(change("a", 5))
	r.write(change("a", 3), change("a", 4))
	r.requireIndexed("a", 5)
	r.write(change("a", 7), change("a", 6)) // in one batch: coalesced
	r.requireIndexed("a", 7)
	r.write(deletion("a", 6))
	r.requireIndexed("a", 7)
}

func TestDeletionAndANewLife(t *testing.T) {
	r := newRig(t)
	r.write(change("a", 1), change("b", 1))
	r.write(deletion("a", 2))
	r.requireGone("a")
	r.requireIndexed("b", 1)
	r.write(change("a", 1), change("a", 2))
	r.requireGone("a")
	r.write(change("a", 3))
	r.requireIndexed("a", 3)
	r.write(deletion("a", 4), change("a", 5))
	r.requireIndexed("a", 5)
}

func TestTombstoneRemovesWhateverTheVersion(t *testing.T) {
	r := newRig(t)
	r.write(change("a", 9), change("b", 1))
	require.NoError(t, r.handle(r.raw("a", nil)))
	r.requireGone("a")
	require.EqualValues(t, 9, r.item("a").Version, "it keeps the version")
	r.write(change("a", 9))
	r.requireGone("a")
	r.write(change("a", 10))
	r.requireIndexed("a", 10)
	require.NoError(t, r.handle(r.record(change("a", 11)), r.raw("a", nil), r.record(change("a", 12))))
	r.requireIndexed("a", 12)
	require.NoError(t, r.handle(r.raw("never seen", nil)))
	_, found := r.row("never seen")
	require.False(t, found)
}

func TestItemWithoutCategoryOrAnythingElse(t *testing.T) {
	r := newRig(t)
	r.write(schemas.ItemChange{ItemID: "bare", Op: schemas.UpsertItem, Version: 1, OccurredAt: time.Now(), Available: true})
	r.requireIndexed("bare", 1)
	row, _ := r.row("bare")
	require.Empty(t, row.Categories)
	require.Equal(t, []string{candidates.Everywhere}, row.Regions)
	require.InDelta(t, candidates.NoPrice, row.Price, 0)
}

// TestCrashBetweenRedisAndMilvus: the record is in, the row is not; the replay finds no mark and indexes it.
func TestCrashBetweenRedisAndMilvus(t *testing.T) {
	for name, fault := range map[string]func(*rig){
		"Milvus did not get it":        func(r *rig) { r.milvus.Fail("Upsert", 1, errors.New("gone")) },
		"Milvus did, the answer broke": func(r *rig) { r.milvus.FailAfter("Upsert", 1, errors.New("gone")) },
		"marking failed":               func(r *rig) { r.redis.Sever("EVALSHA", 2) },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write(change("warm", 1)) // so that the scripts are loaded
			batch := []stream.Record{r.record(change("a", 1)), r.record(change("b", 1))}
			fault(r)
			err := r.handle(batch...)
			if name == "marking failed" && err == nil {
				r.requireIndexed("a", 1) // go-redis tried again by itself
				return
			}
			require.Error(t, err)
			require.False(t, stream.IsPermanent(err), "%v", err)
			require.EqualValues(t, 1, r.item("a").Version, "the record counts at once")
			require.NoError(t, r.handle(batch...), "the replay")
			r.requireIndexed("a", 1)
			r.requireIndexed("b", 1)
			upserts := r.milvus.Calls("Upsert")
			require.NoError(t, r.handle(batch...), "one more replay")
			require.Equal(t, upserts, r.milvus.Calls("Upsert"), "finds everything in its place")
		})
	}
}

func TestCrashBeforeADeletionReachesMilvus(t *testing.T) {
	r := newRig(t)
	r.write(change("a", 1))
	r.milvus.Fail("Delete", 1, errors.New("gone"))
	batch := []stream.Record{r.record(deletion("a", 2))}
	require.Error(t, r.handle(batch...))
	require.True(t, r.item("a").Deleted, "the takedown counts at once")
	require.NoError(t, r.handle(batch...))
	r.requireGone("a")
}

// TestZombieDoesNotLeaveItsVersionInTheIndex tells the race at bringToIndex: the zombie's upsert of version 4 is held up until
// the new owner has written, indexed and marked what follows.
func TestZombieDoesNotLeaveItsVersionInTheIndex(t *testing.T) {
	for name, follow := range map[string]schemas.ItemChange{
		"a newer version": change("a", 5), "a deletion": deletion("a", 5),
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.write(change("a", 3))
			zombie, record := r.member(), r.record(change("a", 4))
			held := r.milvus.Calls("Upsert") + 1
			r.milvus.Delay("Upsert", 1, 300*time.Millisecond)
			ended := make(chan error, 1)
			go func() { ended <- zombie.Handle(context.Background(), []stream.Record{record}) }()
			require.Eventually(t, func() bool { return r.milvus.Calls("Upsert") == held }, patience, time.Millisecond)

			r.write(follow)
			require.NoError(t, <-ended)
			if follow.Op == schemas.DeleteItem {
				r.requireGone("a")
				return
			}
			r.requireIndexed("a", 5)
		})
	}
}

func TestNearlyTheSameIsNotUpsertedAgain(t *testing.T) {
	r := newRig(t)
	same := func(c *schemas.ItemChange) { c.Brand = "acme" }
	r.write(change("a", 1, same))
	upserts := r.milvus.Calls("Upsert")
	r.write(change("a", 2, same, func(c *schemas.ItemChange) { c.Attributes = map[string]string{"stock": "7"} }))
	require.Equal(t, upserts, r.milvus.Calls("Upsert"), "neither vector nor filter columns have changed")
	r.requireIndexed("a", 2)
	r.write(change("a", 3, same, func(c *schemas.ItemChange) { c.MinAge = 18 }))
	require.Equal(t, upserts+1, r.milvus.Calls("Upsert"), "a filter column has")
	r.write(change("a", 4, same, func(c *schemas.ItemChange) { c.MinAge, c.Title = 18, "blue hat" }))
	require.Equal(t, upserts+2, r.milvus.Calls("Upsert"), "the vector has")
	r.requireIndexed("a", 4)
}

// TestRefusedRowsFailAloneAndForGood: a price beyond float32 passes as a record, but no row can hold it.
func TestRefusedRowsFailAloneAndForGood(t *testing.T) {
	r := newRig(t)
	r.write(change("b", 1), change("gone", 1))
	price := math.MaxFloat64
	huge := func(c *schemas.ItemChange) { c.Price = &price }
	batch := []stream.Record{
		r.record(change("a", 1)), r.record(change("b", 2, huge)), r.record(deletion("gone", 2)), r.record(change("c", 1)),
		r.record(change("d", 1, huge)), r.raw("e", []byte("no record")), r.record(change("f", 2, huge)), r.record(change("f", 3)),
	}
	for range 2 { // and so does the replay
		failed := failures(t, r.handle(batch...))
		require.Len(t, failed, 3)
		requirePermanent(t, failed[1], "price")
		requirePermanent(t, failed[4], "price")
		requirePermanent(t, failed[5], "")
		r.requireIndexed("a", 1)
		r.requireIndexed("c", 1)
		r.requireIndexed("f", 3)
		r.requireGone("gone")
		require.EqualValues(t, 2, r.item("b").Version, "its record counts")
		row, found := r.row("b")
		require.True(t, found)
		require.Equal(t, "brand of version 1", row.Brand, "it keeps the row that it had")
		_, found = r.row("d")
		require.False(t, found)
	}
	r.write(change("b", 3), change("d", 2))
	r.requireIndexed("b", 3)
	r.requireIndexed("d", 2)
}

// TestRefusedRowsBesideAFault: as long as the other rows are not written, nothing is given up.
func TestRefusedRowsBesideAFault(t *testing.T) {
	r := newRig(t)
	price := math.MaxFloat64
	batch := []stream.Record{r.record(change("a", 1)), r.record(change("b", 1, func(c *schemas.ItemChange) { c.Price = &price }))}
	r.milvus.Fail("Upsert", 1, errors.New("gone"))
	err := r.handle(batch...)
	require.Error(t, err)
	require.False(t, stream.IsPermanent(err))
	require.NotErrorAs(t, err, new(stream.Failures), "the whole batch is tried again")
	requirePermanent(t, failures(t, r.handle(batch...))[1], "price")
	r.requireIndexed("a", 1)
}

func TestLimitsWiderThanTheColumns(t *testing.T) {
	r := newRig(t)
	wide := schemas.DefaultLimits()
	wide.MaxStringBytes, wide.MaxListLength = 1<<20, 1<<10
	r.records.Check = wide.ItemChange
	failed := failures(t, r.handle(
		r.record(change("a", 1, func(c *schemas.ItemChange) { c.Brand = strings.Repeat("b", 1025) })),
		r.record(change("b", 1, func(c *schemas.ItemChange) { c.Categories = make([]string, 300) })),
		r.record(change("c", 1)),
	))
	require.Len(t, failed, 2)
	requirePermanent(t, failed[0], "brand")
	requirePermanent(t, failed[1], "categories")
	r.requireIndexed("c", 1)
}

func TestACorruptRecordDoesNotHoldUpTheOthers(t *testing.T) {
	r := newRig(t)
	r.write(change("bad", 1))
	key := redisdb.Key(r.redis.Prefix, "bad", "item")
	for value, permanent := range map[string]bool{"": true, "\xffgarbage that is long enough": true, "\x02a newer format": false} {
		require.NoError(t, r.rdb.Set(t.Context(), key, value, 0).Err())
		failed := failures(t, r.handle(
			r.record(change("a", 1)), r.record(change("bad", 2)), r.raw("bad", nil), r.record(change("bad", 4)), r.record(change("b", 1))))
		require.Len(t, failed, 3, "all changes to the item share their fate")
		for _, i := range []int{1, 2, 3} {
			require.Equal(t, permanent, stream.IsPermanent(failed[i]), "%q: %v", value, failed[i])
			require.ErrorContains(t, failed[i], key)
		}
		r.requireIndexed("a", 1)
		r.requireIndexed("b", 1)
	}
}

// TestARecordThatBecomesUnreadable: between the write and the marking somebody breaks it.
func TestARecordThatBecomesUnreadableMeanwhile(t *testing.T) {
	r := newRig(t)
	r.write(change("warm", 1))
	key := redisdb.Key(r.redis.Prefix, "a", "item")
	held := r.milvus.Calls("Upsert") + 1
	r.milvus.Delay("Upsert", 1, 200*time.Millisecond)
	ended := make(chan error, 1)
	batch := []stream.Record{r.record(change("b", 1)), r.record(change("a", 1))}
	go func() { ended <- r.Handle(context.Background(), batch) }()
	require.Eventually(t, func() bool { return r.milvus.Calls("Upsert") == held }, patience, time.Millisecond)
	require.NoError(t, r.rdb.Set(t.Context(), key, "\xffgarbage", 0).Err())
	failed := failures(t, <-ended)
	require.Len(t, failed, 1)
	requirePermanent(t, failed[1], key)
	r.requireIndexed("b", 1)
}

func TestMilvusAwayIsTransient(t *testing.T) {
	r := newRig(t)
	r.write(change("a", 1))
	r.milvus.Stop()
	record := r.record(change("a", 2))
	err := r.handle(record)
	require.Error(t, err)
	require.False(t, stream.IsPermanent(err))
	require.EqualValues(t, 2, r.item("a").Version)
	require.NoError(t, r.milvus.Restart(t.Context()))
	require.Eventually(t, func() bool { return r.handle(record) == nil }, patience, 10*time.Millisecond)
	r.requireIndexed("a", 2)
}

func FuzzHandleNeverPanicsNorDrops(f *testing.F) {
	serde, err := schemas.NewSerde[schemas.ItemChange](context.Background(), schemas.EmbeddedRegistry(), "freshet.items")
	require.NoError(f, err)
	good := change("a", 1)
	f.Add([]byte("a"), serde.Append(nil, &good))
	f.Add([]byte(""), []byte{})
	f.Add([]byte("a"), []byte{0, 0, 0, 0, 2, 0xff, 0xff, 0xff, 0xff, 0x0f})
	r := newRig(f)
	f.Fuzz(func(t *testing.T, key, value []byte) {
		r.t = t
		err := r.handle(r.raw(string(key), value))
		if err == nil {
			return
		}
		require.True(t, stream.IsPermanent(failures(t, err)[0]), "%v", err)
	})
}
