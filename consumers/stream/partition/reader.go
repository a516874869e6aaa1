package partition

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Reader reads one partition from an offset on, with long polls: an idle partition delivers a new record as soon as the
// broker has it, or the transaction that it belongs to is committed. It is for one goroutine.
//
// It does not use kafka.Reader, for more reasons than kafkaio.Fetcher does not use kafka.Client.Fetch. A kafka.Reader hands out nil
// for a value that is empty but not null, which would turn a producer's mistake into a tombstone, and a tombstone erases a
// user. It moves on silently when retention overtakes it, and waits for ever when the topic was made anew. Its Close waits for
// the long poll to end. And it hands records over one by one, which costs a third of the throughput.
type Reader struct {
	topic     *Topic
	partition int32
	next      int64 // the next offset to read
	fetch     Fetch
	log       *slog.Logger
	losses    *Losses
	pauses    *backoff.ExponentialBackOff
	behind    bool      // the last fetch left something in the log
	seenEnd   time.Time // when nothing was left to read, last
	watch     Watch
}

// Watch is told how the reading of a partition goes, on the reader's goroutine.
type Watch interface {
	// Fetched tells of a fetch that went well: its records, where reading goes on, and where the log ends.
	Fetched(records []Record, next, end int64)
	// Failed tells that reading failed at next, and is tried again after wait.
	Failed(next int64, err error, wait time.Duration)
	// Over tells that the failing is over: the partition can be read, or is to be read no more.
	Over()
	// Waits reports whether reading goes on in spite of an error that only an operator can mend.
	Waits() bool
}

// NewReader returns a Reader that begins at next. What retention took from it is counted in losses.
func NewReader(t *Topic, partition int32, next int64, cfg Reading, log *slog.Logger, losses *Losses) *Reader {
	log = log.With(slog.String("topic", t.Name), slog.Int("partition", int(partition)))
	return &Reader{
		topic: t, partition: partition, next: next, fetch: cfg.Fetch, log: log, losses: losses, pauses: cfg.Backoff.Pauses(),
		watch: alone{log},
	}
}

// Follow has the Reader report to a Watch. seenEnd is when the partition was known to hold nothing from next on, the zero time if
// it does.
func (r *Reader) Follow(w Watch, seenEnd time.Time) { r.watch, r.seenEnd = w, seenEnd }

// Next returns the next offset to read.
func (r *Reader) Next() int64 { return r.next }

// Behind reports whether the last fetch left something in the log.
func (r *Reader) Behind() bool { return r.behind }

// Poll returns the records of one fetch, which may be none, and moves Next behind them and behind what is no record: the end
// of a transaction, what was aborted, what compaction removed. It waits out errors, with back-off, and so fails only when ctx
// has ended; outside of a group also when the brokers refuse us. A member of a group is told that in the log, and goes on once
// an operator has granted what is missing; a command, or a role that evaluates, would only hang.
func (r *Reader) Poll(ctx context.Context) ([]Record, error) {
	asked := time.Now()
	fetched, err := r.topic.fetcher.Fetch(ctx, kafkaio.FetchRequest{
		Topic: r.topic.Name, Partition: r.partition, Offset: r.next, MaxBytes: r.fetch.MaxBytes, MaxWait: r.fetch.MaxWait,
	})
	moved := errors.Is(err, kafka.OffsetOutOfRange)
	if moved {
		err = r.reposition(ctx)
	}
	switch {
	case ctx.Err() != nil:
		r.watch.Over()
		return nil, ctx.Err()
	case (kafkaio.IsRefused(err) || kafkaio.IsUndecodable(err)) && !r.watch.Waits():
		return nil, err
	case err != nil && len(fetched.Records) == 0: // else what could be read comes first, and the next fetch meets the error
		r.topic.refresh(asked)
		wait := r.pauses.NextBackOff()
		r.watch.Failed(r.next, err, wait)
		if !Pause(ctx, wait) {
			r.watch.Over()
		}
		return nil, ctx.Err()
	case moved:
		return nil, nil // the next fetch is from where there is something
	}
	r.pauses.Reset()
	r.watch.Over()
	now := time.Now()
	records := make([]Record, len(fetched.Records))
	for i, f := range fetched.Records {
		records[i] = Record{
			Topic: r.topic.Name, Partition: r.partition, Offset: f.Offset, Key: f.Key, Value: f.Value, Headers: f.Headers, Time: f.Time,
			EndOffset: fetched.End, BrokerTime: f.AppendTime,
		}
		records[i].Arrived = arrival(&records[i], r.seenEnd, now)
	}
	r.next = fetched.Next
	r.behind = fetched.Stable > r.next
	if fetched.End <= r.next {
		r.seenEnd = now
	}
	r.watch.Fetched(records, r.next, fetched.End)
	return records, nil
}

// ReadTo calls each for what is fetched of the records before end, until there are no more. An error of each ends it.
func (r *Reader) ReadTo(ctx context.Context, end int64, each func([]Record) error) error {
	for r.next < end {
		records, err := r.Poll(ctx)
		if beyond := slices.IndexFunc(records, func(record Record) bool { return record.Offset >= end }); beyond >= 0 {
			records = records[:beyond]
		}
		if len(records) > 0 {
			err = each(records)
		}
		if err != nil {
			return fmt.Errorf("reading %s/%d: %w", r.topic.Name, r.partition, err)
		}
	}
	return nil
}

// reposition moves to where the partition can be read again when next is outside of it, and says so: the log is the only
// place where such a loss shows.
func (r *Reader) reposition(ctx context.Context) error {
	spans, err := r.topic.Spans(ctx, r.partition)
	if err != nil {
		return err
	}
	r.next = spans[r.partition].Settle(r.next, r.log, r.losses)
	return nil
}

// alone is the Watch of a reader outside of a group.
type alone struct{ log *slog.Logger }

func (a alone) Failed(_ int64, err error, wait time.Duration) {
	a.log.Warn("reading from Kafka failed, trying again", slog.Any("error", err), slog.Duration("in", wait))
}

func (alone) Fetched([]Record, int64, int64) {}
func (alone) Over()                          {}
func (alone) Waits() bool                    { return false }
