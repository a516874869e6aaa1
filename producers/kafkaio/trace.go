package kafkaio

import (
	"context"
	"encoding/hex"
	"slices"
	"unicode"
	"unicode/utf8"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// traceContext writes and reads the headers traceparent and tracestate (W3C Trace Context).
var traceContext propagation.TraceContext

// traceParent is the header without which there is no trace.
const traceParent = "traceparent"

// ExtractTrace returns ctx with the span that a record's headers name as its remote parent; ctx itself where they name none.
func ExtractTrace(ctx context.Context, headers []Header) context.Context {
	return traceContext.Extract(ctx, &headerCarrier{headers: headers})
}

// TraceOf looks at a record's headers for a trace, without the cost of reading it: whether they name one, and whether
// whoever began it records it. The header is version-traceid-parentid-flags, of fixed widths and in hexadecimal.
func TraceOf(headers []Header) (named, sampled bool) {
	const length, flags = 55, 54
	value, _ := HeaderValue(headers, traceParent)
	if len(value) < length {
		return false, false
	}
	digit := value[flags]
	switch {
	case digit >= '0' && digit <= '9':
		return true, digit&1 == 1
	case digit >= 'a' && digit <= 'f':
		return true, digit&1 == 0 // 'b', 'd' and 'f' are 0x62, 0x64 and 0x66
	}
	return false, false
}

// injectTrace adds the headers of ctx's span to a message, unless it has them: a redriven record stays in its own trace.
func injectTrace(ctx context.Context, m *Message) {
	if _, has := HeaderValue(m.Headers, traceParent); has {
		return
	}
	carrier := headerCarrier{headers: slices.Clip(m.Headers)} // headers may be shared by many messages
	traceContext.Inject(ctx, &carrier)
	m.Headers = carrier.headers
}

// headerCarrier lets OpenTelemetry see Kafka headers as a text map.
type headerCarrier struct{ headers []Header }

// Get implements propagation.TextMapCarrier.
func (c *headerCarrier) Get(key string) string {
	value, _ := HeaderValue(c.headers, key)
	return string(value)
}

// Set implements propagation.TextMapCarrier.
func (c *headerCarrier) Set(key, value string) {
	c.headers = append(c.headers, Header{Key: key, Value: []byte(value)})
}

// Keys implements propagation.TextMapCarrier.
func (c *headerCarrier) Keys() []string {
	keys := make([]string, len(c.headers))
	for i, h := range c.headers {
		keys[i] = h.Key
	}
	return keys
}

// noSDK is the provider that stands in for an SDK until one is installed.
var noSDK = otel.GetTracerProvider()

// Traced says whether an SDK is installed that may record spans.
func Traced() bool { return otel.GetTracerProvider() != noSDK }

// startSend begins the span of a message that is about to be taken, and writes its context into the message's headers. The
// result is nil when nobody records it; that costs what propagation costs, and nothing without a trace.
//
// A message that brings a trace of its own keeps it: a dead letter, or a record that is redriven, stays in the trace of the
// event that it was. Its span is in ctx's trace, if that has one, and linked to the message's.
func (w *Writer) startSend(ctx context.Context, m *Message) trace.Span {
	named, sampled := TraceOf(m.Headers)
	parent := trace.SpanContextFromContext(ctx)
	switch {
	case !Traced(), parent.IsValid() && !parent.IsSampled(), !parent.IsValid() && named && !sampled:
		injectTrace(ctx, m)
		return nil
	}
	var options []trace.SpanStartOption
	switch {
	case named && !parent.IsValid():
		ctx = ExtractTrace(ctx, m.Headers)
	case named:
		own := trace.SpanContextFromContext(ExtractTrace(context.Background(), m.Headers))
		options = append(options, trace.WithLinks(trace.Link{SpanContext: own}))
	}
	options = append(options, trace.WithSpanKind(trace.SpanKindProducer), trace.WithAttributes(sendAttributes(m)...))
	ctx, span := w.tracer.Start(ctx, "send "+m.Topic, options...)
	injectTrace(ctx, m)
	if !span.IsRecording() {
		return nil
	}
	return span
}

func sendAttributes(m *Message) []attribute.KeyValue {
	attributes := []attribute.KeyValue{
		semconv.MessagingSystemKafka,
		semconv.MessagingOperationName(operationSend),
		semconv.MessagingOperationTypeSend,
		semconv.MessagingDestinationName(m.Topic),
		semconv.MessagingMessageBodySize(len(m.Value)),
	}
	if m.Value == nil {
		attributes = append(attributes, semconv.MessagingKafkaMessageTombstone(true))
	}
	if id, has := HeaderValue(m.Headers, HeaderCorrelationID); has {
		attributes = append(attributes, semconv.MessagingMessageConversationID(ConversationID(id)))
	}
	return attributes
}

// maxConversationID bounds what a correlation id, which anybody may have made up, takes of a span.
const maxConversationID = 128

// ConversationID shows a correlation id, which is opaque bytes, as text: itself where it is printable, else in hexadecimal.
func ConversationID(correlation []byte) string {
	correlation = correlation[:min(len(correlation), maxConversationID)]
	if utf8.Valid(correlation) {
		text := string(correlation)
		if !slices.ContainsFunc([]rune(text), func(r rune) bool { return !unicode.IsPrint(r) }) {
			return text
		}
	}
	return hex.EncodeToString(correlation)
}

// endSend ends the span of a message with its answer.
func (p *pending) endSend(at Position, err error) {
	if p.span == nil {
		return
	}
	p.span.SetAttributes(partitionAttribute(at.Partition))
	if err == nil {
		p.span.SetAttributes(semconv.MessagingKafkaOffset(int(at.Offset)))
	}
	endSpan(p.span, err)
}

// endSpan ends a span, with the status of an error where there is one.
func endSpan(span trace.Span, err error) {
	if err != nil {
		kind := ErrorType(err)
		span.SetStatus(codes.Error, kind)
		span.SetAttributes(semconv.ErrorTypeKey.String(kind))
	}
	span.End()
}
