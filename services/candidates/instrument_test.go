package candidates_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/freshet/freshet/infra/embedded/faults"
	"github.com/freshet/freshet/infra/embedded/milvus"
	"github.com/freshet/freshet/services/candidates"
)

func installed(t *testing.T) (*sdkmetric.ManualReader, *tracetest.InMemoryExporter) {
	t.Helper()
	reader, spans := sdkmetric.NewManualReader(), tracetest.NewInMemoryExporter()
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader)))
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans)))
	return reader, spans
}

// failures are the counts above zero, as "operation kind".
func failures(t *testing.T, reader *sdkmetric.ManualReader) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(t.Context(), &all))
	found := map[string]int64{}
	for _, m := range all.ScopeMetrics[0].Metrics {
		sum, ok := m.Data.(metricdata.Sum[int64])
		if !ok {
			continue
		}
		for _, point := range sum.DataPoints {
			operation, _ := point.Attributes.Value("operation")
			kind, _ := point.Attributes.Value("kind")
			if point.Value > 0 {
				found[operation.AsString()+" "+kind.AsString()] = point.Value
			}
		}
	}
	return found
}

func TestSpansOfCallsHoldNeitherIDsNorFilters(t *testing.T) {
	_, spans := installed(t)
	server, ix := faultyIndex(t, nil)
	ctx, parent := otel.Tracer("test").Start(t.Context(), "parent")
	require.NoError(t, ix.Upsert(ctx, model, []candidates.Row{row("item-4711", 1, 0), row("item-4712", 0, 1)}))
	_, err := ix.Search(ctx, model, [][]float32{{1, 0}, {0, 1}}, 1, `item_id != "item-4711"`)
	require.NoError(t, err)
	server.Fail("Query", 1, &milvus.StatusError{Code: 1100, Reason: "cannot parse expression: item-4711"})
	_, _, err = ix.Get(ctx, model, "item-4711")
	require.Error(t, err)
	parent.End()

	names := map[string]tracetest.SpanStub{}
	for _, span := range spans.GetSpans() {
		names[span.Name] = span
		require.Empty(t, span.Events)
		require.NotContains(t, span.Status.Description, "item-471")
		for _, a := range span.Attributes {
			require.NotContains(t, a.Value.String(), "item-471", "%s of %s", a.Key, span.Name)
		}
	}
	collection := server.Collection + "_" + model
	for _, name := range []string{"Upsert", "Search", "Query"} {
		span, there := names[name+" "+collection]
		require.True(t, there, "%s in %v", name, names)
		require.Equal(t, parent.SpanContext().TraceID(), span.SpanContext.TraceID())
		require.Contains(t, span.Attributes, attribute.String("db.system.name", "milvus"))
		if name != "Query" {
			require.Contains(t, span.Attributes, attribute.Int("db.operation.batch.size", 2))
		} else {
			require.Equal(t, "other", span.Status.Description)
		}
	}
}

func TestFailuresOfMilvusByKind(t *testing.T) {
	reader, _ := installed(t)
	server, ix := faultyIndex(t, nil)
	require.Empty(t, failures(t, reader), "looking for what is not there yet is no failure")
	search := func(ctx context.Context) error {
		_, err := ix.Search(ctx, model, [][]float32{{1, 0}}, 1, "")
		return err
	}
	require.NoError(t, search(t.Context()))
	for _, c := range []struct {
		err  error
		kind string
	}{
		{&milvus.StatusError{Code: 101, Reason: "collection not loaded"}, "refused"},
		{&milvus.StatusError{Code: 8, Reason: "rate limit"}, "refused"},
		{&milvus.StatusError{Code: 9, Reason: "memory quota exhausted"}, "out_of_memory"},
		{&milvus.StatusError{Code: 1100, Reason: "invalid parameter"}, "other"},
		{&milvus.StatusError{Code: 100, Reason: "collection not found"}, ""},
		{status.Error(codes.Unavailable, "connection reset"), "unreachable"},
		{status.Error(codes.PermissionDenied, "not yours"), "refused"},
		{status.Error(codes.Internal, "panic"), "other"},
		{status.Error(codes.DeadlineExceeded, "too slow"), "timeout"},
	} {
		before := failures(t, reader)
		server.Fail("Search", 1, c.err)
		require.Error(t, search(t.Context()))
		if c.kind != "" {
			before["Search "+c.kind]++
		}
		require.Equal(t, before, failures(t, reader), "%v", c.err)
	}

	before := failures(t, reader)
	server.Delay("Search", faults.Every, time.Hour)
	hurried, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	require.Error(t, search(hurried))
	before["Search timeout"]++
	require.Equal(t, before, failures(t, reader))
}
