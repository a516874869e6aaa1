package telemetry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/sdk/metric"
	"google.golang.org/grpc/credentials"

	"github.com/freshet/freshet/schemas/secure"
)

// OTLPConfig says where the collector is.
type OTLPConfig struct {
	// Endpoint is host:port of a collector that takes OTLP over gRPC.
	Endpoint string     `yaml:"endpoint" env:"ENDPOINT"`
	TLS      secure.TLS `yaml:"tls" envPrefix:"TLS_"`
	// Headers go with each call, such as authorization=Bearer%20abc,tenant=shop: pairs with commas between, special characters
	// as in URLs.
	Headers secure.Secret `yaml:"headers" env:"HEADERS" secret:"true"`
	// HeadersFile is a file that holds them instead.
	HeadersFile string `yaml:"headers_file" env:"HEADERS_FILE"`
	// Timeout bounds each call, trying again included.
	Timeout time.Duration `yaml:"timeout" env:"TIMEOUT"`
}

func (c OTLPConfig) validate() error {
	if _, port, err := net.SplitHostPort(c.Endpoint); err != nil || port == "" {
		return fmt.Errorf("otlp.endpoint is %q: give host:port without a scheme, such as collector:4317", c.Endpoint)
	}
	if err := c.TLS.Validate(); err != nil {
		return fmt.Errorf("otlp.tls.%w", err)
	}
	if err := secure.CheckSecret("headers", c.Headers, c.HeadersFile); err != nil {
		return fmt.Errorf("otlp.%w", err)
	}
	if _, err := parseHeaders(c.Headers); err != nil {
		return err
	}
	if c.Timeout <= 0 {
		return fmt.Errorf("otlp.timeout is %v: give a duration above zero, such as 10s", c.Timeout)
	}
	return nil
}

var errHeaders = errors.New("otlp.headers (not shown) are no list of pairs: give name=value with commas between, values as in URLs")

// parseHeaders reads pairs as OTEL_EXPORTER_OTLP_HEADERS has them (W3C Baggage without properties).
func parseHeaders(text secure.Secret) (map[string]string, error) {
	headers := map[string]string{}
	for pair := range strings.SplitSeq(text.Reveal(), ",") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, found := strings.Cut(pair, "=")
		name = strings.ToLower(strings.TrimSpace(name))
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if !found || err != nil || name == "" || strings.ContainsAny(name, " \t:") {
			return nil, errHeaders // and not err, which would show a part
		}
		headers[name] = value
	}
	return headers, nil
}

// destination is what both exporters need to know.
type destination struct {
	OTLPConfig
	credentials credentials.TransportCredentials // nil without TLS
	headers     map[string]string
}

// open reads the files that the settings name. Nothing is connected before there is something to send.
func (c OTLPConfig) open() (destination, error) {
	out := destination{OTLPConfig: c}
	encrypted, err := c.TLS.Load()
	if err != nil {
		return out, fmt.Errorf("reading telemetry.otlp.%w", err)
	}
	if encrypted != nil {
		out.credentials = credentials.NewTLS(encrypted)
	}
	headers, err := secure.ReadSecret("headers", c.Headers, c.HeadersFile)
	if err != nil {
		return out, fmt.Errorf("reading telemetry.otlp.%w", err)
	}
	out.headers, err = parseHeaders(headers)
	return out, err
}

// firstRetry is the pause after a call that failed; it doubles. A collector that restarts is back within seconds.
const firstRetry = 500 * time.Millisecond

func (c destination) spans(ctx context.Context) (*otlptrace.Exporter, error) {
	options := []otlptracegrpc.Option{
		otlptracegrpc.WithEndpoint(c.Endpoint), otlptracegrpc.WithHeaders(c.headers), otlptracegrpc.WithTimeout(c.Timeout),
		otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{
			Enabled: true, InitialInterval: firstRetry, MaxInterval: c.Timeout, MaxElapsedTime: c.Timeout,
		}),
	}
	if c.credentials != nil {
		options = append(options, otlptracegrpc.WithTLSCredentials(c.credentials))
	} else {
		options = append(options, otlptracegrpc.WithInsecure())
	}
	return otlptracegrpc.New(ctx, options...)
}

func (c destination) metrics(ctx context.Context) (metric.Exporter, error) {
	options := []otlpmetricgrpc.Option{
		otlpmetricgrpc.WithEndpoint(c.Endpoint), otlpmetricgrpc.WithHeaders(c.headers), otlpmetricgrpc.WithTimeout(c.Timeout),
		otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{
			Enabled: true, InitialInterval: firstRetry, MaxInterval: c.Timeout, MaxElapsedTime: c.Timeout,
		}),
	}
	if c.credentials != nil {
		options = append(options, otlpmetricgrpc.WithTLSCredentials(c.credentials))
	} else {
		options = append(options, otlpmetricgrpc.WithInsecure())
	}
	return otlpmetricgrpc.New(ctx, options...)
}
