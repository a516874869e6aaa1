package kafkaio

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/produce"
)

// result is what became of one batch of a request.
type result struct {
	base int64 // the offset of its first message
	err  error
}

// produceOne sends one batch in a request of its own.
func (w *Writer) produceOne(to destination, messages []*pending) (base int64, err error) {
	r := w.produce([]batch{{queue: &queue{destination: to}, messages: messages}})[0]
	return r.base, r.err
}

// produce sends one request, which kafka.Client.Produce would only do for a single partition, and returns the results of its
// batches. They must all have the same leader; where that has changed, the request fails before it is sent.
func (w *Writer) produce(request []batch) []result {
	results := make([]result, len(request))
	ctx, cancel := context.WithDeadline(w.sending, w.requestDeadline(request))
	defer cancel()
	m, err := w.client.Transport.RoundTrip(ctx, w.client.Addr, w.encode(request))
	resp, ok := m.(*produce.Response)
	if err == nil && !ok {
		err = fmt.Errorf("the broker answered a produce request with %T", m)
	}
	for i, b := range request {
		if err != nil {
			results[i].err = err
			continue
		}
		results[i] = find(resp, b.destination)
	}
	return results
}

// requestDeadline is the request timeout, or earlier when all messages have expired by then.
func (w *Writer) requestDeadline(request []batch) time.Time {
	var last time.Time
	for _, b := range request {
		if expiry := b.messages[len(b.messages)-1].expiry; expiry.After(last) {
			last = expiry
		}
	}
	if deadline := time.Now().Add(w.timeout); deadline.Before(last) {
		return deadline
	}
	return last
}

// encode makes the request. The broker has half the request timeout for its replicas, the rest is for the network.
func (w *Writer) encode(request []batch) *produce.Request {
	req := &produce.Request{Acks: int16(kafka.RequireAll), Timeout: int32((w.timeout / 2).Milliseconds())}
	topics := make(map[string]int)
	for _, b := range request {
		i, ok := topics[b.topic]
		if !ok {
			i = len(req.Topics)
			topics[b.topic] = i
			req.Topics = append(req.Topics, produce.RequestTopic{Topic: b.topic})
		}
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, produce.RequestPartition{
			Partition: b.partition,
			RecordSet: protocol.RecordSet{Records: &records{messages: b.messages}},
		})
	}
	return req
}

// find returns what a response says of a partition.
func find(resp *produce.Response, d destination) result {
	for _, t := range resp.Topics {
		if t.Topic != d.topic {
			continue
		}
		for _, p := range t.Partitions {
			switch {
			case p.Partition != d.partition:
			case p.ErrorCode != 0 && p.ErrorMessage != "":
				return result{err: fmt.Errorf("%w: %s", kafka.Error(p.ErrorCode), p.ErrorMessage)}
			case p.ErrorCode != 0:
				return result{err: kafka.Error(p.ErrorCode)}
			default:
				return result{base: p.BaseOffset}
			}
		}
	}
	return result{err: fmt.Errorf("the broker's answer leaves out %s/%d", d.topic, d.partition)}
}

// records shows messages to kafka-go's encoder without an allocation for each key and value. A request gets a new one each
// time: after a timeout the encoder may still read the last request's.
type records struct {
	messages   []*pending
	record     kafka.Record
	key, value payload
}

// ReadRecord implements kafka.RecordReader: the record is valid until the next call.
func (r *records) ReadRecord() (*kafka.Record, error) {
	if len(r.messages) == 0 {
		return nil, io.EOF
	}
	p := r.messages[0]
	r.messages = r.messages[1:]
	r.record = kafka.Record{Time: p.Time, Key: r.key.of(p.Key), Value: r.value.of(p.Value), Headers: p.Headers}
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
