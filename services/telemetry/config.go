package telemetry

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Config says what is told of a process, and to whom.
type Config struct {
	// ServiceName names the program in traces and metrics. OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES add to what is told
	// of the process and win over it.
	ServiceName string `yaml:"service_name" env:"SERVICE_NAME"`
	// ServiceInstance tells the processes of one service apart; empty means host name and process id.
	ServiceInstance string `yaml:"service_instance" env:"SERVICE_INSTANCE"`
	// Where spans go, and how many.
	Traces TracesConfig `yaml:"traces" envPrefix:"TRACES_"`
	// Where metrics are sent, beside the page /metrics of the admin server, which always has them.
	Metrics MetricsConfig `yaml:"metrics" envPrefix:"METRICS_"`
	// The collector that takes spans and metrics.
	OTLP OTLPConfig `yaml:"otlp" envPrefix:"OTLP_"`
	// ShutdownTimeout bounds the sending of what is left when the process ends.
	ShutdownTimeout time.Duration `yaml:"shutdown_timeout" env:"SHUTDOWN_TIMEOUT"`
}

// The exporters of spans.
const (
	ExporterNone   = "none"
	ExporterOTLP   = "otlp"
	ExporterStdout = "stdout"
)

// TracesConfig says what becomes of spans.
type TracesConfig struct {
	// Exporter is none, otlp, or stdout, which prints each span as a line of JSON; commands but run print it
	// beside their log.
	Exporter string `yaml:"exporter" env:"EXPORTER"`
	// SampleRatio is the share of the traces beginning in this process that are followed, 0 to 1. A trace that began elsewhere
	// is followed when it is followed there.
	SampleRatio float64 `yaml:"sample_ratio" env:"SAMPLE_RATIO"`
}

// MetricsConfig says what becomes of metrics.
type MetricsConfig struct {
	// OTLP sends them to the collector as well, once in each Interval.
	OTLP     bool          `yaml:"otlp" env:"OTLP"`
	Interval time.Duration `yaml:"interval" env:"INTERVAL"`
}

// DefaultConfig sends nothing anywhere: metrics wait on the admin address for whoever asks for them.
func DefaultConfig() Config {
	return Config{
		ServiceName:     "freshet",
		Traces:          TracesConfig{Exporter: ExporterNone, SampleRatio: 0.01},
		Metrics:         MetricsConfig{Interval: 30 * time.Second},
		OTLP:            OTLPConfig{Endpoint: "127.0.0.1:4317", Timeout: 10 * time.Second},
		ShutdownTimeout: 3 * time.Second,
	}
}

// Validate names each setting that cannot work.
func (c Config) Validate() error {
	var errs []error
	refuse := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.ServiceName == "" {
		refuse("service_name is empty: give a name, such as freshet")
	}
	switch c.Traces.Exporter {
	case ExporterNone, ExporterOTLP, ExporterStdout:
	default:
		refuse("traces.exporter is %q: give none, otlp or stdout", c.Traces.Exporter)
	}
	if r := c.Traces.SampleRatio; math.IsNaN(r) || r < 0 || r > 1 {
		refuse("traces.sample_ratio is %v: give a share from 0 to 1, such as 0.01", r)
	}
	if c.Metrics.Interval <= 0 {
		refuse("metrics.interval is %v: give a duration above zero, such as 30s", c.Metrics.Interval)
	}
	if err := c.OTLP.validate(); err != nil {
		errs = append(errs, err)
	}
	if c.ShutdownTimeout <= 0 {
		refuse("shutdown_timeout is %v: give a duration above zero, such as 3s", c.ShutdownTimeout)
	}
	return errors.Join(errs...)
}
