package redisdb

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

	"github.com/freshet/freshet/schemas/secure"
)

// Connect returns a client that has heard from the server. Its calls end with their contexts. ProblemOf says what an error is
// about.
func Connect(ctx context.Context, cfg Config) (redis.UniversalClient, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring Redis: %w", err)
	}
	// go-redis would write of each failed connection to stderr, in a form of its own, what the calls return anyway.
	logging.Disable()
	options, err := cfg.options()
	if err != nil {
		return nil, fmt.Errorf("configuring Redis: %w", err)
	}
	rdb := cfg.client(options)
	instrument(rdb)
	if err := rdb.Ping(ctx).Err(); err != nil {
		err = fmt.Errorf("connecting to Redis at %s: %w", strings.Join(options.Addrs, ", "), secure.Refused(ProblemOf(err), err))
		return nil, errors.Join(err, rdb.Close())
	}
	if err := checkMode(ctx, rdb); err != nil {
		err = fmt.Errorf("connecting to Redis at %s: %w", strings.Join(options.Addrs, ", "), err)
		return nil, errors.Join(err, rdb.Close())
	}
	return rdb, nil
}

// ModeError is a server that is spoken to in a way which it would refuse for most keys, or for all commands.
type ModeError struct {
	// Mode is what HELLO calls it: cluster or sentinel.
	Mode string
}

func (e *ModeError) Error() string {
	if e.Mode == modeCluster {
		return "the server is a node of a Redis Cluster, and is spoken to as a single one"
	}
	return "the server is a sentinel, and is spoken to as one that keeps data"
}

const (
	modeCluster  = "cluster"
	modeSentinel = "sentinel"
)

// checkMode finds a server of another kind before the first command does, which is refused with a key's slot and no reason.
func checkMode(ctx context.Context, rdb redis.UniversalClient) error {
	single, ok := rdb.(*redis.Client)
	if !ok {
		return nil
	}
	said, err := single.Do(ctx, "HELLO").Result()
	if err != nil {
		return nil //nolint:nilerr // a server without HELLO, as before Redis 6 or behind a proxy, can serve
	}
	var mode any
	switch fields := said.(type) {
	case map[any]any: // RESP3
		mode = fields["mode"]
	case []any: // RESP2
		if i := slices.Index(fields, any("mode")); i >= 0 && i+1 < len(fields) {
			mode = fields[i+1]
		}
	}
	if mode == modeCluster || mode == modeSentinel {
		return &ModeError{Mode: fmt.Sprint(mode)}
	}
	return nil
}

// IsUnknownMaster says whether the sentinels answered, and watch no master of the name that they were asked for.
func IsUnknownMaster(err error) bool { return errors.Is(err, redis.Nil) }

// slotsAge is how old a cluster's slot map may get. go-redis asks for a new one when a node says that a key has moved, which a node
// that is gone cannot say:
//
//	a master dies | its replica is promoted, 3 s later | commands go on being sent to the dead node | go-redis's default of 60 s is over
//
// One CLUSTER SLOTS a second for each process is what it costs.
const slotsAge = time.Second

// client returns what redis.NewUniversalClient would, but for the age of a cluster's slot map, which UniversalOptions lacks.
func (c Config) client(o *redis.UniversalOptions) redis.UniversalClient {
	if !c.Cluster && len(c.Addresses) == 1 || c.Sentinel.Master != "" {
		return redis.NewUniversalClient(o)
	}
	cluster := o.Cluster()
	cluster.ClusterStateReloadInterval = slotsAge
	rdb := redis.NewClusterClient(cluster)
	rdb.AddHook(reloadSlots{rdb})
	return rdb
}

// reloadSlots has a cluster's slot map read anew when a command failed without an answer: then its node may be gone, and another
// one have its slots. go-redis does it at most five times a second.
type reloadSlots struct{ rdb *redis.ClusterClient }

// DialHook implements redis.Hook.
func (h reloadSlots) DialHook(next redis.DialHook) redis.DialHook { return next }

// ProcessHook implements redis.Hook.
func (h reloadSlots) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		err := next(ctx, cmd)
		h.look(ctx, err)
		return err
	}
}

// ProcessPipelineHook implements redis.Hook.
func (h reloadSlots) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			h.look(ctx, cmd.Err())
		}
		return err
	}
}

func (h reloadSlots) look(ctx context.Context, err error) {
	if _, answered := errors.AsType[redis.Error](err); err != nil && !answered {
		h.rdb.ReloadState(ctx)
	}
}

// options reads the files that the settings name.
func (c Config) options() (*redis.UniversalOptions, error) {
	encryption, err := c.TLS.Load()
	if err != nil {
		return nil, err
	}
	password, err := secure.ReadSecret("password", c.Password, c.PasswordFile)
	if err != nil {
		return nil, err
	}
	o := &redis.UniversalOptions{
		Addrs:                 c.Addresses,
		IsClusterMode:         c.Cluster,
		Username:              c.Username,
		Password:              password.Reveal(),
		DB:                    c.DB,
		Dialer:                c.dialer(encryption),
		DialTimeout:           c.DialTimeout,
		DialerRetries:         1, // a command is tried again as a whole
		ReadTimeout:           c.ReadTimeout,
		WriteTimeout:          c.WriteTimeout,
		PoolSize:              c.PoolSize,
		ContextTimeoutEnabled: true,
	}
	if c.Sentinel.Master != "" {
		ofSentinels, err := secure.ReadSecret("sentinel.password", c.Sentinel.Password, c.Sentinel.PasswordFile)
		if err != nil {
			return nil, err
		}
		o.Addrs, o.MasterName = c.Sentinel.Addresses, c.Sentinel.Master
		o.SentinelUsername, o.SentinelPassword = c.Sentinel.Username, ofSentinels.Reveal()
	}
	return o, nil
}

// dialer makes connections that are encrypted where c is not nil. go-redis could encrypt them too, but its errors do not tell a
// server without TLS from one which is away.
func (c Config) dialer(encryption *tls.Config) func(ctx context.Context, network, address string) (net.Conn, error) {
	plain := &net.Dialer{Timeout: c.DialTimeout, KeepAlive: 5 * time.Minute}
	if encryption == nil {
		return plain.DialContext
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		ctx, cancel := context.WithTimeout(ctx, c.DialTimeout)
		defer cancel()
		conn, err := plain.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return secure.Client(ctx, conn, address, encryption)
	}
}

// ProblemOf is secure.ProblemOf with what Redis itself says.
func ProblemOf(err error) secure.Problem {
	if refusal, ok := errors.AsType[redis.Error](err); ok {
		for prefix, problem := range map[string]secure.Problem{
			"WRONGPASS": secure.Credentials, "NOAUTH": secure.Credentials,
			"ERR AUTH": secure.Credentials, "ERR invalid password": secure.Credentials, "NOPERM": secure.Denied,
		} {
			if strings.HasPrefix(refusal.Error(), prefix) {
				return problem
			}
		}
	}
	return secure.ProblemOf(err)
}

// IsRefused says whether Redis would not have us: a certificate, a user or a right that an operator has to mend.
func IsRefused(err error) bool {
	p := ProblemOf(err)
	return p != secure.Unclear && p != secure.Unreachable
}
