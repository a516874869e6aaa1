package stream

import (
	"context"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/producers/kafkaio"
)

const (
	operationProcess = "process"
	// maxLinks is how many links OpenTelemetry's SDK keeps of a span by default. Further records are found from their own
	// spans, which link to the batch.
	maxLinks = 128
)

// batchSpan is the `process` span of a batch, and what the spans of its records need. Its zero value is that of a batch that
// nobody traces.
//
// A batch holds records of many traces, and a span is in one of them: that of the first record whose trace is sampled. The
// others are linked, and each has a span of its own in its own trace, which links back. So the story of each event leads on
// to the work that was done for it, and the work has one place.
//
// Records that name no trace at all make a new one for the batch, if the sampler wants it. Where traces are named and none is
// sampled there is no span; whoever began them decided that.
type batchSpan struct {
	trace.Span // nil when nobody records it
	member     *member
	began      time.Time
	first      int // the record whose trace the span is in, -1 if it is in a trace of its own
}

// startBatch begins the span of n records. headers returns those of the i-th.
func (m *member) startBatch(
	ctx context.Context, n int, headers func(int) []kafkaio.Header,
) (context.Context, batchSpan) {
	s := batchSpan{member: m, began: time.Now(), first: -1}
	if !kafkaio.Traced() {
		return ctx, s
	}
	named := false
	for i := range n {
		has, sampled := kafkaio.TraceOf(headers(i))
		named = named || has
		if sampled {
			s.first = i
			break
		}
	}
	if named && s.first < 0 {
		return ctx, s
	}
	parent := ctx
	if s.first >= 0 {
		parent = kafkaio.ExtractTrace(ctx, headers(s.first))
	}
	attributes := append(m.processAttributes(), semconv.MessagingBatchMessageCount(n))
	traced, span := m.telemetry.tracer.Start(parent, m.spanName, trace.WithTimestamp(s.began),
		trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attributes...))
	if !span.IsRecording() {
		return ctx, s
	}
	s.Span = span
	links := 0
	for i := s.first + 1; i < n && links < maxLinks && s.first >= 0; i++ {
		if sent, sampled := sampledContext(headers(i)); sampled {
			span.AddLink(trace.Link{SpanContext: sent})
			links++
		}
	}
	return traced, s
}

// sampledContext returns the context of a record's send span if its trace is recorded.
func sampledContext(headers []kafkaio.Header) (trace.SpanContext, bool) {
	if _, sampled := kafkaio.TraceOf(headers); !sampled {
		return trace.SpanContext{}, false
	}
	sent := trace.SpanContextFromContext(kafkaio.ExtractTrace(context.Background(), headers))
	return sent, sent.IsSampled()
}

func (m *member) processAttributes() []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKafka,
		semconv.MessagingOperationName(operationProcess),
		semconv.MessagingOperationTypeProcess,
		semconv.MessagingDestinationName(m.topic),
		semconv.MessagingConsumerGroupName(m.group),
	}
}

// placeAttributes say where a record lies.
func placeAttributes(r *Record) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingDestinationPartitionID(strconv.Itoa(int(r.Partition))),
		semconv.MessagingKafkaOffset(int(r.Offset)),
	}
}

// startRecord begins the span of a record other than the batch's first, in its own trace. The result is nil when the batch is
// not traced, or the record is not.
func (s *batchSpan) startRecord(ctx context.Context, r *Record) trace.Span {
	if s.Span == nil {
		return nil
	}
	if _, sampled := kafkaio.TraceOf(r.Headers); !sampled {
		return nil
	}
	attributes := append(s.member.processAttributes(), placeAttributes(r)...)
	if id, has := kafkaio.HeaderValue(r.Headers, kafkaio.HeaderCorrelationID); has {
		attributes = append(attributes, semconv.MessagingMessageConversationID(kafkaio.ConversationID(id)))
	}
	_, span := s.member.telemetry.tracer.Start(kafkaio.ExtractTrace(ctx, r.Headers), s.member.spanName,
		trace.WithTimestamp(s.began), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(attributes...),
		trace.WithLinks(trace.Link{SpanContext: s.SpanContext()}))
	return span
}

// event notes something that happened to a batch or a record of it.
func event(span trace.Span, name string, err error, attributes ...attribute.KeyValue) {
	if span == nil || !span.IsRecording() {
		return
	}
	if err != nil {
		attributes = append(attributes, semconv.ExceptionType(kind(err)))
		if IsPermanent(err) { // its text quotes what the record holds, and is the dead letter's alone
			attributes = append(attributes, semconv.ErrorTypeKey.String(string(ReasonOf(err))))
		} else {
			attributes = append(attributes, semconv.ExceptionMessage(text(err)))
		}
	}
	span.AddEvent(name, trace.WithAttributes(attributes...))
}

// fail gives a span the status of an error, as a word: the text may quote what a record or a request holds.
func fail(span trace.Span, err error) {
	if span == nil || !span.IsRecording() {
		return
	}
	class := "retried"
	if IsPermanent(err) {
		class = string(ReasonOf(err))
	}
	span.SetAttributes(semconv.ErrorTypeKey.String(class))
	span.SetStatus(codes.Error, class)
}
