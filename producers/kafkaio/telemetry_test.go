package kafkaio_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/freshet/freshet/producers/kafkaio"
)

// observe installs an SDK until the test ends; what is made meanwhile is observed.
func observe(t testing.TB, sampler sdktrace.Sampler) (*tracetest.InMemoryExporter, *sdkmetric.ManualReader) {
	t.Helper()
	spans, reader := tracetest.NewInMemoryExporter(), sdkmetric.NewManualReader()
	tracers := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans), sdktrace.WithSampler(sampler))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	otel.SetTracerProvider(tracers)
	otel.SetMeterProvider(meters)
	t.Cleanup(func() {
		otel.SetTracerProvider(tracenoop.NewTracerProvider())
		otel.SetMeterProvider(metricnoop.NewMeterProvider())
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, tracers.Shutdown(ctx))
		require.NoError(t, meters.Shutdown(ctx))
	})
	return spans, reader
}

// collect returns what the reader sees, by the instrument's name.
func collect(t testing.TB, reader sdkmetric.Reader) map[string]metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, reader.Collect(context.WithoutCancel(t.Context()), &all))
	found := map[string]metricdata.Metrics{}
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			found[m.Name] = m
		}
	}
	return found
}

// counts returns a counter's values by the value of one attribute, "" where it has none.
func counts(m metricdata.Metrics, key attribute.Key) map[string]int64 {
	got := map[string]int64{}
	for _, point := range m.Data.(metricdata.Sum[int64]).DataPoints {
		value, _ := point.Attributes.Value(key)
		got[value.String()] += point.Value
	}
	return got
}

func attributesOf(span tracetest.SpanStub) map[string]any {
	got := map[string]any{}
	for _, a := range span.Attributes {
		got[string(a.Key)] = a.Value.AsInterface()
	}
	return got
}

func TestSendSpanGoesWithTheMessage(t *testing.T) {
	spans, _ := observe(t, sdktrace.ParentBased(sdktrace.AlwaysSample()))
	b := startBroker(t, 1, nil)
	w := b.writer(t, nil)
	state, err := trace.ParseTraceState("vendor=1")
	require.NoError(t, err)
	parent := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled, TraceState: state,
	})
	ctx := trace.ContextWithSpanContext(t.Context(), parent)
	at, err := w.Write(ctx, kafkaio.Message{
		Topic: b.topic, Partition: 0, Value: []byte("12345"),
		Headers: []kafkaio.Header{{Key: kafkaio.HeaderCorrelationID, Value: []byte{0, 1, 0xff}}},
	})
	require.NoError(t, err)

	got := spans.GetSpans()
	require.Len(t, got, 1)
	span := got[0]
	require.Equal(t, "send "+b.topic, span.Name)
	require.Equal(t, trace.SpanKindProducer, span.SpanKind)
	require.Equal(t, parent.SpanID(), span.Parent.SpanID())
	require.Equal(t, map[string]any{
		"messaging.system": "kafka", "messaging.operation.name": "send", "messaging.operation.type": "send",
		"messaging.destination.name": b.topic, "messaging.destination.partition.id": "0", "messaging.kafka.offset": at.Offset,
		"messaging.message.body.size": int64(5), "messaging.message.conversation_id": "0001ff",
	}, attributesOf(span))
	read := trace.SpanContextFromContext(kafkaio.ExtractTrace(t.Context(), b.read(t, 0, 1)[0].Headers))
	require.Equal(t, span.SpanContext.SpanID(), read.SpanID(), "who reads the record continues the send span")
	require.Equal(t, span.SpanContext.TraceID(), read.TraceID())
	require.Equal(t, "vendor=1", read.TraceState().String())
}

func TestMessageThatBringsATraceKeepsIt(t *testing.T) {
	spans, _ := observe(t, sdktrace.ParentBased(sdktrace.AlwaysSample()))
	b := startBroker(t, 1, nil)
	w := b.writer(t, nil)
	own := []kafkaio.Header{{Key: "traceparent", Value: []byte("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")}}

	_, err := w.Write(t.Context(), kafkaio.Message{Topic: b.topic, Headers: own})
	require.NoError(t, err)
	ctx, parent := otel.Tracer("test").Start(t.Context(), "giving up")
	_, err = w.Write(ctx, kafkaio.Message{Topic: b.topic, Headers: own})
	require.NoError(t, err)
	parent.End()

	got := spans.GetSpans()
	require.Equal(t, "00f067aa0ba902b7", got[0].Parent.SpanID().String(), "without another, the message's own trace")
	require.Equal(t, parent.SpanContext().SpanID(), got[1].Parent.SpanID())
	require.Equal(t, "00f067aa0ba902b7", got[1].Links[0].SpanContext.SpanID().String())
	for _, record := range b.read(t, 0, 2) {
		require.Equal(t, own, record.Headers)
	}
}

func TestUnsampledSendHasNoSpan(t *testing.T) {
	spans, reader := observe(t, sdktrace.ParentBased(sdktrace.NeverSample()))
	b := startBroker(t, 1, nil)
	w := b.writer(t, nil)
	unsampled := trace.ContextWithSpanContext(t.Context(),
		trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	for _, ctx := range []context.Context{t.Context(), unsampled} {
		_, err := w.Write(ctx, kafkaio.Message{Topic: b.topic, Value: []byte("v")})
		require.NoError(t, err)
	}
	require.Empty(t, spans.GetSpans())
	for _, record := range b.read(t, 0, 2) {
		named, sampled := kafkaio.TraceOf(record.Headers)
		require.True(t, named, "the decision travels, so that nobody decides again")
		require.False(t, sampled)
	}
	require.Equal(t, map[string]int64{"": 2}, counts(collect(t, reader)["messaging.client.sent.messages"], "error.type"))
}

func TestSendErrorsHaveAType(t *testing.T) {
	spans, reader := observe(t, sdktrace.AlwaysSample())
	b := startBroker(t, 1, nil)
	w := b.writer(t, nil)
	write := func(m kafkaio.Message) {
		_, err := w.Write(t.Context(), m)
		require.Error(t, err)
	}
	write(kafkaio.Message{Topic: b.topic, Partition: 7})
	write(kafkaio.Message{Topic: b.topic, Value: make([]byte, 2<<20)})
	b.fail(1, kerr.TopicAuthorizationFailed)
	write(kafkaio.Message{Topic: b.topic})
	_, err := w.Write(t.Context(), kafkaio.Message{Topic: b.topic})
	require.NoError(t, err)

	want := map[string]int64{"unknown_destination": 1, "message_too_large": 1, "topic_authorization_failed": 1, "": 1}
	found := collect(t, reader)
	require.Equal(t, want, counts(found["messaging.client.sent.messages"], "error.type"))
	require.Equal(t, map[string]int64{"kafka": 4}, counts(found["messaging.client.sent.messages"], "messaging.system"))
	got := map[string]int64{}
	for _, span := range spans.GetSpans() {
		kind, _ := attributesOf(span)["error.type"].(string)
		got[kind]++
		require.Equal(t, kind != "", span.Status.Code == codes.Error)
	}
	require.Equal(t, want, got)
	durations := found["messaging.client.operation.duration"].Data.(metricdata.Histogram[float64])
	require.Len(t, durations.DataPoints, 4)
	require.InDelta(t, 0.0005, durations.DataPoints[0].Bounds[0], 1e-9)
	require.InDelta(t, 30, durations.DataPoints[0].Bounds[len(durations.DataPoints[0].Bounds)-1], 1e-9)
}

func TestMetricsBoundTopics(t *testing.T) {
	_, reader := observe(t, sdktrace.NeverSample())
	b := startBroker(t, 1, nil)
	w := b.writer(t, nil)
	for i := range 70 {
		topic := b.Name(strings.Repeat("x", i+1))
		require.NoError(t, b.CreateTopic(topic, 1, nil))
		_, err := w.Write(t.Context(), kafkaio.Message{Topic: topic})
		require.NoError(t, err)
	}
	got := counts(collect(t, reader)["messaging.client.sent.messages"], "messaging.destination.name")
	require.Len(t, got, 65)
	require.EqualValues(t, 6, got["_OTHER"])
}

// TestUnsampledSendCostsNothing beyond the propagation that there is without an SDK too.
func TestUnsampledSendCostsNothing(t *testing.T) {
	b := startBroker(t, 1, nil)
	allocations := func(ctx context.Context) float64 {
		w := b.writer(t, nil)
		m := kafkaio.Message{Topic: b.topic, Value: make([]byte, 100)}
		_, err := w.Write(ctx, m)
		require.NoError(t, err)
		done := make(chan struct{}, 1)
		return testing.AllocsPerRun(500, func() {
			if err := w.Enqueue(ctx, m, func(kafkaio.Position, error) { done <- struct{}{} }); err != nil {
				t.Error(err)
			}
			<-done
		})
	}
	unsampled := trace.ContextWithSpanContext(t.Context(),
		trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}}))
	without := allocations(unsampled)
	observe(t, sdktrace.ParentBased(sdktrace.AlwaysSample()))
	otel.SetMeterProvider(metricnoop.NewMeterProvider())     // its two allocations are a request's, not a message's
	require.InDelta(t, without, allocations(unsampled), 1.5) // AllocsPerRun rounds down, so that a busy machine moves it by one; a span takes more
}

func TestConversationID(t *testing.T) {
	for _, c := range []struct{ id, want string }{
		{"order-7", "order-7"}, {"", ""}, {"\x00\x01", "0001"}, {"a\nb", "610a62"}, {"\xff", "ff"},
		{strings.Repeat("x", 200), strings.Repeat("x", 128)},
	} {
		require.Equal(t, c.want, kafkaio.ConversationID([]byte(c.id)))
	}
}
