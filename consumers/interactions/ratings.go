package interactions

import (
	"context"
	"log/slog"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
)

// tellOffScale counts ratings whose value is not on the shop's scale, such as one of 80 where stars are expected. They are applied
// as choices, since nobody knows what they mean; that the scale is wrong must not go unseen.
func (h *Handler) tellOffScale(ctx context.Context, events []profiles.Event, newly []int) {
	scale := h.profiles.Ratings()
	if scale.Highest <= scale.Lowest {
		return // each rating is a choice
	}
	var off int
	var value float64
	for _, i := range newly {
		if e := &events[i]; e.Type == schemas.Rating && e.Value != nil && !scale.Holds(float32(*e.Value)) {
			off, value = off+1, *e.Value
		}
	}
	if off == 0 {
		return
	}
	h.telemetry.offScale(ctx, int64(off))
	if count := h.paces.offScale.Due(off, time.Now()); count > 0 {
		h.log.Warn("ratings are not on the scale of profiles.ratings: they count as choices, however low they are meant",
			slog.Int("events", count), slog.Float64("value", value), slog.Float64("lowest", scale.Lowest), slog.Float64("highest", scale.Highest),
			slog.String("remedy", "set profiles.ratings.lowest and highest to the values that publishers send"))
	}
}
