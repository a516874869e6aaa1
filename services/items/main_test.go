package items

import (
	"context"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// redisForTest is a new miniredis, or the server that FRESHET_TEST_REDIS names, with a key prefix of the test's own that is
// emptied when the test ends.
func redisForTest(t testing.TB) (rdb redis.UniversalClient, prefix string) {
	t.Helper()
	addr, prefix := os.Getenv("FRESHET_TEST_REDIS"), "freshet-test-"+time.Now().Format("150405.000000000")
	if addr == "" {
		addr = miniredis.RunT(t).Addr()
	}
	rdb = redis.NewClient(&redis.Options{Addr: addr})
	t.Cleanup(func() {
		ctx := context.Background() // the test's own has ended
		keys := rdb.Scan(ctx, 0, prefix+":*", 1000).Iterator()
		for keys.Next(ctx) {
			require.NoError(t, rdb.Del(ctx, keys.Val()).Err())
		}
		require.NoError(t, rdb.Close())
	})
	return rdb, prefix
}

func newStore(t testing.TB, change ...func(*Config)) *Store {
	t.Helper()
	rdb, prefix := redisForTest(t)
	cfg := DefaultConfig()
	cfg.KeyPrefix = prefix
	for _, c := range change {
		c(&cfg)
	}
	require.NoError(t, cfg.Validate())
	return New(rdb, cfg)
}

func record(id string, version int64) schemas.ItemChange {
	return schemas.ItemChange{
		ItemID: id, Op: schemas.UpsertItem, Version: version, OccurredAt: time.UnixMilli(1_700_000_000_000 + version).UTC(),
		Title: "title", Categories: []string{"c"}, Available: true,
	}
}

func upsert(id string, version int64, vector ...float32) Change {
	return Change{Record: record(id, version), Model: "m1", Vector: vector, FilterDigest: 7}
}

func deletion(id string, version int64) Change {
	return Change{Record: schemas.ItemChange{ItemID: id, Op: schemas.DeleteItem, Version: version}, Model: "m1"}
}

func tombstone(id string) Change {
	return Change{Record: schemas.ItemChange{ItemID: id}, Tombstone: true, Model: "m1"}
}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
