package stream

import (
	"context"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet/freshet/consumers/stream/streamtest"
)

// runners are both shapes, each adding what it is given to a tally.
func (w *world) runners(seen *tally) map[string]runner {
	return map[string]runner{
		"Consumer": w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
			for i := range batch {
				seen.add(w.Seen(batch[i].Value))
			}
			return nil
		}),
		"Gatherer": w.gatherer(fastGatherConfig(), func(_ context.Context, batch []*Delivery) {
			for _, d := range batch {
				seen.add(w.Seen(d.Value))
				d.Done(nil)
			}
		}),
	}
}

// requireCaughtUp waits until the group has committed the log's end. A broker writes markers some time after it has answered.
func (w *world) requireCaughtUp() {
	w.T.Helper()
	require.Eventually(w.T, func() bool { return w.committed(0) == w.End(testTopic, 0) }, patience, 5*time.Millisecond)
}

// TestMembersReadCommitted: what is aborted is never handled, what lies behind an open transaction waits for it, and what is
// committed reaches the log's end, markers included: that is what others measure the lag by.
func TestMembersReadCommitted(t *testing.T) {
	for _, shape := range []string{"Consumer", "Gatherer"} {
		t.Run(shape, func(t *testing.T) {
			w := newWorld(t, 1)
			want := w.WriteTransactions()
			var seen tally
			run := start(t, w.runners(&seen)[shape])
			w.requireCaughtUp()
			require.Equal(t, want, seen.inOrder())

			open := w.Transactions()
			open.Write(w.Plain("open")...)
			before := w.End(testTopic, 0) - 1
			w.Write(0, "behind what is open")
			other := w.Transactions()
			other.Write(w.Plain("aborted")...)
			other.End(kgo.TryAbort)
			require.Equal(t, before, w.committed(0))
			open.End(kgo.TryCommit)
			w.requireCaughtUp()
			want = append(want, "open", "behind what is open")
			require.Equal(t, want, seen.inOrder())

			other.Write(w.Plain("aborted")...) // nothing but what is no record
			other.End(kgo.TryAbort)
			w.requireCaughtUp()
			require.Equal(t, want, seen.inOrder())
			require.NoError(t, run.drain())
		})
	}
}

// TestPositionBehindARecordWaitsForIt: a marker lies behind a record that is not done; if it were committed, the record would be lost.
func TestPositionBehindARecordWaitsForIt(t *testing.T) {
	for _, shape := range []string{"Consumer", "Gatherer"} {
		t.Run(shape, func(t *testing.T) {
			w := newWorld(t, 1)
			got, release := make(chan struct{}, 10), make(chan struct{})
			r := map[string]runner{
				"Consumer": w.consumer(fastConfig(), func(context.Context, []Record) error {
					got <- struct{}{}
					<-release
					return nil
				}),
				"Gatherer": w.gatherer(fastGatherConfig(), func(_ context.Context, batch []*Delivery) {
					got <- struct{}{}
					<-release
					for _, d := range batch {
						d.Done(nil)
					}
				}),
			}[shape]
			run := start(t, r)
			w.requireCommitted(0, 0)
			w.Write(0, "held")
			<-got
			p := w.Transactions()
			for range 3 { // each more of a reason to move on
				p.Write(w.Plain("aborted")...)
				p.End(kgo.TryAbort)
			}
			wait := fastRuntime().Fetch.MaxWait
			require.Never(t, func() bool { return w.committed(0) != 0 }, 3*wait, wait/4)
			close(release)
			w.requireCommitted(0, 7)
			require.NoError(t, run.drain())
		})
	}
}

// TestHolesAtTheEndAreCommitted: compaction leaves holes too.
func TestHolesAtTheEndAreCommitted(t *testing.T) {
	w := newWorld(t, 1)
	require.NoError(t, w.DeleteTopic(testTopic))
	w.Create(testTopic, 1, kafka.ConfigEntry{ConfigName: "cleanup.policy", ConfigValue: "compact"})
	w.ProduceBatch(streamtest.Keyed("a", 1), streamtest.Keyed("b", 1), streamtest.Keyed("c", 1))
	w.ProduceBatch(streamtest.Keyed("c", 1))
	p := w.Transactions()
	p.Write(&kgo.Record{Topic: testTopic, Key: []byte("d"), Value: []byte("aborted")})
	p.End(kgo.TryAbort)
	w.Compact()
	var seen tally
	run := start(t, w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
		for _, r := range batch {
			seen.add(string(r.Key))
		}
		return nil
	}))
	w.requireCaughtUp()
	require.Equal(t, []string{"a", "b", "c"}, seen.inOrder())
	require.NoError(t, run.drain())
}

// TestSettleKnowsOpenTransactions: a group may have committed beyond the beginning of an open transaction. The log is no other one.
func TestSettleKnowsOpenTransactions(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, "a")
	p := w.Transactions()
	p.Write(w.Plain("open")...)
	w.Write(0, "b", "c")
	w.commitGroup(3)
	var seen tally
	c := w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
		seen.addBatch(batch)
		return nil
	})
	run := start(t, c)
	require.Eventually(t, c.Ready, patience, tick)
	p.End(kgo.TryCommit)
	w.requireCaughtUp()
	require.Equal(t, []string{"c"}, seen.inOrder())
	require.Zero(t, c.Stats().Rewinds)
	require.NoError(t, run.drain())
}
