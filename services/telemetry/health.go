package telemetry

import (
	"context"
	"errors"
	"sync"
)

// Health is how a process is. Its zero value is one that starts: alive, and not ready.
type Health struct {
	mu       sync.Mutex
	asks     func(context.Context) []string
	degraded func(context.Context) []string
	ended    error
}

// Running says that the work has begun; missing lists what keeps it from being done, and nothing when it can be done.
func (h *Health) Running(missing func(context.Context) []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asks = missing
}

// Degraded says that degraded lists what is done worse than it could be, nothing where all is well. A process that is degraded is
// ready all the same: taken out of service it would do nothing at all.
func (h *Health) Degraded(degraded func(context.Context) []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.degraded = degraded
}

// Ended says that no more work is done, and why: from here on the process is dead, though it may hang for long in closing.
func (h *Health) Ended(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err == nil {
		err = errors.New("the process was told to end")
	}
	h.ended = err
}

func (h *Health) dead() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ended
}

func (h *Health) missing(ctx context.Context) []string {
	h.mu.Lock()
	asks, ended := h.asks, h.ended
	h.mu.Unlock()
	switch {
	case ended != nil:
		return []string{"the roles have ended: " + ended.Error()}
	case asks == nil:
		return []string{"the roles are being prepared"}
	}
	return asks(ctx)
}

func (h *Health) worse(ctx context.Context) []string {
	h.mu.Lock()
	asks := h.degraded
	h.mu.Unlock()
	if asks == nil {
		return nil
	}
	return asks(ctx)
}
