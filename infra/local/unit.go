package local

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// unit is one server process.
type unit struct {
	name string
	// needs are the units that have to serve before this one starts.
	needs []string
	ports []int
	// patience is how long it may take from its start until it serves.
	patience time.Duration
	install  func(ctx context.Context) error
	// prepare writes what the server reads when it starts; its folder is there.
	prepare func(ctx context.Context) (command, error)
	// probe returns nil once the server does what its users need.
	probe func(ctx context.Context) error
}

// The names of servers and of the group of the cluster's nodes.
const (
	Kafka         = "kafka"
	Redis         = "redis"
	RedisTLS      = "redis-tls"
	RedisSentinel = "redis-sentinel"
	RedisCluster  = "redis-cluster"
	Milvus        = "milvus"
	MilvusSecure  = "milvus-secure"
	Registry      = "registry"
)

func (s *Servers) ports(usual ...int) []int {
	for i := range usual {
		usual[i] += s.shift
	}
	return usual
}

func clusterNode(i int) string { return fmt.Sprintf("%s-%d", RedisCluster, i+1) }

// catalogue lists all units.
func (s *Servers) catalogue() []unit {
	all := []unit{s.kafka(), s.redis(), s.redisTLS(), s.redisSentinel()}
	for i := range clusterNodes {
		all = append(all, s.redisClusterNode(i))
	}
	return append(all, s.milvus(), s.milvusSecure(), s.registry())
}

// choose resolves names to units; no name means all. The units that these need come with them if wanted.
func (s *Servers) choose(names []string, withNeeds bool) ([]unit, error) {
	chosen := map[string]bool{}
	var add func(name string) error
	add = func(name string) error {
		if name == RedisCluster {
			for i := range clusterNodes {
				chosen[clusterNode(i)] = true
			}
			return nil
		}
		at := slices.IndexFunc(s.units, func(u unit) bool { return u.name == name })
		if at < 0 {
			return fmt.Errorf("server %q is not known: use one of %s", name, strings.Join(s.Names(), ", "))
		}
		chosen[name] = true
		if withNeeds {
			for _, needed := range s.units[at].needs {
				if err := add(needed); err != nil {
					return err
				}
			}
		}
		return nil
	}
	for _, name := range names {
		if err := add(name); err != nil {
			return nil, err
		}
	}
	if len(names) == 0 {
		return slices.Clone(s.units), nil
	}
	return slices.DeleteFunc(slices.Clone(s.units), func(u unit) bool { return !chosen[u.name] }), nil
}

// Names lists what the methods take for a name: every server, and redis-cluster for its nodes together.
func (s *Servers) Names() []string {
	names := []string{RedisCluster}
	for _, u := range s.units {
		names = append(names, u.name)
	}
	slices.Sort(names)
	return names
}
