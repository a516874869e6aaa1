package stream

import (
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

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
	// EndOffset is one past the newest record of the partition as of the fetch that brought this one.
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

// setBytes copies key and value out of kafka-go's pages, into one allocation, and gives the pages back.
func (r *Record) setBytes(from *kafka.Record) error {
	var keyLen, valueLen int
	if from.Key != nil {
		keyLen = from.Key.Len()
	}
	if from.Value != nil {
		valueLen = from.Value.Len()
	}
	buf := make([]byte, keyLen+valueLen)
	var err error
	if r.Key, err = readBytes(from.Key, buf[:keyLen:keyLen]); err != nil {
		return err
	}
	r.Value, err = readBytes(from.Value, buf[keyLen:])
	return err
}

// readBytes returns nil for a null field and into, which is not nil, for an empty one.
func readBytes(from protocol.Bytes, into []byte) ([]byte, error) {
	if from == nil {
		return nil, nil
	}
	defer from.Close()
	if _, err := io.ReadFull(from, into); err != nil {
		return nil, fmt.Errorf("reading a record's bytes: %w", err)
	}
	return into, nil
}
