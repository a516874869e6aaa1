package collector

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestCollector(t *testing.T) {
	c, err := Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(c.Close)
	exporter, err := otlptracegrpc.New(t.Context(), otlptracegrpc.WithEndpoint(c.Addr()), otlptracegrpc.WithInsecure())
	require.NoError(t, err)
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(exporter))
	awaited := make(chan error)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		awaited <- c.Await(ctx, func(spans []Span) bool { return len(spans) == 2 })
	}()
	tracer := provider.Tracer("t")
	ctx, parent := tracer.Start(t.Context(), "a", trace.WithSpanKind(trace.SpanKindProducer))
	_, child := tracer.Start(ctx, "b", trace.WithLinks(trace.Link{SpanContext: parent.SpanContext()}))
	child.End()
	parent.End()
	require.NoError(t, provider.Shutdown(t.Context()))
	require.NoError(t, <-awaited)
	spans := c.Spans()
	require.Equal(t, "b", spans[0].Name)
	require.Equal(t, "internal", spans[0].Kind)
	require.Equal(t, parent.SpanContext().SpanID().String(), spans[0].Parent)
	require.Equal(t, []Link{{parent.SpanContext().TraceID().String(), parent.SpanContext().SpanID().String()}}, spans[0].Links)
	require.Equal(t, "producer", spans[1].Kind)
	require.Empty(t, spans[1].Parent)
	require.Len(t, c.Take(), 2)
	require.Empty(t, c.Spans())

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, c.Await(ended, func([]Span) bool { return false }), context.Canceled)
	_, err = Listen(t.Context(), c.Addr())
	require.ErrorContains(t, err, "listening for OTLP")
}

func TestWriteTree(t *testing.T) {
	begin := time.Unix(1_800_000_000, 0)
	span := func(id, parent, name string, from, to time.Duration) Span {
		return Span{Trace: "feed", ID: id, Parent: parent, Name: name, Kind: "internal", Service: "s",
			Start: begin.Add(from), End: begin.Add(to)}
	}
	batch := span("c", "b", "process T", 2*time.Millisecond, 9*time.Millisecond)
	batch.Attributes = map[string]string{"messaging.batch.message_count": "5", "messaging.system": "kafka"}
	for i := range 5 {
		batch.Links = append(batch.Links, Link{"other", fmt.Sprint("link", i)})
	}
	failed := span("d", "c", "HMGET", 3*time.Millisecond, 4*time.Millisecond)
	failed.Failed, failed.Status = true, "timeout"
	self := span("x", "x", "odd", 0, 0)
	self.Trace = "abad"
	spans := []Span{
		failed, span("e", "c", "Search", 5*time.Millisecond, 6*time.Millisecond), batch, span("a", "", "app", 0, 10*time.Millisecond),
		span("b", "a", "send T", time.Millisecond, 2*time.Millisecond), span("f", "lost", "orphan", 7*time.Millisecond, 8*time.Millisecond), self,
	}
	traces := Traces(spans)
	require.Len(t, traces, 2)
	var text strings.Builder
	for _, one := range traces {
		require.NoError(t, WriteTree(&text, one))
	}
	require.NoError(t, WriteTree(&text, nil))
	require.ElementsMatch(t, strings.Split(strings.TrimSpace(text.String()), "\n"), strings.Split(strings.TrimPrefix(`
trace feed, 6 spans
   +0.00ms   10.00ms  app (internal, s)
   +1.00ms    1.00ms  └─ send T (internal, s)
   +2.00ms    7.00ms     └─ process T (internal, s) messaging.batch.message_count=5 → link0 of trace other… → link1 of trace other… → link2 of trace other… and 2 more
   +3.00ms    1.00ms        ├─ HMGET (internal, s) FAILED timeout
   +5.00ms    1.00ms        └─ Search (internal, s)
   +7.00ms    1.00ms  orphan (internal, s)
trace abad, 1 spans
   +0.00ms    0.00ms  odd (internal, s)`, "\n"), "\n"))
}
