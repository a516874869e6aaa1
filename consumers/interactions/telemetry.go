package interactions

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/services/profiles"
)

// instruments are a Handler's, of the provider that is installed when it is made, or later. They are nil while the past is
// replayed: how old its events are tells nothing of how fresh an embedding is.
type instruments struct {
	freshness      metric.Float64Histogram
	events         metric.Int64Counter
	profiles       metric.Int64Counter
	unheard        metric.Int64Counter
	ratings        metric.Int64Counter
	sinceOccurred  metric.MeasurementOption
	sinceBroker    metric.MeasurementOption
	outcomeOptions [outcomes]metric.MeasurementOption
	fromMemory     metric.MeasurementOption
	fromRedis      metric.MeasurementOption
}

// What became of an event that was not refused.
const (
	applied = iota
	late    // applied too, but after a newer event of its user
	duplicate
	untold // so old that nobody knows whether it was counted before
	replayed
	erased
	unknown // a tombstone of a user of whom nothing was known
	outcomes
)

func newInstruments() *instruments {
	meter := otel.Meter("github.com/freshet/freshet/consumers/interactions")
	with := func(key, value string) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String(key, value)))
	}
	t := &instruments{
		sinceOccurred: with("since", "occurred_at"),
		sinceBroker:   with("since", "broker"),
		fromMemory:    with("source", "memory"),
		fromRedis:     with("source", "redis"),
		outcomeOptions: [outcomes]metric.MeasurementOption{
			applied: with("outcome", "applied"), late: with("outcome", "late"), duplicate: with("outcome", "duplicate"),
			untold:   with("outcome", "untold"),
			replayed: with("outcome", "replayed"), erased: with("outcome", "erased"), unknown: with("outcome", "unknown"),
		},
	}
	var err error
	if t.freshness, err = meter.Float64Histogram("freshet.embedding.freshness", metric.WithUnit("s"), kafkaio.Seconds(),
		metric.WithDescription("From an event to the embedding that reflects it being readable.")); err != nil {
		otel.Handle(err)
	}
	if t.events, err = meter.Int64Counter("freshet.events", metric.WithUnit("{event}"),
		metric.WithDescription("Interaction events that were worked off, by what became of them.")); err != nil {
		otel.Handle(err)
	}
	if t.profiles, err = meter.Int64Counter("freshet.profiles", metric.WithUnit("{profile}"),
		metric.WithDescription("Users' profiles that a batch's events moved, by where they were taken from.")); err != nil {
		otel.Handle(err)
	}
	if t.ratings, err = meter.Int64Counter("freshet.ratings.off_scale", metric.WithUnit("{event}"),
		metric.WithDescription("Ratings whose value is not on the scale of the configuration, and which count as choices.")); err != nil {
		otel.Handle(err)
	}
	if t.unheard, err = meter.Int64Counter("freshet.events.unheard", metric.WithUnit("{event}"),
		metric.WithDescription("Events before their items' records that nobody waits for: profiles.waiting_users wait already.")); err != nil {
		otel.Handle(err)
	}
	for _, never := range []metric.Int64Counter{t.ratings, t.unheard} { // an increase from nothing is none to Prometheus
		never.Add(context.Background(), 0)
	}
	return t
}

func (t *instruments) offScale(ctx context.Context, events int64) {
	if t != nil {
		t.ratings.Add(ctx, events)
	}
}

// applied measures a batch whose embeddings can be read from now on. A clock that is behind the producers' makes an event 0 s
// old.
func (t *instruments) applied(ctx context.Context, events []profiles.Event, report *profiles.Report) {
	if t == nil {
		return
	}
	for outcome, n := range [outcomes]int{
		applied: report.Applied - report.Late, late: report.Late, duplicate: report.Duplicates, untold: report.Untold,
		replayed: report.Replayed,
		erased:   report.Erased - len(report.Unknown), unknown: len(report.Unknown),
	} {
		if n > 0 {
			t.events.Add(ctx, int64(n), t.outcomeOptions[outcome])
		}
	}
	if report.Unheard > 0 {
		t.unheard.Add(ctx, int64(report.Unheard))
	}
	t.profiles.Add(ctx, int64(report.Recalled), t.fromMemory)
	t.profiles.Add(ctx, int64(report.Read), t.fromRedis)
	if !t.freshness.Enabled(ctx) {
		return
	}
	now := time.Now()
	occurred, broker := []metric.RecordOption{t.sinceOccurred}, []metric.RecordOption{t.sinceBroker}
	for _, i := range report.NewlyApplied {
		t.freshness.Record(ctx, max(now.Sub(events[i].OccurredAt).Seconds(), 0), occurred...)
		t.freshness.Record(ctx, max(now.Sub(events[i].Time).Seconds(), 0), broker...)
	}
}
