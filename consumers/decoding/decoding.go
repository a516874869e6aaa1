package decoding

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/schemas"
)

// Decoder reads the records of one topic.
type Decoder[T schemas.Record] struct {
	Serde *schemas.Serde[T]
	Keys  *schemas.Keys
	// Check refuses a value that makes no sense at a time.
	Check func(*T, time.Time) error
}

// Value is what a record holds. A record without a value is a tombstone, and not for Value.
func (d *Decoder[T]) Value(ctx context.Context, r *stream.Record) (T, error) {
	var none T
	value, err := d.Serde.Decode(ctx, r.Value, r)
	if schemas.IsMalformed(err) {
		return none, stream.PermanentFor(stream.ReasonMalformed, err)
	}
	if err != nil {
		return none, err
	}
	if err := d.Check(&value, time.Now()); err != nil {
		return none, stream.PermanentFor(stream.ReasonInvalid, err)
	}
	return value, nil
}

// Tombstone is the id that a record without a value is about.
func (d *Decoder[T]) Tombstone(ctx context.Context, r *stream.Record) (string, error) {
	id, err := d.Keys.Tombstone(ctx, r.Key, r)
	if schemas.IsInvalid(err) {
		err = stream.PermanentFor(stream.ReasonInvalid, fmt.Errorf("reading a tombstone: %w", err))
	}
	return id, err
}

// Batch is what could be read of a batch of records.
type Batch[V any] struct {
	Values   []V
	records  []stream.Record
	origin   []int // origin[i] is the place in records of Values[i]
	failures stream.Failures
}

// Read decodes the records of a batch. What can never be read fails; the error is one that may pass.
func Read[V any](ctx context.Context, records []stream.Record, decode func(context.Context, *stream.Record) (V, error)) (*Batch[V], error) {
	b := &Batch[V]{Values: make([]V, 0, len(records)), records: records, origin: make([]int, 0, len(records))}
	for i := range records {
		value, err := decode(ctx, &records[i])
		switch {
		case stream.IsPermanent(err):
			b.failures = append(b.failures, stream.Failure{Index: i, Err: err})
		case err != nil:
			return nil, err
		default:
			b.Values, b.origin = append(b.Values, value), append(b.origin, i)
		}
	}
	return b, nil
}

// Record is the one that Values[i] was read from.
func (b *Batch[V]) Record(i int) *stream.Record { return &b.records[b.origin[i]] }

// Fail notes that the record of Values[i] was not handled.
func (b *Batch[V]) Fail(i int, err error) {
	b.failures = append(b.failures, stream.Failure{Index: b.origin[i], Err: err})
}

// Failures are those of the records that could not be read, and those noted.
func (b *Batch[V]) Failures() stream.Failures { return b.failures }

// Err is nil where no record failed.
func (b *Batch[V]) Err() error {
	if len(b.failures) == 0 {
		return nil
	}
	return b.failures
}
