package bench

import (
	"bytes"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestStatistics(t *testing.T) {
	for _, c := range []struct {
		values []float64
		want   float64
	}{{[]float64{3}, 3}, {[]float64{9, 1, 5}, 5}, {[]float64{4, 1, 3, 2}, 2.5}} {
		require.InDelta(t, c.want, median(c.values), 0)
	}
	require.True(t, math.IsNaN(median(nil)))

	var hundred samples
	for i := range 100 {
		hundred = append(hundred, time.Duration(100-i)*time.Millisecond)
	}
	require.InDelta(t, 50, hundred.p50(), 0, "the nearest rank")
	require.InDelta(t, 99, hundred.p99(), 0)
	require.InDelta(t, 100, hundred.quantile(1), 0)
	require.InDelta(t, 1, hundred.quantile(0), 0)
	require.Equal(t, 100*time.Millisecond, hundred[0], "the order of the samples is left as it was")
	require.InDelta(t, 7, samples{7 * time.Millisecond}.p99(), 0)
	require.True(t, math.IsNaN(samples(nil).p50()))

	require.InDelta(t, 75, inSeries(100, 300), 1e-9, "10 ms and 3.3 ms for each")
	require.Equal(t, Figure{Median: 2, Min: 1, Max: 6, Repeats: []float64{6, 1, 2}}, figureOf([]float64{6, 1, 2}))
}

// TestReportForms holds both forms of a report against what is written here: programs read the one, people the other.
func TestReportForms(t *testing.T) {
	r := &Report{
		Bench: "ingest", Machine: Machine{Cores: 2, Go: "go1.26.8", Platform: "linux/amd64"},
		Servers: Servers{Kafka: "Kafka at k:9092", Redis: "Redis 7.0.15 at r:6379"}, Load: []string{"10 events a repeat", "2 users"},
	}
	r.compare("events", "events/s", []float64{90, 200, 80}, []float64{100, 100, 100}, atLeast(0.8))
	r.compare("latency", "ms", []float64{3}, []float64{2}, atMost(1.3))
	r.tell("bytes", "bytes", []float64{1234.4})
	r.note("of %d users", 2)
	var text, encoded bytes.Buffer
	require.NoError(t, r.WriteTable(&text))
	require.NoError(t, r.WriteJSON(&encoded))
	require.Equal(t, `bench ingest
machine: 2 cores, go1.26.8, linux/amd64
servers: Kafka at k:9092, Redis 7.0.15 at r:6379
load:    10 events a repeat, 2 users
┌──────────┬──────────┬─────────────────┬───────────────┬──────────────────┬────────┬─────────┐
│ measured │ unit     │ ours            │ floor         │ ours / floor     │ goal   │ reached │
├──────────┼──────────┼─────────────────┼───────────────┼──────────────────┼────────┼─────────┤
│ events   │ events/s │ 90.0 (80.0–200) │ 100 (100–100) │ 0.90 (0.80–2.00) │ >= 0.8 │ yes     │
│ latency  │ ms       │            3.00 │          2.00 │             1.50 │ <= 1.3 │ no      │
│ bytes    │ bytes    │            1234 │               │                  │        │         │
└──────────┴──────────┴─────────────────┴───────────────┴──────────────────┴────────┴─────────┘
- of 2 users
`, text.String())
	require.JSONEq(t, `{
		"bench": "ingest",
		"machine": {"cores": 2, "go": "go1.26.8", "platform": "linux/amd64"},
		"servers": {"embedded": false, "kafka": "Kafka at k:9092", "redis": "Redis 7.0.15 at r:6379"},
		"load": ["10 events a repeat", "2 users"],
		"rows": [
			{"name": "events", "unit": "events/s",
			 "ours": {"median": 90, "min": 80, "max": 200, "repeats": [90, 200, 80]},
			 "floor": {"median": 100, "min": 100, "max": 100, "repeats": [100, 100, 100]},
			 "ratio": {"median": 0.9, "min": 0.8, "max": 2, "repeats": [0.9, 2, 0.8]},
			 "goal": {"is": ">=", "bound": 0.8, "reached": true}},
			{"name": "latency", "unit": "ms",
			 "ours": {"median": 3, "min": 3, "max": 3, "repeats": [3]},
			 "floor": {"median": 2, "min": 2, "max": 2, "repeats": [2]},
			 "ratio": {"median": 1.5, "min": 1.5, "max": 1.5, "repeats": [1.5]},
			 "goal": {"is": "<=", "bound": 1.3, "reached": false}},
			{"name": "bytes", "unit": "bytes", "ours": {"median": 1234.4, "min": 1234.4, "max": 1234.4, "repeats": [1234.4]}}
		],
		"notes": ["of 2 users"]
	}`, encoded.String())
}

func TestOptionsValidate(t *testing.T) {
	require.NoError(t, DefaultOptions().Validate())
	for want, change := range map[string]func(*Options){
		"users is 0":    func(o *Options) { o.Users = 0 },
		"items is 1":    func(o *Options) { o.Items = 1 },
		"events is 5":   func(o *Options) { o.Events = 5 },
		"repeats is 0":  func(o *Options) { o.Repeats = 0 },
		"warmup is -1":  func(o *Options) { o.Warmup = -1 },
		"duration is 1": func(o *Options) { o.Duration = time.Millisecond },
	} {
		o := DefaultOptions()
		change(&o)
		require.ErrorContains(t, o.Validate(), want)
	}
}
