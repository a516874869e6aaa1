package stream

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/producers/kafkaio"
)

func TestConsumerHandlesEachPartitionInOrderAndCommits(t *testing.T) {
	w := newWorld(t, 3)
	for p := range int32(3) {
		w.Write(p, fmt.Sprint(p, "a"), fmt.Sprint(p, "b"), fmt.Sprint(p, "c"))
	}
	var seen tally
	c := w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
		for i, r := range batch {
			assert.Equal(t, batch[0].Partition, r.Partition, "one partition a batch")
			assert.Equal(t, batch[0].Offset+int64(i), r.Offset)
			assert.Equal(t, int64(3), r.EndOffset)
			assert.Equal(t, "k-"+string(r.Value), string(r.Key))
			assert.WithinDuration(t, time.Now(), r.Time, time.Minute)
		}
		seen.addBatch(batch)
		return nil
	})
	run := start(t, c)
	require.Eventually(t, func() bool { return seen.distinct() == 9 }, patience, tick)
	require.True(t, c.Ready())
	require.NoError(t, run.drain())
	require.False(t, c.Ready())
	for p := range 3 {
		assert.Equal(t, int64(3), w.committed(p))
	}
	assert.Equal(t, int64(9), c.Stats().Records)
	assert.Zero(t, c.Stats().DeadLetters)
}

func TestConsumerGoesOnWhereItsGroupStopped(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, "a", "b")
	for _, want := range [][]string{{"a", "b"}, {"c"}} {
		var seen tally
		run := start(t, w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
			seen.addBatch(batch)
			return nil
		}))
		require.Eventually(t, func() bool { return seen.distinct() == len(want) }, patience, tick)
		require.NoError(t, run.drain())
		require.Equal(t, want, seen.inOrder())
		w.Write(0, "c")
	}
}

func TestConsumerTellsTombstonesFromEmptyValues(t *testing.T) {
	w := newWorld(t, 1)
	w.Send(kafkaio.Message{Key: []byte("user"), Value: nil})
	w.Send(kafkaio.Message{Key: []byte("user"), Value: []byte{}})
	w.Send(kafkaio.Message{Key: nil, Value: []byte("v"), Headers: []kafkaio.Header{{Key: "h", Value: []byte("1")}}})
	got := make(chan Record, 3)
	start(t, w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
		for _, r := range batch {
			got <- r
		}
		return nil
	}))
	assert.Nil(t, (<-got).Value)
	empty := <-got
	assert.NotNil(t, empty.Value)
	assert.Empty(t, empty.Value)
	last := <-got
	assert.Nil(t, last.Key)
	assert.Equal(t, []kafkaio.Header{{Key: "h", Value: []byte("1")}}, last.Headers)
}

func TestConsumerBuriesPoisonAndGoesOn(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, "good1", "bad1", "good2", "bad2", "good3")
	var seen tally
	c := w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
		var failed Failures
		for i, r := range batch {
			if string(r.Value[:3]) == "bad" {
				failed = append(failed, Failure{Index: i, Err: Permanent(fmt.Errorf("decoding %q: no such schema", r.Value))})
				continue
			}
			seen.add(string(r.Value))
		}
		if failed != nil {
			return failed
		}
		return nil
	})
	run := start(t, c)
	w.requireCommitted(0, 5)
	require.NoError(t, run.drain())
	require.Equal(t, []string{"good1", "good2", "good3"}, seen.inOrder())
	letters := w.deadLetters()
	require.Len(t, letters, 2)
	for _, l := range letters {
		assert.Equal(t, testTopic, l.Original.Topic)
		assert.Equal(t, testGroup, l.Group)
		assert.Contains(t, l.Reason, "no such schema")
	}
	stats := c.Stats()
	assert.Equal(t, int64(5), stats.Records)
	assert.Equal(t, int64(2), stats.DeadLetters)
}

func TestConsumerTriesTransientFailuresAgainInPlace(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, "a", "b", "c")
	var seen tally
	var calls atomic.Int32
	run := start(t, w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
		if calls.Add(1) < 4 {
			return errors.New("the store is away")
		}
		seen.addBatch(batch)
		return nil
	}))
	w.requireCommitted(0, 3)
	require.NoError(t, run.drain())
	require.Equal(t, []string{"a", "b", "c"}, seen.inOrder())
	require.Empty(t, w.deadLetters())
}

func TestConsumerTriesOnlyWhatFailedAgain(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, "a", "b", "bad", "d")
	var batches [][]string
	run := start(t, w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
		var got []string
		var failed Failures
		for i, r := range batch {
			got = append(got, string(r.Value))
			switch {
			case string(r.Value) == "bad":
				failed = append(failed, Failure{Index: i, Err: Permanent(errors.New("bad"))})
			case len(batches) == 0 && (string(r.Value) == "b" || string(r.Value) == "d"):
				failed = append(failed, Failure{Index: i, Err: errors.New("not now")})
			}
		}
		batches = append(batches, got)
		if failed != nil {
			return failed
		}
		return nil
	}))
	w.requireCommitted(0, 4)
	require.NoError(t, run.drain())
	require.Equal(t, [][]string{{"a", "b", "bad", "d"}, {"b", "d"}}, batches)
	require.Len(t, w.deadLetters(), 1)
}

func TestConsumerEndsWhenTheHandlerRefusesABatch(t *testing.T) {
	w := newWorld(t, 2)
	w.Write(0, "a")
	w.Write(1, "x")
	run := start(t, w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
		if batch[0].Partition == 0 {
			return Permanent(errors.New("the topic was made again: reset the watermarks"))
		}
		return nil
	}))
	err := run.wait()
	require.ErrorContains(t, err, "reset the watermarks")
	require.ErrorContains(t, err, testTopic+"/0")
	require.Equal(t, int64(0), w.committed(0), "nothing of the batch is committed")
	require.Empty(t, w.deadLetters())
}

func TestConsumerIsolatesARecordThatPanics(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, "a", "b", "boom", "d")
	var seen tally
	c := w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
		for _, r := range batch {
			if string(r.Value) == "boom" {
				panic("nil map")
			}
		}
		seen.addBatch(batch)
		return nil
	})
	run := start(t, c)
	w.requireCommitted(0, 4)
	require.NoError(t, run.drain())
	require.Equal(t, []string{"a", "b", "d"}, seen.inOrder())
	letters := w.deadLetters()
	require.Len(t, letters, 1)
	require.Equal(t, int64(2), letters[0].Original.Offset)
	require.Contains(t, letters[0].Reason, "nil map")
	require.Equal(t, int64(4), c.Stats().Records)
}

func TestConsumerRefusesAFailureOutsideOfItsBatch(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, "a")
	run := start(t, w.consumer(fastConfig(), func(context.Context, []Record) error {
		return Failures{{Index: 7, Err: errors.New("x")}}
	}))
	require.ErrorContains(t, run.wait(), "record 7 of a batch of 1")
}

func TestConsumerGivesAHandlerItsTimeAndNoMore(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, "a")
	cfg := fastConfig()
	cfg.HandleTimeout = 20 * time.Millisecond
	var calls atomic.Int32
	start(t, w.consumer(cfg, func(ctx context.Context, _ []Record) error {
		if calls.Add(1) == 1 {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}))
	w.requireCommitted(0, 1)
	require.Equal(t, int32(2), calls.Load())
}

// Whatever lies on the topic becomes a dead letter, and the stream goes on.
func TestConsumerSurvivesHostileRecords(t *testing.T) {
	w := newWorld(t, 1)
	large := make([]byte, 900_000)
	many := make([]kafkaio.Header, 5000)
	for i := range many {
		many[i] = kafkaio.Header{Key: "kafka_dlt-original-topic", Value: []byte("elsewhere")}
	}
	hostile := []kafkaio.Message{
		{Value: large},
		{Key: large},
		{Headers: []kafkaio.Header{{Key: string(large)}}},
		{Headers: []kafkaio.Header{{Key: "\xff\xfe", Value: []byte{0}}, {}}},
		{Value: []byte{0xff, 0xff, 0xff, 0xff, 0x7f}, Headers: many},
		{},
	}
	for _, m := range hostile {
		w.Send(m)
	}
	w.Write(0, "good")
	run := start(t, w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
		var failed Failures
		for i, r := range batch {
			if string(r.Value) != "good" {
				failed = append(failed, Failure{Index: i, Err: Permanent(fmt.Errorf("decoding %q", r.Value))})
			}
		}
		return failed
	}))
	w.requireCommitted(0, int64(len(hostile)+1))
	require.NoError(t, run.drain())
	letters := w.deadLetters()
	require.Len(t, letters, len(hostile))
	for _, l := range letters {
		require.Equal(t, testTopic, l.Original.Topic)
		require.Empty(t, l.Truncated)
	}
}

// TestConsumerGathersWhileItHandles: what comes to the end of the log while a batch is in work makes one batch, not two of
// which the first has a single record.
func TestConsumerGathersWhileItHandles(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, "first")
	begun, goOn := make(chan struct{}, 1), make(chan struct{})
	batches := make(chan int, 10)
	run := start(t, w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
		batches <- len(batch)
		if string(batch[0].Value) == "first" {
			begun <- struct{}{}
			<-goOn
		}
		return nil
	}))
	<-begun
	for i := range 5 { // each is acknowledged before the next is sent
		w.Write(0, fmt.Sprint(i))
	}
	close(goOn)
	w.requireCommitted(0, 6)
	require.NoError(t, run.drain())
	require.Equal(t, 1, <-batches)
	require.Equal(t, 5, <-batches)
}
