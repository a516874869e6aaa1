package interactions

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
)

// TestRatingsOffTheScaleAreTold: a shop that rates from 0 to 100, with the scale of one to five stars. Each is counted, however
// often it is said, and none twice.
func TestRatingsOffTheScaleAreTold(t *testing.T) {
	for _, c := range []struct {
		name   string
		scale  schemas.RatingScale
		values []float64
		off    int64
	}{
		{"percent on stars", schemas.DefaultRatingScale(), []float64{80, 5, 0, 1, 100}, 3},
		{"stars", schemas.DefaultRatingScale(), []float64{1, 2.5, 5}, 0},
		{"a scale that judges nothing", schemas.RatingScale{}, []float64{80, -3}, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			read := observe(t)
			r := newRig(t, func(p *profiles.Config) { p.Ratings = c.scale })
			var logged bytes.Buffer
			r.log = slog.New(slog.NewTextHandler(&logged, nil))
			for i, value := range c.values {
				e := event(string(rune('a'+i)), "ann", "boots", schemas.Rating)
				e.Value = &value
				record := r.eventRecord(e)
				require.NoError(t, r.handle(record))
				require.NoError(t, r.handle(record), "a replay is not counted again")
			}
			view := event("view", "ann", "boots", schemas.View)
			far := 99.0
			view.Value = &far
			require.NoError(t, r.handle(r.eventRecord(view)))
			require.NoError(t, r.handle(r.eventRecord(event("none", "ann", "boots", schemas.Rating))), "a rating without a value")
			require.Equal(t, min(c.off, 1), int64(strings.Count(logged.String(), "profiles.ratings.lowest")), logged.String())
			require.NotContains(t, logged.String(), "ann")
			require.Equal(t, c.off, read("freshet.ratings.off_scale").(metricdata.Sum[int64]).DataPoints[0].Value)
			e := event("again", "bob", "boots", schemas.Rating)
			e.Value = &far
			require.NoError(t, r.Replaying().Handle(t.Context(), []stream.Record{r.eventRecord(e)}))
			require.Equal(t, c.off, read("freshet.ratings.off_scale").(metricdata.Sum[int64]).DataPoints[0].Value, "a rebuild counts none")
		})
	}
}

// TestALowRatingIsNotPopular: six ratings of 1 put an item on no shelf, six of 5 do.
func TestALowRatingIsNotPopular(t *testing.T) {
	r := newRig(t)
	for _, user := range []string{"a", "b", "c", "d", "e", "f"} {
		for item, value := range map[string]float64{"loved": 5, "hated": 1} {
			e := event(user+item, user, item, schemas.Rating)
			e.Value = &value
			require.NoError(t, r.handle(r.eventRecord(e)))
		}
	}
	r.Close()
	popular, err := r.items.Popular(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, popular, 1)
	require.Equal(t, "loved", popular[0].ItemID)
}
