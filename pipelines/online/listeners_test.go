package online_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/schemas/secure"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/redisdb"
)

// listeners is what of servers.json only this test needs.
type listeners struct {
	StrangerCA string                                       `json:"stranger_ca"`
	Stranger   struct{ Certificate, Key string }            `json:"stranger"`
	Users      map[string]struct{ Certificate, Key string } `json:"users"`
	Kafka      struct{ Plaintext, SSL string }              `json:"kafka"`
	Redis      struct {
		Address, Sentinel, Master string
		Cluster                   []string
	} `json:"redis"`
}

// TestListenersOfRealServers tries what the embedded servers cannot show: the answers of real ones.
func TestListenersOfRealServers(t *testing.T) {
	w := realSite(t)
	text, err := os.ReadFile(filepath.Join(os.Getenv("FRESHET_TEST_SERVERS"), "servers.json"))
	require.NoError(t, err)
	var d listeners
	require.NoError(t, json.Unmarshal(text, &d))

	ask := func(change func(*kafkaio.Config)) error {
		c := w.settings.Kafka
		change(&c)
		_, err := topics.Missing(t.Context(), c, "none")
		if err == nil {
			_, err = c.Dialer().LookupPartitions(t.Context(), "tcp", c.Brokers[0], "__consumer_offsets")
		}
		return err
	}
	ssl := func(c *kafkaio.Config) {
		c.Brokers, c.SASL = []string{d.Kafka.SSL}, kafkaio.SASL{}
		c.TLS.CertFile, c.TLS.KeyFile = d.Users["admin"].Certificate, d.Users["admin"].Key
	}
	for name, change := range map[string]func(*kafkaio.Config){
		"plain": func(c *kafkaio.Config) { c.SASL.Mechanism = "plain" }, "SHA-256": func(c *kafkaio.Config) { c.SASL.Mechanism = "scram-sha-256" },
		"SHA-512": func(*kafkaio.Config) {}, "SSL": ssl,
	} {
		require.NoError(t, ask(change), name)
	}
	for name, c := range map[string]struct {
		change func(*kafkaio.Config)
		want   secure.Problem
	}{
		"wrong password, plain":      {func(c *kafkaio.Config) { c.SASL.Mechanism, c.SASL.Password = "plain", "canary" }, secure.Credentials},
		"wrong password, SHA-256":    {func(c *kafkaio.Config) { c.SASL.Mechanism, c.SASL.Password = "scram-sha-256", "canary" }, secure.Credentials},
		"unknown user":               {func(c *kafkaio.Config) { c.SASL.Username = "who" }, secure.Credentials},
		"another authority":          {func(c *kafkaio.Config) { c.TLS.CAFile = d.StrangerCA }, secure.Untrusted},
		"plain listener":             {func(c *kafkaio.Config) { c.Brokers = []string{d.Kafka.Plaintext} }, secure.NoTLS},
		"SASL at a listener without": {func(c *kafkaio.Config) { c.Brokers, c.TLS = []string{d.Kafka.Plaintext}, secure.TLS{} }, secure.Credentials},
		"no certificate":             {func(c *kafkaio.Config) { ssl(c); c.TLS.CertFile, c.TLS.KeyFile = "", "" }, secure.ClientCertificate},
		"a stranger's certificate": {func(c *kafkaio.Config) {
			ssl(c)
			c.TLS.CertFile, c.TLS.KeyFile = d.Stranger.Certificate, d.Stranger.Key
		}, secure.ClientCertificate},
	} {
		err := ask(c.change)
		require.Error(t, err, name)
		require.Equal(t, c.want, kafkaio.ProblemOf(err), "%s: %v", name, err)
		require.NotContains(t, err.Error(), "canary")
	}

	// A listener that wants SASL hangs up on a question without it.
	require.ErrorContains(t, online.Explain(ask(func(c *kafkaio.Config) { c.SASL = kafkaio.SASL{} })), "what kafka.sasl.mechanism (FRESHET_")

	ping := func(change func(*redisdb.Config)) error {
		c := redisdb.DefaultConfig()
		change(&c)
		rdb, err := redisdb.Connect(t.Context(), c)
		if err != nil {
			return err
		}
		defer func() { require.NoError(t, rdb.Close()) }()
		return rdb.Get(t.Context(), w.name).Err()
	}
	none := "redis: nil"
	require.EqualError(t, ping(func(c *redisdb.Config) {
		c.Sentinel = redisdb.Sentinel{Master: d.Redis.Master, Addresses: []string{d.Redis.Sentinel}}
	}), none)
	require.EqualError(t, ping(func(c *redisdb.Config) { c.Addresses = d.Redis.Cluster }), none)
	for remedy, change := range map[string]func(*redisdb.Config){
		`watch no master named "unknown": correct redis.sentinel.master (FRESHET_REDIS_SENTINEL_MASTER)`: func(c *redisdb.Config) {
			c.Sentinel = redisdb.Sentinel{Master: "unknown", Addresses: []string{d.Redis.Sentinel}}
		},
		"remedy: set redis.cluster (FRESHET_REDIS_CLUSTER) to true": func(c *redisdb.Config) { c.Addresses = d.Redis.Cluster[:1] },
		"remedy: set redis.sentinel.addresses":                      func(c *redisdb.Config) { c.Addresses = []string{d.Redis.Sentinel} },
	} {
		s := w.settings
		s.Registry, s.Redis = schemas.RegistryConfig{}, redisdb.DefaultConfig()
		change(&s.Redis)
		_, err := online.OpenItems(t.Context(), s, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, remedy)
	}
	for want, change := range map[secure.Problem]func(*redisdb.Config){
		secure.Credentials: func(c *redisdb.Config) { *c = w.settings.Redis; c.Password = "canary" },
		secure.Untrusted:   func(c *redisdb.Config) { *c = w.settings.Redis; c.TLS.CAFile = d.StrangerCA },
	} {
		err := ping(change)
		require.Equal(t, want, redisdb.ProblemOf(err), "%v", err)
	}

	// A Redis without TLS waits for the end of the line that our greeting looks like to it.
	require.ErrorContains(t, ping(func(c *redisdb.Config) {
		*c = w.settings.Redis
		c.Addresses, c.DialTimeout = []string{d.Redis.Address}, 300*time.Millisecond
	}), "agreeing on TLS with "+d.Redis.Address)

	for want, change := range map[secure.Problem]func(*candidates.Config){
		secure.Credentials: func(c *candidates.Config) { c.Password = "canary" },
		secure.Untrusted:   func(c *candidates.Config) { c.TLS.CAFile = d.StrangerCA },
	} {
		c := w.settings.Milvus
		change(&c)
		_, err := candidates.Connect(t.Context(), c)
		require.Equal(t, want, candidates.ProblemOf(err), "%v", err)
	}
}
