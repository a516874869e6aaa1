package stream

import (
	"context"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream/streamtest"
)

func TestStartingPlaces(t *testing.T) {
	t.Run("behind what retention removed", func(t *testing.T) {
		w := newWorld(t, 1)
		w.Write(0, streamtest.Values(10)...)
		require.NoError(t, w.DeleteRecords(testTopic, 0, 4))
		w.commitGroup(2)
		c, got := w.firstBatch(fastConfig())
		require.Equal(t, int64(4), got.Offset)
		require.Equal(t, int64(2), c.Stats().Lost)
	})
	t.Run("at the first record of a topic made again", func(t *testing.T) {
		w := newWorld(t, 1)
		w.Write(0, streamtest.Values(2)...)
		w.commitGroup(50)
		c, got := w.firstBatch(fastConfig())
		require.Equal(t, int64(0), got.Offset)
		require.Equal(t, int64(1), c.Stats().Rewinds)
	})
	t.Run("at the end, remembered at once", func(t *testing.T) {
		w := newWorld(t, 1)
		w.Write(0, streamtest.Values(3)...)
		cfg := fastConfig()
		cfg.Group.StartAt = StartLast
		nothing := w.consumer(cfg, func(context.Context, []Record) error { return nil })
		run := start(t, nothing)
		w.requireCommitted(0, 3)
		require.NoError(t, run.drain())
		w.Write(0, "while it was away")
		_, got := w.firstBatch(cfg)
		require.Equal(t, int64(3), got.Offset)
	})
}

// commitGroup commits an offset for the group from outside.
func (w *world) commitGroup(offset int64) {
	w.T.Helper()
	_, err := w.Client.OffsetCommit(w.T.Context(), &kafka.OffsetCommitRequest{
		GroupID: testGroup, GenerationID: -1,
		Topics: map[string][]kafka.OffsetCommit{testTopic: {{Partition: 0, Offset: offset}}},
	})
	require.NoError(w.T, err)
	require.Equal(w.T, offset, w.committed(0))
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
	start(w.T, c)
	return c, <-got
}
