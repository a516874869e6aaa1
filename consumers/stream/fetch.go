package stream

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/producers/kafkaio"
)

// fetcher reads one partition from an offset on, with long polls: an idle partition delivers a new record as soon as the
// broker has it, or the transaction that it belongs to is committed. It is for one goroutine.
//
// It does not use kafka.Reader, for more reasons than kafkaio.Fetcher does not use kafka.Client.Fetch. A Reader hands out nil
// for a value that is empty but not null, which would turn a producer's mistake into a tombstone, and a tombstone erases a
// user. It moves on silently when retention overtakes it, and waits for ever when the topic was made anew. Its Close waits for
// the long poll to end. And it hands records over one by one, which costs a third of the throughput.
type fetcher struct {
	*cluster
	partition int32
	next      int64 // the next offset to read
	cfg       Fetch
	log       *slog.Logger
	stats     *counters
	failures  *backoff.ExponentialBackOff
	behind    bool      // the last fetch left something in the log
	seenEnd   time.Time // when nothing was left to read, last
	progress  *progress // nil for a reader outside of a group, as is member
	member    *member
	tries     *attempts // nil while fetching succeeds, and outside of a group
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
	}
}

// follow has the fetcher report to the progress of a member.
func (f *fetcher) follow(p *progress, m *member) {
	f.progress, f.member = p, m
	f.seenEnd = p.seenEnd()
}

// poll returns the records of one fetch, which may be none, and moves next behind them and behind what is no record: the end
// of a transaction, what was aborted, what compaction removed. It waits out errors, with back-off, and so fails only when ctx
// has ended; outside of a group also when the brokers refuse us. A member of a group is told that in the log, and goes on once
// an operator has granted what is missing; a command, or a role that evaluates, would only hang.
func (f *fetcher) poll(ctx context.Context) ([]Record, error) {
	asked := time.Now()
	fetched, err := f.reader.Fetch(ctx, kafkaio.FetchRequest{
		Topic: f.topic, Partition: f.partition, Offset: f.next, MaxBytes: f.cfg.MaxBytes, MaxWait: f.cfg.MaxWait,
	})
	moved := errors.Is(err, kafka.OffsetOutOfRange)
	if moved {
		err = f.reposition(ctx)
	}
	switch {
	case ctx.Err() != nil:
		f.getsOn()
		return nil, ctx.Err()
	case f.progress == nil && (kafkaio.IsRefused(err) || kafkaio.IsUndecodable(err)):
		return nil, err
	case err != nil && len(fetched.Records) == 0: // else what could be read comes first, and the next fetch meets the error
		f.refresh(asked)
		wait := f.failures.NextBackOff()
		f.complain(err, wait)
		if !pause(ctx, wait) {
			f.getsOn()
		}
		return nil, ctx.Err()
	case moved:
		return nil, nil // the next fetch is from where there is something
	}
	f.failures.Reset()
	f.getsOn()
	now := time.Now()
	records := make([]Record, len(fetched.Records))
	for i, r := range fetched.Records {
		records[i] = Record{
			Topic: f.topic, Partition: f.partition, Offset: r.Offset, Key: r.Key, Value: r.Value, Headers: r.Headers, Time: r.Time,
			EndOffset: fetched.End, BrokerTime: r.AppendTime,
		}
		records[i].Arrived = arrival(&records[i], f.seenEnd, now)
	}
	f.next = fetched.Next
	f.behind = fetched.Stable > f.next
	if fetched.End <= f.next {
		f.seenEnd = now
	}
	f.progress.fetched(records, f.next, fetched.End)
	return records, nil
}

// complain says that a fetch failed; in a group, a partition that cannot be read for long is stuck.
func (f *fetcher) complain(err error, wait time.Duration) {
	const message = "reading from Kafka failed, trying again"
	if f.member == nil {
		f.log.Warn(message, slog.Any("error", err), slog.Duration("in", wait))
		return
	}
	if f.tries == nil {
		f.tries = &attempts{member: f.member, log: f.log, at: recordAt{f.partition, f.next}}
	}
	f.tries.failed(message, err, time.Now(), slog.Duration("in", wait))
}

// getsOn says that the partition can be read, or is another reader's.
func (f *fetcher) getsOn() {
	if f.tries != nil {
		f.tries.over()
		f.tries = nil
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
	case next > has.log:
		stats.rewinds.Add(1)
		log.Warn("the log ends before what was read, so it is another one: the topic was made again, or an unclean election "+
			"cut it; reading it from its first record on", slog.Int64("read", next), slog.Int64("end", has.log))
		return has.first
	default:
		return next
	}
}
