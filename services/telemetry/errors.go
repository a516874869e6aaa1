package telemetry

import (
	"log/slog"
	"sync"
	"time"
)

// errorInterval is the least time between two lines about telemetry's own trouble: a collector that is away fails every call.
const errorInterval = 30 * time.Second

// errorHandler logs what OpenTelemetry cannot return to anybody.
type errorHandler struct {
	log *slog.Logger

	mu     sync.Mutex
	next   time.Time // when the next line may be written
	silent int       // errors since the last line
}

func newErrorHandler(log *slog.Logger) *errorHandler { return &errorHandler{log: log} }

// Handle implements otel.ErrorHandler.
func (h *errorHandler) Handle(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if now.Before(h.next) {
		h.silent++
		return
	}
	h.log.Warn("telemetry was not told of; serving goes on", "error", err, "others_since_the_last_time", h.silent)
	h.next, h.silent = now.Add(errorInterval), 0
}
