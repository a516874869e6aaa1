package bench

import (
	"math"
	"slices"
	"time"
)

// Figure is what the repeats of one measurement came to.
type Figure struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	// Repeats are the single values, in order.
	Repeats []float64 `json:"repeats"`
}

func figureOf(values []float64) Figure {
	if len(values) == 0 {
		return Figure{}
	}
	return Figure{Median: median(values), Min: slices.Min(values), Max: slices.Max(values), Repeats: values}
}

// median is the middle value, or the mean of the two in the middle; NaN of nothing.
func median(values []float64) float64 {
	if len(values) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// samples are latencies, all of them kept: at the sizes of a bench an exact quantile costs a sort.
type samples []time.Duration

// quantile is the least sample that at least the share q of all do not exceed (the nearest rank), in milliseconds; NaN of
// nothing.
func (s samples) quantile(q float64) float64 {
	if len(s) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(s))
	rank := int(math.Ceil(q * float64(len(sorted))))
	return millis(sorted[min(max(rank, 1), len(sorted))-1])
}

func (s samples) p50() float64 { return s.quantile(0.5) }
func (s samples) p99() float64 { return s.quantile(0.99) }

func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// perSecond is a rate.
func perSecond(n int, took time.Duration) float64 { return float64(n) / took.Seconds() }

// inSeries is the rate of two steps that follow each other: their times add up.
func inSeries(a, b float64) float64 { return 1 / (1/a + 1/b) }
