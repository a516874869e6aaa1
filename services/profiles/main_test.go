package profiles

import (
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testDim = 8

// testTower reads everything, but for m2, which reads items alone.
func testTower(version string, seed uint64) *towers.UserTower {
	shape := towertest.Shape{Version: version, Dim: testDim, Layers: 2, Seed: seed, Reads: towertest.Everything}
	if version == "m2" {
		shape.Reads = towers.Inputs{}
	}
	_, tower := towertest.Towers(shape, nil)
	return tower
}

// rig is a store beside what the tests look at.
type rig struct {
	*Store
	server *servertest.Redis
	client redis.UniversalClient
	live   []*towers.UserTower
	// vectors are what the catalogue holds: model, item, vector.
	vectors map[string]map[string][]float32
	version int64
}

func newRig(t testing.TB, change ...func(*Config)) *rig {
	t.Helper()
	server := servertest.StartRedis(t)
	client, prefix := server.Client, server.Prefix
	r := &rig{
		server: server, client: client, live: []*towers.UserTower{testTower("m1", 1)},
		vectors: map[string]map[string][]float32{"m1": {}, "m2": {}},
	}
	catalogue := items.DefaultConfig()
	catalogue.KeyPrefix, catalogue.VectorTolerance = prefix, 0
	cfg := DefaultConfig()
	cfg.KeyPrefix = prefix
	for _, c := range change {
		c(&cfg)
	}
	require.NoError(t, cfg.Validate())
	r.Store = New(client, items.New(client, catalogue), func() []*towers.UserTower { return r.live }, cfg)
	return r
}

// setVector gives an item a vector that depends on seed.
func (r *rig) setVector(t testing.TB, model, item string, seed uint64) {
	t.Helper()
	rng := random(seed)
	vector := make([]float32, testDim)
	for i := range vector {
		vector[i] = float32(rng.NormFloat64())
	}
	r.putVector(t, model, item, vector)
}

func (r *rig) putVector(t testing.TB, model, item string, vector []float32) {
	t.Helper()
	r.version++
	change := items.Change{Model: model, Vector: vector}
	change.Record.ItemID, change.Record.Op, change.Record.Version = item, 1, r.version
	outcomes, err := r.items.Write(t.Context(), []items.Change{change})
	require.NoError(t, err)
	require.NoError(t, outcomes[0].Err)
	r.vectors[model][item] = vector
}

func (r *rig) load(t testing.TB, user, model string) *Profile {
	t.Helper()
	loaded, err := r.Load(t.Context(), []string{user}, model)
	require.NoError(t, err)
	return loaded[0]
}
