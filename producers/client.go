package producers

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

// RecommendationClient asks for recommendations: it writes a request to the requests topic and waits for the reply, which
// names the request by correlation id. It is safe for concurrent use; hundreds of calls share the same few connections.
type RecommendationClient struct {
	cfg      Config
	writer   *kafkaio.Writer
	requests *schemas.Serde[schemas.RecommendationRequest]
	replies  *schemas.Serde[schemas.RecommendationReply]
	waiting  *waiting
	source   *replySource
	headers  []kafkaio.Header // reply topic and partition
	tracer   trace.Tracer

	stop    context.CancelFunc // of the goroutine that reads replies
	reading sync.WaitGroup
	once    sync.Once
	closed  error
}

// NewRecommendationClient makes a client whose replies begin with whatever is written from now on. It fails when the reply
// topic cannot be read within the request timeout.
func NewRecommendationClient(ctx context.Context, cfg Config) (*RecommendationClient, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking the recommendation client's configuration: %w", err)
	}
	registry, err := schemas.NewRegistry(cfg.Registry, cfg.logger())
	if err != nil {
		return nil, err
	}
	c := &RecommendationClient{cfg: cfg, waiting: newWaiting(), tracer: otel.Tracer(scope)}
	if c.requests, err = schemas.NewSerde[schemas.RecommendationRequest](ctx, registry, cfg.Topics.Requests); err != nil {
		return nil, err
	}
	if c.replies, err = schemas.NewSerde[schemas.RecommendationReply](ctx, registry, cfg.Topics.Replies); err != nil {
		return nil, err
	}
	if c.source, err = openReplySource(ctx, cfg); err != nil {
		return nil, err
	}
	c.headers = []kafkaio.Header{
		{Key: kafkaio.HeaderReplyTopic, Value: []byte(c.source.topic)},
		{Key: kafkaio.HeaderReplyPartition, Value: kafkaio.EncodePartition(c.source.partition)},
	}
	c.writer = kafkaio.NewWriter(cfg.Kafka, cfg.Writer, cfg.logger())
	background, stop := context.WithCancel(context.Background())
	c.stop = stop
	c.reading.Go(func() { c.source.run(background, c.waiting.answer) })
	return c, nil
}

// Recommend asks and waits for the reply until the earlier of ctx's deadline and the request's, or for the configured
// timeout when there is neither. The request travels with that deadline, so that nobody works for a caller who has gone; an
// empty RequestID gets a value. The caller's request is not changed.
//
// The call is a client span, from the asking to the answer; with the request travels its trace, which the reply comes back in.
//
// A reply that is no answer comes back together with a *ReplyError; a degraded answer is an answer, and its Degraded says in codes
// what it had to do without. An error of ctx means that no reply came in time.
func (c *RecommendationClient) Recommend(
	ctx context.Context, request *schemas.RecommendationRequest,
) (schemas.RecommendationReply, error) {
	reply, err := c.recommend(ctx, *request)
	if err != nil {
		return reply, fmt.Errorf("asking for recommendations: %w", err)
	}
	return reply, nil
}

func (c *RecommendationClient) recommend(
	ctx context.Context, q schemas.RecommendationRequest,
) (reply schemas.RecommendationReply, err error) {
	ctx, cancel := c.withDeadline(ctx, &q)
	defer cancel()
	id, answered, err := c.waiting.register()
	if err != nil {
		return reply, err
	}
	defer c.waiting.forget(id)
	correlation := c.waiting.encode(id)
	ctx, span := c.startCall(ctx, correlation)
	defer func() { endCall(span, reply.Status, err) }()
	if q.RequestID == "" {
		q.RequestID = hex.EncodeToString(correlation)
	}
	if err := c.cfg.Limits.Request(&q, time.Now()); err != nil {
		return reply, err
	}
	m := keyed(c.cfg.Topics.Requests, []byte(q.UserID), c.requests.Append(nil, &q))
	m.Headers = append([]kafkaio.Header{{Key: kafkaio.HeaderCorrelationID, Value: correlation}}, c.headers...)
	err = c.writer.Enqueue(ctx, m, func(_ kafkaio.Position, err error) {
		if err != nil {
			c.waiting.fail(id, err)
		}
	})
	if err != nil {
		return reply, err
	}
	select {
	case a := <-answered:
		return c.open(ctx, a)
	case <-ctx.Done():
		return reply, fmt.Errorf("no reply to %s came in time (does a recommendations role run?): %w", c.cfg.Topics.Requests, ctx.Err())
	}
}

// withDeadline bounds ctx as Recommend says and writes the outcome into the request.
func (c *RecommendationClient) withDeadline(
	ctx context.Context, q *schemas.RecommendationRequest,
) (context.Context, context.CancelFunc) {
	deadline, bounded := ctx.Deadline()
	switch {
	case !q.Deadline.IsZero() && (!bounded || q.Deadline.Before(deadline)):
		deadline = q.Deadline
	case !bounded:
		deadline = time.Now().Add(c.cfg.Replies.Timeout)
	}
	q.Deadline = deadline
	return context.WithDeadline(ctx, deadline)
}

// open decodes a reply, on the caller's goroutine so that the one that reads replies never waits for a registry.
func (c *RecommendationClient) open(ctx context.Context, a answer) (reply schemas.RecommendationReply, err error) {
	if a.err != nil {
		return reply, a.err
	}
	linkReply(ctx, a.headers)
	if reply, err = c.replies.Decode(ctx, a.value, &a); err != nil {
		return reply, err
	}
	switch reply.Status {
	case schemas.StatusOK, schemas.StatusDegraded:
		return reply, nil
	default:
		return reply, &ReplyError{Status: reply.Status, Message: reply.Error, Degraded: reply.Degraded}
	}
}

// LateReplies counts the replies to calls of this client that had stopped waiting.
func (c *RecommendationClient) LateReplies() int64 { return c.waiting.late.Load() }

// ForeignReplies counts the replies on this client's partition that belong to another client.
func (c *RecommendationClient) ForeignReplies() int64 { return c.waiting.foreign.Load() }

// Close fails the calls that wait, with ErrClosed, and those to come. Requests that were taken are still written, until ctx
// ends.
func (c *RecommendationClient) Close(ctx context.Context) error {
	c.once.Do(func() {
		c.waiting.close()
		c.stop()
		c.reading.Wait()
		c.closed = c.writer.Close(ctx)
		c.source.close(ctx)
	})
	if c.closed != nil {
		return fmt.Errorf("closing the recommendation client: %w", c.closed)
	}
	return nil
}

// ErrClosed is what calls of a closed RecommendationClient get.
var ErrClosed = errors.New("the recommendation client is closed")

// ReplyError is a reply that is no answer.
type ReplyError struct {
	Status schemas.ReplyStatus
	// Message is the service's own, for people.
	Message string
	// Degraded says what was missing where the status is unavailable; empty for others.
	Degraded []schemas.Degradation
}

func (e *ReplyError) Error() string {
	return fmt.Sprintf("the service replied %s: %s", e.Status, e.Message)
}
