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

// serve sends what is ready for a broker until nothing is. A batch that failed goes on by itself.
func (w *Writer) serve(b *broker) {
	for request := w.take(b); request != nil; request = w.take(b) {
		asked := time.Now()
		for i, result := range w.produce(request) {
			one := request[i]
			if result.err != nil {
				go func() {
					w.retry(one.destination, one.messages, result.err, asked)
					w.release(one.queue)
				}()
				continue
			}
			w.written(one.destination, one.messages, result.base)
			w.release(one.queue)
		}
	}
}

// retry gives every message of a batch its answer, after a request sent at the time asked has failed. It sends the batch
// again for as long as the error may pass and the messages have time.
func (w *Writer) retry(to destination, messages []*pending, err error, asked time.Time) {
	pause := newBackoff(w.cfg.BackoffInitial, w.cfg.BackoffMax)
	for attempt := 1; ; attempt++ {
		switch {
		case w.sending.Err() != nil:
			w.fail(to, messages, fmt.Errorf("%w, the message is not known to be written: %w", ErrClosed, err))
			return
		case blamesRecords(err):
			w.split(to, messages, err)
			return
		case !IsRetriable(err):
			w.fail(to, messages, err)
			return
		}
		if attempt == 1 {
			w.log.Warn("writing to Kafka failed, trying again", slog.String("topic", to.topic),
				slog.Int("partition", int(to.partition)), slog.Int("messages", len(messages)), slog.Any("error", err))
		}
		if unreachable := w.metadata.refresh(w.sending, asked); unreachable != nil {
			err = unreachable
		}
		sleep(w.sending, min(pause.NextBackOff(), time.Until(messages[0].expiry)))
		if messages = w.expire(to, messages, err); len(messages) == 0 {
			return
		}
		asked = time.Now()
		var base int64
		if base, err = w.produceOne(to, messages); err == nil {
			w.written(to, messages, base)
			return
		}
	}
}

// split finds the culprits of a batch that was refused for what it holds, by halving it, the earlier half first; a message
// that stands alone is one.
func (w *Writer) split(to destination, messages []*pending, err error) {
	if len(messages) == 1 {
		if errors.Is(err, kafka.MessageSizeTooLarge) || errors.Is(err, kafka.RecordListTooLarge) {
			err = &MessageTooLargeError{Topic: to.topic, Size: messages[0].bytes}
		}
		w.fail(to, messages, err)
		return
	}
	half := len(messages) / 2
	for _, part := range [][]*pending{messages[:half], messages[half:]} {
		asked := time.Now()
		base, err := w.produceOne(to, part)
		if err != nil {
			w.retry(to, part, err, asked)
			continue
		}
		w.written(to, part, base)
	}
}

// expire fails the messages whose time is over and returns the others. Messages were taken in order, so the oldest stand
// first.
func (w *Writer) expire(to destination, messages []*pending, err error) []*pending {
	now := time.Now()
	n := 0
	for n < len(messages) && !now.Before(messages[n].expiry) {
		n++
	}
	if n > 0 {
		w.fail(to, messages[:n], fmt.Errorf("giving up after %s: %w", w.cfg.DeliveryTimeout, err))
	}
	return messages[n:]
}

func (w *Writer) written(to destination, messages []*pending, base int64) {
	w.measures.answered(to.topic, messages, nil)
	for i, p := range messages {
		at := Position{Partition: to.partition, Offset: base + int64(i)}
		w.room.Release(p.bytes)
		p.endSend(at, nil)
		p.done(at, nil)
	}
}

func (w *Writer) fail(to destination, messages []*pending, err error) {
	err = fmt.Errorf("writing to %s/%d: %w", to.topic, to.partition, err)
	w.measures.answered(to.topic, messages, err)
	for _, p := range messages {
		at := Position{Partition: to.partition, Offset: -1}
		w.room.Release(p.bytes)
		p.endSend(at, err)
		p.done(at, err)
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
