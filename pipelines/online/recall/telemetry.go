package recall

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// instruments tell of the windows that were reported. Their labels are a segment, one of two sources, and the k of the settings.
type instruments struct {
	events, hits metric.Int64Counter
	registration metric.Registration
	share        atomic.Value // of float64
	users        atomic.Int64
	reported     atomic.Int64 // the end of what was reported, in ms
}

// What is asked for the item of an event.
const (
	byEmbedding = "embedding"
	byPage      = "page"
)

func newInstruments(e *Evaluator) *instruments {
	t := &instruments{}
	meter := otel.Meter("github.com/freshet/freshet/pipelines/online/recall")
	keep := func(err error) {
		if err != nil {
			otel.Handle(err)
		}
	}
	var err error
	t.events, err = meter.Int64Counter("freshet.recall.events", metric.WithUnit("{event}"),
		metric.WithDescription("Next interactions that were looked for, by the user's embedding or on the last page."))
	keep(err)
	t.hits, err = meter.Int64Counter("freshet.recall.hits", metric.WithUnit("{event}"),
		metric.WithDescription("Those that were among the first k."))
	keep(err)
	share, err := meter.Float64ObservableGauge("freshet.recall.sample.share",
		metric.WithDescription("The share of all users that is looked at."))
	keep(err)
	users, err := meter.Int64ObservableGauge("freshet.recall.sample.users", metric.WithUnit("{user}"),
		metric.WithDescription("Users that are held in memory."))
	keep(err)
	age, err := meter.Float64ObservableGauge("freshet.recall.age", metric.WithUnit("s"),
		metric.WithDescription("How long ago the last window ended that was looked at."))
	keep(err)
	t.registration, err = meter.RegisterCallback(func(_ context.Context, to metric.Observer) error {
		if at := t.reported.Load(); at > 0 {
			to.ObserveFloat64(share, t.share.Load().(float64))
			to.ObserveInt64(users, t.users.Load())
			to.ObserveFloat64(age, e.clock().Sub(time.UnixMilli(at)).Seconds())
		}
		return nil
	}, share, users, age)
	keep(err)
	return t
}

func (t *instruments) close() {
	if t.registration != nil {
		if err := t.registration.Unregister(); err != nil {
			otel.Handle(err)
		}
	}
}

// window counts a window that was reported.
func (t *instruments) window(ctx context.Context, w *window, at []int) {
	for segment := range w.tallies {
		counted := &w.tallies[segment]
		for _, source := range []struct {
			name   string
			events int64
			hits   []int64
		}{{byEmbedding, counted.events, counted.embedding}, {byPage, counted.paged, counted.page}} {
			labels := []attribute.KeyValue{attribute.String("segment", segmentNames[segment]), attribute.String("source", source.name)}
			t.events.Add(ctx, source.events, metric.WithAttributes(labels...))
			for i, k := range at {
				t.hits.Add(ctx, source.hits[i], metric.WithAttributes(append(labels[:2:2], attribute.String("k", strconv.Itoa(k)))...))
			}
		}
	}
}

// passed tells how far the evaluation has come.
func (t *instruments) passed(end time.Time, s *sample) {
	t.share.Store(s.share)
	t.users.Store(int64(len(s.users)))
	t.reported.Store(end.UnixMilli())
}
