package embedded

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"

	"github.com/freshet/freshet/infra/embedded/milvus"
)

// Config says where the servers listen and what they keep. A zero field means its default.
type Config struct {
	// DataDir keeps Kafka's topics and committed offsets over restarts; empty keeps them in memory. Redis and Milvus never
	// outlive the process.
	DataDir string `yaml:"data_dir" env:"DATA_DIR"`
	// KafkaAddr, RedisAddr and MilvusAddr are host:port to listen on; port 0 takes a free one.
	KafkaAddr  string `yaml:"kafka_addr" env:"KAFKA_ADDR"`
	RedisAddr  string `yaml:"redis_addr" env:"REDIS_ADDR"`
	MilvusAddr string `yaml:"milvus_addr" env:"MILVUS_ADDR"`
	// Partitions is how many a topic gets that is created without a number. Topics are never created by themselves.
	Partitions int `yaml:"partitions" env:"PARTITIONS"`
	// RetentionInterval is how often Kafka drops records past their topic's retention.
	RetentionInterval time.Duration `yaml:"retention_interval" env:"RETENTION_INTERVAL"`
	// TLS is what the servers show to their clients; nil leaves the connections plain.
	TLS *tls.Config `yaml:"-" env:"-"`
}

// DefaultConfig listens on free loopback ports and keeps everything in memory.
func DefaultConfig() Config {
	return Config{
		KafkaAddr:         "127.0.0.1:0",
		RedisAddr:         "127.0.0.1:0",
		MilvusAddr:        "127.0.0.1:0",
		Partitions:        8,
		RetentionInterval: time.Minute,
	}
}

// Validate names the first field that cannot work.
func (c Config) Validate() error {
	for _, a := range []struct{ field, addr string }{
		{"kafka_addr", c.KafkaAddr}, {"redis_addr", c.RedisAddr}, {"milvus_addr", c.MilvusAddr},
	} {
		if _, _, err := net.SplitHostPort(a.addr); err != nil {
			return fmt.Errorf("embedded.%s %q is no address: write host:port, such as 127.0.0.1:0", a.field, a.addr)
		}
	}
	if c.Partitions < 1 {
		return fmt.Errorf("embedded.partitions is %d: at least 1 is needed", c.Partitions)
	}
	if c.RetentionInterval <= 0 {
		return fmt.Errorf("embedded.retention_interval is %s: it must be above zero", c.RetentionInterval)
	}
	return nil
}

func (c Config) withDefaults() Config {
	d := DefaultConfig()
	for _, f := range []struct{ value, def *string }{
		{&c.KafkaAddr, &d.KafkaAddr}, {&c.RedisAddr, &d.RedisAddr}, {&c.MilvusAddr, &d.MilvusAddr},
	} {
		if *f.value == "" {
			*f.value = *f.def
		}
	}
	if c.Partitions == 0 {
		c.Partitions = d.Partitions
	}
	if c.RetentionInterval == 0 {
		c.RetentionInterval = d.RetentionInterval
	}
	return c
}

// Milvus is a Milvus server in this process; package milvus says what it does and what it does not.
type Milvus = milvus.Server

// StartMilvus starts the server that cfg describes.
func StartMilvus(ctx context.Context, cfg Config) (*Milvus, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.TLS != nil {
		return milvus.Start(ctx, cfg.MilvusAddr, milvus.WithTLS(cfg.TLS))
	}
	return milvus.Start(ctx, cfg.MilvusAddr)
}

// Stack is the three servers, running.
type Stack struct {
	Kafka  *Kafka
	Redis  *Redis
	Milvus *Milvus
}

// Start starts all servers, or none: an error leaves nothing running. ctx bounds the start only.
func Start(ctx context.Context, cfg Config) (*Stack, error) {
	s := &Stack{}
	var err error
	if s.Kafka, err = StartKafka(ctx, cfg); err != nil {
		return nil, err
	}
	if s.Redis, err = StartRedis(ctx, cfg); err != nil {
		s.Close()
		return nil, err
	}
	if s.Milvus, err = StartMilvus(ctx, cfg); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close stops what runs, the last started first. It may be called more than once.
func (s *Stack) Close() {
	if s.Milvus != nil {
		s.Milvus.Close()
	}
	if s.Redis != nil {
		s.Redis.Close()
	}
	if s.Kafka != nil {
		s.Kafka.Close()
	}
}
