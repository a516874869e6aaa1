package servertest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// RedisNode is a redis-server of the test's own, which it may kill.
type RedisNode struct {
	Addr string
	cmd  *exec.Cmd
	dead bool
}

// RedisCluster is a real cluster of the test's own: masters, each with a replica.
type RedisCluster struct {
	Nodes []*RedisNode
	t     testing.TB
}

// clusterMasters is the fewest of which a majority outlives one.
const clusterMasters = 3

// failoverMillis is after how long without an answer a node or master counts as lost.
const failoverMillis = "1000"

// StartRedisCluster starts six servers and makes a cluster of them. Where no real servers are asked for, it skips the test: none
// that is embedded fails over.
func StartRedisCluster(t testing.TB) *RedisCluster {
	t.Helper()
	c := &RedisCluster{t: t}
	args := []string{"--cluster", "create"}
	for range 2 * clusterMasters {
		port, bus := freePort(t), freePort(t)
		n := startNode(t, port, "--cluster-enabled", "yes", "--cluster-port", strconv.Itoa(bus), "--cluster-config-file", "nodes.conf",
			"--cluster-node-timeout", failoverMillis, "--cluster-require-full-coverage", "no", "--repl-diskless-sync-delay", "0")
		c.Nodes = append(c.Nodes, n)
		args = append(args, n.Addr)
	}
	args = append(args, "--cluster-replicas", "1", "--cluster-yes")
	out, err := exec.CommandContext(t.Context(), "redis-cli", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("making a cluster: %v\n%s", err, out)
	}
	for _, n := range c.Nodes {
		c.await(n, "a whole cluster", func(ctx context.Context, rdb *redis.Client) bool {
			info, err := rdb.ClusterInfo(ctx).Result()
			role, roleErr := rdb.Info(ctx, "replication").Result()
			linked := strings.Contains(role, "role:master") && strings.Contains(role, "connected_slaves:1") ||
				strings.Contains(role, "master_link_status:up")
			return err == nil && roleErr == nil && linked && strings.Contains(info, "cluster_state:ok") &&
				strings.Contains(info, "cluster_known_nodes:6")
		})
	}
	return c
}

// Addresses are those of the nodes that were not killed.
func (c *RedisCluster) Addresses() (addresses []string) {
	for _, n := range c.Nodes {
		if !n.dead {
			addresses = append(addresses, n.Addr)
		}
	}
	return addresses
}

// KillMasterOf kills the master of a key's slot, for good, and returns when its replica has been promoted.
func (c *RedisCluster) KillMasterOf(key string) (promoted time.Time) {
	c.t.Helper()
	killed, _ := c.MastersFor(key)
	killed.Kill()
	for _, n := range c.Nodes {
		if !n.dead {
			c.await(n, "a promotion", func(ctx context.Context, rdb *redis.Client) bool {
				now := c.owner(ctx, rdb, key)
				return now != "" && now != killed.Addr
			})
			if promoted.IsZero() {
				promoted = time.Now()
			}
		}
	}
	return promoted
}

func (c *RedisCluster) await(n *RedisNode, what string, done func(context.Context, *redis.Client) bool) {
	c.t.Helper()
	awaitNode(c.t, n, what, done)
}

// Sentinels is a master with a replica and three sentinels that watch it under Master.
type Sentinels struct {
	Master         string
	Addresses      []string
	master, second *RedisNode
	t              testing.TB
}

// StartSentinels starts five servers. It skips the test as StartRedisCluster does.
func StartSentinels(t testing.TB) *Sentinels {
	t.Helper()
	s := &Sentinels{Master: "shop", t: t}
	s.master = startNode(t, freePort(t), "--repl-diskless-sync-delay", "0")
	host, port, _ := net.SplitHostPort(s.master.Addr)
	s.second = startNode(t, freePort(t), "--replicaof", host, port)
	awaitNode(t, s.second, "a replica", func(ctx context.Context, rdb *redis.Client) bool {
		role, err := rdb.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(role, "master_link_status:up")
	})
	for range 3 {
		own := freePort(t)
		dir := t.TempDir()
		path := filepath.Join(dir, "sentinel.conf")
		text := fmt.Sprintf("bind 127.0.0.1\nport %d\ndir %s\nsentinel monitor %s %s %s 2\nsentinel down-after-milliseconds %s %s\n"+
			"sentinel failover-timeout %s 5000\n", own, dir, s.Master, host, port, s.Master, failoverMillis, s.Master)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		n := launchNode(t, own, path, "--sentinel")
		s.Addresses = append(s.Addresses, n.Addr)
		defer awaitNode(t, n, "all sentinels", func(ctx context.Context, rdb *redis.Client) bool {
			known, err := rdb.Info(ctx, "sentinel").Result()
			return err == nil && strings.Contains(known, "slaves=1,sentinels=3")
		})
	}
	return s
}

// KillMaster kills the master, for good, and returns when the replica has been promoted.
func (s *Sentinels) KillMaster() (promoted time.Time) {
	s.t.Helper()
	s.master.Kill()
	awaitNode(s.t, s.second, "a promotion", func(ctx context.Context, rdb *redis.Client) bool {
		role, err := rdb.Info(ctx, "replication").Result()
		return err == nil && strings.Contains(role, "role:master")
	})
	return time.Now()
}

// Kill ends a server as a crash does.
func (n *RedisNode) Kill() {
	if !n.dead {
		n.dead = true
		_ = n.cmd.Process.Kill()
		_ = n.cmd.Wait()
	}
}

// connect returns a client of the node alone.
func (n *RedisNode) connect() *redis.Client {
	return redis.NewClient(&redis.Options{Addr: n.Addr, MaxRetries: -1, DialerRetries: 1})
}

// startNode starts a server that keeps nothing on disk.
func startNode(t testing.TB, port int, settings ...string) *RedisNode {
	t.Helper()
	settings = append([]string{
		"--bind", "127.0.0.1", "--port", strconv.Itoa(port), "--dir", t.TempDir(), "--save", "", "--appendonly", "no",
	}, settings...)
	return launchNode(t, port, settings...)
}

func launchNode(t testing.TB, port int, args ...string) *RedisNode {
	t.Helper()
	if os.Getenv(envCluster) == "" && os.Getenv("FRESHET_TEST_FAULTS") == "" {
		t.Skip("no embedded Redis fails over: set " + envCluster + " to have a real one started")
	}
	cmd := exec.CommandContext(context.WithoutCancel(t.Context()), "redis-server", args...) //nolint:gosec // the test's own
	n := &RedisNode{Addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), cmd: cmd}
	if err := n.cmd.Start(); err != nil {
		t.Fatalf("starting redis-server: %v", err)
	}
	t.Cleanup(n.Kill)
	awaitNode(t, n, "an answer", func(ctx context.Context, rdb *redis.Client) bool { return rdb.Ping(ctx).Err() == nil })
	return n
}

func awaitNode(t testing.TB, n *RedisNode, what string, done func(context.Context, *redis.Client) bool) {
	t.Helper()
	rdb := n.connect()
	defer func() { _ = rdb.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !done(ctx, rdb) {
		select {
		case <-ctx.Done():
			t.Fatalf("Redis at %s does not come to %s", n.Addr, what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// freePort finds a port that nobody has.
func freePort(t testing.TB) int {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().(*net.TCPAddr).Port
}
