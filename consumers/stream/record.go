package stream

import (
	"time"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Record is one record of a topic. Whoever gets it owns its slices.
type Record struct {
	Topic     string
	Partition int32
	Offset    int64
	// Key is nil when the record has none.
	Key []byte
	// Value is nil for a tombstone, in distinction to an empty value.
	Value   []byte
	Headers []kafkaio.Header
	// Time is the record's timestamp: the producer's or, in topics that are set so, the broker's.
	Time time.Time
	// EndOffset is one past the newest record of the partition as of the fetch that brought this one, be it in an
	// open transaction.
	EndOffset int64

	appendTime bool // Time is the broker's
}

// bytes is what the record counts towards the bounds of batches.
func (r *Record) bytes() int {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// Header returns the value of the last header of a name, and whether there is one. It implements schemas.Headers.
func (r *Record) Header(name string) ([]byte, bool) { return kafkaio.HeaderValue(r.Headers, name) }
