package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
)

// Options are what a process decides about its telemetry, and not its operator.
type Options struct {
	// Pull collects metrics for Telemetry.Metrics. A process that serves no such page and sends none saves the work.
	Pull bool
	// Stdout is what the exporter of this name prints to.
	Stdout io.Writer
	// Log takes what OpenTelemetry complains of.
	Log *slog.Logger
}

// Telemetry is what Setup has installed. Its zero value tells nobody anything.
type Telemetry struct {
	bound    time.Duration
	registry *prometheus.Registry
	log      *slog.Logger
	stops    []func(context.Context) error
}

// Setup installs OpenTelemetry's SDK as c says behind the global API, with W3C's trace context and baggage as what travels
// between processes. No connection is made yet: a collector that is away keeps nobody from starting.
func Setup(ctx context.Context, c Config, o Options) (*Telemetry, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("configuring telemetry: %w", err)
	}
	otel.SetErrorHandler(newErrorHandler(o.Log))
	otel.SetLogger(logr.FromSlogHandler(o.Log.Handler()))
	otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))

	t := &Telemetry{bound: c.ShutdownTimeout, log: o.Log}
	who, err := describe(ctx, c)
	if err != nil {
		return nil, err
	}
	to, err := c.OTLP.open()
	if err != nil {
		return nil, err
	}
	if err := t.setUpTraces(ctx, c, o, who, to); err != nil {
		return nil, fmt.Errorf("setting up traces: %w", err)
	}
	if err := t.setUpMetrics(ctx, c, o, who, to); err != nil {
		return nil, errors.Join(fmt.Errorf("setting up metrics: %w", err), t.Shutdown(ctx))
	}
	return t, nil
}

// Shutdown sends what is left, for as long as the configuration allows, even when ctx has ended. It says what was not sent.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.bound)
	defer cancel()
	errs := make([]error, len(t.stops))
	var all sync.WaitGroup
	for i, stop := range t.stops { // side by side: the bound is for all
		all.Go(func() { errs[i] = stop(ctx) })
	}
	all.Wait()
	t.stops = nil
	return errors.Join(errs...)
}

// Metrics is the page that Prometheus reads, nil without Options.Pull.
func (t *Telemetry) Metrics() http.Handler {
	if t.registry == nil {
		return nil
	}
	return metricsPage(t.registry, t.log)
}
