package recommendations

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

const (
	// spanStatus is the attribute of a request's span that says what its reply was worth.
	spanStatus = attribute.Key("freshet.reply.status")

	statusKey = attribute.Key("status")
	reasonKey = attribute.Key("reason")
)

// instruments are a Handler's, of the provider that is installed when it is made, or later.
type instruments struct {
	duration  metric.Float64Histogram
	replies   metric.Int64Counter
	degraded  metric.Int64Counter
	empty     metric.Int64Counter
	forgotten metric.Int64Counter
}

func newInstruments() *instruments {
	meter := otel.Meter("github.com/freshet/freshet/consumers/recommendations")
	t := &instruments{}
	var err error
	if t.duration, err = meter.Float64Histogram("freshet.reply.duration", metric.WithUnit("s"), kafkaio.Seconds(),
		metric.WithDescription("From the broker's timestamp of a request to the acknowledgement of its reply.")); err != nil {
		otel.Handle(err)
	}
	for _, c := range []struct {
		counter                 *metric.Int64Counter
		name, unit, description string
	}{
		{&t.replies, "freshet.replies", "{reply}", "Replies that the brokers have, by status."},
		{&t.degraded, "freshet.replies.degraded", "{reply}", "What degraded replies had to do without; one may lack several things."},
		{&t.empty, "freshet.pages.empty", "{reply}", "Answers without an item."},
		{&t.forgotten, "freshet.requests.forgotten", "{request}", "Requests without a reply, as their deadline passed more than a minute ago."},
	} {
		if *c.counter, err = meter.Int64Counter(c.name, metric.WithUnit(c.unit), metric.WithDescription(c.description)); err != nil {
			otel.Handle(err)
		}
	}
	// An increase from nothing is none to Prometheus.
	t.forgotten.Add(context.Background(), 0)
	for _, code := range schemas.Degradations() {
		t.degraded.Add(context.Background(), 0, metric.WithAttributes(reasonKey.String(string(code))))
	}
	return t
}

// replied measures a reply that is acknowledged. A clock that is behind the broker's makes it take 0 s.
func (t *instruments) replied(asked time.Time, reply *schemas.RecommendationReply) {
	ctx := context.Background()
	if !t.replies.Enabled(ctx) && !t.duration.Enabled(ctx) {
		return
	}
	status := metric.WithAttributes(statusKey.String(reply.Status.String()))
	t.duration.Record(ctx, max(time.Since(asked).Seconds(), 0), status)
	t.replies.Add(ctx, 1, status)
	if reply.Status == schemas.StatusDegraded {
		for _, code := range reply.Degraded {
			t.degraded.Add(ctx, 1, metric.WithAttributes(reasonKey.String(string(code))))
		}
	}
	if answer := reply.Status == schemas.StatusOK || reply.Status == schemas.StatusDegraded; answer && len(reply.Items) == 0 {
		t.empty.Add(ctx, 1)
	}
}

// describe gives a request's span the worth of its reply. A refusal and a reply without an answer are errors.
func describe(span trace.Span, reply *schemas.RecommendationReply) {
	if !span.IsRecording() {
		return
	}
	status := reply.Status.String()
	span.SetAttributes(spanStatus.String(status))
	switch reply.Status {
	case schemas.StatusOK:
	case schemas.StatusDegraded:
		reasons := make([]string, len(reply.Degraded))
		for i, code := range reply.Degraded {
			reasons[i] = string(code)
		}
		span.AddEvent("degraded", trace.WithAttributes(attribute.StringSlice("reasons", reasons)))
	default:
		span.SetAttributes(semconv.ErrorTypeKey.String(status))
		span.SetStatus(codes.Error, status)
	}
}
