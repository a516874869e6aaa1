package telemetry

import (
	"context"
	"fmt"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/stdout/stdouttrace"
	"go.opentelemetry.io/otel/sdk/resource"
	"go.opentelemetry.io/otel/sdk/trace"
)

// setUpTraces leaves the global API's own provider in place where there is no exporter: its spans cost next to nothing and
// pass the trace of a caller on.
func (t *Telemetry) setUpTraces(ctx context.Context, c Config, o Options, who *resource.Resource, to destination) error {
	var exporter trace.SpanExporter
	var err error
	switch c.Traces.Exporter {
	case ExporterNone:
		return nil
	case ExporterOTLP:
		exporter, err = to.spans(ctx)
	case ExporterStdout:
		exporter, err = stdouttrace.New(stdouttrace.WithWriter(o.Stdout))
	}
	if err != nil {
		return fmt.Errorf("opening the exporter %s: %w", c.Traces.Exporter, err)
	}
	provider := trace.NewTracerProvider(
		trace.WithResource(who),
		trace.WithSampler(trace.ParentBased(trace.TraceIDRatioBased(c.Traces.SampleRatio))),
		// A full queue drops spans; it never holds back who ends one.
		trace.WithBatcher(exporter, trace.WithExportTimeout(c.OTLP.Timeout)),
	)
	otel.SetTracerProvider(provider)
	t.stops = append(t.stops, func(ctx context.Context) error {
		err := provider.Shutdown(ctx)
		if ctx.Err() != nil {
			// The processor still hangs in a call: to end the exporter under it with a context that has ended breaks the call off.
			_ = exporter.Shutdown(ctx)
		}
		if err != nil {
			return fmt.Errorf("sending the last spans: %w", err)
		}
		return nil
	})
	o.Log.Info("traces are on", "exporter", c.Traces.Exporter, "sample_ratio", c.Traces.SampleRatio)
	return nil
}
