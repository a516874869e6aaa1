package candidates_test

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/services/candidates"
)

// The suite runs against the embedded Milvus, or against a real one at FRESHET_TEST_MILVUS=host:port. What needs scripted
// faults is in fault_test.go and runs against the embedded one alone.

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var testNumber atomic.Int64

// config returns settings with collections of the test's own.
func config(t *testing.T) candidates.Config {
	t.Helper()
	cfg := candidates.DefaultConfig()
	unique := fmt.Sprintf("test_%d_%d", time.Now().UnixNano(), testNumber.Add(1))
	cfg.Collection, cfg.Alias = unique, unique+"_alias"
	cfg.Address = os.Getenv("FRESHET_TEST_MILVUS")
	if cfg.Address == "" {
		cfg.Address = startMilvus(t).Addr()
	}
	return cfg
}

func startMilvus(t *testing.T) *embedded.Milvus {
	t.Helper()
	m, err := embedded.StartMilvus(t.Context(), embedded.Config{})
	require.NoError(t, err)
	t.Cleanup(m.Close)
	return m
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
	t.Cleanup(func() { _ = ix.Drop(context.WithoutCancel(t.Context()), model) })
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
