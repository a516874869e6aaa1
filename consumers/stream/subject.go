package stream

import (
	"context"
	"hash/maphash"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/freshet/freshet/schemas"
)

// Subjects is a Handler that knows whom or what a record is about. Its value says so, and a key need not say the same.
type Subjects interface {
	// Subject returns the id, or an error; IsPermanent tells of a record that is about nobody.
	Subject(ctx context.Context, r *Record) (id string, err error)
}

var shardSeed = maphash.MakeSeed()

// sharded deals a batch out to n parts, all records of one subject to the same part. A key alone would not do where one names another
// id than the value:
//
//	part of key "u":       user u's event at offset 5 ............................ is below the watermark: skipped
//	part of no key at all: user u's event at offset 10: the watermark is 10
//
// While it cannot be told whom a record is about, since the registry is away, all are one part.
func sharded(ctx context.Context, h Handler, batch []Record, n int) [][]Record {
	parts := make([][]Record, n)
	subjects, told := h.(Subjects)
	for i := range batch {
		at := maphash.Bytes(shardSeed, batch[i].Key)
		if told {
			id, err := subjects.Subject(ctx, &batch[i])
			switch {
			case err == nil:
				at = maphash.String(shardSeed, id)
			case !IsPermanent(err):
				return [][]Record{batch}
			}
		}
		parts[at%uint64(n)] = append(parts[at%uint64(n)], batch[i])
	}
	return parts
}

// KeyWatch compares the keys of a topic's records with the ids in their values. A record is about the id in its value whatever its key
// says; but one id under several keys lies on several partitions, without an order between them, and a compacted topic loses all but
// the last record of a key. A nil KeyWatch does nothing. It is safe for concurrent use.
type KeyWatch struct {
	keys   *schemas.Keys
	unlike metric.Int64Counter
	notice *Notice
}

// NewKeyWatch returns a KeyWatch for the keys of one topic.
func NewKeyWatch(keys *schemas.Keys, notice *Notice) *KeyWatch {
	w := &KeyWatch{keys: keys, notice: notice}
	var err error
	w.unlike, err = otel.Meter(scope).Int64Counter("freshet.keys.unlike", metric.WithUnit("{record}"),
		metric.WithDescription("Records whose key is not the id in their value, or none; they were applied by their value."))
	if err != nil {
		otel.Handle(err)
	}
	return w
}

// Look compares the key of a record with the id in its value.
func (w *KeyWatch) Look(ctx context.Context, r *Record, id string) {
	if w == nil || w.keys.Is(ctx, r.Key, id) {
		return
	}
	key := "other"
	if len(r.Key) == 0 {
		key = "none"
	}
	w.unlike.Add(ctx, 1, metric.WithAttributes(topicKey.String(r.Topic), attribute.String("key", key)))
	w.notice.Of(r)
}
