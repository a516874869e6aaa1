package kafkaio

import (
	"time"

	"github.com/segmentio/kafka-go"
)

// AnyPartition as a Message's Partition leaves the choice to the key: the one that Java's default partitioner makes. A
// message without a key goes to the partitions in turn.
const AnyPartition int32 = -1

// Header is one header of a record; keys may repeat.
type Header = kafka.Header

// Message is a record to write. The Writer keeps its slices: they must not be changed after it was handed over.
type Message struct {
	Topic string
	// Partition is where the message goes, or AnyPartition.
	Partition int32
	Key       []byte
	// Value is the payload; nil, in distinction to empty, writes a tombstone.
	Value   []byte
	Headers []Header
	// Time is the record's timestamp; the zero time means now.
	Time time.Time
}

// Position is where a record lies in its topic.
type Position struct {
	Partition int32
	Offset    int64
}

// The most bytes that the record batch format (KIP-98) adds to a batch, and to a record of a batch: attributes, time and
// offset deltas, the lengths of record, key and value, the number of headers.
const (
	batchOverhead  = 61
	recordOverhead = 36
	headerOverhead = 10
)

// size is the most bytes that the message takes in a record batch.
func (m *Message) size() int64 {
	n := recordOverhead + len(m.Key) + len(m.Value)
	for i := range m.Headers {
		n += headerOverhead + len(m.Headers[i].Key) + len(m.Headers[i].Value)
	}
	return int64(n)
}
