// Package telemetry sets up OpenTelemetry and slog, and may import nothing of the project.
package telemetry
