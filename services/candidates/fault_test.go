package candidates_test

import (
	"context"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/infra/embedded/certs"
	"github.com/freshet/freshet/infra/embedded/faults"
	"github.com/freshet/freshet/infra/embedded/milvus"
	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/schemas/secure"
	"github.com/freshet/freshet/services/candidates"
)

func faultyIndex(t *testing.T, change func(*candidates.Config)) (*servertest.Milvus, *candidates.Index) {
	t.Helper()
	server := servertest.StartMilvus(t)
	cfg := configOf(server)
	if change != nil {
		change(&cfg)
	}
	return server, prepared(t, cfg, model, 2)
}

func TestWhatIsWorthAnotherTry(t *testing.T) {
	server, ix := faultyIndex(t, nil)
	for name, c := range map[string]struct {
		err                   error
		unavailable, notFound bool
	}{
		"not loaded yet":      {&milvus.StatusError{Code: 101, Reason: "collection not loaded"}, true, false},
		"rate limit":          {&milvus.StatusError{Code: 8, Reason: "request is rejected by limiter"}, true, false},
		"not ready":           {&milvus.StatusError{Code: 1, Reason: "service not ready"}, true, false},
		"collection is gone":  {&milvus.StatusError{Code: 100, Reason: "collection not found"}, false, true},
		"invalid parameter":   {&milvus.StatusError{Code: 1100, Reason: "invalid parameter"}, false, false},
		"connection lost":     {status.Error(codes.Unavailable, "connection reset"), true, false},
		"too much at a time":  {status.Error(codes.ResourceExhausted, "message too large"), true, false},
		"a bug in the server": {status.Error(codes.Internal, "panic"), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			calls := server.Calls("Search")
			server.Fail("Search", 1, c.err)
			_, err := ix.Search(t.Context(), model, [][]float32{{1, 0}}, 1, "")
			require.Error(t, err)
			require.Equal(t, c.unavailable, candidates.IsUnavailable(err), err)
			require.Equal(t, c.notFound, candidates.IsNotFound(err), err)
			require.Equal(t, 1, server.Calls("Search")-calls, "retrying is left to the caller")
		})
	}
	require.False(t, candidates.IsUnavailable(nil))
	require.False(t, candidates.IsNotFound(nil))
	require.False(t, candidates.IsNoLive(nil))
}

func TestEveryCallHasADeadline(t *testing.T) {
	server, ix := faultyIndex(t, func(c *candidates.Config) { c.CallTimeout = 30 * time.Millisecond })
	ctx := t.Context()
	calls := map[string]func() error{
		"Search":  func() error { _, err := ix.Search(ctx, model, [][]float32{{1, 0}}, 1, ""); return err },
		"Query":   func() error { _, err := ix.Count(ctx, model); return err },
		"Upsert":  func() error { return ix.Upsert(ctx, model, []candidates.Row{row("a", 1, 0)}) },
		"Delete":  func() error { return ix.Delete(ctx, model, []string{"a"}) },
		"Get":     func() error { _, _, err := ix.Get(ctx, model, "a"); return err },
		"Live":    func() error { _, err := ix.Live(ctx); return err },
		"Loaded":  func() error { _, err := ix.Loaded(ctx, model); return err },
		"Switch":  func() error { return ix.SwitchLive(ctx, model) },
		"DropOld": func() error { return ix.Drop(ctx, "old") },
	}
	for name, call := range calls {
		server.Delay(faults.Any, 1, time.Hour)
		begin := time.Now()
		err := call()
		require.True(t, candidates.IsUnavailable(err), "%s: %v", name, err)
		require.Less(t, time.Since(begin), 5*time.Second, name)
		server.ClearFaults()
	}
}

func TestTheCallersDeadlineCounts(t *testing.T) {
	server, ix := faultyIndex(t, nil)
	server.Delay("Search", 1, time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, err := ix.Search(ctx, model, [][]float32{{1, 0}}, 1, "")
	require.True(t, candidates.IsUnavailable(err), err)
}

func TestMilvusAwayAndBack(t *testing.T) {
	server, ix := faultyIndex(t, nil)
	require.NoError(t, ix.Upsert(t.Context(), model, []candidates.Row{row("a", 1, 0)}))
	server.Stop()
	begin := time.Now()
	_, err := ix.Search(t.Context(), model, [][]float32{{1, 0}}, 1, "")
	require.True(t, candidates.IsUnavailable(err), err)
	require.Less(t, time.Since(begin), 4*time.Second, "an answer at once, not after retries")
	require.NoError(t, server.Restart(t.Context()))
	require.Eventually(t, func() bool {
		results, err := ix.Search(t.Context(), model, [][]float32{{1, 0}}, 1, "")
		return err == nil && len(results[0].Hits) == 1
	}, 10*time.Second, 10*time.Millisecond)
}

func TestNoMilvusAtAddress(t *testing.T) {
	server := servertest.StartMilvus(t)
	server.Stop()
	cfg := configOf(server)
	cfg.DialTimeout = 100 * time.Millisecond
	_, err := candidates.Connect(t.Context(), cfg)
	require.ErrorContains(t, err, cfg.Address)
	require.ErrorContains(t, err, "nothing answers")
	require.True(t, candidates.IsUnavailable(err), err)
}

func TestUpsertGoesInChunksAndCanBeDoneAgain(t *testing.T) {
	server, ix := faultyIndex(t, func(c *candidates.Config) { c.WriteRows = 10 })
	var rows []candidates.Row
	for i := range 35 {
		rows = append(rows, row(string(rune('A'+i)), 1, 0))
	}
	server.FailAfter("Upsert", 3, status.Error(codes.Unavailable, "lost on the way back"))
	err := ix.Upsert(t.Context(), model, rows)
	require.True(t, candidates.IsUnavailable(err), err)
	require.Equal(t, 3, server.Calls("Upsert"))
	require.NoError(t, ix.Upsert(t.Context(), model, rows))
	require.Equal(t, 7, server.Calls("Upsert"))
	require.Zero(t, server.Calls("Flush"))
	n, err := ix.Count(t.Context(), model)
	require.NoError(t, err)
	require.EqualValues(t, 35, n)
}

func TestEnsureAfterACrashBetweenCollectionAndIndex(t *testing.T) {
	server := servertest.StartMilvus(t)
	ix := connect(t, configOf(server))
	server.Fail("CreateIndex", 1, status.Error(codes.Unavailable, "crash"))
	require.True(t, candidates.IsUnavailable(ix.Ensure(t.Context(), model, 2)))
	loaded, err := ix.Loaded(t.Context(), model)
	require.NoError(t, err)
	require.False(t, loaded)
	require.NoError(t, ix.Ensure(t.Context(), model, 2))
}

func TestACollectionMadeAgainByAnother(t *testing.T) {
	server, ix := faultyIndex(t, nil)
	other := connect(t, configOf(server))
	require.NoError(t, other.Drop(t.Context(), model))
	require.NoError(t, other.Ensure(t.Context(), model, 3))
	require.NoError(t, ix.Upsert(t.Context(), model, []candidates.Row{row("a", 1, 0, 0)}))
	found(t, ix, []float32{1, 0, 0}, "", []string{"a"})
}

func TestStrangersCollectionUnderTheAlias(t *testing.T) {
	server, ix := faultyIndex(t, nil)
	require.NoError(t, ix.SwitchLive(t.Context(), model))
	cfg := configOf(server)
	cfg.Collection = "somebody_else"
	_, err := connect(t, cfg).Live(t.Context())
	require.ErrorContains(t, err, "drop the alias or choose another")
}

// TestSomethingElseAtAddress: an operator who reads that nothing is there would start a second Milvus.
func TestSomethingElseAtAddress(t *testing.T) {
	a, err := certs.New(t.TempDir())
	require.NoError(t, err)
	pair, err := a.Issue(certs.Wish{Name: "server"})
	require.NoError(t, err)
	encrypted, err := embedded.StartMilvus(t.Context(), embedded.Config{TLS: pair.Server()})
	require.NoError(t, err)
	t.Cleanup(encrypted.Close)
	redis, err := embedded.StartRedis(t.Context(), embedded.Config{})
	require.NoError(t, err)
	t.Cleanup(redis.Close)
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = silent.Close() })
	for name, c := range map[string]struct {
		address string
		tls     secure.TLS
	}{
		"Milvus with TLS":          {address: encrypted.Addr()},
		"Redis":                    {address: redis.Addr()},
		"silence":                  {address: silent.Addr().String()},
		"silence where TLS is due": {silent.Addr().String(), secure.TLS{Enabled: true, CAFile: a.File}},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := candidates.DefaultConfig()
			cfg.Address, cfg.TLS, cfg.DialTimeout = c.address, c.tls, 500*time.Millisecond
			_, err := candidates.Connect(t.Context(), cfg)
			require.ErrorContains(t, err, c.address)
			require.ErrorContains(t, err, "takes connections there but does not answer as Milvus does")
			require.Equal(t, secure.Unclear, candidates.ProblemOf(err))
			require.True(t, candidates.IsUnavailable(err), "it may be about to start: %v", err)
		})
	}
}
