package stream

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet/freshet/producers/kafkaio"
)

func plain(values ...string) (records []*kgo.Record) {
	for _, v := range values {
		records = append(records, &kgo.Record{Topic: testTopic, Partition: 0, Key: []byte("k"), Value: []byte(v)})
	}
	return records
}

// transactions writes to partition 0: two committed, two aborted, with an aborted one of another producer between the records
// of a committed one; a tombstone that is aborted; and at last an empty one, which leaves its marker alone.
func (w *world) transactions() (want []string) {
	w.t.Helper()
	a, b := w.Transactions(), w.Transactions()
	a.Write(plain("a1", "a2")...)
	a.End(kgo.TryCommit)
	b.Write(plain("aborted")...)
	a.Write(plain("a3")...)
	b.Write(plain("aborted too")...)
	b.Write(&kgo.Record{Topic: testTopic, Key: []byte("k")})
	b.End(kgo.TryAbort)
	a.Write(plain("a4")...)
	a.End(kgo.TryCommit)
	w.send(kafkaio.Message{Key: []byte("k"), Value: []byte("plain")})
	b.Write(plain("b1")...)
	b.End(kgo.TryCommit)
	b.Write(plain("aborted last")...)
	b.End(kgo.TryAbort)
	return []string{"a1", "a2", "a3", "a4", "plain", "b1"}
}

func (w *world) seen(r *Record) string {
	require.NotNil(w.t, r.Value, "a tombstone that was aborted")
	return string(r.Value)
}

// TestReadersOutsideOfAGroupReadCommitted: and they come to their end, though the log ends with a marker, or with a transaction
// that is open, at whatever size of a fetch.
func TestReadersOutsideOfAGroupReadCommitted(t *testing.T) {
	for name, read := range map[string]func(w *world) []string{
		"Scan": func(w *world) (got []string) {
			require.NoError(w.t, Scan(w.t.Context(), w.cfg, testTopic, func(r Record) error {
				got = append(got, w.seen(&r))
				return nil
			}))
			return got
		},
		"Snapshot": func(w *world) (got []string) {
			runtime := fastRuntime()
			runtime.Fetch.MaxBytes = 1
			s, err := NewSnapshot(w.t.Context(), w.cfg, runtime, testTopic, quiet())
			require.NoError(w.t, err)
			defer s.Close()
			require.NoError(w.t, s.Each(w.t.Context(), func(r *Record) error {
				got = append(got, w.seen(r))
				return nil
			}))
			done, total := s.Progress()
			require.Equal(w.t, total, done)
			return got
		},
		"Timeline": func(w *world) (got []string) {
			require.NoError(w.t, w.timeline(testTopic).Until(w.t.Context(), time.Now().Add(time.Hour),
				func(_ int, _ time.Time, r *Record) error {
					got = append(got, w.seen(r))
					return nil
				}))
			return got
		},
		"Replay": func(w *world) (got []string) {
			r := NewReplay(w.cfg, fastConfig(), testTopic, quiet())
			defer r.Close()
			_, err := r.Advance(w.t.Context(), HandlerFunc(func(_ context.Context, batch []Record) error {
				for i := range batch {
					got = append(got, w.seen(&batch[i]))
				}
				return nil
			}))
			require.NoError(w.t, err)
			require.EqualValues(w.t, len(got), r.Records(), "markers and aborted records are none")
			return got
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			want := w.transactions()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			w.t = withContext{t, ctx}
			require.Equal(t, want, read(w))
			open := w.Transactions()
			open.Write(plain("open")...)
			w.send(kafkaio.Message{Key: []byte("k"), Value: []byte("behind what is open")})
			require.Equal(t, want, read(w))
			open.End(kgo.TryCommit)
			want = append(want, "open", "behind what is open")
			require.Eventually(t, func() bool { return len(read(w)) == len(want) }, patience, tick, "its marker is written soon")
			require.Equal(t, want, read(w))
		})
	}
}

// withContext is a test whose context ends earlier.
type withContext struct {
	testing.TB
	ctx context.Context
}

func (t withContext) Context() context.Context { return t.ctx }

// runners are both shapes, each adding what it is given to a tally.
func (w *world) runners(seen *tally) map[string]runner {
	return map[string]runner{
		"Consumer": w.consumer(fastConfig(), func(_ context.Context, batch []Record) error {
			for i := range batch {
				seen.add(w.seen(&batch[i]))
			}
			return nil
		}),
		"Gatherer": w.gatherer(fastGatherConfig(), func(_ context.Context, batch []*Delivery) {
			for _, d := range batch {
				seen.add(w.seen(&d.Record))
				d.Done(nil)
			}
		}),
	}
}

// requireCaughtUp waits until the group has committed the log's end. A broker writes markers some time after it has answered.
func (w *world) requireCaughtUp() {
	w.t.Helper()
	require.Eventually(w.t, func() bool { return w.committed(0) == w.End(testTopic, 0) }, patience, 5*time.Millisecond)
}

// TestMembersReadCommitted: what is aborted is never handled, what lies behind an open transaction waits for it, and what is
// committed reaches the log's end, markers included: that is what others measure the lag by.
func TestMembersReadCommitted(t *testing.T) {
	for _, shape := range []string{"Consumer", "Gatherer"} {
		t.Run(shape, func(t *testing.T) {
			w := newWorld(t, 1)
			want := w.transactions()
			var seen tally
			run := start(t, w.runners(&seen)[shape])
			w.requireCaughtUp()
			require.Equal(t, want, seen.inOrder())

			open := w.Transactions()
			open.Write(plain("open")...)
			before := w.End(testTopic, 0) - 1
			w.write(0, "behind what is open")
			other := w.Transactions()
			other.Write(plain("aborted")...)
			other.End(kgo.TryAbort)
			require.Equal(t, before, w.committed(0))
			open.End(kgo.TryCommit)
			w.requireCaughtUp()
			want = append(want, "open", "behind what is open")
			require.Equal(t, want, seen.inOrder())

			other.Write(plain("aborted")...) // nothing but what is no record
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
			w.write(0, "held")
			<-got
			p := w.Transactions()
			for range 3 { // each more of a reason to move on
				p.Write(plain("aborted")...)
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
	w.createTopic(testTopic, 1, kafka.ConfigEntry{ConfigName: "cleanup.policy", ConfigValue: "compact"})
	w.produceBatch(keyed("a", 1), keyed("b", 1), keyed("c", 1))
	w.produceBatch(keyed("c", 1))
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

// TestOpenTransactionDelaysByARoundTrip: a record of a transaction comes as soon as the broker gives it out, not with the next poll.
func TestOpenTransactionDelaysByARoundTrip(t *testing.T) {
	w := newWorld(t, 1)
	f := w.fetcher(0, &counters{})
	f.cfg.MaxWait = 10 * time.Second
	got := make(chan []Record, 1)
	p := w.Transactions()
	p.Write(plain("held back")...)
	go func() {
		for {
			records, err := f.poll(t.Context())
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

// TestSettleKnowsOpenTransactions: a group may have committed beyond the beginning of an open transaction. The log is no other one.
func TestSettleKnowsOpenTransactions(t *testing.T) {
	w := newWorld(t, 1)
	w.write(0, "a")
	p := w.Transactions()
	p.Write(plain("open")...)
	w.write(0, "b", "c")
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

// TestBrokersTime: of a topic with LogAppendTime the broker's time counts, whatever the producers say, and of none the zero time.
func TestBrokersTime(t *testing.T) {
	for _, kind := range []string{"CreateTime", "LogAppendTime"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, 1)
			if kind == "LogAppendTime" && !w.Real() {
				t.Skip("the embedded broker has no LogAppendTime: TestFetchedTimes of kafkaio decodes what a real one sends")
			}
			topic := w.Name("times")
			w.createTopic(topic, 1, kafka.ConfigEntry{ConfigName: "message.timestamp.type", ConfigValue: kind})
			hourAhead := time.Now().Add(time.Hour).Truncate(time.Millisecond)
			stamps := []int64{1, -1, time.Now().Add(-10 * time.Minute).UnixMilli(), hourAhead.UnixMilli()}
			for _, stamp := range stamps {
				require.NoError(t, w.WriteStamped(topic, 0, stamp, []byte("k"), []byte("v")))
			}
			var got []Record
			require.NoError(t, Scan(t.Context(), w.cfg, topic, func(r Record) error {
				got = append(got, r)
				return nil
			}))
			require.Len(t, got, len(stamps))
			for i, r := range got {
				require.Equal(t, kind == "LogAppendTime", r.BrokerTime)
				switch {
				case r.BrokerTime:
					require.WithinDuration(t, time.Now(), r.Time, time.Minute, fmt.Sprint(stamps[i]))
				case stamps[i] < 0:
					require.Zero(t, r.Time)
				default:
					require.Equal(t, stamps[i], r.Time.UnixMilli())
				}
			}
		})
	}
}
