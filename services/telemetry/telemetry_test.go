package telemetry

import (
	"context"
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/baggage"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	"github.com/freshet/freshet/infra/embedded/certs"
	"github.com/freshet/freshet/services/telemetry/collector"
)

// everything is a Config that sends all there is to a collector.
func everything(endpoint string) Config {
	c := DefaultConfig()
	c.Traces = TracesConfig{Exporter: ExporterOTLP, SampleRatio: 1}
	c.Metrics = MetricsConfig{OTLP: true, Interval: time.Hour}
	c.OTLP.Endpoint = endpoint
	return c
}

func setup(t *testing.T, c Config, o Options) (*Telemetry, *lines) {
	t.Helper()
	var l lines
	o.Log = l.logger()
	seen, err := Setup(t.Context(), c, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = seen.Shutdown(t.Context()) })
	return seen, &l
}

// work is a span below a caller's, and a measurement.
func work(ctx context.Context, t *testing.T, scope string) (of trace.SpanContext) {
	t.Helper()
	_, span := otel.Tracer(scope).Start(ctx, "work", trace.WithAttributes(attribute.Int("n", 7)))
	span.End()
	counter, err := otel.Meter(scope).Int64Counter("freshet.test.work", metric.WithUnit("{piece}"))
	require.NoError(t, err)
	counter.Add(ctx, 3)
	return span.SpanContext()
}

func listen(t *testing.T, options ...grpc.ServerOption) *collector.Collector {
	t.Helper()
	c, err := collector.Listen(t.Context(), "127.0.0.1:0", options...)
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func TestSpansAndMetricsReachTheCollectorAtTheEnd(t *testing.T) {
	to := listen(t)
	c := everything(to.Addr())
	c.ServiceInstance, c.OTLP.HeadersFile = "one", filepath.Join(t.TempDir(), "headers")
	require.NoError(t, os.WriteFile(c.OTLP.HeadersFile, []byte("authorization=Bearer%20hunter2\n"), 0o600))
	seen, l := setup(t, c, Options{})
	of := work(t.Context(), t, t.Name())
	require.NoError(t, seen.Shutdown(t.Context()))

	spans := to.Spans()
	require.Len(t, spans, 1)
	require.Equal(t, of.TraceID().String(), spans[0].Trace)
	require.Equal(t, "freshet", spans[0].Service)
	require.Equal(t, "7", spans[0].Attributes["n"])
	require.True(t, to.HasMetric("freshet.test.work"))
	require.Equal(t, []string{"Bearer hunter2"}, to.Headers()["authorization"])
	require.NotContains(t, l.String(), "hunter2")
}

func TestTLS(t *testing.T) {
	authority, err := certs.New(t.TempDir())
	require.NoError(t, err)
	pair, err := authority.Issue(certs.Wish{Name: "collector"})
	require.NoError(t, err)
	to := listen(t, grpc.Creds(credentials.NewTLS(pair.Server())))
	c := everything(to.Addr())
	c.OTLP.TLS.Enabled, c.OTLP.TLS.CAFile = true, authority.File
	seen, _ := setup(t, c, Options{})
	work(t.Context(), t, t.Name())
	require.NoError(t, seen.Shutdown(t.Context()))
	require.Len(t, to.Spans(), 1)

	c.OTLP.TLS.CAFile = filepath.Join(t.TempDir(), "none")
	_, err = Setup(t.Context(), c, Options{Log: new(lines).logger()})
	require.ErrorContains(t, err, "reading telemetry.otlp.tls.ca_file is")
}

// TestNobodyWaitsForACollector: one that refuses, and one that takes connections and never answers.
func TestNobodyWaitsForACollector(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { silent.Close() })
	for name, endpoint := range map[string]string{"away": "127.0.0.1:1", "silent": silent.Addr().String()} {
		t.Run(name, func(t *testing.T) {
			c := everything(endpoint)
			c.ShutdownTimeout, c.Metrics.Interval = 300*time.Millisecond, 10*time.Millisecond
			seen, _ := setup(t, c, Options{})
			began := time.Now()
			for range 10_000 { // far more than a queue holds
				work(t.Context(), t, t.Name())
			}
			require.Less(t, time.Since(began), 5*time.Second, "spans are dropped, not waited for")
			began = time.Now()
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			require.Error(t, seen.Shutdown(ended))
			require.Less(t, time.Since(began), 3*time.Second)
		})
	}
}

func TestSampling(t *testing.T) {
	to := listen(t)
	c := everything(to.Addr())
	c.Traces.SampleRatio = 0
	seen, _ := setup(t, c, Options{})
	require.False(t, work(t.Context(), t, t.Name()).IsSampled())
	for _, flags := range []trace.TraceFlags{0, trace.FlagsSampled} { // somebody else has decided
		caller := trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: flags, Remote: true})
		got := work(trace.ContextWithRemoteSpanContext(t.Context(), caller), t, t.Name())
		require.Equal(t, flags.IsSampled(), got.IsSampled())
		require.Equal(t, caller.TraceID(), got.TraceID())
	}
	require.NoError(t, seen.Shutdown(t.Context()))
	require.Len(t, to.Spans(), 1)
}

func TestStdout(t *testing.T) {
	c := DefaultConfig()
	c.Traces = TracesConfig{Exporter: ExporterStdout, SampleRatio: 1}
	var out lines
	seen, l := setup(t, c, Options{Stdout: &out})
	of := work(t.Context(), t, t.Name())
	require.NoError(t, seen.Shutdown(t.Context()))
	var span struct{ SpanContext struct{ TraceID string } }
	require.NoError(t, json.Unmarshal([]byte(out.String()), &span))
	require.Equal(t, of.TraceID().String(), span.SpanContext.TraceID)
	require.Equal(t, 1, strings.Count(out.String(), "\n"), "a line for each span")
	require.Contains(t, l.String(), "traces are on")
	require.Nil(t, seen.Metrics())
}

func TestWhatTravelsBetweenProcesses(t *testing.T) {
	setup(t, DefaultConfig(), Options{})
	member, err := baggage.NewMember("tenant", "shop")
	require.NoError(t, err)
	bag, err := baggage.New(member)
	require.NoError(t, err)
	caller := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}})
	headers := propagation.MapCarrier{}
	otel.GetTextMapPropagator().Inject(baggage.ContextWithBaggage(trace.ContextWithSpanContext(t.Context(), caller), bag), headers)
	require.Equal(t, "tenant=shop", headers["baggage"])
	require.Equal(t, "00-01000000000000000000000000000000-0100000000000000-00", headers["traceparent"])
}
