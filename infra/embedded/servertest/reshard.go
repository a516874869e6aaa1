package servertest

import (
	"context"
	"net"
	"os/exec"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// owner is the address of the master of a key's slot, as a node sees it; empty where it sees none.
func (c *RedisCluster) owner(ctx context.Context, rdb *redis.Client, key string) string {
	slot, err := rdb.ClusterKeySlot(ctx, key).Result()
	if err != nil {
		return ""
	}
	ranges, err := rdb.ClusterSlots(ctx).Result() //nolint:staticcheck // as go-redis itself asks
	if err != nil {
		return ""
	}
	for _, r := range ranges {
		if int(slot) >= r.Start && int(slot) <= r.End {
			return r.Nodes[0].Addr
		}
	}
	return ""
}

// MastersFor returns the master of a key's slot, and another one.
func (c *RedisCluster) MastersFor(key string) (own, other *RedisNode) {
	c.t.Helper()
	ctx := context.WithoutCancel(c.t.Context())
	first := c.Nodes[0].connect()
	defer func() { _ = first.Close() }()
	address := c.owner(ctx, first, key)
	ranges, err := first.ClusterSlots(ctx).Result() //nolint:staticcheck // as go-redis itself asks
	if err != nil {
		c.t.Fatal(err)
	}
	for _, n := range c.Nodes {
		if n.Addr == address {
			own = n
			continue
		}
		for _, r := range ranges {
			if r.Nodes[0].Addr == n.Addr {
				other = n
			}
		}
	}
	if own == nil || other == nil {
		c.t.Fatalf("no master has the slot of %s", key)
	}
	return own, other
}

// Reshard moves slots from one master to another, and returns when they are moved.
func (c *RedisCluster) Reshard(from, to *RedisNode, slots int) string {
	c.t.Helper()
	return c.cli("--cluster", "reshard", from.Addr, "--cluster-from", c.id(from), "--cluster-to", c.id(to),
		"--cluster-slots", strconv.Itoa(slots), "--cluster-yes")
}

// OpenSlot begins to move a key's slot and moves one of its keys, as a tool that dies then leaves it.
func (c *RedisCluster) OpenSlot(key string, from, to *RedisNode) (slot int) {
	c.t.Helper()
	ctx := context.WithoutCancel(c.t.Context())
	source, target := from.connect(), to.connect()
	defer func() { _, _ = source.Close(), target.Close() }()
	number, err := source.ClusterKeySlot(ctx, key).Result()
	c.must(err)
	c.must(target.Do(ctx, "CLUSTER", "SETSLOT", number, "IMPORTING", c.id(from)).Err())
	c.must(source.Do(ctx, "CLUSTER", "SETSLOT", number, "MIGRATING", c.id(to)).Err())
	host, port, _ := net.SplitHostPort(to.Addr)
	c.must(source.Do(ctx, "MIGRATE", host, port, key, 0, 5000).Err())
	return int(number)
}

// Fix closes what is open.
func (c *RedisCluster) Fix() string {
	c.t.Helper()
	return c.cli("--cluster", "fix", c.Addresses()[0])
}

func (c *RedisCluster) id(n *RedisNode) string {
	c.t.Helper()
	rdb := n.connect()
	defer func() { _ = rdb.Close() }()
	id, err := rdb.Do(context.WithoutCancel(c.t.Context()), "CLUSTER", "MYID").Text()
	c.must(err)
	return id
}

func (c *RedisCluster) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// cli runs redis-cli, and returns the end of what it says.
func (c *RedisCluster) cli(args ...string) string {
	c.t.Helper()
	out, err := exec.CommandContext(c.t.Context(), "redis-cli", args...).CombinedOutput() //nolint:gosec // the test's own
	if err != nil {
		c.t.Fatalf("redis-cli %v: %v\n%s", args, err, out)
	}
	return string(out[max(0, len(out)-400):])
}
