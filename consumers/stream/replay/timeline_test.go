package replay

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/consumers/stream/streamtest"
	"github.com/freshet/freshet/producers/kafkaio"
)

// told is what a Timeline gave, as text.
type told []string

func (w *world) timeline(topics ...string) *Timeline {
	t := NewTimeline(w.Config, partition.DefaultReading(), time.Minute, streamtest.Quiet(), topics...)
	w.T.Cleanup(t.Close)
	return t
}

func (w *world) until(l *Timeline, limit time.Time, topics ...int) (all told) {
	w.T.Helper()
	require.NoError(w.T, l.Until(w.T.Context(), limit, func(topic int, moment time.Time, r *partition.Record) error {
		all = append(all, fmt.Sprintf("%d/%d@%d %d %s", topic, r.Partition, r.Offset, moment.Unix(), r.Value))
		return nil
	}, topics...))
	return all
}

func (w *world) at(topic string, partition int32, seconds int64, value string) {
	w.T.Helper()
	_, err := w.Writer.Write(w.T.Context(), kafkaio.Message{
		Topic: topic, Partition: partition, Key: []byte("k"), Value: []byte(value), Time: time.Unix(seconds, 0),
	})
	require.NoError(w.T, err)
}

func TestTimelineGoesByMoment(t *testing.T) {
	w := newWorld(t, 2)
	other := w.Name("other")
	w.Create(other, 1)
	l := w.timeline(w.Topic, other)
	w.at(w.Topic, 0, 10, "a")
	w.at(w.Topic, 0, 30, "b")
	w.at(w.Topic, 0, 20, "its producer's clock went back")
	w.at(w.Topic, 1, 20, "c")
	w.at(other, 0, 20, "d")
	w.at(other, 0, time.Now().Add(time.Hour).Unix(), "from the future")
	require.Equal(t, told{"0/0@0 10 a", "0/1@0 20 c", "1/0@0 20 d", "1/0@1 20 from the future"}, w.until(l, time.Unix(30, 0)))
	require.Empty(t, w.until(l, time.Unix(30, 0)), "nothing comes twice")

	w.at(w.Topic, 1, 5, "it comes late")
	require.Equal(t, told{"0/1@1 20 it comes late", "0/0@1 30 b", "0/0@2 30 its producer's clock went back"}, w.until(l, time.Unix(31, 0)))
	w.at(w.Topic, 1, 40, "e")
	w.at(other, 0, 40, "f")
	require.Equal(t, told{"1/0@2 40 f"}, w.until(l, time.Unix(50, 0), 1), "of the other topic alone")
	require.Equal(t, told{"0/1@2 40 e"}, w.until(l, time.Unix(50, 0)))
}

func TestTimelineGivesAgainWhatFailed(t *testing.T) {
	w := newWorld(t, 1)
	l := w.timeline(w.Topic)
	for i := range 3 {
		w.at(w.Topic, 0, int64(1+i), fmt.Sprint(i))
	}
	full := errors.New("full")
	err := l.Until(t.Context(), time.Unix(9, 0), func(_ int, _ time.Time, r *partition.Record) error {
		if r.Offset == 1 {
			return full
		}
		return nil
	})
	require.ErrorIs(t, err, full)
	require.Equal(t, told{"0/0@1 2 1", "0/0@2 3 2"}, w.until(l, time.Unix(9, 0)))
}

// TestTimelineIsTheSameHoweverItIsCut: all records of random partitions, sorted by moment, whatever the limits in between.
func TestTimelineIsTheSameHoweverItIsCut(t *testing.T) {
	w := newWorld(t, 3)
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 200 {
		w.at(w.Topic, int32(rng.IntN(3)), int64(i)-rng.Int64N(20)+50, fmt.Sprint(i))
	}
	whole := w.until(w.timeline(w.Topic), time.Unix(1000, 0))
	require.Len(t, whole, 200)
	var parts told
	l := w.timeline(w.Topic)
	for limit := int64(0); limit < 260; limit += rng.Int64N(30) {
		parts = append(parts, w.until(l, time.Unix(limit, 0))...)
	}
	parts = append(parts, w.until(l, time.Unix(1000, 0))...)
	require.Equal(t, whole, parts)
	require.True(t, slices.IsSortedFunc(whole, func(a, b string) int {
		var x, y, skip int
		_, _ = fmt.Sscanf(a, "%d/%d@%d %d", &skip, &skip, &skip, &x)
		_, _ = fmt.Sscanf(b, "%d/%d@%d %d", &skip, &skip, &skip, &y)
		return x - y
	}))
}
