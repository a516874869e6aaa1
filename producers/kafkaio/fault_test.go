package kafkaio_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/producers/kafkaio"
)

// holdProduce makes the broker keep produce requests unanswered until the returned function is called.
func (b broker) holdProduce(t testing.TB) (release func()) {
	t.Helper()
	held := make(chan struct{})
	release = sync.OnceFunc(func() { close(held) })
	t.Cleanup(release)
	b.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		b.SleepControl(func() { <-held })
		return nil, nil, false
	})
	return release
}

// fail makes the broker refuse n produce requests.
func (b broker) fail(n int, err *kerr.Error) *kfake.FaultHandle {
	return b.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: err, Count: n})
}

func TestRetriesKeepOrder(t *testing.T) {
	for _, code := range []*kerr.Error{
		kerr.NotLeaderForPartition, kerr.LeaderNotAvailable, kerr.UnknownTopicOrPartition, kerr.NotEnoughReplicas,
		kerr.CorruptMessage, kerr.KafkaStorageError,
	} {
		t.Run(code.Message, func(t *testing.T) {
			const messages = 300
			b := startBroker(t, 2, nil)
			w := b.writer(t, func(c *kafkaio.WriterConfig) { c.MaxBatchMessages = 10 })
			answers := newAnswers()
			for i := range messages {
				if i%100 == 0 {
					b.fail(2, code)
				}
				require.NoError(t, w.Enqueue(t.Context(), b.message(fmt.Sprint(i%7), fmt.Sprint(i)), answers.expect(i)))
			}
			require.NoError(t, w.Close(t.Context()))
			answers.requireAllWritten(t, messages)
			answers.requireLogInOrder(t, b, 2)
		})
	}
}

func TestPermanentErrorFailsTheBatchAtOnce(t *testing.T) {
	b := startBroker(t, 1, nil)
	w := b.writer(t, nil)
	fault := b.fail(-1, kerr.TopicAuthorizationFailed)
	_, err := w.Write(t.Context(), b.message("k", "v"))
	require.ErrorIs(t, err, kafka.TopicAuthorizationFailed)
	require.ErrorContains(t, err, "writing to "+b.topic+"/0")
	require.Equal(t, 1, fault.Hits())
	fault.Remove()
	_, err = w.Write(t.Context(), b.message("k", "v"))
	require.NoError(t, err)
}

func TestDeliveryTimeoutNamesTheCause(t *testing.T) {
	b := startBroker(t, 1, nil)
	w := b.writer(t, func(c *kafkaio.WriterConfig) { c.DeliveryTimeout = 150 * time.Millisecond })
	b.fail(-1, kerr.NotEnoughReplicas)
	_, err := w.Write(t.Context(), b.message("k", "v"))
	require.ErrorContains(t, err, "giving up after 150ms")
	require.ErrorIs(t, err, kafka.NotEnoughReplicas)
}

// The broker appends the batch and dies before it answers. The Writer cannot know, and writes the batch again: nothing is
// lost, and what is there twice is a contiguous repetition.
func TestLostAcknowledgementDuplicates(t *testing.T) {
	b := startBroker(t, 1, nil)
	w := b.writer(t, nil)
	_, err := w.Write(t.Context(), b.message("k", "0"))
	require.NoError(t, err)
	b.fail(1, kerr.RequestTimedOut) // kfake: answered so, and the work still happens
	p, err := w.Write(t.Context(), b.message("k", "1"))
	require.NoError(t, err)
	require.EqualValues(t, 2, p.Offset)
	got := b.read(t, 0, 3)
	require.Equal(t, []string{"0", "1", "1"}, []string{string(got[0].Value), string(got[1].Value), string(got[2].Value)})
}

func TestConnectionsCutInFlight(t *testing.T) {
	const messages = 500
	b := startBroker(t, 2, nil)
	w := b.writer(t, func(c *kafkaio.WriterConfig) { c.MaxBatchMessages = 25 })
	var requests int
	b.ControlKey(int16(kmsg.Produce), func(kmsg.Request) (kmsg.Response, error, bool) {
		b.KeepControl()
		if requests++; requests%3 == 0 {
			return nil, fmt.Errorf("cut"), true
		}
		return nil, nil, false
	})
	answers := newAnswers()
	for i := range messages {
		require.NoError(t, w.Enqueue(t.Context(), b.message(fmt.Sprint(i%5), fmt.Sprint(i)), answers.expect(i)))
	}
	require.NoError(t, w.Close(t.Context()))
	answers.requireAllWritten(t, messages)
	answers.requireLogInOrder(t, b, 2)
}

func TestForcedCloseAnswersWhatIsLeft(t *testing.T) {
	b := startBroker(t, 1, nil)
	w := b.writer(t, nil)
	b.fail(-1, kerr.NotEnoughReplicas)
	answers := newAnswers()
	for i := range 5 {
		require.NoError(t, w.Enqueue(t.Context(), b.message("k", fmt.Sprint(i)), answers.expect(i)))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, w.Close(ctx), context.DeadlineExceeded)
	require.Len(t, answers.errs, 5)
	for _, err := range answers.errs {
		require.ErrorIs(t, err, kafkaio.ErrClosed)
	}
}

func TestBrokersOutOfReach(t *testing.T) {
	b := startBroker(t, 1, nil)
	w := b.writer(t, func(c *kafkaio.WriterConfig) { c.DeliveryTimeout = 300 * time.Millisecond })
	_, err := w.Write(t.Context(), b.message("k", "v"))
	require.NoError(t, err)
	b.Close()
	_, err = w.Write(t.Context(), b.message("k", "v"))
	require.ErrorContains(t, err, "giving up after 300ms")
	require.ErrorContains(t, err, b.Addr())
	require.ErrorContains(t, err, "connection refused")

	fresh := b.writer(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	_, err = fresh.Write(ctx, b.message("k", "v"))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorContains(t, err, "connection refused")
}

func TestEnqueueWaitingForMetadataEndsWithClose(t *testing.T) {
	b := startBroker(t, 1, nil)
	cfg := b.config()
	cfg.Brokers = []string{servertest.Nobody(t)}
	w := kafkaio.NewWriter(cfg, kafkaio.DefaultWriterConfig(), slog.New(slog.DiscardHandler))
	failed := make(chan error, 1)
	go func() {
		_, err := w.Write(t.Context(), b.message("k", "v"))
		failed <- err
	}()
	require.NoError(t, w.Close(t.Context()))
	require.ErrorIs(t, <-failed, kafkaio.ErrClosed)
}
