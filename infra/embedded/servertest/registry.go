package servertest

import (
	"net/http"
	"os"
	"testing"

	"github.com/twmb/franz-go/pkg/sr"

	"github.com/freshet/freshet/infra/embedded"
)

// Registry returns the URL of a schema registry: an embedded one of the test's own, or the real one. Subjects must be unique.
func Registry(t testing.TB) string {
	t.Helper()
	if url := os.Getenv(envRegistry); url != "" {
		return url
	}
	registry := embedded.StartRegistry()
	t.Cleanup(registry.Close)
	return registry.URL()
}

// RegistryClient returns a client of the registry at url that leaves no connection behind.
func RegistryClient(t testing.TB, url string) *sr.Client {
	t.Helper()
	client, err := sr.NewClient(sr.URLs(url), sr.HTTPClient(&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}))
	if err != nil {
		t.Fatal(err)
	}
	return client
}
