package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/segmentio/kafka-go"
)

// deliver gives every message of a batch its answer. It sends the batch, and sends it again for as long as an error may
// pass and the messages have time. What the broker refuses for what it holds is halved until the culprits stand alone.
func (w *Writer) deliver(to destination, batch []*pending) {
	pause := newBackoff(w.cfg.BackoffInitial, w.cfg.BackoffMax)
	for attempt := 1; len(batch) > 0; attempt++ {
		asked := time.Now()
		base, err := w.produce(to, batch)
		switch {
		case err == nil:
			w.written(to, batch, base)
			return
		case w.sending.Err() != nil:
			w.fail(to, batch, fmt.Errorf("%w, the message is not known to be written: %w", ErrClosed, err))
			return
		case blamesRecords(err):
			w.split(to, batch, err)
			return
		case !IsRetriable(err):
			w.fail(to, batch, err)
			return
		}
		if attempt == 1 {
			w.log.Warn("writing to Kafka failed, trying again", slog.String("topic", to.topic),
				slog.Int("partition", int(to.partition)), slog.Int("messages", len(batch)), slog.Any("error", err))
		}
		if unreachable := w.metadata.refresh(w.sending, asked); unreachable != nil {
			err = unreachable
		}
		sleep(w.sending, min(pause.NextBackOff(), time.Until(batch[0].expiry)))
		batch = w.expire(to, batch, err)
	}
}

// produce sends one request and returns the offset of its first message.
func (w *Writer) produce(to destination, batch []*pending) (base int64, err error) {
	ctx, cancel := context.WithDeadline(w.sending, batch[len(batch)-1].expiry)
	defer cancel()
	resp, err := w.client.Produce(ctx, &kafka.ProduceRequest{
		Topic:        to.topic,
		Partition:    int(to.partition),
		RequiredAcks: kafka.RequireAll,
		Records:      newRecords(batch),
	})
	if err != nil {
		return 0, err
	}
	return resp.BaseOffset, resp.Error
}

// split delivers the halves of a batch that was refused for its records, the earlier one first; a message that stands
// alone is the culprit.
func (w *Writer) split(to destination, batch []*pending, err error) {
	if len(batch) > 1 {
		half := len(batch) / 2
		w.deliver(to, batch[:half])
		w.deliver(to, batch[half:])
		return
	}
	if errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.RecordListTooLarge) {
		err = &MessageTooLargeError{Topic: to.topic, Size: batch[0].bytes}
	}
	w.fail(to, batch, err)
}

// expire fails the messages whose time is over and returns the others. Messages were taken in order, so the oldest stand
// first.
func (w *Writer) expire(to destination, batch []*pending, err error) []*pending {
	now := time.Now()
	n := 0
	for n < len(batch) && !now.Before(batch[n].expiry) {
		n++
	}
	if n > 0 {
		w.fail(to, batch[:n], fmt.Errorf("giving up after %s: %w", w.cfg.DeliveryTimeout, err))
	}
	return batch[n:]
}

func (w *Writer) written(to destination, batch []*pending, base int64) {
	for i, p := range batch {
		w.room.Release(p.bytes)
		p.done(Position{Partition: to.partition, Offset: base + int64(i)}, nil)
	}
}

func (w *Writer) fail(to destination, batch []*pending, err error) {
	err = fmt.Errorf("writing to %s/%d: %w", to.topic, to.partition, err)
	for _, p := range batch {
		w.room.Release(p.bytes)
		p.done(Position{Partition: to.partition, Offset: -1}, err)
	}
}

// newBackoff returns pauses that double and are jittered by half, so that the partitions of a broker that comes back do not
// all ask at the same moment.
func newBackoff(initial, most time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = initial
	b.MaxInterval = most
	b.Multiplier = 2
	return b
}

// sleep waits for d or until ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}
