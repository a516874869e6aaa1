package items

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/schemas"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newStore(t testing.TB, change ...func(*Config)) *Store {
	t.Helper()
	server := servertest.StartRedis(t)
	cfg := DefaultConfig()
	cfg.KeyPrefix = server.Prefix
	for _, c := range change {
		c(&cfg)
	}
	require.NoError(t, cfg.Validate())
	return New(server.Client, cfg)
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
