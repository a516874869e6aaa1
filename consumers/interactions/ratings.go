package interactions

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
)

// pace lets one of many log lines through in a while; metrics count all of them. It is safe for concurrent use.
type pace struct{ last atomic.Int64 } // ms since 1970

// due says whether the line is to be said now.
func (p *pace) due() bool {
	last, now := p.last.Load(), time.Now().UnixMilli()
	return now-last >= saidEvery.Milliseconds() && p.last.CompareAndSwap(last, now)
}

const saidEvery = time.Minute

// tellOffScale counts ratings whose value is not on the shop's scale, such as one of 80 where stars are expected. They are applied
// as choices, since nobody knows what they mean; that the scale is wrong must not go unseen.
func (h *Handler) tellOffScale(ctx context.Context, events []profiles.Event, newly []int) {
	scale := h.profiles.Ratings()
	if scale.Highest <= scale.Lowest {
		return // each rating is a choice
	}
	var off int64
	var value float64
	for _, i := range newly {
		if e := &events[i]; e.Type == schemas.Rating && e.Value != nil && !scale.Holds(float32(*e.Value)) {
			off, value = off+1, *e.Value
		}
	}
	if off == 0 {
		return
	}
	h.telemetry.offScale(ctx, off)
	if h.paces.offScale.due() {
		h.log.Warn("ratings are not on the scale of profiles.ratings: they count as choices, however low they are meant",
			slog.Int64("events", off), slog.Float64("value", value), slog.Float64("lowest", scale.Lowest), slog.Float64("highest", scale.Highest),
			slog.String("remedy", "set profiles.ratings.lowest and highest to the values that publishers send"))
	}
}
