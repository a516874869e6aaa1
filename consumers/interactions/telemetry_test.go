package interactions

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
)

// observe has what is made until the test ends measured, and returns what reads an instrument.
func observe(t testing.TB) func(name string) metricdata.Aggregation {
	t.Helper()
	reader := sdkmetric.NewManualReader()
	provider := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader))
	otel.SetMeterProvider(provider)
	t.Cleanup(func() {
		otel.SetMeterProvider(noop.NewMeterProvider())
		require.NoError(t, provider.Shutdown(context.Background()))
	})
	return func(name string) metricdata.Aggregation {
		var all metricdata.ResourceMetrics
		require.NoError(t, reader.Collect(context.Background(), &all))
		for _, scope := range all.ScopeMetrics {
			for _, m := range scope.Metrics {
				if m.Name == name {
					return m.Data
				}
			}
		}
		return nil
	}
}

func outcomesOf(t testing.TB, data metricdata.Aggregation) map[string]int64 {
	t.Helper()
	got := map[string]int64{}
	for _, point := range data.(metricdata.Sum[int64]).DataPoints {
		outcome, _ := point.Attributes.Value("outcome")
		got[outcome.AsString()] = point.Value
	}
	return got
}

func TestFreshnessAndOutcomes(t *testing.T) {
	read := observe(t)
	r := newRig(t)
	at := func(id string, age time.Duration) schemas.Interaction {
		e := event(id, "ann", "boots", schemas.View)
		e.OccurredAt = time.Now().Add(-age)
		return e
	}
	backfill := r.eventRecord(at("1", 3*365*24*time.Hour))
	ahead := r.eventRecord(at("2", -time.Second))
	late := r.eventRecord(at("3", time.Minute))
	twice := r.eventRecord(at("2", -time.Second))
	batch := []stream.Record{backfill, ahead, late, twice}
	require.NoError(t, r.handle(batch...))
	require.NoError(t, r.handle(batch...))
	require.NoError(t, r.handle(r.tombstone("ann")))
	require.Error(t, r.handle(r.record("ann", []byte("no Avro"))))
	require.Equal(t, map[string]int64{"applied": 2, "late": 1, "duplicate": 1, "replayed": 4, "erased": 1},
		outcomesOf(t, read("freshet.events")))

	freshness := read("freshet.embedding.freshness").(metricdata.Histogram[float64])
	require.Len(t, freshness.DataPoints, 2)
	for _, point := range freshness.DataPoints {
		since, _ := point.Attributes.Value("since")
		require.EqualValues(t, 3, point.Count, "an event that was applied before is as fresh as it was then")
		last := point.BucketCounts[len(point.BucketCounts)-1]
		least, _ := point.Min.Value()
		switch since.AsString() {
		case "occurred_at":
			require.EqualValues(t, 2, last, "the backfill and the late one are in the last bucket")
			require.Zero(t, least, "an event from a clock that is ahead is 0 s old")
		default:
			require.Equal(t, "broker", since.AsString())
			require.Zero(t, last)
		}
	}

	require.NoError(t, r.Replaying().Handle(t.Context(), []stream.Record{r.eventRecord(at("9", time.Hour))}))
	require.EqualValues(t, 3, read("freshet.embedding.freshness").(metricdata.Histogram[float64]).DataPoints[0].Count)
}

func TestDeadLettersHaveReasons(t *testing.T) {
	r := newRig(t)
	e := event("1", "ann", "boots", schemas.View)
	e.OccurredAt = time.Now().Add(1000 * time.Hour)
	for want, record := range map[stream.Reason]stream.Record{
		stream.ReasonMalformed: r.record("ann", []byte("no Avro")),
		stream.ReasonInvalid:   r.eventRecord(e),
	} {
		var failures stream.Failures
		require.ErrorAs(t, r.handle(record), &failures)
		require.Equal(t, want, stream.ReasonOf(failures[0].Err))
	}
}

// TestWhoCannotWaitIsCounted: the bound of users who wait for one item's record is told by a counter, and not only in the log.
func TestWhoCannotWaitIsCounted(t *testing.T) {
	read := observe(t)
	r := newRig(t, func(c *profiles.Config) { c.WaitingUsers = 1 })
	for _, user := range []string{"ann", "bob", "cid"} {
		require.NoError(t, r.handle(r.eventRecord(event("of "+user, user, "nobody knows", schemas.Like))))
	}
	require.EqualValues(t, 2, read("freshet.events.unheard").(metricdata.Sum[int64]).DataPoints[0].Value)
}
