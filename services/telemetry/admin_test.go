package telemetry

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// get reads a page of the admin server.
func get(t *testing.T, a *Admin, page string) (code int, body string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Get("http://" + a.Addr() + page)
	require.NoError(t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}

func open(t *testing.T, c AdminConfig, h *Health, metrics http.Handler) (*Admin, *lines) {
	t.Helper()
	var l lines
	a, err := OpenAdmin(t.Context(), c, h, metrics, l.logger())
	require.NoError(t, err)
	t.Cleanup(func() { a.Close(context.Background()) })
	return a, &l
}

var loopback = AdminConfig{Address: "127.0.0.1:0"}

func TestHealth(t *testing.T) {
	var h Health
	a, l := open(t, loopback, &h, nil)
	require.Contains(t, l.String(), a.Addr())
	require.NotContains(t, l.String(), "WARN")
	expect := func(page string, code int, body string) {
		t.Helper()
		gotCode, got := get(t, a, page)
		require.Equal(t, code, gotCode, "%s: %s", page, got)
		require.JSONEq(t, body, got)
	}
	expect("/livez", 200, `{"status":"alive"}`)
	expect("/readyz", 503, `{"status":"not ready","missing":["the roles are being prepared"]}`)

	var missing []string
	h.Running(func(context.Context) []string { return missing })
	expect("/readyz", 200, `{"status":"ready"}`)
	h.Degraded(func(context.Context) []string { return []string{"profiles are missing"} })
	expect("/readyz", 200, `{"status":"ready","degraded":["profiles are missing"]}`)
	missing = []string{"role catalogue has no partitions yet", "the collection is not loaded"}
	expect("/readyz", 503, `{"status":"not ready","missing":["role catalogue has no partitions yet","the collection is not loaded"]}`)
	expect("/livez", 200, `{"status":"alive"}`)
	h.Running(func(ctx context.Context) []string {
		<-ctx.Done() // a server that does not answer
		return []string{ctx.Err().Error()}
	})
	expect("/readyz", 503, `{"status":"not ready","missing":["context deadline exceeded"]}`)

	h.Ended(errors.New("role catalogue: gone"))
	expect("/livez", 503, `{"status":"dead","error":"role catalogue: gone"}`)
	expect("/readyz", 503, `{"status":"not ready","missing":["the roles have ended: role catalogue: gone"]}`)
	h.Ended(nil)
	expect("/livez", 503, `{"status":"dead","error":"the process was told to end"}`)
}

func TestPages(t *testing.T) {
	seen, _ := setup(t, DefaultConfig(), Options{Pull: true})
	a, _ := open(t, loopback, new(Health), seen.Metrics())
	work(t.Context(), t, t.Name())
	code, page := get(t, a, "/metrics")
	require.Equal(t, 200, code)
	require.Contains(t, page, `freshet_test_work_total{otel_scope_name="TestPages"`)
	for _, name := range []string{"go_goroutines", "go_memstats_heap_alloc_bytes", "process_cpu_seconds_total", "go_build_info",
		`target_info{service_instance_id=`, `service_name="freshet"`} {
		require.Contains(t, page, name)
	}
	for _, path := range []string{"/", "/debug/pprof/", "/debug/pprof/heap", "/config"} {
		code, _ := get(t, a, path)
		require.Equal(t, 404, code, "%s", path)
	}

	a, _ = open(t, AdminConfig{Address: "127.0.0.1:0", Pprof: true}, new(Health), nil)
	for path, want := range map[string]int{"/debug/pprof/": 200, "/debug/pprof/heap": 200, "/debug/pprof/cmdline": 200, "/metrics": 404} {
		code, _ := get(t, a, path)
		require.Equal(t, want, code, "%s", path)
	}
}

func TestWhereTheAdminServerListens(t *testing.T) {
	for _, address := range []string{"", "off"} {
		a, l := open(t, AdminConfig{Address: address}, new(Health), nil)
		require.Empty(t, a.Addr())
		require.Empty(t, l.String())
	}
	_, l := open(t, AdminConfig{Address: "0.0.0.0:0"}, new(Health), nil)
	require.Contains(t, l.String(), "open to other machines")

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, err = OpenAdmin(t.Context(), AdminConfig{Address: taken.Addr().String()}, new(Health), nil, l.logger())
	require.ErrorContains(t, err, "listening on admin.address \""+taken.Addr().String())
	require.ErrorContains(t, err, "give another port, or off (FRESHET_ADMIN_ADDRESS)")
	_, err = OpenAdmin(t.Context(), AdminConfig{Address: "192.0.2.1:9464"}, new(Health), nil, l.logger())
	require.ErrorContains(t, err, "give an address of this machine")
	_, err = OpenAdmin(t.Context(), AdminConfig{Address: "nowhere"}, new(Health), nil, l.logger())
	require.ErrorContains(t, err, "admin.address is \"nowhere\"")
}

// TestASlowReaderDoesNotHoldTheEnd: somebody opens a page and never reads it.
func TestASlowReaderDoesNotHoldTheEnd(t *testing.T) {
	started := make(chan struct{})
	stuck := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(started)
		<-r.Context().Done()
	})
	a, _ := open(t, loopback, new(Health), stuck)
	conn, err := net.Dial("tcp", a.Addr())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.Copy(conn, strings.NewReader("GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"))
	require.NoError(t, err)
	<-started
	began := time.Now()
	a.Close(t.Context())
	require.Less(t, time.Since(began), closeTimeout+2*time.Second)
	_, err = net.Dial("tcp", a.Addr())
	require.Error(t, err)
}
