package candidates_test

import (
	"context"
	"crypto/tls"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/infra/embedded/certs"
	"github.com/freshet/freshet/infra/embedded/milvus"
	"github.com/freshet/freshet/schemas/secure"
	"github.com/freshet/freshet/services/candidates"
)

// safeServer starts a Milvus that asks for TLS as given, and for a user.
func safeServer(t *testing.T, encryption *tls.Config) (*milvus.Server, candidates.Config) {
	t.Helper()
	m, err := embedded.StartMilvus(t.Context(), embedded.Config{TLS: encryption})
	require.NoError(t, err)
	t.Cleanup(m.Close)
	m.RequireUser("app", "canary-right")
	c := candidates.DefaultConfig()
	c.Address, c.DialTimeout = m.Addr(), 10*time.Second
	return m, c
}

func with(c candidates.Config, a *certs.Authority, password secure.Secret) candidates.Config {
	c.Username, c.Password = "app", password
	if a != nil {
		c.TLS = secure.TLS{Enabled: true, CAFile: a.File}
	}
	return c
}

func TestSafeConnections(t *testing.T) {
	a, err := certs.New(t.TempDir())
	require.NoError(t, err)
	stranger, err := certs.New(t.TempDir())
	require.NoError(t, err)
	issue := func(w certs.Wish) certs.Pair {
		p, err := a.Issue(w)
		require.NoError(t, err)
		return p
	}
	server, client := issue(certs.Wish{Name: "server"}), issue(certs.Wish{Name: "client"})
	_, both := safeServer(t, server.Server())
	_, mutual := safeServer(t, a.Mutual(server))
	_, plain := safeServer(t, nil)
	_, expired := safeServer(t, issue(certs.Wish{Name: "expired", Expired: true}).Server())
	_, elsewhere := safeServer(t, issue(certs.Wish{Name: "elsewhere", Hosts: []string{"milvus.example"}}).Server())

	identified := with(mutual, a, "canary-right")
	identified.TLS.CertFile, identified.TLS.KeyFile = client.CertFile, client.KeyFile
	named := with(elsewhere, a, "canary-right")
	named.TLS.ServerName = "milvus.example"
	https := with(both, a, "canary-right")
	https.Address, https.TLS.Enabled = "https://"+https.Address, false
	file := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(file, []byte("app:canary-right\n"), 0o600))
	token := with(both, a, "")
	token.Username, token.TokenFile = "", file
	for name, c := range map[string]candidates.Config{
		"user": with(both, a, "canary-right"), "certificate": identified, "name": named, "https": https, "token": token,
		"plain": with(plain, nil, "canary-right"),
	} {
		index, err := candidates.Connect(t.Context(), c)
		require.NoError(t, err, name)
		_, err = index.Live(t.Context())
		require.True(t, candidates.IsNoLive(err), "%s: %v", name, err)
		require.NoError(t, index.Close())
	}

	noFile, wrongToken, nobody := token, token, with(plain, nil, "")
	noFile.TokenFile = file + ".none"
	wrongToken.TokenFile, wrongToken.Token = "", "app:canary-wrong"
	nobody.Username = ""
	for name, c := range map[string]struct {
		config candidates.Config
		want   secure.Problem
	}{
		"unknown authority": {with(both, stranger, "canary-right"), secure.Untrusted},
		"expired":           {with(expired, a, "canary-right"), secure.Expired},
		"another name":      {with(elsewhere, a, "canary-right"), secure.WrongName},
		"plain server":      {with(plain, a, "canary-right"), secure.NoTLS},
		"wrong password":    {with(both, a, "canary-wrong"), secure.Credentials},
		"wrong token":       {wrongToken, secure.Credentials},
		"no user":           {nobody, secure.Credentials},
		"no token file":     {noFile, secure.BadFile},
	} {
		begin := time.Now()
		_, err := candidates.Connect(t.Context(), c.config)
		require.Error(t, err, name)
		require.Equal(t, c.want, candidates.ProblemOf(err), "%s: %v", name, err)
		require.True(t, candidates.IsRefused(err), name)
		require.NotContains(t, err.Error(), "canary", name)
		require.Less(t, time.Since(begin), c.config.DialTimeout, "%s: it does not try on", name)
	}
	// gRPC tells nothing of an alert that comes after the handshake: this one waits and is unclear.
	stranded := with(mutual, a, "canary-right")
	stranded.DialTimeout = time.Second
	_, err = candidates.Connect(t.Context(), stranded)
	require.ErrorContains(t, err, "does not answer as Milvus does")
	require.Equal(t, secure.Unclear, candidates.ProblemOf(err))
}

func TestRightsThatLack(t *testing.T) {
	m, c := safeServer(t, nil)
	m.RequireUserWith("reader", "canary-reader", milvus.Grant{ObjectType: "Collection", Object: "*", Privilege: "Search"})
	c.Username, c.Password = "reader", "canary-reader"
	index, err := candidates.Connect(t.Context(), c)
	require.NoError(t, err)
	defer func() { require.NoError(t, index.Close()) }()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	err = index.Ensure(ctx, "m1", 4)
	require.Equal(t, secure.Denied, candidates.ProblemOf(err), "%v", err)
}
