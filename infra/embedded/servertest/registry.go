package servertest

import (
	"os"
	"testing"

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
