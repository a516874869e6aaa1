// Package telemetry lets a process be seen from outside: OpenTelemetry's SDK behind the global API, slog with trace ids, and the
// admin server with health, metrics and profiles.
//
// It may import schemas and services/build. It is the only package that imports the SDK, its exporters and Prometheus's libraries;
// whoever has something to measure uses OpenTelemetry's global API (otel.Tracer, otel.Meter) and needs nothing of this package.
//
// What always holds in it:
//
//   - Nothing that is served waits for telemetry: spans and metrics go out in the background, and are dropped when the
//     collector is away. Shutdown ends within its bound, whatever the collector does.
//   - Setup is called once in a process, before anything is measured: what is made of the global API before is bound to the
//     first set-up for good.
//   - What OpenTelemetry complains of goes to slog, and at most once in errorInterval.
//   - The admin server is opened on a loopback address unless the configuration says otherwise, and profiles only when it
//     says so. No secret is shown by any of its pages.
package telemetry
