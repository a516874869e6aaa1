package local

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// redisCommand writes a configuration file and starts redis-server on it.
func (s *Servers) redisCommand(name string, sentinel bool, settings ...string) (command, error) {
	path := filepath.Join(s.folder(name), "redis.conf")
	settings = append([]string{"bind 127.0.0.1", "daemonize no", "dir " + s.folder(name)}, settings...)
	if err := writeFile(path, []byte(strings.Join(settings, "\n")+"\n")); err != nil {
		return command{}, err
	}
	server, err := program("redis-server", redisRemedy)
	args := []string{server, path}
	if sentinel {
		args = append(args, "--sentinel")
	}
	return command{args: args, dir: s.folder(name)}, err
}

// durable settings append each write before it is answered: a kill -9 loses none (a power cut, up to a second). An event
// appends some 2 KB, so that a small data set doubles at once: rewritten from its usual 64 MB on, the file of a busy laptop is
// rewritten again and again, with a fork each, and Redis was seen to stand still for up to 110 ms meanwhile.
var durable = []string{"appendonly yes", "appendfsync everysec", `save ""`, "auto-aof-rewrite-min-size 1gb"}

func (s *Servers) redisUnit(name string, port int, at redisAt, settings ...string) unit {
	return unit{
		name: name, ports: s.ports(port), patience: time.Minute, install: s.installRedis,
		prepare: func(context.Context) (command, error) {
			return s.redisCommand(name, false, append(settings, durable...)...)
		},
		probe: func(ctx context.Context) error {
			answer, err := at.call(ctx, "PING")
			if err == nil && answer != "PONG" {
				err = fmt.Errorf("PING is answered by %v", answer)
			}
			return err
		},
	}
}

func (s *Servers) redis() unit {
	return s.redisUnit(Redis, redisPort, redisAt{address: s.description.Redis.Address}, "port "+strconv.Itoa(redisPort+s.shift))
}

// redisTLS wants a name and a password: users.acl closes the default user.
func (s *Servers) redisTLS() unit {
	u := s.redisUnit(RedisTLS, redisTLSPort, redisAt{}, "port 0", "tls-port "+strconv.Itoa(redisTLSPort+s.shift), "tls-auth-clients optional",
		"tls-cert-file "+s.tlsFile("server.pem"), "tls-key-file "+s.tlsFile("server.key"), "tls-ca-cert-file "+s.description.CA,
		"aclfile "+filepath.Join(s.folder(RedisTLS), "users.acl"))
	configure := u.prepare
	u.prepare = func(ctx context.Context) (command, error) {
		if err := writeFile(filepath.Join(s.folder(RedisTLS), "users.acl"), []byte(s.redisUsers())); err != nil {
			return command{}, err
		}
		return configure(ctx)
	}
	u.probe = func(ctx context.Context) error {
		trusting, err := trust(s.description.CA)
		if err != nil {
			return err
		}
		user := s.description.Users[admin]
		_, err = redisAt{s.description.Redis.TLS, trusting, user.Name, user.Password}.call(ctx, "PING")
		return err
	}
	return u
}

// redisUsers knows everybody, but only the admin may do anything until ACL SETUSER says so.
func (s *Servers) redisUsers() string {
	var text strings.Builder
	text.WriteString("user default off nopass -@all\n")
	for _, name := range users {
		rights := "-@all"
		if name == admin {
			rights = "~* &* +@all"
		}
		fmt.Fprintf(&text, "user %s on #%x %s\n", name, sha256.Sum256([]byte(s.description.Users[name].Password)), rights)
	}
	return text.String()
}

// redisSentinel starts without memory of earlier runs: Sentinel keeps what it learned in its configuration file, which is written
// anew.
func (s *Servers) redisSentinel() unit {
	at := redisAt{address: s.description.Redis.Sentinel}
	return unit{
		name: RedisSentinel, needs: []string{Redis}, ports: s.ports(sentinelPort), patience: time.Minute, install: s.installRedis,
		prepare: func(context.Context) (command, error) {
			return s.redisCommand(RedisSentinel, true, "port "+strconv.Itoa(sentinelPort+s.shift),
				fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 1", master, redisPort+s.shift),
				fmt.Sprintf("sentinel down-after-milliseconds %s 2000", master))
		},
		probe: func(ctx context.Context) error {
			answer, err := at.call(ctx, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", master)
			if pair, found := answer.([]any); err == nil && (!found || len(pair) != 2) {
				err = fmt.Errorf("the master %q has no address: %v", master, answer)
			}
			return err
		},
	}
}

func (s *Servers) redisClusterNode(i int) unit {
	port, bus := clusterPort+i, busPort+i
	u := s.redisUnit(clusterNode(i), port, s.node(i), "port "+strconv.Itoa(port+s.shift), "cluster-enabled yes",
		"cluster-port "+strconv.Itoa(bus+s.shift), "cluster-config-file nodes.conf", "cluster-node-timeout 2000",
		"cluster-require-full-coverage no")
	u.ports = append(u.ports, bus+s.shift)
	return u
}

func (s *Servers) node(i int) redisAt { return redisAt{address: s.description.Redis.Cluster[i]} }

const slots = 16384

// settleCluster makes a cluster of the nodes if they are new, and waits until every node that was asked for sees it whole.
func (s *Servers) settleCluster(ctx context.Context, chosen []unit) error {
	var nodes []int
	for i := range clusterNodes {
		for _, u := range chosen {
			if u.name == clusterNode(i) {
				nodes = append(nodes, i)
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for _, i := range nodes {
		if err := s.joinCluster(ctx, i); err != nil {
			return fmt.Errorf("forming the Redis Cluster: %w", err)
		}
	}
	for _, i := range nodes {
		for {
			err := s.clusterState(ctx, i)
			if err == nil {
				break
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("waiting for the Redis Cluster: %w", errors.Join(ctx.Err(), err))
			case <-time.After(probePause):
			}
		}
	}
	return nil
}

// joinCluster gives a node that has none its third of the slots and introduces it to the others. The epoch makes the nodes'
// claims comparable; a node that knows others already has one.
func (s *Servers) joinCluster(ctx context.Context, i int) error {
	node := s.node(i)
	answer, err := node.call(ctx, "CLUSTER", "NODES")
	if err != nil {
		return err
	}
	// <id> <address> <flags> <master> <ping> <pong> <epoch> <link> [slots]
	known := strings.Split(strings.TrimSpace(fmt.Sprint(answer)), "\n")
	for _, line := range known {
		if fields := strings.Fields(line); len(fields) == 8 && strings.Contains(fields[2], "myself") {
			first, last := slots*i/clusterNodes, slots*(i+1)/clusterNodes-1
			if _, err := node.call(ctx, "CLUSTER", "ADDSLOTSRANGE", strconv.Itoa(first), strconv.Itoa(last)); err != nil {
				return err
			}
		}
	}
	if len(known) == 1 {
		if _, err := node.call(ctx, "CLUSTER", "SET-CONFIG-EPOCH", strconv.Itoa(i+1)); err != nil && !isRedisError(err) {
			return err
		}
	}
	if len(known) >= clusterNodes {
		return nil
	}
	for other := range clusterNodes {
		if other == i {
			continue
		}
		if _, err := node.call(ctx, "CLUSTER", "MEET", "127.0.0.1", strconv.Itoa(clusterPort+other+s.shift),
			strconv.Itoa(busPort+other+s.shift)); err != nil {
			return err
		}
	}
	return nil
}

func isRedisError(err error) bool {
	var answered redisError
	return errors.As(err, &answered)
}

func (s *Servers) clusterState(ctx context.Context, i int) error {
	answer, err := s.node(i).call(ctx, "CLUSTER", "INFO")
	if err != nil {
		return err
	}
	text := fmt.Sprint(answer)
	for _, want := range []string{"cluster_state:ok", "cluster_slots_assigned:16384", "cluster_known_nodes:3"} {
		if !strings.Contains(text, want+"\r\n") {
			return fmt.Errorf("%s does not say %s", clusterNode(i), want)
		}
	}
	return nil
}
