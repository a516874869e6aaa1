package partition

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet/freshet/consumers/stream/streamtest"
)

func (w *world) reader(next int64, losses *Losses) *Reader {
	topic := NewTopic(w.Config, w.Topic)
	w.T.Cleanup(topic.Close)
	return NewReader(topic, 0, next, fast(), streamtest.Quiet(), losses)
}

// collect polls until it has n records.
func collect(t *testing.T, r *Reader, n int) []Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []Record
	for len(all) < n {
		records, err := r.Poll(ctx)
		require.NoError(t, err)
		all = append(all, records...)
	}
	require.Len(t, all, n)
	return all
}

func TestReaderBeginsInTheMiddleOfABatch(t *testing.T) {
	w := newWorld(t)
	w.ProduceBatch(streamtest.Keyed("a", 1), streamtest.Keyed("b", 1), streamtest.Keyed("c", 1))
	got := collect(t, w.reader(1, new(Losses)), 2)
	require.Equal(t, "b", string(got[0].Key))
	require.Equal(t, int64(1), got[0].Offset)
}

func TestReaderGoesOnBehindWhatRetentionRemoved(t *testing.T) {
	w := newWorld(t)
	w.Write(0, streamtest.Values(8)...)
	require.NoError(t, w.DeleteRecords(w.Topic, 0, 5))
	var losses Losses
	got := collect(t, w.reader(2, &losses), 3)
	require.Equal(t, int64(5), got[0].Offset)
	require.Equal(t, int64(3), losses.Records.Load())
}

func TestReaderReadsATopicThatWasMadeAgain(t *testing.T) {
	w := newWorld(t)
	w.Write(0, "new")
	var losses Losses
	got := collect(t, w.reader(9, &losses), 1)
	require.Equal(t, int64(0), got[0].Offset)
	require.Equal(t, int64(1), losses.Rewinds.Load())
}

// The log's compaction leaves batches whose last offsets have no record. Whatever the size of a fetch, the fetcher gets
// past them, and misses nothing.
func TestReaderGetsPastHoles(t *testing.T) {
	for _, maxBytes := range []int{1, 300, 1 << 20} {
		t.Run(fmt.Sprint(maxBytes), func(t *testing.T) {
			w := newWorld(t)
			require.NoError(t, w.DeleteTopic(w.Topic))
			w.Create(w.Topic, 1, kafka.ConfigEntry{ConfigName: "cleanup.policy", ConfigValue: "compact"})
			var first, second []kafka.Record
			for i := range 20 {
				first = append(first, streamtest.Keyed(fmt.Sprint("k", i), 50))
			}
			for i := 5; i < 20; i++ {
				second = append(second, streamtest.Keyed(fmt.Sprint("k", i), 50))
			}
			w.ProduceBatch(first...)
			w.ProduceBatch(second...)
			w.ProduceBatch(streamtest.Keyed("k0", 50)) // the last batch is never compacted, and takes k0 from the first
			w.ProduceBatch(streamtest.Keyed("end", 50))
			w.Compact()
			var losses Losses
			r := w.reader(0, &losses)
			r.fetch.MaxBytes = maxBytes
			got := collect(t, r, 4+15+1+1)
			require.Equal(t, "k1", string(got[0].Key))
			require.Equal(t, int64(4), got[3].Offset)
			require.Equal(t, int64(20), got[4].Offset)
			require.Equal(t, "end", string(got[20].Key))
			require.Zero(t, losses.Records.Load(), "nothing that a compaction removed was lost")
		})
	}
}

func TestReaderWaitsOutErrors(t *testing.T) {
	w := newWorld(t)
	w.Write(0, "a")
	fault := w.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: w.Topic, Err: kerr.NotLeaderForPartition, Count: 3})
	got := collect(t, w.reader(0, new(Losses)), 1)
	require.Equal(t, "a", string(got[0].Value))
	require.Equal(t, 3, fault.Hits())
}

// patient waits for rights.
type patient struct{ alone }

func (patient) Waits() bool { return true }

// A right may come back, and a member of a group is there for years.
func TestReaderOfAMemberWaitsForItsRight(t *testing.T) {
	w := newWorld(t)
	w.Write(0, "a")
	fault := w.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: w.Topic, Err: kerr.TopicAuthorizationFailed, Count: 3})
	r := w.reader(0, new(Losses))
	r.Follow(patient{alone{streamtest.Quiet()}}, time.Time{})
	require.Equal(t, "a", string(collect(t, r, 1)[0].Value))
	require.Equal(t, 3, fault.Hits())
}

func TestReaderEndsWithItsContext(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	r := w.reader(0, new(Losses))
	polled := w.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: w.Topic, Observe: true, Count: -1})
	ended := make(chan error)
	go func() {
		for {
			if _, err := r.Poll(ctx); err != nil {
				ended <- err
				return
			}
		}
	}()
	require.NoError(t, polled.Wait(t.Context(), 1))
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// TestOpenTransactionDelaysByARoundTrip: a record of a transaction comes as soon as the broker gives it out, not with the next poll.
func TestOpenTransactionDelaysByARoundTrip(t *testing.T) {
	w := newWorld(t)
	r := w.reader(0, new(Losses))
	r.fetch.MaxWait = 10 * time.Second
	got := make(chan []Record, 1)
	p := w.Transactions()
	p.Write(w.Plain("held back")...)
	go func() {
		for {
			records, err := r.Poll(t.Context())
			if err != nil || len(records) > 0 {
				got <- records
				return
			}
		}
	}()
	p.End(kgo.TryCommit)
	ended := time.Now()
	require.Len(t, <-got, 1)
	require.Less(t, time.Since(ended), 2*time.Second, "a fetch that the broker held for its whole wait takes 10")
}
