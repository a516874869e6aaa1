package kafkaio

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
)

const sampleTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

func TestTraceTravelsInHeaders(t *testing.T) {
	received := []Header{{Key: "other", Value: []byte("x")}, {Key: "traceparent", Value: []byte(sampleTrace)}}
	ctx := ExtractTrace(t.Context(), received)
	span := trace.SpanContextFromContext(ctx)
	require.True(t, span.IsRemote())
	require.Equal(t, "4bf92f3577b34da6a3ce929d0e0e4736", span.TraceID().String())

	shared := make([]Header, 1, 4)
	shared[0] = Header{Key: "kafka_correlationId", Value: []byte("1")}
	m := Message{Headers: shared}
	injectTrace(ctx, &m)
	value, has := HeaderValue(m.Headers, "traceparent")
	require.True(t, has)
	require.Equal(t, sampleTrace, string(value))
	require.Empty(t, shared[:2][1].Key, "headers that others share are not written into")

	injectTrace(ctx, &m)
	require.Len(t, m.Headers, 2, "a message that has a trace keeps it")
}

func TestNoTraceIsNone(t *testing.T) {
	for _, headers := range [][]Header{nil, {{Key: "traceparent", Value: []byte("nonsense")}}} {
		ctx := ExtractTrace(t.Context(), headers)
		require.False(t, trace.SpanContextFromContext(ctx).IsValid())
		m := Message{}
		injectTrace(ctx, &m)
		require.Empty(t, m.Headers)
	}
}

func TestTraceOfReadsTheFlags(t *testing.T) {
	const ids = "-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-"
	for _, c := range []struct {
		value          string
		named, sampled bool
	}{
		{"00" + ids + "01", true, true}, {"00" + ids + "00", true, false}, {"00" + ids + "03", true, true},
		{"00" + ids + "0a", true, false}, {"00" + ids + "0b", true, true}, {"cc" + ids + "01-more", true, true},
		{"00" + ids + "0x", false, false}, {"nonsense", false, false}, {"", false, false},
	} {
		named, sampled := TraceOf([]Header{{Key: "traceparent", Value: []byte(c.value)}})
		require.Equal(t, []bool{c.named, c.sampled}, []bool{named, sampled}, c.value)
	}
}
