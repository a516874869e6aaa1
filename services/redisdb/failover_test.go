package redisdb_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/services/redisdb"
)

// failoverBound is within how long after a promotion every key is written again.
const failoverBound = 2 * time.Second

// writesUntil writes the keys, over and over, until one round is written in full, and returns when.
func writesUntil(t *testing.T, rdb redis.UniversalClient, keys []string) time.Time {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	for {
		pipe := rdb.Pipeline()
		for _, key := range keys {
			pipe.Set(ctx, key, "1", 0)
		}
		_, err := pipe.Exec(ctx)
		if err == nil {
			return time.Now()
		}
		select {
		case <-ctx.Done():
			require.NoError(t, err, "the keys are not written again")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// The old master stays away: nobody tells the client of the new one.
func TestAClusterFailoverIsFollowed(t *testing.T) {
	cluster := servertest.StartRedisCluster(t)
	cfg := redisdb.DefaultConfig()
	cfg.Addresses = cluster.Addresses()
	rdb := connect(t, cfg)
	var keys []string
	for i := range 30 {
		keys = append(keys, redisdb.Key("p", fmt.Sprint(i), "n"))
	}
	writesUntil(t, rdb, keys)
	promoted := cluster.KillMasterOf(keys[0])
	took := writesUntil(t, rdb, keys).Sub(promoted)
	t.Logf("written %v after the promotion", took)
	require.Less(t, took, failoverBound)
}

func TestASentinelFailoverIsFollowed(t *testing.T) {
	sentinels := servertest.StartSentinels(t)
	cfg := redisdb.DefaultConfig()
	cfg.Sentinel.Master, cfg.Sentinel.Addresses = sentinels.Master, sentinels.Addresses
	rdb := connect(t, cfg)
	writesUntil(t, rdb, []string{"a"})
	promoted := sentinels.KillMaster()
	took := writesUntil(t, rdb, []string{"a"}).Sub(promoted)
	t.Logf("written %v after the promotion", took)
	require.Less(t, took, failoverBound)
}
