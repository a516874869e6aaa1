package telemetry

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"

	"go.opentelemetry.io/otel/sdk/resource"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0" // the version of the SDK's own detectors: others do not merge
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

// version is the module's version, and the commit behind a + where the build knows it.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	commit := slices.IndexFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "vcs.revision" })
	if commit < 0 {
		return info.Main.Version
	}
	return info.Main.Version + "+" + info.Settings[commit].Value
}
