package servertest

import (
	"context"
	"crypto/rand"
	"net"
	"strings"
	"testing"
	"time"
)

// The variables that name real servers.
const (
	envKafka    = "FRESHET_TEST_KAFKA"
	envRedis    = "FRESHET_TEST_REDIS"
	envCluster  = "FRESHET_TEST_REDIS_CLUSTER"
	envMilvus   = "FRESHET_TEST_MILVUS"
	envRegistry = "FRESHET_TEST_REGISTRY"
)

// Name returns a name that nobody else has: letters, digits and underscores.
func Name() string { return "test_" + strings.ToLower(rand.Text()[:12]) }

// cleaning bounds what is left to do when a test has ended.
const cleaning = 30 * time.Second

// cleanup runs clean when the test has ended. Litter on a shared server is no reason to fail a test, but it is told.
func cleanup(t testing.TB, what string, clean func(context.Context) error) {
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), cleaning)
		defer cancel()
		if err := clean(ctx); err != nil {
			t.Logf("cleaning up %s: %v", what, err)
		}
	})
}

// Nobody returns an address (host:port) where nobody listens.
func Nobody(t testing.TB) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}
