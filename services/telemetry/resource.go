package telemetry

import (
	"context"
	"fmt"
	"os"
	"strconv"

	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0" // the version of the SDK's own detectors: others do not merge

	"github.com/freshet/freshet/services/build"
)

// describe says who this process is.
func describe(ctx context.Context, c Config) (*resource.Resource, error) {
	instance := c.ServiceInstance
	if instance == "" {
		host, err := os.Hostname()
		if err != nil {
			return nil, fmt.Errorf("naming this process: %w (give telemetry.service_instance)", err)
		}
		instance = host + ":" + strconv.Itoa(os.Getpid())
	}
	who, err := resource.New(ctx,
		resource.WithSchemaURL(semconv.SchemaURL),
		resource.WithTelemetrySDK(),
		resource.WithAttributes(
			semconv.ServiceName(c.ServiceName), semconv.ServiceInstanceID(instance), semconv.ServiceVersion(version())),
		resource.WithFromEnv(),
	)
	if err != nil {
		return nil, fmt.Errorf("describing this process: %w", err)
	}
	return who, nil
}

// version is the program's, and the commit behind a + where the build knows it.
func version() string {
	b := build.Read()
	if b.Commit == "" {
		return b.Version
	}
	return b.Version + "+" + b.Commit
}
