package producers

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

const (
	// scope names the spans of this package.
	scope = "github.com/freshet/freshet/producers"
	// statusKey is the attribute of a call that says what the reply was worth.
	statusKey = attribute.Key("freshet.reply.status")
)

// startCall begins the span of a call: the request's send span is its child, and so is all that is done for the reply.
func (c *RecommendationClient) startCall(ctx context.Context, correlation []byte) (context.Context, trace.Span) {
	return c.tracer.Start(ctx, "recommend "+c.cfg.Topics.Requests, trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(
		semconv.MessagingSystemKafka,
		semconv.MessagingDestinationName(c.cfg.Topics.Requests),
		semconv.MessagingMessageConversationID(kafkaio.ConversationID(correlation)),
	))
}

// linkReply links a call to the send span of its reply. A service that does not pass the request's trace on is found by it.
func linkReply(ctx context.Context, headers []kafkaio.Header) {
	span := trace.SpanFromContext(ctx)
	if !span.IsRecording() {
		return
	}
	sent := trace.SpanContextFromContext(kafkaio.ExtractTrace(context.Background(), headers))
	if sent.IsValid() {
		span.AddLink(trace.Link{SpanContext: sent})
	}
}

// endCall ends the span of a call. A degraded answer is no error; what else is no answer is one, named by its status.
func endCall(span trace.Span, status schemas.ReplyStatus, err error) {
	if !span.IsRecording() {
		return
	}
	if status != schemas.UnknownStatus {
		span.SetAttributes(statusKey.String(status.String()))
	}
	if err != nil {
		kind := kafkaio.ErrorType(err)
		if refused, ok := errors.AsType[*ReplyError](err); ok {
			kind = refused.Status.String()
		}
		span.SetAttributes(semconv.ErrorTypeKey.String(kind))
		span.SetStatus(codes.Error, kind) // the text may quote what was asked
	}
	span.End()
}
