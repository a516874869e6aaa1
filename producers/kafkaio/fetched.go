package kafkaio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Fetched is what a fetch brought.
type Fetched struct {
	// Records have the offsets from the one asked for on, in order.
	Records []FetchedRecord
	// Next is the offset to fetch next: behind the records, and behind what is none, such as the end of a transaction, an
	// aborted record, or one that compaction removed.
	Next int64
	// End is one past the newest record that all in-sync replicas have, Stable the end of what was decided: no transaction
	// that is open has a record before it. What lies between them does not come yet.
	End, Stable int64
}

// FetchedRecord is one record. Whoever gets it owns its slices.
type FetchedRecord struct {
	Offset int64
	// Key and Value are nil where the record has none, in distinction to empty ones.
	Key, Value []byte
	Headers    []Header
	// Time is the producer's or, where AppendTime says so, the broker's. It is the zero time where the producer gave none.
	Time       time.Time
	AppendTime bool
}

// decodeFetched decodes the answer to a fetch of one partition.
func decodeFetched(req FetchRequest, version int16, body []byte) (Fetched, error) {
	fetched := Fetched{Next: req.Offset}
	resp := kmsg.NewPtrFetchResponse()
	resp.SetVersion(version)
	if err := resp.ReadFrom(body); err != nil {
		return fetched, fmt.Errorf("decoding a fetch of %s/%d: %w", req.Topic, req.Partition, undecodable{err})
	}
	if resp.ErrorCode != 0 {
		return fetched, kafka.Error(resp.ErrorCode)
	}
	if len(resp.Topics) != 1 || len(resp.Topics[0].Partitions) != 1 || resp.Topics[0].Partitions[0].Partition != req.Partition {
		return fetched, fmt.Errorf("decoding a fetch of %s/%d: %w", req.Topic, req.Partition, errForeign)
	}
	partition := &resp.Topics[0].Partitions[0]
	if partition.ErrorCode != 0 {
		return fetched, kafka.Error(partition.ErrorCode)
	}
	fetched.End, fetched.Stable = partition.HighWatermark, partition.LastStableOffset
	if fetched.Stable < 0 { // a broker that keeps no account of transactions
		fetched.Stable = fetched.End
	}
	decoded, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{
		Offset: req.Offset, IsolationLevel: kgo.ReadCommitted(), Topic: req.Topic, Partition: req.Partition,
	}, partition, decompressor{}, nil)
	fetched.Next = next
	fetched.Records = make([]FetchedRecord, len(decoded.Records))
	for i, r := range decoded.Records {
		fetched.Records[i] = copyRecord(r)
	}
	if decoded.Err != nil {
		return fetched, fmt.Errorf("decoding what lies behind offset %d of %s/%d: %w", next, req.Topic, req.Partition,
			undecodable{decoded.Err})
	}
	return fetched, nil
}

// undecodable is why a fetch brought what is no batch of records.
type undecodable struct{ error }

func (u undecodable) Unwrap() error { return u.error }

// IsUndecodable says whether a partition holds bytes that are no records: a bad checksum, an unknown codec, more than can be decoded.
// Trying again is of no use, unless a broker mends its log.
func IsUndecodable(err error) bool {
	_, is := errors.AsType[undecodable](err)
	return is
}

var errForeign = errors.New("the answer is about another partition")

// copyRecord copies a record out of the whole answer, into one allocation: else one record that is kept would keep all.
func copyRecord(from *kgo.Record) FetchedRecord {
	size := len(from.Key) + len(from.Value)
	for i := range from.Headers {
		size += len(from.Headers[i].Value)
	}
	buf := make([]byte, 0, size)
	take := func(b []byte) []byte {
		if b == nil {
			return nil
		}
		at := len(buf)
		buf = append(buf, b...)
		return buf[at:len(buf):len(buf)]
	}
	r := FetchedRecord{
		Offset: from.Offset, Key: take(from.Key), Value: take(from.Value), AppendTime: from.Attrs.TimestampType() == 1,
	}
	if from.Timestamp.UnixMilli() >= 0 { // -1 stands for none
		r.Time = from.Timestamp.UTC()
	}
	if len(from.Headers) > 0 {
		r.Headers = make([]Header, len(from.Headers))
		for i, h := range from.Headers {
			r.Headers[i] = Header{Key: h.Key, Value: take(h.Value)}
		}
	}
	return r
}

// mostDecompressed bounds one batch, so that a small one cannot fill the memory.
const mostDecompressed = 256 << 20

// decompressor is kafka-go's codecs within a bound.
type decompressor struct{}

// Decompress implements kgo.Decompressor.
func (decompressor) Decompress(src []byte, codec kgo.CompressionCodecType) ([]byte, error) {
	if codec == kgo.CodecNone {
		return src, nil
	}
	c := compress.Compression(codec).Codec()
	if c == nil {
		return nil, fmt.Errorf("compression %d is not known", codec)
	}
	r := c.NewReader(bytes.NewReader(src))
	defer r.Close()
	var out bytes.Buffer
	out.Grow(min(4*len(src), mostDecompressed))
	n, err := io.Copy(&out, io.LimitReader(r, mostDecompressed+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("decompressing a batch: %w", err)
	case n > mostDecompressed:
		return nil, fmt.Errorf("a batch of %d bytes takes more than %d when decompressed: have its producer write smaller batches",
			len(src), mostDecompressed)
	}
	return out.Bytes(), nil
}
