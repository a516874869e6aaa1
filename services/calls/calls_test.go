package calls_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/services/calls"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// withoutSDK is measured before any test installs an SDK, which cannot be undone.
var withoutSDK = func() float64 {
	op := calls.NewServer("redis", "localhost:6379").Operation("GET")
	ctx := context.Background()
	return testing.AllocsPerRun(100, func() {
		inner, call := op.Begin(ctx)
		call.Batch(7)
		call.End(inner, calls.None)
	})
}()

func TestWithoutAnSDKNothingIsAllocated(t *testing.T) { require.Zero(t, withoutSDK) }

func install(t *testing.T) (*sdkmetric.ManualReader, *tracetest.InMemoryExporter) {
	t.Helper()
	reader, spans := sdkmetric.NewManualReader(), tracetest.NewInMemoryExporter()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)))
	return reader, spans
}

func TestASpanLiesBelowOneThatRecords(t *testing.T) {
	_, spans := install(t)
	op := calls.NewServer("milvus", "10.0.0.1:19530").Operation("Search")

	inner, call := op.Begin(t.Context())
	require.False(t, call.Recording())
	call.On("things")
	call.End(inner, calls.Timeout)
	require.Empty(t, spans.GetSpans(), "no trace asked for it")

	unsampled := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithSampler(sdktrace.NeverSample()))
	ctx, _ := unsampled.Tracer("test").Start(t.Context(), "parent")
	inner, call = op.Begin(ctx)
	call.End(inner, calls.None)
	require.Empty(t, spans.GetSpans())

	ctx, parent := otel.Tracer("test").Start(t.Context(), "parent")
	inner, call = op.Begin(ctx)
	require.Equal(t, parent.SpanContext().TraceID(), trace.SpanContextFromContext(inner).TraceID())
	call.On("things")
	call.Batch(7)
	call.End(inner, calls.Refused)
	got := spans.GetSpans()
	require.Len(t, got, 1)
	require.Equal(t, "Search things", got[0].Name)
	require.Equal(t, trace.SpanKindClient, got[0].SpanKind)
	require.Equal(t, parent.SpanContext().SpanID(), got[0].Parent.SpanID())
	require.Equal(t, sdktrace.Status{Code: codes.Error, Description: "refused"}, got[0].Status)
	require.ElementsMatch(t, []attribute.KeyValue{
		attribute.String("db.system.name", "milvus"), attribute.String("db.operation.name", "Search"),
		attribute.String("server.address", "10.0.0.1"), attribute.Int("server.port", 19530),
		attribute.String("db.collection.name", "things"), attribute.Int("db.operation.batch.size", 7),
		attribute.String("error.type", "refused"),
	}, got[0].Attributes)
}

func TestFailuresCountByKindAndAllStartAtZero(t *testing.T) {
	reader, _ := install(t)
	server := calls.NewServer("redis", "FailoverClient")
	require.True(t, server.Listened(t.Context()))
	op := server.Operation("GET")
	require.Same(t, op, server.Operation("GET"))
	for _, kind := range []calls.Kind{calls.None, calls.Timeout, calls.Timeout, calls.Other} {
		inner, call := op.Begin(t.Context())
		call.End(inner, kind)
	}
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	counts, durations := map[string]int64{}, map[string]uint64{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		switch data := m.Data.(type) {
		case metricdata.Sum[int64]:
			require.Equal(t, "freshet.server.errors", m.Name)
			for _, point := range data.DataPoints {
				counts[point.Attributes.Encoded(attribute.DefaultEncoder())] = point.Value
			}
		case metricdata.Histogram[float64]:
			require.Equal(t, "db.client.operation.duration", m.Name)
			require.Equal(t, "s", m.Unit)
			for _, point := range data.DataPoints {
				durations[point.Attributes.Encoded(attribute.DefaultEncoder())] = point.Count
			}
		}
	}
	require.Equal(t, map[string]int64{
		"kind=timeout,operation=GET,server=redis": 2, "kind=other,operation=GET,server=redis": 1,
		"kind=unreachable,operation=GET,server=redis": 0, "kind=refused,operation=GET,server=redis": 0,
		"kind=out_of_memory,operation=GET,server=redis": 0,
	}, counts)
	require.Equal(t, map[string]uint64{
		"db.operation.name=GET,db.system.name=redis":                    1,
		"db.operation.name=GET,db.system.name=redis,error.type=timeout": 2,
		"db.operation.name=GET,db.system.name=redis,error.type=other":   1,
	}, durations)
}

func TestTransport(t *testing.T) {
	for _, c := range []struct {
		err  error
		want calls.Kind
	}{
		{nil, calls.None},
		{fmt.Errorf("reading: %w", context.Canceled), calls.None},
		{context.DeadlineExceeded, calls.Timeout},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, calls.Timeout},
		{&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, calls.Unreachable},
		{io.EOF, calls.Unreachable}, {io.ErrUnexpectedEOF, calls.Unreachable}, {net.ErrClosed, calls.Unreachable},
		{errors.New("strange"), calls.Other},
	} {
		require.Equal(t, c.want, calls.Transport(c.err), "%v", c.err)
	}
}
