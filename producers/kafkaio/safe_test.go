package kafkaio_test

import (
	"context"
	"crypto/tls"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/infra/embedded/certs"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas/secure"
)

const (
	safeUser     = "ann"
	safePassword = "canary-of-ann, ü=,%"
	safeTopic    = "safe"
)

// safeBroker starts a broker that asks for what the arguments say.
func safeBroker(t *testing.T, encryption *tls.Config, login bool) kafkaio.Config {
	t.Helper()
	opts := []kfake.Opt{kfake.SeedTopics(1, safeTopic)}
	if login {
		opts = append(opts, kfake.EnableSASL())
		for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
			opts = append(opts, kfake.Superuser(mechanism, safeUser, safePassword))
		}
	}
	k, err := embedded.StartKafka(t.Context(), embedded.Config{TLS: encryption}, opts...)
	require.NoError(t, err)
	t.Cleanup(k.Close)
	c := kafkaio.DefaultConfig()
	c.Brokers = []string{k.Addr()}
	return c
}

// as is c with a user.
func as(c kafkaio.Config, mechanism, user string, password secure.Secret) kafkaio.Config {
	c.SASL = kafkaio.SASL{Mechanism: mechanism, Username: user, Password: password}
	return c
}

// trusting is c with TLS and an authority.
func trusting(c kafkaio.Config, a *certs.Authority) kafkaio.Config {
	c.TLS = secure.TLS{Enabled: true, CAFile: a.File}
	return c
}

// talk has both kinds of kafka-go's connections reach the broker, and a Writer write.
func talk(t *testing.T, c kafkaio.Config) (dialled, asked, wrote error) {
	t.Helper()
	require.NoError(t, c.Validate())
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, dialled = c.Dialer().LookupPartitions(ctx, "tcp", c.Brokers[0], safeTopic)
	client := c.Client()
	defer kafkaio.CloseIdle(client)
	_, asked = client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{safeTopic}})
	w := kafkaio.NewWriter(c, kafkaio.DefaultWriterConfig(), slog.New(slog.DiscardHandler))
	defer func() { require.NoError(t, w.Close(ctx)) }()
	_, wrote = w.Write(ctx, kafkaio.Message{Topic: safeTopic, Partition: kafkaio.AnyPartition, Value: []byte("v")})
	require.NoError(t, ctx.Err(), "nobody waits for what cannot come")
	return dialled, asked, wrote
}

func newAuthority(t *testing.T) *certs.Authority {
	t.Helper()
	a, err := certs.New(t.TempDir())
	require.NoError(t, err)
	return a
}

func issue(t *testing.T, a *certs.Authority, w certs.Wish) certs.Pair {
	t.Helper()
	p, err := a.Issue(w)
	require.NoError(t, err)
	return p
}

func TestSafeConnectionsWork(t *testing.T) {
	a := newAuthority(t)
	server, client := issue(t, a, certs.Wish{Name: "server"}), issue(t, a, certs.Wish{Name: "client"})
	both, mutual := trusting(safeBroker(t, server.Server(), true), a), trusting(safeBroker(t, a.Mutual(server), false), a)
	mutual.TLS.CertFile, mutual.TLS.KeyFile = client.CertFile, client.KeyFile
	elsewhere := trusting(safeBroker(t, issue(t, a, certs.Wish{Name: "elsewhere", Hosts: []string{"kafka.example"}}).Server(), false), a)
	elsewhere.TLS.ServerName = "kafka.example"
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte(safePassword+"\n"), 0o600))
	fromFile := as(both, "scram-sha-512", safeUser, "")
	fromFile.SASL.PasswordFile = file
	for name, c := range map[string]kafkaio.Config{
		"TLS with a client certificate": mutual,
		"TLS with a server name":        elsewhere,
		"TLS and plain":                 as(both, "plain", safeUser, safePassword),
		"TLS and SCRAM-SHA-256":         as(both, "scram-sha-256", safeUser, safePassword),
		"TLS and SCRAM-SHA-512":         as(both, "scram-sha-512", safeUser, safePassword),
		"password from a file":          fromFile,
		"SCRAM without TLS":             as(safeBroker(t, nil, true), "scram-sha-512", safeUser, safePassword),
		"plain on this machine":         as(safeBroker(t, nil, true), "plain", safeUser, safePassword),
	} {
		dialled, asked, wrote := talk(t, c)
		require.NoError(t, dialled, name)
		require.NoError(t, asked, name)
		require.NoError(t, wrote, name)
	}
}

func TestRefusals(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	server := issue(t, a, certs.Wish{Name: "server"})
	login := safeBroker(t, nil, true)
	both := safeBroker(t, server.Server(), true)
	mutual := safeBroker(t, a.Mutual(server), false)
	expired := safeBroker(t, issue(t, a, certs.Wish{Name: "expired", Expired: true}).Server(), false)
	elsewhere := safeBroker(t, issue(t, a, certs.Wish{Name: "elsewhere", Hosts: []string{"kafka.example"}}).Server(), false)
	noFile, noCA := as(login, "plain", safeUser, ""), trusting(both, a)
	noFile.SASL.PasswordFile, noCA.TLS.CAFile = filepath.Join(t.TempDir(), "none"), filepath.Join(t.TempDir(), "none")
	for name, c := range map[string]struct {
		config kafkaio.Config
		want   secure.Problem
	}{
		"unknown authority":          {as(trusting(both, stranger), "plain", safeUser, safePassword), secure.Untrusted},
		"expired certificate":        {trusting(expired, a), secure.Expired},
		"certificate of another":     {trusting(elsewhere, a), secure.WrongName},
		"no client certificate":      {trusting(mutual, a), secure.ClientCertificate},
		"wrong password, plain":      {as(trusting(both, a), "plain", safeUser, "canary-wrong"), secure.Credentials},
		"wrong password, SHA-256":    {as(trusting(both, a), "scram-sha-256", safeUser, "canary-wrong"), secure.Credentials},
		"wrong password, SHA-512":    {as(login, "scram-sha-512", safeUser, "canary-wrong"), secure.Credentials},
		"unknown user":               {as(login, "scram-sha-512", "bob", "canary-wrong"), secure.Credentials},
		"password SCRAM cannot take": {as(login, "scram-sha-512", safeUser, "canary-\u0007"), secure.Credentials},
		"no password file":           {noFile, secure.BadFile},
		"no CA file":                 {noCA, secure.BadFile},
	} {
		t.Run(name, func(t *testing.T) {
			dialled, asked, wrote := talk(t, c.config)
			for way, err := range map[string]error{"dialler": dialled, "client": asked, "writer": wrote} {
				require.Error(t, err, way)
				require.NotContains(t, err.Error(), "canary", way)
				require.Equal(t, c.want, kafkaio.ProblemOf(err), "%s: %v", way, err)
				require.True(t, kafkaio.IsRefused(err), "%s: %v", way, err)
				require.False(t, kafkaio.IsRetriable(err), way)
			}
		})
	}
}

// TestListenersThatWantMoreHangUp: nothing tells such a broker from one that has gone away, so it stays a matter for trying
// again; but nobody hangs.
func TestListenersThatWantMoreHangUp(t *testing.T) {
	a := newAuthority(t)
	login := safeBroker(t, nil, true)
	encrypted := safeBroker(t, issue(t, a, certs.Wish{Name: "server"}).Server(), false)
	encrypted.DialTimeout = time.Second
	for name, c := range map[string]kafkaio.Config{"login": login, "TLS": encrypted} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		client := c.Client()
		_, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{safeTopic}})
		require.Error(t, err, name)
		require.NoError(t, ctx.Err(), name)
		require.False(t, kafkaio.IsRefused(err), "%s: %v", name, err)
		t.Logf("%s: %v", name, err)
		kafkaio.CloseIdle(client)
		cancel()
	}
}
