package recommendations

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/recommender"
)

// Handler answers gathered batches of requests. It is safe for concurrent use.
type Handler struct {
	config      Config
	requests    *schemas.Serde[schemas.RecommendationRequest]
	replies     *schemas.Serde[schemas.RecommendationReply]
	recommender *recommender.Service
	// defaultDeadline is for requests that name none, from their arrival on.
	defaultDeadline time.Duration
	writer          *kafkaio.Writer
	telemetry       *instruments
	log             *slog.Logger
	told            *stream.Notice // that requests are forgotten
}

// New returns a Handler that sends its replies through writer.
func New(
	config Config, requests *schemas.Serde[schemas.RecommendationRequest], replies *schemas.Serde[schemas.RecommendationReply],
	recommender *recommender.Service, writer *kafkaio.Writer, log *slog.Logger,
) *Handler {
	return &Handler{
		config: config, requests: requests, replies: replies, recommender: recommender, defaultDeadline: recommender.DefaultDeadline(),
		writer: writer, telemetry: newInstruments(), log: log,
		told: stream.NewNotice(log, "requests whose deadline passed a minute ago and more get no reply; freshet_requests_forgotten counts them",
			"members that are enough for the load; nothing, where a group is new or was away"),
	}
}

// ask is a request that can be answered.
type ask struct {
	delivery *stream.Delivery
	to       address
}

// Gather answers what can be answered as one batch. It returns when all are answered but those that wait for their
// seen_through position.
func (h *Handler) Gather(ctx context.Context, batch []*stream.Delivery) {
	asks := make([]ask, 0, len(batch))
	requests := make([]schemas.RecommendationRequest, 0, len(batch))
	for _, d := range batch {
		to, err := h.config.addressOf(d.Headers)
		if err != nil {
			d.Done(stream.PermanentFor(stream.ReasonUnaddressed, fmt.Errorf("reading where to reply: %w", err)))
			continue
		}
		request, err := h.requests.Decode(ctx, d.Value, d)
		if err == nil && to.unreadable != nil {
			reply := schemas.RecommendationReply{
				RequestID: request.RequestID, UserID: request.UserID, Status: schemas.StatusInvalidRequest, Error: to.unreadable.Error(),
			}
			h.send(ctx, ask{d, to}, &reply, nil)
			continue
		}
		if schemas.IsMalformed(err) {
			reply := schemas.RecommendationReply{
				Status: schemas.StatusInvalidRequest, UserID: string(d.Key), Error: fmt.Sprintf("request: %v", err),
			}
			h.send(ctx, ask{d, to}, &reply, stream.PermanentFor(stream.ReasonMalformed, err))
			continue
		}
		if err != nil {
			d.Done(err) // the schema registry is out of reach: delivered again
			continue
		}
		if request.Deadline.IsZero() || schemas.DeadlineRemedy(request.Deadline) == "" { // else the limits refuse it as it is
			request.Deadline = h.deadline(&d.Record, request.Deadline)
			if time.Since(request.Deadline) > forgotten && time.Since(d.Arrived) > forgotten {
				h.forget(ctx, d)
				continue
			}
		}
		asks = append(asks, ask{d, to})
		requests = append(requests, request)
	}
	h.recommender.Recommend(ctx, requests, func(i int, reply schemas.RecommendationReply) {
		h.send(ctx, asks[i], &reply, nil)
	})
}

// forgotten is how long after its deadline nobody waits for a reply any more: a group that is new, or was away for hours, does not
// answer what was asked of nobody.
const forgotten = time.Minute

// deadline returns when a request must be answered, by our clock. The time in the queue counts. A deadline that is given is as
// long after the request's own timestamp as the asker waits, by one and the same clock; where the timestamp is the broker's,
// the asker's clock is not known: the deadline stands as it is, unless it was over before the request arrived. Nobody asks so, but by a
// clock that is behind.
func (h *Handler) deadline(r *stream.Record, given time.Time) time.Time {
	switch {
	case given.IsZero():
		return r.Arrived.Add(h.defaultDeadline)
	case r.BrokerTime && given.Before(r.Arrived):
		return r.Arrived.Add(h.defaultDeadline)
	case r.BrokerTime || r.Time.IsZero() || !given.After(r.Time):
		return given
	}
	return r.Arrived.Add(given.Sub(r.Time))
}

// forget is done with a request that nobody waits for.
func (h *Handler) forget(ctx context.Context, d *stream.Delivery) {
	h.telemetry.forgotten.Add(ctx, 1)
	h.told.Of(&d.Record)
	d.Done(nil)
}

// send queues a reply; the request is done, with the given outcome, once the broker has acknowledged it.
func (h *Handler) send(ctx context.Context, a ask, reply *schemas.RecommendationReply, outcome error) {
	ctx = a.delivery.Trace(ctx) // the reply stays in the trace of its request
	describe(trace.SpanFromContext(ctx), reply)
	message := kafkaio.Message{
		Topic: a.to.topic, Partition: a.to.partition, Key: a.delivery.Key, Value: h.replies.Append(nil, reply),
		Headers: []kafkaio.Header{{Key: kafkaio.HeaderCorrelationID, Value: a.to.correlation}},
		Time:    time.Now(),
	}
	done := func(_ kafkaio.Position, err error) {
		if err != nil {
			outcome = fmt.Errorf("writing the reply: %w", err)
			if kafkaio.IsUnknownDestination(err) || kafkaio.IsMessageTooLarge(err) {
				outcome = stream.PermanentFor(stream.ReasonRefused, outcome)
			}
		} else {
			h.telemetry.replied(a.delivery.Arrived, reply)
		}
		a.delivery.Done(outcome)
	}
	err := h.writer.Enqueue(ctx, message, done)
	if kafkaio.IsMessageTooLarge(err) {
		short := shortened(reply, err)
		message.Value = h.replies.Append(nil, &short)
		reply = &short
		describe(trace.SpanFromContext(ctx), reply)
		err = h.writer.Enqueue(ctx, message, done)
	}
	if err != nil {
		done(kafkaio.Position{}, err)
	}
}

// shortened stands in for a reply that does not fit into a message, so that the asker does not wait in vain: one of very many
// items, or a refusal that repeats the ids of a megabyte which it refuses.
func shortened(reply *schemas.RecommendationReply, why error) schemas.RecommendationReply {
	if len(reply.Items) == 0 {
		return schemas.RecommendationReply{Status: reply.Status, Error: reply.Error, Degraded: reply.Degraded}
	}
	return schemas.RecommendationReply{
		RequestID: reply.RequestID, UserID: reply.UserID, Status: schemas.StatusInternal, Error: fmt.Sprintf("reply: %v", why),
	}
}
