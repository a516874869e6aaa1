package calls

import (
	"context"
	"net"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

const scope = "github.com/freshet/freshet/services/calls"

// boundaries of durations in seconds: from half a millisecond to half a minute.
var boundaries = []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}

// Server is a server whose calls are observed. It is safe for concurrent use.
type Server struct {
	tracer   trace.Tracer
	duration metric.Float64Histogram
	errors   metric.Int64Counter

	system string
	span   []attribute.KeyValue
	// operations holds an *Operation for each name that the code ever used: a few dozen.
	operations sync.Map
}

// NewServer names a server by OpenTelemetry's word for its kind (db.system.name: redis, milvus) and by its address; what is no
// host:port, such as the name of a Sentinel's master, is left out of the spans.
func NewServer(system, address string) *Server {
	meter := otel.Meter(scope)
	// The API's own instruments never fail; an SDK that refuses one reports it through otel.Handle and returns one that
	// drops what it is given.
	duration, _ := meter.Float64Histogram("db.client.operation.duration", metric.WithUnit("s"),
		metric.WithDescription("How long calls and pipelines to Redis and Milvus take."),
		metric.WithExplicitBucketBoundaries(boundaries...))
	failures, _ := meter.Int64Counter("freshet.server.errors", metric.WithUnit("{error}"),
		metric.WithDescription("Calls and pipelines to Redis and Milvus that failed, by kind."))
	s := &Server{
		tracer: otel.Tracer(scope), duration: duration, errors: failures, system: system,
		span: []attribute.KeyValue{semconv.DBSystemNameKey.String(system)},
	}
	if host, port, err := net.SplitHostPort(address); err == nil {
		s.span = append(s.span, semconv.ServerAddress(host))
		if n, err := strconv.Atoi(port); err == nil {
			s.span = append(s.span, semconv.ServerPort(n))
		}
	}
	return s
}

// Listened tells whether anything would come of observing a call made with ctx, so that a caller may spare itself the
// trouble of finding out its name.
func (s *Server) Listened(ctx context.Context) bool {
	return s.duration.Enabled(ctx) || trace.SpanFromContext(ctx).IsRecording()
}

// Operation returns what observes the calls of one name. Names come from the program's code, never from data.
func (s *Server) Operation(name string) *Operation {
	if known, ok := s.operations.Load(name); ok {
		return known.(*Operation)
	}
	o := &Operation{server: s, name: name}
	set := attribute.NewSet(semconv.DBSystemNameKey.String(s.system), semconv.DBOperationName(name))
	o.succeeded = []metric.RecordOption{metric.WithAttributeSet(set)}
	o.start = []trace.SpanStartOption{
		trace.WithSpanKind(trace.SpanKindClient), trace.WithAttributes(s.span...), trace.WithAttributes(semconv.DBOperationName(name)),
	}
	known, loaded := s.operations.LoadOrStore(name, o)
	if !loaded {
		for _, kind := range kinds {
			o.count(context.Background(), kind, 0) // a series that is there from the start shows its first failure as a rise
		}
	}
	return known.(*Operation)
}

// Operation observes the calls of one name.
type Operation struct {
	server    *Server
	name      string
	succeeded []metric.RecordOption
	start     []trace.SpanStartOption
}

// Call is one call under way.
type Call struct {
	operation *Operation
	begin     time.Time
	span      trace.Span
}

// Begin starts the clock and, below a span that records, a span of the operation's name. The call goes on with the returned
// context.
func (o *Operation) Begin(ctx context.Context) (context.Context, Call) {
	c := Call{operation: o, begin: time.Now()}
	if trace.SpanFromContext(ctx).IsRecording() {
		ctx, c.span = o.server.tracer.Start(ctx, o.name, o.start...)
	}
	return ctx, c
}

// Recording tells whether there is a span to describe.
func (c Call) Recording() bool { return c.span != nil }

// On names the collection that the call is for.
func (c Call) On(collection string) {
	if c.Recording() && collection != "" {
		c.span.SetName(c.operation.name + " " + collection)
		c.span.SetAttributes(semconv.DBCollectionName(collection))
	}
}

// Batch tells how many operations went in one call. By the conventions a single one is not mentioned.
func (c Call) Batch(size int) {
	if c.Recording() && size > 1 {
		c.span.SetAttributes(semconv.DBOperationBatchSize(size))
	}
}

// End books the call. ctx is the one that it was begun with.
func (c Call) End(ctx context.Context, kind Kind) {
	seconds := time.Since(c.begin).Seconds()
	if kind == None {
		c.operation.server.duration.Record(ctx, seconds, c.operation.succeeded...)
	} else {
		c.operation.fail(ctx, kind, seconds)
	}
	if c.span == nil {
		return
	}
	if kind != None {
		c.span.SetAttributes(errorType(kind))
		c.span.SetStatus(codes.Error, string(kind))
	}
	c.span.End()
}

func (o *Operation) fail(ctx context.Context, kind Kind, seconds float64) {
	o.server.duration.Record(ctx, seconds, metric.WithAttributes(
		semconv.DBSystemNameKey.String(o.server.system), semconv.DBOperationName(o.name), errorType(kind)))
	o.count(ctx, kind, 1)
}

func (o *Operation) count(ctx context.Context, kind Kind, n int64) {
	o.server.errors.Add(ctx, n, metric.WithAttributes(
		attribute.String("server", o.server.system), attribute.String("operation", o.name), attribute.String("kind", string(kind))))
}

func errorType(kind Kind) attribute.KeyValue { return semconv.ErrorTypeKey.String(string(kind)) }
