package kafkaio

import (
	"bytes"
	"io"

	"github.com/segmentio/kafka-go"
)

// records shows a batch to kafka-go's encoder without an allocation for each key and value. A request gets a new one each
// time: after a timeout the encoder may still read the last request's.
type records struct {
	batch      []*pending
	record     kafka.Record
	key, value payload
}

func newRecords(batch []*pending) *records { return &records{batch: batch} }

// ReadRecord implements kafka.RecordReader: the record is valid until the next call.
func (r *records) ReadRecord() (*kafka.Record, error) {
	if len(r.batch) == 0 {
		return nil, io.EOF
	}
	p := r.batch[0]
	r.batch = r.batch[1:]
	r.record = kafka.Record{
		Time:    p.Time,
		Key:     r.key.of(p.Key),
		Value:   r.value.of(p.Value),
		Headers: p.Headers,
	}
	return &r.record, nil
}

// payload is a reusable kafka.Bytes.
type payload struct{ bytes.Reader }

// of returns p over b, or nil for nil: a null key or value.
func (p *payload) of(b []byte) kafka.Bytes {
	if b == nil {
		return nil
	}
	p.Reset(b)
	return p
}

// Close implements kafka.Bytes.
func (*payload) Close() error { return nil }
