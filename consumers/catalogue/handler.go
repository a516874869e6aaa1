package catalogue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/freshet/freshet/consumers/decoding"
	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/redisdb"
)

// Handler decodes batches of item changes and has them indexed. It is safe for concurrent use.
type Handler struct {
	records   decoding.Decoder[schemas.ItemChange]
	indexer   *Indexer
	telemetry *instruments
	again     *republisher
	refusals  *refusals
	past      *past // nil while what is new is handled
	// What looks like a mistake of the publisher is told once, and not while the past is replayed.
	keyWatch *stream.KeyWatch
	unknown  *stream.Notice
}

// New returns a Handler that writes through indexer, and publishes again through writer what won over refused changes.
func New(
	serde *schemas.Serde[schemas.ItemChange], keys *schemas.Keys, limits schemas.Limits, indexer *Indexer, writer *kafkaio.Writer,
	log *slog.Logger,
) *Handler {
	return &Handler{
		records: decoding.Decoder[schemas.ItemChange]{Serde: serde, Keys: keys, Check: limits.ItemChange},
		indexer: indexer, telemetry: newInstruments(),
		again: &republisher{serde: serde, writer: writer}, refusals: &refusals{log: log},
		keyWatch: stream.NewKeyWatch(keys, stream.NewNotice(log, "records have a key that is not their item_id; they "+
			"were applied by their item_id", "send the item_id as the key, see topics.items.key_format: of several records under one key "+
			"a compaction keeps the last alone, and a rebuild will miss the others")),
		unknown: stream.NewNotice(log, "tombstones of items that nobody knows: they took nothing down", "see whether their keys are the "+
			"item_id, as topics.items.key_format says, and whether the items were ever published"),
	}
}

// Replaying returns the same handler for records of the past. It tells nobody of refused changes, which the role has done; what won
// over them is published again by Settle, once all is read.
func (h *Handler) Replaying() *Handler {
	replaying := *h
	replaying.telemetry, replaying.keyWatch, replaying.unknown, replaying.past = nil, nil, nil, &past{lost: map[logKey]string{}}
	return &replaying
}

// Handle indexes the changes of one partition. Indexing is idempotent, so that a replayed batch changes nothing.
func (h *Handler) Handle(ctx context.Context, batch []stream.Record) error {
	read, err := decoding.Read(ctx, batch, h.decode)
	if err != nil {
		return fmt.Errorf("decoding item changes: %w", err)
	}
	changes, of := read.Values, read.Record
	outcomes, failed, err := h.indexer.indexAll(ctx, changes)
	if err != nil {
		return fmt.Errorf("indexing %d item changes: %w", len(changes), err)
	}
	for i := range outcomes {
		if failed[i] == nil && changes[i].Tombstone && outcomes[i].OfNobody() {
			h.unknown.Of(of(i))
		}
	}
	for i, err := range failed {
		read.Fail(i, verdict(err))
	}
	h.past.note(changes, of, outcomes)
	refused, err := h.settle(ctx, batch, read.Failures(), refusedChanges(changes, of, outcomes, failed))
	if err != nil {
		return err
	}
	h.telemetry.done(ctx, changes, of, outcomes, failed, refused)
	for i := range changes { // and not before: a batch may be tried again
		if failed[i] == nil && !changes[i].Tombstone {
			h.keyWatch.Look(ctx, of(i), changes[i].ItemID)
		}
	}
	for _, r := range refused {
		if r.err != nil {
			read.Fail(r.index, r.err)
		}
	}
	return read.Err()
}

// verdict has what waiting does not mend given up, so that the other items need not wait: a row that the index refuses, and
// a stored record that nobody can read.
func verdict(err error) error {
	var refused *candidates.InvalidRow
	switch {
	case redisdb.IsCorrupt(err):
		return stream.PermanentFor(stream.ReasonCorrupt, err)
	case errors.As(err, &refused):
		return stream.PermanentFor(stream.ReasonRefused, err)
	}
	return err
}

// decode makes a change from a record. A record without a value removes the item named by its key.
func (h *Handler) decode(ctx context.Context, r *stream.Record) (Change, error) {
	if r.Value == nil {
		id, err := h.records.Tombstone(ctx, r)
		return Change{ItemChange: schemas.ItemChange{ItemID: id, Op: schemas.DeleteItem}, Tombstone: true}, err
	}
	change, err := h.records.Value(ctx, r)
	return Change{ItemChange: change}, err
}

// Subject implements replay.Subjects.
func (h *Handler) Subject(ctx context.Context, r *stream.Record) (string, error) {
	change, err := h.decode(ctx, r)
	return change.ItemID, err
}
