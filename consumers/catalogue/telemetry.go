package catalogue

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
)

// instruments are a Handler's, of the provider that is installed when it is made, or later. They are nil while the past is
// replayed: how old its changes are tells nothing of how fresh the index is.
type instruments struct {
	freshness     metric.Float64Histogram
	items         metric.Int64Counter
	republished   metric.Int64Counter
	sinceOccurred metric.MeasurementOption
	sinceBroker   metric.MeasurementOption
}

func newInstruments() *instruments {
	meter := otel.Meter("github.com/freshet/freshet/consumers/catalogue")
	since := func(what string) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(attribute.String("since", what)))
	}
	t := &instruments{sinceOccurred: since("occurred_at"), sinceBroker: since("broker")}
	var err error
	if t.freshness, err = meter.Float64Histogram("freshet.item.freshness", metric.WithUnit("s"), kafkaio.Seconds(),
		metric.WithDescription("From an item change to the acknowledgement that its row can be searched.")); err != nil {
		otel.Handle(err)
	}
	if t.items, err = meter.Int64Counter("freshet.items", metric.WithUnit("{item}"),
		metric.WithDescription("Item changes that were worked off, by what became of them.")); err != nil {
		otel.Handle(err)
	}
	if t.republished, err = meter.Int64Counter("freshet.items.republished", metric.WithUnit("{item}"),
		metric.WithDescription("Items that were published again as the catalogue holds them, behind a change that was refused.")); err != nil {
		otel.Handle(err)
	}
	return t
}

// What became of a change; see refused.why for the others.
const (
	indexed    = "indexed"    // its row can be searched
	recorded   = "recorded"   // its record is new, and its row need not change
	deleted    = "deleted"    // its item is gone
	unknown    = "unknown"    // a tombstone of an item that nobody knows
	unchanged  = "unchanged"  // it was there already
	superseded = "superseded" // a newer one came in the same batch
)

func outcomeOf(c *Change, o *items.Outcome) string {
	switch {
	case o.Status == items.Superseded:
		return superseded
	case o.Status == items.Stale:
		return stale
	case o.Status == items.Replayed && !o.NeedsIndex:
		return unchanged
	case c.Tombstone && o.OfNobody():
		return unknown
	case c.Tombstone || c.Op == schemas.DeleteItem:
		return deleted
	case o.NeedsIndex:
		return indexed
	default:
		return recorded
	}
}

// done measures changes that are in Redis and Milvus from now on, but for those that failed. A clock that is behind the
// producers' makes a change 0 s old.
func (t *instruments) done(
	ctx context.Context, changes []Change, records func(int) *stream.Record, outcomes []items.Outcome, failed map[int]error,
	refused []refused,
) {
	if t == nil || !t.items.Enabled(ctx) && !t.freshness.Enabled(ctx) {
		return
	}
	now := time.Now()
	counts, why, published := map[string]int64{}, map[int]string{}, int64(0)
	for i := range refused {
		why[refused[i].index] = refused[i].why()
		if refused[i].published {
			published++
		}
	}
	t.republished.Add(ctx, published)
	for i := range outcomes {
		if failed[i] != nil {
			continue
		}
		outcome, told := why[i]
		if !told {
			outcome = outcomeOf(&changes[i], &outcomes[i])
		}
		counts[outcome]++
		if outcome == indexed {
			t.freshness.Record(ctx, max(now.Sub(changes[i].OccurredAt).Seconds(), 0), t.sinceOccurred)
			t.freshness.Record(ctx, max(now.Sub(records(i).Arrived).Seconds(), 0), t.sinceBroker)
		}
	}
	for outcome, n := range counts {
		t.items.Add(ctx, n, metric.WithAttributes(attribute.String("outcome", outcome)))
	}
}
