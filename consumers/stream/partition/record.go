package partition

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
	// Time is the record's timestamp: the producer's or, in topics with LogAppendTime, the broker's. It is the zero time where the
	// producer gave none.
	Time time.Time
	// Arrived is when the broker got the record, as well as can be told; see arrival.
	Arrived time.Time
	// EndOffset is one past the newest record of the partition as of the fetch that brought this one, be it in an
	// open transaction.
	EndOffset int64
	// BrokerTime says that Time is the broker's.
	BrokerTime bool
}

// arrival returns when the broker got a record that was read at now. The broker's time is the one to go by. A producer's is only what
// its clock says, and is believed within what the reader itself knows: the record was not there when the reader last saw the
// partition at its end, and it is there now. So a clock that is wrong costs nothing where requests do not queue, and where they
// do, those of good clocks are known by their age. seenEnd is the zero time where the end was not seen yet.
func arrival(r *Record, seenEnd, now time.Time) time.Time {
	switch {
	case r.BrokerTime:
		return r.Time
	case r.Time.IsZero() || r.Time.After(now):
		return now
	case r.Time.Before(seenEnd):
		return seenEnd
	}
	return r.Time
}

// Bytes is what the record counts towards the bounds of batches: its key, value and headers.
func (r *Record) Bytes() int {
	n := len(r.Key) + len(r.Value)
	for i := range r.Headers {
		n += len(r.Headers[i].Key) + len(r.Headers[i].Value)
	}
	return n
}

// Header returns the value of the last header of a name, and whether there is one. It implements schemas.Headers.
func (r *Record) Header(name string) ([]byte, bool) { return kafkaio.HeaderValue(r.Headers, name) }
