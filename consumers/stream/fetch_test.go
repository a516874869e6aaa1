package stream

import (
	"context"
	"fmt"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

func (w *world) fetcher(next int64, stats *counters) *fetcher {
	c := newCluster(w.cfg, testTopic)
	w.t.Cleanup(c.close)
	return newFetcher(c, 0, next, fastRuntime(), quiet(), stats)
}

// collect polls until it has n records.
func collect(t *testing.T, f *fetcher, n int) []Record {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var all []Record
	for len(all) < n {
		records, err := f.poll(ctx)
		require.NoError(t, err)
		all = append(all, records...)
	}
	require.Len(t, all, n)
	return all
}

// produceBatch writes records as one record batch.
func (w *world) produceBatch(records ...kafka.Record) {
	w.t.Helper()
	resp, err := w.client.Produce(w.t.Context(), &kafka.ProduceRequest{
		Topic: testTopic, RequiredAcks: kafka.RequireAll, Records: kafka.NewRecordReader(records...),
	})
	require.NoError(w.t, err)
	require.NoError(w.t, resp.Error)
}

func keyed(key string, size int) kafka.Record {
	return kafka.Record{Key: kafka.NewBytes([]byte(key)), Value: kafka.NewBytes(make([]byte, size))}
}

func TestFetcherBeginsInTheMiddleOfABatch(t *testing.T) {
	w := newWorld(t, 1)
	w.produceBatch(keyed("a", 1), keyed("b", 1), keyed("c", 1))
	got := collect(t, w.fetcher(1, &counters{}), 2)
	require.Equal(t, "b", string(got[0].Key))
	require.Equal(t, int64(1), got[0].Offset)
}

func TestFetcherGoesOnBehindWhatRetentionRemoved(t *testing.T) {
	w := newWorld(t, 1)
	w.write(0, values(8)...)
	require.NoError(t, w.DeleteRecords(testTopic, 0, 5))
	var stats counters
	got := collect(t, w.fetcher(2, &stats), 3)
	require.Equal(t, int64(5), got[0].Offset)
	require.Equal(t, int64(3), stats.snapshot().Lost)
}

func TestFetcherReadsATopicThatWasMadeAgain(t *testing.T) {
	w := newWorld(t, 1)
	w.write(0, "new")
	var stats counters
	got := collect(t, w.fetcher(9, &stats), 1)
	require.Equal(t, int64(0), got[0].Offset)
	require.Equal(t, int64(1), stats.snapshot().Rewinds)
}

// The log's compaction leaves batches whose last offsets have no record. Whatever the size of a fetch, the fetcher gets
// past them, and misses nothing.
func TestFetcherGetsPastHoles(t *testing.T) {
	for _, maxBytes := range []int{1, 300, 1 << 20} {
		t.Run(fmt.Sprint(maxBytes), func(t *testing.T) {
			w := newWorld(t, 1)
			require.NoError(t, w.DeleteTopic(testTopic))
			w.createTopic(testTopic, 1, kafka.ConfigEntry{ConfigName: "cleanup.policy", ConfigValue: "compact"})
			var first, second []kafka.Record
			for i := range 20 {
				first = append(first, keyed(fmt.Sprint("k", i), 50))
			}
			for i := 5; i < 20; i++ {
				second = append(second, keyed(fmt.Sprint("k", i), 50))
			}
			w.produceBatch(first...)
			w.produceBatch(second...)
			w.produceBatch(keyed("k0", 50)) // the last batch is never compacted, and takes k0 from the first
			w.produceBatch(keyed("end", 50))
			w.Compact()
			var stats counters
			f := w.fetcher(0, &stats)
			f.cfg.MaxBytes = maxBytes
			got := collect(t, f, 4+15+1+1)
			require.Equal(t, "k1", string(got[0].Key))
			require.Equal(t, int64(4), got[3].Offset)
			require.Equal(t, int64(20), got[4].Offset)
			require.Equal(t, "end", string(got[20].Key))
			require.Zero(t, stats.snapshot().Lost, "nothing that a compaction removed was lost")
		})
	}
}

func TestFetcherWaitsOutErrors(t *testing.T) {
	w := newWorld(t, 1)
	w.write(0, "a")
	fault := w.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: testTopic, Err: kerr.NotLeaderForPartition, Count: 3})
	got := collect(t, w.fetcher(0, &counters{}), 1)
	require.Equal(t, "a", string(got[0].Value))
	require.Equal(t, 3, fault.Hits())
}

// A right may come back, and a member of a group is there for years.
func TestFetcherOfAMemberWaitsForItsRight(t *testing.T) {
	w := newWorld(t, 1)
	w.write(0, "a")
	fault := w.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: testTopic, Err: kerr.TopicAuthorizationFailed, Count: 3})
	f := w.fetcher(0, &counters{})
	f.progress = newProgress(0, 1)
	require.Equal(t, "a", string(collect(t, f, 1)[0].Value))
	require.Equal(t, 3, fault.Hits())
}

func TestFetcherEndsWithItsContext(t *testing.T) {
	w := newWorld(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	f := w.fetcher(0, &counters{})
	polled := w.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Fetch}, Topic: testTopic, Observe: true, Count: -1})
	ended := make(chan error)
	go func() {
		for {
			if _, err := f.poll(ctx); err != nil {
				ended <- err
				return
			}
		}
	}()
	require.NoError(t, polled.Wait(t.Context(), 1))
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

func TestStartingPlaces(t *testing.T) {
	t.Run("behind what retention removed", func(t *testing.T) {
		w := newWorld(t, 1)
		w.write(0, values(10)...)
		require.NoError(t, w.DeleteRecords(testTopic, 0, 4))
		w.commitGroup(2)
		c, got := w.firstBatch(fastConfig())
		require.Equal(t, int64(4), got.Offset)
		require.Equal(t, int64(2), c.Stats().Lost)
	})
	t.Run("at the first record of a topic made again", func(t *testing.T) {
		w := newWorld(t, 1)
		w.write(0, values(2)...)
		w.commitGroup(50)
		c, got := w.firstBatch(fastConfig())
		require.Equal(t, int64(0), got.Offset)
		require.Equal(t, int64(1), c.Stats().Rewinds)
	})
	t.Run("at the end, remembered at once", func(t *testing.T) {
		w := newWorld(t, 1)
		w.write(0, values(3)...)
		cfg := fastConfig()
		cfg.Group.StartAt = StartLast
		nothing := w.consumer(cfg, func(context.Context, []Record) error { return nil })
		run := start(t, nothing)
		w.requireCommitted(0, 3)
		require.NoError(t, run.drain())
		w.write(0, "while it was away")
		_, got := w.firstBatch(cfg)
		require.Equal(t, int64(3), got.Offset)
	})
}

// commitGroup commits an offset for the group from outside.
func (w *world) commitGroup(offset int64) {
	w.t.Helper()
	_, err := w.client.OffsetCommit(w.t.Context(), &kafka.OffsetCommitRequest{
		GroupID: testGroup, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{testTopic: {{Partition: 0, Offset: offset}}},
	})
	require.NoError(w.t, err)
	require.Equal(w.t, offset, w.committed(0))
}

// firstBatch starts a consumer and returns the first record that it is given.
func (w *world) firstBatch(cfg Config) (*Consumer, Record) {
	got := make(chan Record, 100)
	c := w.consumer(cfg, func(_ context.Context, batch []Record) error {
		for _, r := range batch {
			got <- r
		}
		return nil
	})
	start(w.t, c)
	return c, <-got
}
