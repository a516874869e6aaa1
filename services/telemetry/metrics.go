package telemetry

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	otelprometheus "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
)

// seriesLimit bounds the label values of one instrument. All of Freshet's are bounded by nature; a mistake must not fill the
// memory of the process and of Prometheus. What comes beyond is counted under otel_metric_overflow.
const seriesLimit = 2000

func (t *Telemetry) setUpMetrics(ctx context.Context, c Config, o Options, who *resource.Resource, to destination) error {
	options := []metric.Option{metric.WithResource(who), metric.WithCardinalityLimit(seriesLimit)}
	if o.Pull {
		t.registry = prometheus.NewRegistry()
		t.registry.MustRegister(collectors.NewGoCollector(), collectors.NewBuildInfoCollector(),
			collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
		exporter, err := otelprometheus.New(otelprometheus.WithRegisterer(t.registry))
		if err != nil {
			return fmt.Errorf("opening the exporter for Prometheus: %w", err)
		}
		options = append(options, metric.WithReader(exporter))
	}
	if c.Metrics.OTLP {
		exporter, err := to.metrics(ctx)
		if err != nil {
			return fmt.Errorf("opening the exporter otlp: %w", err)
		}
		options = append(options, metric.WithReader(metric.NewPeriodicReader(
			exporter, metric.WithInterval(c.Metrics.Interval), metric.WithTimeout(c.OTLP.Timeout))))
	}
	if !o.Pull && !c.Metrics.OTLP {
		return nil
	}
	provider := metric.NewMeterProvider(options...)
	otel.SetMeterProvider(provider)
	t.stops = append(t.stops, func(ctx context.Context) error {
		if err := provider.Shutdown(ctx); err != nil {
			return fmt.Errorf("sending the last metrics: %w", err)
		}
		return nil
	})
	return nil
}

// scrapes is how many may read the page at a time: each holds all series in memory.
const scrapes = 4

func metricsPage(registry *prometheus.Registry, log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		Registry: registry, EnableOpenMetrics: true, MaxRequestsInFlight: scrapes,
		// One series that cannot be read must not blind whoever watches all others.
		ErrorHandling: promhttp.ContinueOnError,
		ErrorLog:      slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	})
}
