package producers_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas"
)

// observeSpans has what is made until the test ends traced.
func observeSpans(t testing.TB) *tracetest.InMemoryExporter {
	t.Helper()
	spans := tracetest.NewInMemoryExporter()
	provider := sdktrace.NewTracerProvider(sdktrace.WithSyncer(spans))
	otel.SetTracerProvider(provider)
	t.Cleanup(func() {
		otel.SetTracerProvider(noop.NewTracerProvider())
		require.NoError(t, provider.Shutdown(context.Background()))
	})
	return spans
}

// TestACallIsOneTrace has a service that does not pass the trace of the request on: only the link leads to its reply.
func TestACallIsOneTrace(t *testing.T) {
	spans := observeSpans(t)
	c := start(t)
	c.serve(t, func(s *service, m kafka.Message) { s.answer(m, echo) })
	client := c.client(t, nil)
	ctx, app := otel.Tracer("app").Start(t.Context(), "GET /home")
	_, err := client.Recommend(ctx, ask("u-1"))
	require.NoError(t, err)
	app.End()

	// A record can be read, and answered, before its writer has the broker's word for it and ends its span.
	find := func(name string) (found tracetest.SpanStub) {
		require.Eventually(t, func() bool {
			all := spans.GetSpans()
			i := slices.IndexFunc(all, func(s tracetest.SpanStub) bool { return s.Name == name })
			if i >= 0 {
				found = all[i]
			}
			return i >= 0
		}, 10*time.Second, time.Millisecond, name)
		return found
	}
	call, sent := find("recommend "+c.cfg.Topics.Requests), find("send "+c.cfg.Topics.Requests)
	require.Equal(t, trace.SpanKindClient, call.SpanKind)
	require.Equal(t, app.SpanContext().SpanID(), call.Parent.SpanID())
	require.Equal(t, call.SpanContext.SpanID(), sent.Parent.SpanID())
	require.Equal(t, attributeOf(sent, "messaging.message.conversation_id"), attributeOf(call, "messaging.message.conversation_id"))
	require.Equal(t, "ok", attributeOf(call, "freshet.reply.status"))
	require.Equal(t, codes.Unset, call.Status.Code)
	reply := find("send " + c.cfg.Topics.Replies)
	require.Len(t, call.Links, 1)
	require.Equal(t, reply.SpanContext.SpanID(), call.Links[0].SpanContext.SpanID())
}

func attributeOf(span tracetest.SpanStub, key attribute.Key) string {
	for _, a := range span.Attributes {
		if a.Key == key {
			return a.Value.AsString()
		}
	}
	return ""
}

func TestCallsThatFailSayWhy(t *testing.T) {
	spans := observeSpans(t)
	c := start(t)
	c.serve(t, func(s *service, m kafka.Message) {
		if string(m.Key) != "silence" {
			s.answer(m, func(q *schemas.RecommendationRequest) schemas.RecommendationReply {
				return schemas.RecommendationReply{RequestID: q.RequestID, Status: schemas.StatusUnavailable}
			})
		}
	})
	client := c.client(t, func(cfg *producers.Config) { cfg.Replies.Timeout = 300 * time.Millisecond })
	for user, want := range map[string]string{"refused": "unavailable", "silence": "timeout"} {
		spans.Reset()
		_, err := client.Recommend(t.Context(), ask(user))
		require.Error(t, err)
		all := spans.GetSpans()
		i := slices.IndexFunc(all, func(s tracetest.SpanStub) bool { return s.SpanKind == trace.SpanKindClient })
		require.Equal(t, want, attributeOf(all[i], "error.type"))
		require.Equal(t, codes.Error, all[i].Status.Code)
	}
}

func TestPublishingIsTheBeginningOfATrace(t *testing.T) {
	spans := observeSpans(t)
	c := start(t)
	publisher, err := producers.NewEventPublisher(t.Context(), c.cfg)
	require.NoError(t, err)
	_, err = publisher.EraseUser(t.Context(), "u-1")
	require.NoError(t, err)
	require.NoError(t, publisher.Close(t.Context()))
	all := spans.GetSpans()
	require.Len(t, all, 1)
	require.Equal(t, "send "+c.cfg.Topics.Interactions, all[0].Name)
	require.False(t, all[0].Parent.IsValid())
}
