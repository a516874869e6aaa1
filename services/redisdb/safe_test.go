package redisdb_test

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/infra/embedded/certs"
	"github.com/freshet/freshet/schemas/secure"
	"github.com/freshet/freshet/services/redisdb"
)

// safeServer starts a Redis that asks for what the arguments say; c has what it asks for but the password.
func safeServer(t *testing.T, encryption *tls.Config) (c redisdb.Config) {
	t.Helper()
	r, err := embedded.StartRedis(t.Context(), embedded.Config{TLS: encryption})
	require.NoError(t, err)
	t.Cleanup(r.Close)
	r.RequireUserAuth("app", "canary-right")
	c = redisdb.DefaultConfig()
	c.Addresses, c.Username = []string{r.Addr()}, "app"
	return c
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

func trusting(c redisdb.Config, a *certs.Authority) redisdb.Config {
	c.TLS = secure.TLS{Enabled: true, CAFile: a.File}
	return c
}

func with(c redisdb.Config, password secure.Secret) redisdb.Config {
	c.Password = password
	return c
}

func TestSafeConnections(t *testing.T) {
	a, stranger := newAuthority(t), newAuthority(t)
	server, client := issue(t, a, certs.Wish{Name: "server"}), issue(t, a, certs.Wish{Name: "client"})
	both, mutual := safeServer(t, server.Server()), safeServer(t, a.Mutual(server))
	plain := safeServer(t, nil)
	expired := safeServer(t, issue(t, a, certs.Wish{Name: "expired", Expired: true}).Server())
	identified := trusting(with(mutual, "canary-right"), a)
	identified.TLS.CertFile, identified.TLS.KeyFile = client.CertFile, client.KeyFile
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("canary-right\n"), 0o600))
	fromFile, noFile := trusting(both, a), trusting(both, a)
	fromFile.PasswordFile, noFile.PasswordFile = file, file+".none"
	for _, c := range []redisdb.Config{trusting(with(both, "canary-right"), a), identified, fromFile, with(plain, "canary-right")} {
		require.NoError(t, connect(t, c).Ping(t.Context()).Err())
	}
	anonymous := plain
	anonymous.Username = ""
	for name, c := range map[string]struct {
		config redisdb.Config
		want   secure.Problem
	}{
		"unknown authority":     {trusting(with(both, "canary-right"), stranger), secure.Untrusted},
		"expired":               {trusting(with(expired, "canary-right"), a), secure.Expired},
		"no client certificate": {trusting(with(mutual, "canary-right"), a), secure.ClientCertificate},
		"plain server":          {trusting(with(plain, "canary-right"), a), secure.NoTLS},
		"wrong password":        {trusting(with(both, "canary-wrong"), a), secure.Credentials},
		"no password":           {anonymous, secure.Credentials},
		"no password file":      {noFile, secure.BadFile},
	} {
		_, err := redisdb.Connect(t.Context(), c.config)
		require.Error(t, err, name)
		require.Equal(t, c.want, redisdb.ProblemOf(err), "%s: %v", name, err)
		require.True(t, redisdb.IsRefused(err), name)
		require.NotContains(t, err.Error(), "canary", name)
	}
}
