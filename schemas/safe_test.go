package schemas

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/certs"
	"github.com/freshet/freshet/schemas/secure"
)

// safeRegistry answers registrations of whoever has the right password over TLS.
func safeRegistry(t *testing.T, a *certs.Authority, mutual bool) string {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		switch {
		case user != "app" || password != "canary-right":
			http.Error(w, "you said "+r.Header.Get("Authorization")+" "+password, http.StatusUnauthorized)
		case r.URL.Path == "/subjects/denied/versions":
			http.Error(w, "not yours, "+password, http.StatusForbidden)
		default:
			_ = json.NewEncoder(w).Encode(map[string]any{"id": 7})
		}
	}))
	server, err := a.Issue(certs.Wish{Name: "registry"})
	require.NoError(t, err)
	s.TLS = server.Server()
	if mutual {
		s.TLS = a.Mutual(server)
	}
	s.Config.ErrorLog = nil
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

func TestRegistryOverTLSWithAPassword(t *testing.T) {
	a, err := certs.New(t.TempDir())
	require.NoError(t, err)
	client, err := a.Issue(certs.Wish{Name: "client"})
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "password")
	require.NoError(t, os.WriteFile(file, []byte("canary-right\n"), 0o600))
	url, mutual := safeRegistry(t, a, false), safeRegistry(t, a, true)
	config := func(change func(*RegistryConfig)) RegistryConfig {
		c := DefaultRegistryConfig()
		c.URL, c.Username, c.Password, c.TLS.CAFile = url, "app", "canary-right", a.File
		change(&c)
		return c
	}
	register := func(c RegistryConfig, subject string) error {
		r, err := NewRegistry(c, nil)
		if err != nil {
			return err
		}
		_, err = r.Register(t.Context(), subject, `"string"`)
		return err
	}
	for _, change := range []func(*RegistryConfig){
		func(*RegistryConfig) {},
		func(c *RegistryConfig) { c.Password, c.PasswordFile, c.TLS.Enabled = "", file, true },
		func(c *RegistryConfig) {
			c.URL, c.TLS.CertFile, c.TLS.KeyFile = mutual, client.CertFile, client.KeyFile
		},
	} {
		require.NoError(t, register(config(change), "s"))
	}
	for name, c := range map[string]struct {
		subject string
		change  func(*RegistryConfig)
		want    secure.Problem
	}{
		"system's authorities":  {"s", func(c *RegistryConfig) { c.TLS.CAFile = "" }, secure.Untrusted},
		"another name":          {"s", func(c *RegistryConfig) { c.TLS.ServerName = "registry.example" }, secure.WrongName},
		"no client certificate": {"s", func(c *RegistryConfig) { c.URL = mutual }, secure.ClientCertificate},
		"wrong password":        {"s", func(c *RegistryConfig) { c.Password = "canary-wrong" }, secure.Credentials},
		"no user":               {"s", func(c *RegistryConfig) { c.Username, c.Password = "", "" }, secure.Credentials},
		"no right":              {"denied", func(*RegistryConfig) {}, secure.Denied},
		"no password file":      {"s", func(c *RegistryConfig) { c.Password, c.PasswordFile = "", file+".none" }, secure.BadFile},
		"no CA file":            {"s", func(c *RegistryConfig) { c.TLS.CAFile = file + ".none" }, secure.BadFile},
	} {
		err := register(config(c.change), c.subject)
		require.Error(t, err, name)
		require.Equal(t, c.want, secure.ProblemOf(err), "%s: %v", name, err)
		require.NotContains(t, err.Error(), "canary", name)
	}
}

func TestRegistryAccessIsValidated(t *testing.T) {
	for want, change := range map[string]func(*RegistryConfig){
		"password_file":              func(c *RegistryConfig) { c.Username, c.Password, c.PasswordFile = "a", "canary", "f" },
		"username":                   func(c *RegistryConfig) { c.Password = "canary" },
		"begin it with https":        func(c *RegistryConfig) { c.TLS.Enabled = true },
		`tls.ca_file is "a" but`:     func(c *RegistryConfig) { c.TLS.CAFile = "a" },
		"give the user in username ": func(c *RegistryConfig) { c.URL = "http://app:canary@registry" },
	} {
		c := DefaultRegistryConfig()
		c.URL = "http://registry:8081"
		change(&c)
		require.ErrorContains(t, c.Validate(), want)
		require.NotContains(t, c.Validate().Error(), "canary")
	}
}
