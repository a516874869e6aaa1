package kafkaio

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestConfigValidate(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	for want, change := range map[string]func(*Config){
		"brokers is empty":           func(c *Config) { c.Brokers = nil },
		`"kafka" is not host:port`:   func(c *Config) { c.Brokers = []string{"a:9092", "kafka"} },
		"dial_timeout is 0s":         func(c *Config) { c.DialTimeout = 0 },
		"request_timeout is -1s":     func(c *Config) { c.RequestTimeout = -time.Second },
		"metadata_ttl is 0s: give a": func(c *Config) { c.MetadataTTL = 0 },
	} {
		c := DefaultConfig()
		change(&c)
		require.ErrorContains(t, c.Validate(), want)
	}
}

func TestWriterConfigValidate(t *testing.T) {
	require.NoError(t, DefaultWriterConfig().Validate())
	for want, change := range map[string]func(*WriterConfig){
		"max_batch_bytes is 7":          func(c *WriterConfig) { c.MaxBatchBytes = 7 },
		"max_batch_messages is 0":       func(c *WriterConfig) { c.MaxBatchMessages = 0 },
		"give at least max_batch_bytes": func(c *WriterConfig) { c.QueueBytes = c.MaxBatchBytes - 1 },
		"delivery_timeout is 0s":        func(c *WriterConfig) { c.DeliveryTimeout = 0 },
		"backoff_initial is 2s":         func(c *WriterConfig) { c.BackoffInitial = 2 * time.Second },
	} {
		c := DefaultWriterConfig()
		change(&c)
		require.ErrorContains(t, c.Validate(), want)
	}
}
