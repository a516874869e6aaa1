package telemetry

import (
	"context"
	"io"
	"log/slog"

	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/services/terminal"
)

// NewLogger writes lines of at least this level to w, as JSON or as text. A line that is logged with the context of a span
// bears trace_id and span_id, as OpenTelemetry names them outside of OTLP.
func NewLogger(w io.Writer, level slog.Level, json bool) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if json {
		return slog.New(traceHandler{slog.NewJSONHandler(terminal.JSON(w), options)})
	}
	return slog.New(traceHandler{slog.NewTextHandler(w, options)})
}

// traceHandler adds the ids of the context's span. They stand where the line's own attributes stand: inside the group of a
// logger that has one.
type traceHandler struct{ slog.Handler }

// Handle implements slog.Handler.
func (h traceHandler) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.IsValid() {
		r = r.Clone() // its attributes may be shared with the caller's
		r.AddAttrs(slog.String("trace_id", span.TraceID().String()), slog.String("span_id", span.SpanID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceHandler{h.Handler.WithAttrs(attrs)}
}

// WithGroup implements slog.Handler.
func (h traceHandler) WithGroup(name string) slog.Handler {
	return traceHandler{h.Handler.WithGroup(name)}
}
