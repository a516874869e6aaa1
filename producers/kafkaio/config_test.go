package kafkaio

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas/secure"
)

func TestConfigValidate(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	for want, change := range map[string]func(*Config){
		"brokers is empty":                 func(c *Config) { c.Brokers = nil },
		`"kafka" is not host:port`:         func(c *Config) { c.Brokers = []string{"a:9092", "kafka"} },
		"dial_timeout is 0s":               func(c *Config) { c.DialTimeout = 0 },
		"request_timeout is -1s":           func(c *Config) { c.RequestTimeout = -time.Second },
		"metadata_ttl is 0s: give a":       func(c *Config) { c.MetadataTTL = 0 },
		"brokers has an entry with a user": func(c *Config) { c.Brokers = []string{"kafka://ann:hunter2@kafka:9092"} },
		"tls.ca_file is":                   func(c *Config) { c.TLS = secure.TLS{CAFile: "a"} },
		`sasl.mechanism is "gssapi": give`: func(c *Config) { c.SASL.Mechanism = "gssapi" },
		"sasl.mechanism is empty but":      func(c *Config) { c.SASL.Username = "ann" },
		"sasl.username is empty but":       func(c *Config) { c.SASL = SASL{Mechanism: "plain", Password: "hunter2"} },
		"sasl.password is empty but":       func(c *Config) { c.SASL = SASL{Mechanism: "plain", Username: "ann"} },
		`sasl.password_file is "f"`: func(c *Config) {
			c.SASL = SASL{Mechanism: "scram-sha-512", Username: "ann", Password: "hunter2", PasswordFile: "f"}
		},
		"sasl.mechanism is plain without TLS": func(c *Config) {
			c.Brokers = []string{"127.0.0.1:9092", "kafka:9092"}
			c.SASL = SASL{Mechanism: "plain", Username: "ann", Password: "hunter2"}
		},
	} {
		c := DefaultConfig()
		change(&c)
		require.ErrorContains(t, c.Validate(), want)
		require.NotContains(t, c.Validate().Error(), "hunter2")
	}
}

func TestPlainNeedsTLSUnlessTheBrokersAreHereOrItIsAllowed(t *testing.T) {
	plain := SASL{Mechanism: "plain", Username: "ann", Password: "hunter2"}
	for _, change := range []func(*Config){
		func(c *Config) { c.Brokers = []string{"localhost:9092", "[::1]:9092", "127.0.0.1:9092"} },
		func(c *Config) { c.Brokers, c.TLS.Enabled = []string{"kafka:9092"}, true },
		func(c *Config) { c.Brokers, c.SASL.AllowPlaintext = []string{"kafka:9092"}, true },
		func(c *Config) { c.Brokers, c.SASL.Mechanism = []string{"kafka:9092"}, "scram-sha-256" },
	} {
		c := DefaultConfig()
		c.SASL = plain
		change(&c)
		require.NoError(t, c.Validate())
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
