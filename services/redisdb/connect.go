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
	rdb := redis.NewUniversalClient(options)
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
