package stream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/freshet/freshet/producers/kafkaio"
)

// maxFetchBytes bounds what a fetch asks for when it must get past an area without records.
const maxFetchBytes = 64 << 20

// fetcher reads one partition from an offset on, with long polls: an idle partition delivers a new record as soon as the
// broker has it. It is for one goroutine.
//
// It uses kafka.Client.Fetch, not kafka.Reader, for four reasons. A Reader hands out nil for a value that is empty but not
// null, which would turn a producer's mistake into a tombstone, and a tombstone erases a user. It moves on silently when
// retention overtakes it, and waits for ever when the topic was made anew. Its Close waits for the long poll to end.
// And it hands records over one by one, which costs a third of the throughput.
type fetcher struct {
	*cluster
	partition int32
	next      int64 // the next offset to read
	cfg       Fetch
	log       *slog.Logger
	stats     *counters
	failures  *backoff.ExponentialBackOff
	maxBytes  int64     // what the next fetch asks for
	behind    bool      // the last fetch left something in the log
	progress  *progress // nil for a reader outside of a group
}

func newFetcher(c *cluster, partition int32, next int64, cfg Runtime, log *slog.Logger, stats *counters) *fetcher {
	return &fetcher{
		cluster:   c,
		partition: partition,
		next:      next,
		cfg:       cfg.Fetch,
		log:       log.With(slog.String("topic", c.topic), slog.Int("partition", int(partition))),
		stats:     stats,
		failures:  cfg.Backoff.retry(),
		maxBytes:  int64(cfg.Fetch.MaxBytes),
	}
}

// poll returns the records of one fetch, which may be none. It waits out errors, with back-off, and so fails only when ctx
// has ended; outside of a group also when the brokers refuse us. A member of a group is told that in the log, and goes on once
// an operator has granted what is missing; a command, or a role that evaluates, would only hang.
func (f *fetcher) poll(ctx context.Context) ([]Record, error) {
	asked := time.Now()
	resp, err := f.client.Fetch(ctx, &kafka.FetchRequest{
		Topic:     f.topic,
		Partition: int(f.partition),
		Offset:    f.next,
		MinBytes:  1,
		MaxBytes:  f.maxBytes,
		MaxWait:   f.cfg.MaxWait,
	})
	if err == nil {
		err = resp.Error
	}
	if errors.Is(err, kafka.OffsetOutOfRange) {
		err = f.reposition(ctx)
	}
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case f.progress == nil && kafkaio.IsRefused(err):
		return nil, err
	case err != nil:
		f.refresh(asked)
		wait := f.failures.NextBackOff()
		f.log.Warn("reading from Kafka failed, trying again", slog.Any("error", err), slog.Duration("in", wait))
		pause(ctx, wait)
		return nil, ctx.Err()
	case resp.Error != nil: // repositioned
		return nil, nil //nolint:nilerr // the next fetch is from where there is something
	}
	f.failures.Reset()
	records, err := f.read(resp)
	if err != nil {
		f.log.Warn("a fetch could not be read to its end", slog.Any("error", err))
	}
	f.passHole(resp, len(records))
	f.behind = resp.HighWatermark > f.next
	f.progress.fetched(records, f.next, resp.HighWatermark)
	return records, nil
}

// read copies the records from next on out of a response, which may begin before it.
func (f *fetcher) read(resp *kafka.FetchResponse) ([]Record, error) {
	var records []Record
	for _, batch := range batches(resp) {
		if _, control := batch.(*protocol.ControlBatch); control {
			continue // the end of a producer's transaction: no record
		}
		for {
			from, err := batch.ReadRecord()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return records, fmt.Errorf("reading a record after offset %d: %w", f.next-1, err)
			}
			if from.Offset < f.next {
				continue
			}
			r := Record{
				Topic: f.topic, Partition: f.partition, Offset: from.Offset, Headers: from.Headers, Time: from.Time.UTC(),
				EndOffset: resp.HighWatermark, appendTime: isAppendTime(batch),
			}
			if err := r.setBytes(from); err != nil {
				return records, err
			}
			records = append(records, r)
			f.next = r.Offset + 1
		}
	}
	return records, nil
}

// batches returns the record batches of a response.
func batches(resp *kafka.FetchResponse) []kafka.RecordReader {
	if stream, ok := resp.Records.(*protocol.RecordStream); ok {
		return stream.Records
	}
	return nil
}

// isAppendTime says whether a batch's times are the broker's: bit 3 of its attributes (KIP-32).
func isAppendTime(batch kafka.RecordReader) bool {
	b, ok := batch.(*protocol.RecordBatch)
	return ok && b.Attributes&0x08 != 0
}

// passHole gets past offsets that have no record, because compaction removed them or a transaction ended there. kafka-go
// does not tell where a batch ends, so without it: the log ends with a batch of offsets 5 to 9 of which 8 and 9 were
// compacted away; 7 is read; the fetch from 8 on brings the same batch, without a record from 8 on; so does each that
// follows.
//
// A broker answers with the batch that holds the asked offset, or the first that follows. If all of it was read and nothing
// at or after the offset came, there is no record at that offset. The next fetch asks one further and for twice as much, so
// that the batch that follows comes too, if there is one.
func (f *fetcher) passHole(resp *kafka.FetchResponse, records int) {
	switch {
	case records > 0:
		f.maxBytes = int64(f.cfg.MaxBytes)
	case resp.HighWatermark > f.next:
		f.maxBytes = min(2*f.maxBytes, int64(max(maxFetchBytes, f.cfg.MaxBytes)))
		if len(batches(resp)) > 0 {
			f.next++
		}
	}
}

// reposition moves to where the partition can be read again when next is outside of it, and says so: the log is the only
// place where such a loss shows.
func (f *fetcher) reposition(ctx context.Context) error {
	spans, err := f.spans(ctx, f.partition)
	if err != nil {
		return err
	}
	f.next = settle(f.next, spans[f.partition], f.log, f.stats)
	return nil
}

// settle returns the offset to read instead of next in a partition that has the given span.
//
// Before the span: retention removed records that this group had not read. After it: the topic was deleted and made again,
// or an unclean election cut the log; what is in it now was not read by this group, so it is read from the first on.
func settle(next int64, has span, log *slog.Logger, stats *counters) int64 {
	switch {
	case next < has.first:
		stats.lost.Add(has.first - next)
		log.Warn("records were removed before they were read, going on with the first that is left: "+
			"raise the topic's retention or the number of consumers",
			slog.Int64("lost", has.first-next), slog.Int64("from", next), slog.Int64("first", has.first))
		return has.first
	case next > has.end:
		stats.rewinds.Add(1)
		log.Warn("the log ends before what was read, so it is another one: the topic was made again, or an unclean election "+
			"cut it; reading it from its first record on", slog.Int64("read", next), slog.Int64("end", has.end))
		return has.first
	default:
		return next
	}
}
