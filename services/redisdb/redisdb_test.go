package redisdb_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/services/redisdb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hashTag is the rule of the Redis Cluster specification, written apart from Key.
func hashTag(key string) string {
	if i := strings.IndexByte(key, '{'); i >= 0 {
		if j := strings.IndexByte(key[i+1:], '}'); j > 0 {
			return key[i+1 : i+1+j]
		}
	}
	return key
}

func hostileIDs() []string {
	ids := []string{
		"", "a", "{", "}", "{}", "a}b{c", "a{b}c", "%", "%7B", "%257B", "{%}", "%7D%7B", "ü世界", "a:b", "a\x00b", "\xff\xfe",
		strings.Repeat("{", 256), strings.Repeat("x", 256), "profile", "}:profile", "%25",
	}
	for range 50 {
		ids = append(ids, rand.Text())
	}
	return ids
}

func TestKeysOfOneIDShareASlotAndNoTwoIDsShareAKey(t *testing.T) {
	owner := map[string]string{}
	for _, id := range hostileIDs() {
		profile, seen := redisdb.Key("freshet", id, "profile"), redisdb.Key("freshet", id, "seen")
		require.Equal(t, hashTag(profile), hashTag(seen), "id %q", id)
		require.NotEqual(t, profile, hashTag(profile), "id %q has no hash tag", id)
		for _, key := range []string{profile, seen} {
			if other, taken := owner[key]; taken {
				require.Equal(t, other, id, "key %q", key)
			}
			owner[key] = id
			require.Equal(t, id, redisdb.ID(strings.TrimSuffix(strings.TrimPrefix(key, "freshet"), key[strings.LastIndex(key, "}:")+1:])))
		}
	}
}

func FuzzKey(f *testing.F) {
	for _, id := range hostileIDs() {
		f.Add(id, "other")
	}
	f.Add("{", "%7B")
	f.Fuzz(func(t *testing.T, a, b string) {
		ka, kb := redisdb.Key("p", a, "k"), redisdb.Key("p", b, "k")
		if (ka == kb) != (a == b) {
			t.Fatalf("ids %q and %q have keys %q and %q", a, b, ka, kb)
		}
		if hashTag(ka) != hashTag(redisdb.Key("p", a, "other")) {
			t.Fatalf("keys of id %q lie in different slots", a)
		}
	})
}

func TestValidatePrefix(t *testing.T) {
	require.NoError(t, redisdb.ValidatePrefix("key_prefix", "freshet"))
	require.ErrorContains(t, redisdb.ValidatePrefix("key_prefix", ""), "key_prefix is empty")
	require.ErrorContains(t, redisdb.ValidatePrefix("key_prefix", "{x}"), "leave them out")
}

func TestConfigValidate(t *testing.T) {
	require.NoError(t, redisdb.DefaultConfig().Validate())
	for want, change := range map[string]func(*redisdb.Config){
		"addresses is empty":           func(c *redisdb.Config) { c.Addresses = nil },
		"addresses has an empty entry": func(c *redisdb.Config) { c.Addresses = []string{"a:1", ""} },
		"db is -1":                     func(c *redisdb.Config) { c.DB = -1 },
		"database 0 only":              func(c *redisdb.Config) { c.DB, c.Cluster = 1, true },
		"pool_size is -1":              func(c *redisdb.Config) { c.PoolSize = -1 },
		"dial_timeout is 0s":           func(c *redisdb.Config) { c.DialTimeout = 0 },
		"read_timeout is -1s":          func(c *redisdb.Config) { c.ReadTimeout = -time.Second },
		"tls.ca_file is":               func(c *redisdb.Config) { c.TLS.CAFile = "a" },
		"password_file is":             func(c *redisdb.Config) { c.Password, c.PasswordFile = "hunter2", "f" },
		"password is empty but":        func(c *redisdb.Config) { c.Username = "app" },
		"an entry that is a URL":       func(c *redisdb.Config) { c.Addresses = []string{"redis://app:hunter2@a:1"} },
		"sentinel.master is empty":     func(c *redisdb.Config) { c.Sentinel.Password = "hunter2" },
		"sentinel.addresses is empty":  func(c *redisdb.Config) { c.Sentinel.Master = "m" },
		"sentinel.addresses has an":    func(c *redisdb.Config) { c.Sentinel = redisdb.Sentinel{Master: "m", Addresses: []string{""}} },
		"sentinel.password_file is": func(c *redisdb.Config) {
			c.Sentinel = redisdb.Sentinel{Master: "m", Addresses: []string{"a:1"}, Password: "hunter2", PasswordFile: "f"}
		},
		"no sentinels": func(c *redisdb.Config) {
			c.Cluster, c.Sentinel = true, redisdb.Sentinel{Master: "m", Addresses: []string{"a:1"}}
		},
		"write_timeout is 0s": func(c *redisdb.Config) { c.WriteTimeout = 0 },
	} {
		cfg := redisdb.DefaultConfig()
		change(&cfg)
		require.ErrorContains(t, cfg.Validate(), want)
		require.NotContains(t, cfg.Validate().Error(), "hunter2")
	}
}

func connect(t *testing.T, cfg redisdb.Config) redis.UniversalClient {
	t.Helper()
	rdb, err := redisdb.Connect(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	return rdb
}

func TestConnect(t *testing.T) {
	server := miniredis.RunT(t)
	server.RequireUserAuth("app", "secret")
	cfg := redisdb.DefaultConfig()
	cfg.Addresses, cfg.Username, cfg.Password = []string{server.Addr()}, "app", "secret"
	require.NoError(t, connect(t, cfg).Ping(t.Context()).Err())

	cfg.Password = "wrong"
	_, err := redisdb.Connect(t.Context(), cfg)
	require.ErrorContains(t, err, "connecting to Redis at "+server.Addr()+": ")
}

func TestConnectToAClusterEndpoint(t *testing.T) {
	server := miniredis.RunT(t)
	cfg := redisdb.DefaultConfig()
	cfg.Addresses, cfg.Cluster = []string{server.Addr()}, true
	rdb := connect(t, cfg)
	require.IsType(t, &redis.ClusterClient{}, rdb)

	script := redisdb.NewScript(`return redis.call('INCRBY', KEYS[1], ARGV[1])`)
	var calls []redisdb.Call
	for i := range 20 {
		calls = append(calls, redisdb.Call{Keys: []string{redisdb.Key("p", fmt.Sprint(i), "n")}, Args: []any{i}})
	}
	for i, answer := range script.Run(t.Context(), rdb, calls) {
		n, err := answer.Int()
		require.NoError(t, err)
		require.Equal(t, i, n)
	}
}

func TestConnectGivesUpWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := redisdb.Connect(ctx, redisdb.DefaultConfig())
	require.ErrorIs(t, err, context.Canceled)
}

func TestScriptSurvivesAFlush(t *testing.T) {
	server := miniredis.RunT(t)
	cfg := redisdb.DefaultConfig()
	cfg.Addresses = []string{server.Addr()}
	rdb := connect(t, cfg)
	script := redisdb.NewScript(`
		if ARGV[1] == 'fail' then return redis.error_reply('NO luck') end
		return redis.call('APPEND', KEYS[1], ARGV[1])`)
	calls := []redisdb.Call{
		{Keys: []string{"a"}, Args: []any{"1"}}, {Keys: []string{"b"}, Args: []any{"fail"}}, {Keys: []string{"a"}, Args: []any{"2"}},
	}
	for range 2 {
		answers := script.Run(t.Context(), rdb, calls)
		require.NoError(t, answers[0].Err())
		require.ErrorContains(t, answers[1].Err(), "NO luck")
		require.NoError(t, answers[2].Err())
	}
	require.NoError(t, rdb.ScriptFlush(t.Context()).Err())
	require.NoError(t, script.Run(t.Context(), rdb, calls[:1])[0].Err())
	value, err := rdb.Get(t.Context(), "a").Result()
	require.NoError(t, err)
	require.Equal(t, "12121", value)
	require.Empty(t, script.Run(t.Context(), rdb, nil))
}

func TestReadErrorTellsCorruptFromNewer(t *testing.T) {
	corrupt := fmt.Errorf("loading: %w", redisdb.ReadError("k", "delete it", errors.New("short")))
	require.True(t, redisdb.IsCorrupt(corrupt))
	require.ErrorContains(t, corrupt, `value of Redis key "k" is corrupt: short; delete it`)

	require.NoError(t, redisdb.CheckFormat("history", 1, 1))
	for _, garbage := range []byte{0, 16, 255} {
		require.True(t, redisdb.IsCorrupt(redisdb.ReadError("k", "delete it", redisdb.CheckFormat("history", garbage, 1))))
	}
	newer := redisdb.ReadError("k", "delete it", redisdb.CheckFormat("history", 9, 1))
	require.False(t, redisdb.IsCorrupt(newer))
	require.ErrorContains(t, newer, "history has format 9")
}
