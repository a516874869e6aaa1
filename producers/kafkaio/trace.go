package kafkaio

import (
	"context"
	"slices"

	"go.opentelemetry.io/otel/propagation"
)

// traceContext writes and reads the headers traceparent and tracestate (W3C Trace Context).
var traceContext propagation.TraceContext

// traceParent is the header without which there is no trace.
const traceParent = "traceparent"

// ExtractTrace returns ctx with the span that a record's headers name as its remote parent; ctx itself where they name none.
func ExtractTrace(ctx context.Context, headers []Header) context.Context {
	return traceContext.Extract(ctx, &headerCarrier{headers: headers})
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
