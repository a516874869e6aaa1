package catalogue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/schemas"
)

// Handler decodes batches of item changes and has them indexed. It is safe for concurrent use.
type Handler struct {
	serde   *schemas.Serde[schemas.ItemChange]
	limits  schemas.Limits
	indexer *Indexer
}

// New returns a Handler that writes through indexer.
func New(serde *schemas.Serde[schemas.ItemChange], limits schemas.Limits, indexer *Indexer) *Handler {
	return &Handler{serde: serde, limits: limits, indexer: indexer}
}

// Handle indexes the changes of one partition. Indexing is idempotent, so that a replayed batch changes nothing.
func (h *Handler) Handle(ctx context.Context, batch []stream.Record) error {
	var failures stream.Failures
	changes := make([]Change, 0, len(batch))
	origin := make([]int, 0, len(batch)) // origin[i] is the place in batch of changes[i]
	for i := range batch {
		change, err := h.decode(ctx, &batch[i])
		if err != nil && !stream.IsPermanent(err) {
			// Later records of the same key must not overtake this one: the batch is tried again as a whole.
			return fmt.Errorf("decoding item changes: %w", err)
		}
		if err != nil {
			failures = append(failures, stream.Failure{Index: i, Err: err})
			continue
		}
		changes = append(changes, change)
		origin = append(origin, i)
	}
	failed, err := h.indexer.Index(ctx, changes)
	if err != nil {
		return fmt.Errorf("indexing %d item changes: %w", len(changes), err)
	}
	for i, err := range failed {
		failures = append(failures, stream.Failure{Index: origin[i], Err: err})
	}
	if len(failures) > 0 {
		return failures
	}
	return nil
}

var errNoKey = errors.New("reading a tombstone: the key is empty: send the id of the item to remove as key")

// decode makes a change from a record. A record without a value removes the item named by its key.
func (h *Handler) decode(ctx context.Context, r *stream.Record) (Change, error) {
	if r.Value == nil {
		if len(r.Key) == 0 {
			return Change{}, stream.Permanent(errNoKey)
		}
		return Change{ItemChange: schemas.ItemChange{ItemID: string(r.Key), Op: schemas.DeleteItem}, Tombstone: true}, nil
	}
	change, err := h.serde.Decode(ctx, r.Value)
	if err != nil {
		if schemas.IsMalformed(err) {
			err = stream.Permanent(err)
		}
		return Change{}, err
	}
	if err := h.limits.ItemChange(&change, time.Now()); err != nil {
		return Change{}, stream.Permanent(err)
	}
	return Change{ItemChange: change}, nil
}
