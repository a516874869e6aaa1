package candidates_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/services/candidates"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// config returns settings with collections of the test's own.
func config(t *testing.T) candidates.Config {
	t.Helper()
	return configOf(servertest.StartMilvus(t))
}

func configOf(m *servertest.Milvus) candidates.Config {
	cfg := candidates.DefaultConfig()
	cfg.Address, cfg.Collection, cfg.Alias, cfg.DialTimeout = m.Addr(), m.Collection, m.Alias, servertest.MilvusDialTimeout
	return cfg
}

func connect(t *testing.T, cfg candidates.Config) *candidates.Index {
	t.Helper()
	ix, err := candidates.Connect(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, ix.Close()) })
	return ix
}

// prepared is an index with a loaded collection of dim for model.
func prepared(t *testing.T, cfg candidates.Config, model string, dim int) *candidates.Index {
	t.Helper()
	ix := connect(t, cfg)
	require.NoError(t, ix.Ensure(t.Context(), model, dim))
	return ix
}

// found polls until a search returns as many ids as are wanted: a real Milvus shows writes late.
func found(t *testing.T, ix *candidates.Index, vector []float32, filter string, want []string) {
	t.Helper()
	var got []string
	require.Eventually(t, func() bool {
		results, err := ix.Search(t.Context(), model, [][]float32{vector}, 100, filter)
		require.NoError(t, err)
		require.NoError(t, results[0].Err)
		got = ids(results[0].Hits)
		return len(got) == len(want)
	}, 5*time.Second, 20*time.Millisecond, "filter %s", filter)
	require.ElementsMatch(t, want, got, "filter %s", filter)
}

func ids(hits []candidates.Hit) []string {
	var out []string
	for _, h := range hits {
		out = append(out, h.ItemID)
	}
	return out
}
