package stream

import (
	"context"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"github.com/freshet/freshet/schemas"
)

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
