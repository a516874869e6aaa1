package recommendations

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

// observe has what is made until the test ends traced and measured.
func observe(t testing.TB) (*tracetest.InMemoryExporter, func(name string) metricdata.Aggregation) {
	t.Helper()
	spans, reader := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	otel.SetTracerProvider(tracers)
	otel.SetMeterProvider(meters)
	t.Cleanup(func() {
		otel.SetTracerProvider(tracenoop.NewTracerProvider())
		otel.SetMeterProvider(metricnoop.NewMeterProvider())
		require.NoError(t, tracers.Shutdown(context.Background()))
		require.NoError(t, meters.Shutdown(context.Background()))
	})
	return spans, func(name string) metricdata.Aggregation {
		var all metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(context.Background(), &all))
		for _, scope := range all.ScopeMetrics {
			for _, m := range scope.Metrics {
				if m.Name == name {
					return m.Data
				}
			}
		}
		return nil
	}
}

func counts(data metricdata.Aggregation, key string) map[string]int64 {
	got := map[string]int64{}
	if sum, ok := data.(metricdata.Sum[int64]); ok {
		for _, point := range sum.DataPoints {
			for _, a := range point.Attributes.ToSlice() {
				if string(a.Key) == key {
					got[a.Value.AsString()] = point.Value
				}
			}
		}
	}
	return got
}

// TestRequestToReplyIsOneTrace follows each request of a batch from its send span to that of its reply.
func TestRequestToReplyIsOneTrace(t *testing.T) {
	spans, read := observe(t)
	r := newRig(t)
	for user, correlation := range map[string]string{"ann": "1", "bob": "2"} {
		r.ask(request(user), headers(replyTopic, 0, correlation))
	}
	bad := request("cid")
	bad.Count = -1
	r.ask(bad, headers(replyTopic, 0, "3"))
	r.run(r.writer)
	replies := r.settle()
	require.Len(t, replies, 3)

	byID := map[trace.SpanID]tracetest.SpanStub{}
	require.Eventually(t, func() bool {
		processed := 0
		for _, span := range spans.GetSpans() {
			byID[span.SpanContext.SpanID()] = span
			if span.Name == "process "+r.kafka.Name(requestTopic) {
				processed++
			}
		}
		return processed == 3
	}, patience, poll)
	for correlation, reply := range replies {
		sent := byID[trace.SpanContextFromContext(kafkaio.ExtractTrace(t.Context(), reply.Headers)).SpanID()]
		require.Equal(t, "send "+r.kafka.Name(replyTopic), sent.Name)
		process := byID[sent.Parent.SpanID()]
		require.Equal(t, "process "+r.kafka.Name(requestTopic), process.Name)
		asked := byID[process.Parent.SpanID()]
		require.Equal(t, "send "+r.kafka.Name(requestTopic), asked.Name)
		require.Equal(t, asked.SpanContext.TraceID(), sent.SpanContext.TraceID())
		require.Equal(t, correlation == "3", process.Status.Code == codes.Error)
	}
	require.Equal(t, map[string]int64{"ok": 2, "invalid_request": 1}, counts(read("freshet.replies"), "status"))
	require.Len(t, read("freshet.reply.duration").(metricdata.Histogram[float64]).DataPoints, 2)
	require.Nil(t, read("freshet.pages.empty"))
}

// TestDegradedRepliesHaveReasons holds the reasons against what the replies really say, and that each code is there from the start.
func TestDegradedRepliesHaveReasons(t *testing.T) {
	spans, read := observe(t)
	r := newRig(t)
	r.run(r.writer)
	want := map[string]int64{}
	for _, code := range schemas.Degradations() {
		want[string(code)] = 0
	}
	require.Equal(t, want, counts(read("freshet.replies.degraded"), "reason"))
	similar := request("ann")
	similar.SeedItemID = "no such item"
	r.ask(similar, headers(replyTopic, 0, "1"))
	early := request("bob")
	early.SeenThrough = &schemas.Position{Offset: 1 << 40}
	early.Deadline = time.Now().Add(500 * time.Millisecond)
	r.ask(early, headers(replyTopic, 0, "2"))
	require.Len(t, r.settle(), 2)
	r.milvus.Close()
	searching := request("cid")
	searching.SeedItemID = "item0"
	r.ask(searching, headers(replyTopic, 0, "3"))
	replies := r.settle()
	require.Len(t, replies, 3)
	for _, record := range replies {
		reply := r.decode(record)
		require.Equal(t, schemas.StatusDegraded, reply.Status)
		for _, code := range reply.Degraded {
			want[string(code)]++
		}
	}
	require.Equal(t, want, counts(read("freshet.replies.degraded"), "reason"))
	for _, reason := range []string{"seed_item", "seen_through"} {
		require.EqualValues(t, 1, want[reason], reason)
	}
	require.NotZero(t, want["candidate_index"]+want["deadline"])

	maps.DeleteFunc(want, func(_ string, n int64) bool { return n == 0 })
	require.Eventually(t, func() bool { return maps.Equal(want, spanReasons(spans)) }, patience, poll, "the spans of the requests say the same")
}

// spanReasons counts the reasons of the events that tell of degraded replies.
func spanReasons(spans *tracetest.InMemoryExporter) map[string]int64 {
	got := map[string]int64{}
	for _, span := range spans.GetSpans() {
		for _, event := range span.Events {
			if event.Name != "degraded" {
				continue
			}
			for _, a := range event.Attributes {
				for _, reason := range a.Value.AsStringSlice() {
					got[reason]++
				}
			}
		}
	}
	return got
}
