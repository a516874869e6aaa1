package redisdb

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
)

// Config says where Redis is and how long to wait for it.
type Config struct {
	// Addresses are host:port; one is a single server, several are seeds of a cluster.
	Addresses []string `yaml:"addresses" env:"ADDRESSES"`
	// Cluster speaks the cluster protocol even when Addresses has a single (configuration) endpoint.
	Cluster  bool   `yaml:"cluster" env:"CLUSTER"`
	Username string `yaml:"username" env:"USERNAME"`
	Password string `yaml:"password" env:"PASSWORD" secret:"true"`
	// DB is the number of the database; a cluster only has 0.
	DB           int           `yaml:"db" env:"DB"`
	DialTimeout  time.Duration `yaml:"dial_timeout" env:"DIAL_TIMEOUT"`
	ReadTimeout  time.Duration `yaml:"read_timeout" env:"READ_TIMEOUT"`
	WriteTimeout time.Duration `yaml:"write_timeout" env:"WRITE_TIMEOUT"`
	// PoolSize is the most connections to one node; 0 means ten a processor.
	PoolSize int `yaml:"pool_size" env:"POOL_SIZE"`
}

// DefaultConfig is a single server on this machine.
func DefaultConfig() Config {
	return Config{
		Addresses:    []string{"127.0.0.1:6379"},
		DialTimeout:  3 * time.Second,
		ReadTimeout:  3 * time.Second,
		WriteTimeout: 3 * time.Second,
	}
}

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	if len(c.Addresses) == 0 {
		return errors.New("addresses is empty: give at least one host:port")
	}
	if slices.Contains(c.Addresses, "") {
		return errors.New("addresses has an empty entry: remove it, or give host:port")
	}
	if c.DB < 0 {
		return fmt.Errorf("db is %d: give 0 or more", c.DB)
	}
	if c.DB != 0 && (c.Cluster || len(c.Addresses) > 1) {
		return fmt.Errorf("db is %d: a Redis Cluster has database 0 only; set 0", c.DB)
	}
	if c.PoolSize < 0 {
		return fmt.Errorf("pool_size is %d: give 0 (ten a processor) or more", c.PoolSize)
	}
	for _, t := range []struct {
		field string
		value time.Duration
	}{{"dial_timeout", c.DialTimeout}, {"read_timeout", c.ReadTimeout}, {"write_timeout", c.WriteTimeout}} {
		if t.value <= 0 {
			return fmt.Errorf("%s is %v: give a duration above zero, such as 3s", t.field, t.value)
		}
	}
	return nil
}

// Connect returns a client that has heard from the server. Its calls end with their contexts.
func Connect(ctx context.Context, cfg Config) (redis.UniversalClient, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuring Redis: %w", err)
	}
	// go-redis would write of each failed connection to stderr, in a form of its own, what the calls return anyway.
	logging.Disable()
	rdb := redis.NewUniversalClient(&redis.UniversalOptions{
		Addrs:                 cfg.Addresses,
		IsClusterMode:         cfg.Cluster,
		Username:              cfg.Username,
		Password:              cfg.Password,
		DB:                    cfg.DB,
		DialTimeout:           cfg.DialTimeout,
		ReadTimeout:           cfg.ReadTimeout,
		WriteTimeout:          cfg.WriteTimeout,
		PoolSize:              cfg.PoolSize,
		ContextTimeoutEnabled: true,
	})
	instrument(rdb)
	if err := rdb.Ping(ctx).Err(); err != nil {
		return nil, errors.Join(fmt.Errorf("connecting to Redis at %v: %w", cfg.Addresses, err), rdb.Close())
	}
	return rdb, nil
}
