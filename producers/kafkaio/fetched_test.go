package kafkaio

import (
	"bytes"
	"hash/crc32"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/compress"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kmsg"
)

var testFetch = FetchRequest{Topic: "t", Partition: 3, Offset: 10, MaxBytes: 1 << 20}

// encodeBatch returns a batch as brokers store it, sums included.
func encodeBatch(batch kmsg.RecordBatch, records ...kmsg.Record) []byte {
	var raw []byte
	for i := range records {
		records[i].OffsetDelta = int32(i)
		records[i].Length = 0
		records[i].Length = int32(len(records[i].AppendTo(nil)) - 1) // small records: the length takes one byte
		raw = records[i].AppendTo(raw)
	}
	if codec := compress.Compression(batch.Attributes & 7).Codec(); codec != nil {
		var out bytes.Buffer
		w := codec.NewWriter(&out)
		_, _ = w.Write(raw)
		_ = w.Close()
		raw = out.Bytes()
	}
	batch.Magic, batch.NumRecords, batch.Records = 2, int32(len(records)), raw
	if batch.LastOffsetDelta == 0 {
		batch.LastOffsetDelta = int32(max(len(records)-1, 0))
	}
	batch.Length = int32(len(batch.AppendTo(nil)) - 12)
	all := batch.AppendTo(nil)
	batch.CRC = int32(crc32.Checksum(all[21:], crc32.MakeTable(crc32.Castagnoli)))
	return batch.AppendTo(nil)
}

// encodeFetch returns the body of an answer to testFetch.
func encodeFetch(batches []byte, change ...func(*kmsg.FetchResponseTopicPartition)) []byte {
	p := kmsg.NewFetchResponseTopicPartition()
	p.Partition, p.HighWatermark, p.LastStableOffset, p.RecordBatches = 3, 100, 90, batches
	for _, c := range change {
		c(&p)
	}
	t := kmsg.NewFetchResponseTopic()
	t.Topic, t.Partitions = "t", []kmsg.FetchResponseTopicPartition{p}
	r := kmsg.NewPtrFetchResponse()
	r.SetVersion(mostFetchVersion)
	r.Topics = []kmsg.FetchResponseTopic{t}
	return r.AppendTo(nil)
}

func TestFetchedTimes(t *testing.T) {
	for name, c := range map[string]struct {
		attributes int16
		first, max int64
		want       int64
	}{
		"of the producer":           {0, 1_000, 2_000, 1_005},
		"of the broker":             {0x08, 1, 2_000, 2_000},
		"none":                      {0, -1_000, -1_000, -1},
		"of the broker, compressed": {0x08 | int16(kafka.Zstd), 1, 2_000, 2_000},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeFetched(testFetch, mostFetchVersion, encodeFetch(encodeBatch(
				kmsg.RecordBatch{FirstOffset: 10, FirstTimestamp: c.first, MaxTimestamp: c.max, Attributes: c.attributes, ProducerID: -1},
				kmsg.Record{TimestampDelta64: 5, Value: []byte("v")})))
			require.NoError(t, err)
			require.Len(t, got.Records, 1)
			require.Equal(t, c.attributes&0x08 != 0, got.Records[0].AppendTime)
			if c.want < 0 {
				require.Zero(t, got.Records[0].Time)
				return
			}
			require.Equal(t, time.UnixMilli(c.want).UTC(), got.Records[0].Time)
		})
	}
}

// TestFetchedKnowsNullFromEmpty: a null value erases, an empty one is a mistake. And what is read is a copy.
func TestFetchedKnowsNullFromEmpty(t *testing.T) {
	body := encodeFetch(encodeBatch(kmsg.RecordBatch{FirstOffset: 10, ProducerID: -1},
		kmsg.Record{Key: []byte("k")},
		kmsg.Record{Key: []byte{}, Value: []byte{}, Headers: []kmsg.Header{{Key: "a"}, {Key: "b", Value: []byte{}}, {Key: "c", Value: []byte("x")}}},
		kmsg.Record{Value: []byte("v")}))
	got, err := decodeFetched(testFetch, mostFetchVersion, body)
	require.NoError(t, err)
	clear(body)
	require.Equal(t, []FetchedRecord{
		{Offset: 10, Key: []byte("k"), Time: time.UnixMilli(0).UTC()},
		{Offset: 11, Key: []byte{}, Value: []byte{}, Time: time.UnixMilli(0).UTC(),
			Headers: []Header{{Key: "a"}, {Key: "b", Value: []byte{}}, {Key: "c", Value: []byte("x")}}},
		{Offset: 12, Value: []byte("v"), Time: time.UnixMilli(0).UTC()},
	}, got.Records)
	require.Equal(t, [3]int64{13, 100, 90}, [3]int64{got.Next, got.End, got.Stable})
}

func TestFetchedPositions(t *testing.T) {
	whole := encodeBatch(kmsg.RecordBatch{FirstOffset: 8, ProducerID: -1}, make([]kmsg.Record, 4)...) // 8 to 11
	hole := encodeBatch(kmsg.RecordBatch{FirstOffset: 12, LastOffsetDelta: 7, ProducerID: -1})        // 12 to 19, compacted
	wrong := bytes.Clone(whole)
	wrong[len(wrong)-1] ^= 1
	bomb := encodeBatch(kmsg.RecordBatch{FirstOffset: 10, Attributes: int16(kafka.Gzip)}, kmsg.Record{})
	for name, c := range map[string]struct {
		batches []byte
		records int
		next    int64
		fails   string
	}{
		"nothing":                        {nil, 0, 10, ""},
		"from the middle of a batch":     {whole, 2, 12, ""},
		"behind a hole":                  {append(bytes.Clone(whole), hole...), 2, 20, ""},
		"before a batch that is cut":     {append(bytes.Clone(whole), hole[:20]...), 2, 12, ""},
		"at a batch that is cut":         {whole[:len(whole)-1], 0, 10, ""},
		"at a batch with a wrong sum":    {wrong, 0, 10, "crc"},
		"at a batch that is not to read": {bomb[:61], 0, 10, ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := decodeFetched(testFetch, mostFetchVersion, encodeFetch(c.batches))
			if c.fails == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.fails)
			}
			require.Len(t, got.Records, c.records)
			require.Equal(t, c.next, got.Next)
		})
	}
}

func TestFetchedRefusals(t *testing.T) {
	_, err := decodeFetched(testFetch, mostFetchVersion, encodeFetch(nil, func(p *kmsg.FetchResponseTopicPartition) {
		p.ErrorCode = int16(kafka.TopicAuthorizationFailed)
	}))
	require.ErrorIs(t, err, kafka.TopicAuthorizationFailed)
	require.True(t, IsRefused(err))
	_, err = decodeFetched(testFetch, mostFetchVersion, encodeFetch(nil, func(p *kmsg.FetchResponseTopicPartition) { p.Partition = 4 }))
	require.ErrorContains(t, err, "another partition")
}

func TestDecompressionIsBounded(t *testing.T) {
	var small bytes.Buffer
	w := compress.Gzip.Codec().NewWriter(&small)
	zeros := make([]byte, 1<<20)
	for range mostDecompressed>>20 + 1 {
		_, err := w.Write(zeros)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	_, err := decompressor{}.Decompress(small.Bytes(), 1)
	require.ErrorContains(t, err, "have its producer write smaller batches")
}

// FuzzFetched: whatever a broker answers, decoding ends without a panic, and the position never goes back.
func FuzzFetched(f *testing.F) {
	aborted := func(p *kmsg.FetchResponseTopicPartition) {
		p.AbortedTransactions = append(p.AbortedTransactions, kmsg.FetchResponseTopicPartitionAbortedTransaction{ProducerID: 7, FirstOffset: 9})
	}
	for _, attributes := range []int16{0, 1, 2, 3, 4, 0x08, 0x10, 0x30} {
		f.Add(encodeFetch(encodeBatch(kmsg.RecordBatch{FirstOffset: 9, Attributes: attributes, ProducerID: 7},
			kmsg.Record{Key: []byte{0, 0, 0, 0}, Value: []byte("v")}, kmsg.Record{Headers: []kmsg.Header{{Key: "h"}}}), aborted))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		got, _ := decodeFetched(testFetch, mostFetchVersion, body)
		require.GreaterOrEqual(t, got.Next, testFetch.Offset)
		for _, r := range got.Records {
			require.GreaterOrEqual(t, r.Offset, testFetch.Offset)
		}
	})
}
