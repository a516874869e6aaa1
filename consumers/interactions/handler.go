package interactions

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/freshet/freshet/consumers/decoding"
	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/redisdb"
)

// Handler applies batches of interaction events. It is safe for concurrent use.
type Handler struct {
	records  decoding.Decoder[schemas.Interaction]
	profiles *profiles.Store
	items    *items.Store
	end      profiles.LogEnd
	log      *slog.Logger
	// tally is nil while the past is replayed, whose popularity is counted at once.
	tally     *items.Tally
	telemetry *instruments
	paces     *paces
	// What looks like a mistake of the publisher is told, and not while the past is replayed.
	keyWatch *stream.KeyWatch
	unknown  *stream.Notice
}

// paces are those of the log lines that would come with every batch.
type paces struct{ untold, unheard, offScale stream.Pace }

// New returns a Handler that keeps profiles up to date and counts the popularity of items. Close ends it.
func New(
	serde *schemas.Serde[schemas.Interaction], keys *schemas.Keys, limits schemas.Limits, profiles *profiles.Store, items *items.Store,
	end profiles.LogEnd, log *slog.Logger,
) *Handler {
	return &Handler{
		records:  decoding.Decoder[schemas.Interaction]{Serde: serde, Keys: keys, Check: limits.Interaction},
		profiles: profiles, items: items, end: end, log: log, tally: items.NewTally(log),
		telemetry: newInstruments(), paces: new(paces),
		keyWatch: stream.NewKeyWatch(keys, stream.NewNotice(log, "records have a key that is not their user_id; they "+
			"were applied by their user_id", "send the user_id as the key, see topics.interactions.key_format: under several keys a user's "+
			"events lie on several partitions, and what lags there is applied after an erasure")),
		unknown: stream.NewNotice(log, "tombstones of users of whom nothing is known: they erased nobody", "see whether their keys are the "+
			"user_id, as topics.interactions.key_format says; a user whose events are still to come is erased up to the tombstone"),
	}
}

// Close writes what is not written yet, while Redis is still connected. Call it when no call of Handle runs any more.
func (h *Handler) Close() { h.tally.Close() }

// Replaying returns the same handler for records of the past. It judges them as of now, as the role did: what the role applied is
// restored whatever a record's timestamp says, which is only its producer's word.
func (h *Handler) Replaying() *Handler {
	replaying := *h
	replaying.telemetry, replaying.tally, replaying.keyWatch, replaying.unknown = nil, nil, nil, nil
	return &replaying
}

// Handle applies the events of one partition, in order. Applying is idempotent, so that a replayed batch changes nothing.
func (h *Handler) Handle(ctx context.Context, batch []stream.Record) error {
	read, err := decoding.Read(ctx, batch, h.decode)
	if err != nil {
		return fmt.Errorf("decoding interactions: %w", err)
	}
	events := read.Values
	report, err := h.profiles.ApplyFrom(ctx, h.end, events)
	if err != nil {
		if profiles.IsTopicRecreated(err) {
			// Going on would skip events for ever, and committing would hide it: the role stops, and the error names the remedy.
			err = stream.Permanent(err)
		}
		return fmt.Errorf("applying %d interactions: %w", len(events), err)
	}
	h.telemetry.applied(ctx, events, &report)
	h.sayUntold(report.Untold)
	h.tellOffScale(ctx, events, report.NewlyApplied)
	for _, i := range report.NewlyApplied { // and not before: a batch may be tried again
		h.keyWatch.Look(ctx, read.Record(i), events[i].UserID)
	}
	for _, i := range report.Unknown {
		h.unknown.Of(read.Record(i))
	}
	if count := h.paces.unheard.Due(report.Unheard, time.Now()); count > 0 {
		h.log.Warn("events came before their items' records, and too many users wait for these: their embeddings will not have them; "+
			"freshet_events_unheard counts them",
			"events", count, "remedy", "publish items before events with them, or raise profiles.waiting_users")
	}
	for i, err := range report.Failed {
		if redisdb.IsCorrupt(err) {
			err = stream.PermanentFor(stream.ReasonCorrupt, err) // waiting does not mend it, and the other users shall not wait
		}
		read.Fail(i, err)
	}
	h.countPopularity(ctx, events, report.NewlyApplied)
	return read.Err()
}

func (h *Handler) sayUntold(events int) {
	if count := h.paces.untold.Due(events, time.Now()); count > 0 {
		h.log.Warn("events came so long after younger ones of their users that nobody knows whether they were counted before: "+
			"their items count as seen, the events for no counter and no popularity; a larger profiles.event_ids tells more of them apart",
			"events", count)
	}
}

// decode makes an event from a record. A record without a value erases the user named by its key.
func (h *Handler) decode(ctx context.Context, r *stream.Record) (profiles.Event, error) {
	event := profiles.Event{Partition: r.Partition, Offset: r.Offset, EndOffset: r.EndOffset, Time: r.Arrived}
	if r.Value == nil {
		user, err := h.records.Tombstone(ctx, r)
		event.Erase, event.UserID = true, user
		return event, err
	}
	interaction, err := h.records.Value(ctx, r)
	if err != nil {
		return event, err
	}
	event.Interaction, event.Time = interaction, published(r, interaction.OccurredAt)
	return event, nil
}

// Subject implements replay.Subjects.
func (h *Handler) Subject(ctx context.Context, r *stream.Record) (string, error) {
	event, err := h.decode(ctx, r)
	return event.UserID, err
}

// published is when an event was published: not before it occurred, whatever the record's timestamp says, and not after now.
func published(r *stream.Record, occurred time.Time) time.Time {
	at, now := r.Time, time.Now()
	if at.Before(occurred) {
		at = occurred
	}
	if at.After(now) {
		return now
	}
	return at
}

// countPopularity is best effort: popularity is a decaying estimate, and a batch that is replayed after a crash between the
// profiles and this step is not counted, since its events are no longer new.
func (h *Handler) countPopularity(ctx context.Context, events []profiles.Event, newly []int) {
	if len(newly) == 0 {
		return
	}
	weights := make(map[string]float64, len(newly))
	var latest time.Time
	for _, i := range newly {
		if w := popularityWeight(h.profiles.Ratings().KindOf(&events[i].Interaction)); w > 0 {
			weights[events[i].ItemID] += w
		}
		if events[i].Time.After(latest) {
			latest = events[i].Time
		}
	}
	if len(weights) == 0 {
		return
	}
	if h.tally != nil {
		h.tally.Add(ctx, weights, latest)
		return
	}
	if err := h.items.AddPopularity(ctx, weights, latest); err != nil {
		h.log.Warn("popularity was not counted", "items", len(weights), "error", err)
	}
}

// popularityWeight says how much an interaction counts: what costs the user more tells more.
func popularityWeight(t schemas.InteractionType) float64 {
	switch t {
	case schemas.View, schemas.Click:
		return 1
	case schemas.Like, schemas.Rating, schemas.Complete, schemas.AddToCart:
		return 2
	case schemas.Purchase:
		return 4
	default:
		return 0
	}
}
