package catalogue

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
	newer := change("a", 2, func(c *schemas.ItemChange) { c.OccurredAt = time.Now().Add(time.Second) })
	gone := change("a", 3, func(c *schemas.ItemChange) { c.Op = schemas.DeleteItem })
	r.write(change("a", 1), newer)
	r.write(newer)
	r.write(change("a", 1))
	r.write(gone)
	require.Error(t, r.handle(r.raw("b", []byte("no Avro")), r.record(change("b", 1))))
	require.Equal(t, map[string]int64{"superseded": 1, "indexed": 2, "unchanged": 1, "stale": 1, "deleted": 1},
		outcomesOf(t, read("freshet.items")))

	for _, point := range read("freshet.item.freshness").(metricdata.Histogram[float64]).DataPoints {
		require.EqualValues(t, 2, point.Count)
		since, _ := point.Attributes.Value("since")
		last, least := point.BucketCounts[len(point.BucketCounts)-1], point.Min
		if since.AsString() == "occurred_at" {
			require.EqualValues(t, 1, last, "the change of an hour ago")
			value, _ := least.Value()
			require.Zero(t, value, "a change from a clock that is ahead is 0 s old")
		} else {
			require.Zero(t, last)
		}
	}
}

func TestDeadLettersHaveReasons(t *testing.T) {
	r := newRig(t)
	for want, record := range map[stream.Reason]stream.Record{
		stream.ReasonMalformed: r.raw("a", []byte("no Avro")),
		stream.ReasonInvalid:   r.record(change("", 1)),
	} {
		var failures stream.Failures
		require.ErrorAs(t, r.handle(record), &failures)
		require.Equal(t, want, stream.ReasonOf(failures[0].Err))
	}
}

func republished(t testing.TB, data metricdata.Aggregation) int64 {
	t.Helper()
	return data.(metricdata.Sum[int64]).DataPoints[0].Value
}
