package collector

import (
	"context"
	"fmt"
	"net"
	"sync"

	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
)

// Collector is an OTLP/gRPC server. It is safe for concurrent use.
type Collector struct {
	server *grpc.Server
	at     net.Addr
	ended  chan struct{}

	mu      sync.Mutex
	spans   []Span
	metrics map[string]bool
	headers metadata.MD
	came    chan struct{} // closed, and made anew, whenever something has come
}

// Listen serves at address, host:port, until Close. options are for a server with TLS.
func Listen(ctx context.Context, address string, options ...grpc.ServerOption) (*Collector, error) {
	var listen net.ListenConfig
	listener, err := listen.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listening for OTLP: %w", err)
	}
	c := &Collector{
		server: grpc.NewServer(options...), at: listener.Addr(), ended: make(chan struct{}),
		metrics: map[string]bool{}, came: make(chan struct{}),
	}
	tracepb.RegisterTraceServiceServer(c.server, &traceService{c: c})
	metricspb.RegisterMetricsServiceServer(c.server, &metricsService{c: c})
	go func() {
		defer close(c.ended)
		_ = c.server.Serve(listener) // it ends with Close
	}()
	return c, nil
}

// Addr is host:port as it really is.
func (c *Collector) Addr() string { return c.at.String() }

// Close ends the server.
func (c *Collector) Close() {
	c.server.Stop()
	<-c.ended
}

// Spans returns all spans that have come, in the order of their coming.
func (c *Collector) Spans() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]Span(nil), c.spans...)
}

// Take returns the spans that have come and forgets them.
func (c *Collector) Take() []Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.spans
	c.spans = nil
	return taken
}

// HasMetric says whether a metric of this name has come.
func (c *Collector) HasMetric(name string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.metrics[name]
}

// Headers are those of the last call.
func (c *Collector) Headers() metadata.MD {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.headers.Copy()
}

// Came is closed when something comes that had not come before the call.
func (c *Collector) Came() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.came
}

// Await returns nil when enough says so of all spans that have come. Its error is that of ctx.
func (c *Collector) Await(ctx context.Context, enough func([]Span) bool) error {
	for {
		came := c.Came() // before the look: what comes after it is seen by the next
		if enough(c.Spans()) {
			return nil
		}
		select {
		case <-came:
		case <-ctx.Done():
			return fmt.Errorf("waiting for spans: %w", ctx.Err())
		}
	}
}

// take changes what has come, and wakes who waits.
func (c *Collector) take(ctx context.Context, change func()) {
	headers, _ := metadata.FromIncomingContext(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	change()
	c.headers = headers
	close(c.came)
	c.came = make(chan struct{})
}

type traceService struct {
	tracepb.UnimplementedTraceServiceServer
	c *Collector
}

// Export implements OTLP.
func (s *traceService) Export(ctx context.Context, q *tracepb.ExportTraceServiceRequest) (*tracepb.ExportTraceServiceResponse, error) {
	spans := read(q.GetResourceSpans())
	s.c.take(ctx, func() { s.c.spans = append(s.c.spans, spans...) })
	return &tracepb.ExportTraceServiceResponse{}, nil
}

type metricsService struct {
	metricspb.UnimplementedMetricsServiceServer
	c *Collector
}

// Export implements OTLP.
func (s *metricsService) Export(
	ctx context.Context, q *metricspb.ExportMetricsServiceRequest,
) (*metricspb.ExportMetricsServiceResponse, error) {
	s.c.take(ctx, func() {
		for _, resource := range q.GetResourceMetrics() {
			for _, scope := range resource.GetScopeMetrics() {
				for _, m := range scope.GetMetrics() {
					s.c.metrics[m.GetName()] = true
				}
			}
		}
	})
	return &metricspb.ExportMetricsServiceResponse{}, nil
}
