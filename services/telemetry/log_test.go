package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/trace"
)

func TestLinesBearTheTrace(t *testing.T) {
	span := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1: 0xab}, SpanID: trace.SpanID{7: 0xcd}})
	ctx := trace.ContextWithSpanContext(t.Context(), span)
	log := func(ctx context.Context, asJSON bool) string {
		var l lines
		NewLogger(&l, slog.LevelInfo, asJSON).With("role", "r").WarnContext(ctx, "m", "n", 1)
		return l.String()
	}
	require.Contains(t, log(ctx, false), "msg=m role=r n=1 trace_id="+span.TraceID().String()+" span_id="+span.SpanID().String())
	require.NotContains(t, log(t.Context(), false), "trace_id")
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(log(ctx, true)), &line))
	require.Equal(t, "00ab0000000000000000000000000000", line["trace_id"])
	require.Equal(t, "00000000000000cd", line["span_id"])
	require.Equal(t, "r", line["role"])

	var l lines
	NewLogger(&l, slog.LevelWarn, false).InfoContext(ctx, "m")
	require.Empty(t, l.String(), "below the level")
}

func TestOneLineOfTroubleInAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var l lines
		h := newErrorHandler(l.logger())
		for range 5 {
			h.Handle(errors.New("collector away"))
		}
		require.Equal(t, 1, strings.Count(l.String(), "collector away"))
		time.Sleep(errorInterval) // of the bubble's clock
		h.Handle(errors.New("collector away"))
		require.Equal(t, 2, strings.Count(l.String(), "\n"))
		require.Contains(t, l.String(), "others_since_the_last_time=4")
	})
}
