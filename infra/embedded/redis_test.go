package embedded_test

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/infra/embedded/faults"
)

func startRedis(t *testing.T) (*embedded.Redis, *redis.Client) {
	t.Helper()
	r, err := embedded.StartRedis(t.Context(), embedded.Config{})
	require.NoError(t, err)
	t.Cleanup(r.Close)
	rdb := redis.NewClient(&redis.Options{Addr: r.Addr(), MaxRetries: -1})
	t.Cleanup(func() { _ = rdb.Close() })
	require.NoError(t, rdb.Ping(t.Context()).Err())
	return r, rdb
}

func TestRedisFaultsStrikeTheCallsThatAreNamed(t *testing.T) {
	r, rdb := startRedis(t)
	ctx := t.Context()
	r.Fail("SET", 2, "LOADING Redis is loading the dataset in memory")
	require.NoError(t, rdb.Set(ctx, "a", "1", 0).Err())
	require.NoError(t, rdb.Get(ctx, "a").Err())
	require.ErrorContains(t, rdb.Set(ctx, "a", "2", 0).Err(), "LOADING")
	require.Equal(t, "1", rdb.Get(ctx, "a").Val(), "a failed call has not run")
	require.NoError(t, rdb.Set(ctx, "a", "3", 0).Err())
	require.Equal(t, 3, r.Calls("SET"))

	r.FailNext("GET", "ERR scripted")
	_, err := rdb.Pipelined(ctx, func(p redis.Pipeliner) error {
		p.Set(ctx, "b", "1", 0)
		p.Get(ctx, "b")
		p.Set(ctx, "c", "1", 0)
		return nil
	})
	require.ErrorContains(t, err, "scripted")
	require.Equal(t, "1", rdb.Get(ctx, "c").Val(), "the commands of a pipeline count one by one")

	r.Sever("SET", 1)
	require.Error(t, rdb.Set(ctx, "a", "4", 0).Err())
	require.Equal(t, "3", rdb.Get(ctx, "a").Val())

	r.Delay("GET", 1, 20*time.Millisecond)
	begin := time.Now()
	require.NoError(t, rdb.Get(ctx, "a").Err())
	require.GreaterOrEqual(t, time.Since(begin), 20*time.Millisecond)

	r.Fail(faults.Any, faults.Every, "ERR away")
	require.ErrorContains(t, rdb.Get(ctx, "a").Err(), "away")
	require.ErrorContains(t, rdb.Get(ctx, "a").Err(), "away")
	r.ClearFaults()
	require.NoError(t, rdb.Get(ctx, "a").Err())
}

func TestRedisKeepsDataAndFaultsOverStopAndRestart(t *testing.T) {
	r, rdb := startRedis(t)
	require.NoError(t, rdb.Set(t.Context(), "a", "1", 0).Err())
	r.Stop()
	require.Error(t, rdb.Get(t.Context(), "a").Err())
	r.FailNext("GET", "ERR scripted")
	require.NoError(t, r.Restart())
	require.ErrorContains(t, rdb.Get(t.Context(), "a").Err(), "scripted")
	require.Equal(t, "1", rdb.Get(t.Context(), "a").Val())
}

func TestRedisKeysExpireByThemselves(t *testing.T) {
	_, rdb := startRedis(t)
	require.NoError(t, rdb.Set(t.Context(), "short", "1", 10*time.Millisecond).Err())
	require.NoError(t, rdb.Set(t.Context(), "long", "1", time.Hour).Err())
	require.Eventually(t, func() bool { return rdb.Exists(t.Context(), "short").Val() == 0 }, 10*time.Second, 20*time.Millisecond)
	require.EqualValues(t, 1, rdb.Exists(t.Context(), "long").Val())
}

func TestRedisCloseEndsHeldCalls(t *testing.T) {
	r, rdb := startRedis(t)
	r.Delay("GET", 1, time.Hour)
	failed := make(chan error)
	go func() { failed <- rdb.Get(t.Context(), "a").Err() }()
	require.Eventually(t, func() bool { return r.Calls("GET") == 1 }, 5*time.Second, time.Millisecond)
	r.Close()
	require.Error(t, <-failed)
}
