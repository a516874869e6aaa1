package servertest

import (
	"context"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/infra/embedded"
)

// Redis is a server of whose calls faults can be scripted: an embedded one, a proxy of the real one, or a real cluster, of which
// none can, so that a test that tries is skipped.
type Redis struct {
	redisFaults
	// Addresses are for clients, which meet the faults.
	Addresses []string
	// Prefix begins the test's keys, <prefix>:…; longer ones are the test's too.
	Prefix string
	// Client goes past the faults.
	Client redis.UniversalClient
	Real   bool
	direct []string
}

// redisFaults is what embedded.Redis and embedded.RedisProxy have in common.
type redisFaults interface {
	Fail(command string, nth int, reply string)
	FailNext(command, reply string)
	Delay(command string, nth int, d time.Duration)
	Sever(command string, nth int)
	ClearFaults()
	Calls(command string) int
	Stop()
	Restart() error
	Close()
}

// StartRedis returns a server for the test. With a single real server named, that is it; else the cluster, if one is.
func StartRedis(t testing.TB) *Redis {
	t.Helper()
	single, cluster := os.Getenv(envRedis), os.Getenv(envCluster)
	r := &Redis{Prefix: strings.ReplaceAll(Name(), "_", "-"), Real: single != "" || cluster != ""}
	switch {
	case single != "":
		proxy, err := embedded.StartRedisProxy(t.Context(), single)
		if err != nil {
			t.Fatal(err)
		}
		r.redisFaults, r.Addresses = proxy, []string{proxy.Addr()}
		r.direct = []string{single}
	case cluster != "":
		r.redisFaults, r.Addresses = noFaults{t}, strings.Split(cluster, ",")
		r.direct = r.Addresses
	default:
		server, err := embedded.StartRedis(t.Context(), embedded.Config{})
		if err != nil {
			t.Fatal(err)
		}
		r.redisFaults, r.Addresses = server, []string{server.Addr()}
		r.direct = r.Addresses
	}
	t.Cleanup(r.Close)
	r.Client = r.Connect(t)
	if r.Real {
		cleanup(t, "keys "+r.Prefix, func(ctx context.Context) error { return r.each(ctx, r.delete) })
	}
	return r
}

// Connect returns one more client that goes past the faults and is closed when the test ends; changes may alter its options.
func (r *Redis) Connect(t testing.TB, changes ...func(*redis.UniversalOptions)) redis.UniversalClient {
	t.Helper()
	// What is slow because the machine is busy must not look like a server that is away.
	options := &redis.UniversalOptions{Addrs: r.direct, ReadTimeout: requestTimeout, WriteTimeout: requestTimeout}
	for _, change := range changes {
		change(options)
	}
	client := redis.NewUniversalClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}

// Keys lists the test's keys.
func (r *Redis) Keys(t testing.TB) (keys []string) {
	t.Helper()
	err := r.each(t.Context(), func(ctx context.Context, node redis.UniversalClient) error {
		found := node.Scan(ctx, 0, r.Prefix+":*", 1000).Iterator()
		for found.Next(ctx) {
			keys = append(keys, found.Val())
		}
		return found.Err()
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func (r *Redis) delete(ctx context.Context, node redis.UniversalClient) error {
	found := node.Scan(ctx, 0, r.Prefix+"*", 1000).Iterator()
	for found.Next(ctx) {
		if err := node.Unlink(ctx, found.Val()).Err(); err != nil {
			return err
		}
	}
	return found.Err()
}

// each visits every node that holds keys, one after the other.
func (r *Redis) each(ctx context.Context, visit func(context.Context, redis.UniversalClient) error) error {
	cluster, ok := r.Client.(*redis.ClusterClient)
	if !ok {
		return visit(ctx, r.Client)
	}
	turn := make(chan struct{}, 1)
	return cluster.ForEachMaster(ctx, func(ctx context.Context, node *redis.Client) error {
		turn <- struct{}{}
		defer func() { <-turn }()
		return visit(ctx, node)
	})
}

// noFaults skips tests that need faults of a cluster.
type noFaults struct{ t testing.TB }

func (n noFaults) skip() {
	n.t.Helper()
	n.t.Skip("scripts faults of Redis commands, which no proxy does for a cluster")
}

func (n noFaults) Fail(string, int, string)         { n.skip() }
func (n noFaults) FailNext(string, string)          { n.skip() }
func (n noFaults) Delay(string, int, time.Duration) { n.skip() }
func (n noFaults) Sever(string, int)                { n.skip() }
func (n noFaults) ClearFaults()                     {}
func (n noFaults) Calls(string) int                 { n.skip(); return 0 }
func (n noFaults) Stop()                            { n.skip() }
func (n noFaults) Restart() error                   { n.skip(); return nil }
func (n noFaults) Close()                           {}
