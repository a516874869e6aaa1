package replay

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/producers/kafkaio"
)

// TestReadersOutsideOfAGroupReadCommitted: and they come to their end, though the log ends with a marker, or with a transaction
// that is open, at whatever size of a fetch.
func TestReadersOutsideOfAGroupReadCommitted(t *testing.T) {
	for name, read := range map[string]func(w *world) []string{
		"Scan": func(w *world) (got []string) {
			require.NoError(w.T, Scan(w.T.Context(), w.Config, w.Topic, func(r partition.Record) error {
				got = append(got, w.Seen(r.Value))
				return nil
			}))
			return got
		},
		"Snapshot": func(w *world) (got []string) {
			cfg := fast()
			cfg.Fetch.MaxBytes = 1
			s := w.snapshot(cfg)
			require.NoError(w.T, s.Each(w.T.Context(), func(r *partition.Record) error {
				got = append(got, w.Seen(r.Value))
				return nil
			}))
			done, total := s.Progress()
			require.Equal(w.T, total, done)
			return got
		},
		"Timeline": func(w *world) (got []string) {
			require.NoError(w.T, w.timeline(w.Topic).Until(w.T.Context(), time.Now().Add(time.Hour),
				func(_ int, _ time.Time, r *partition.Record) error {
					got = append(got, w.Seen(r.Value))
					return nil
				}))
			return got
		},
		"Replay": func(w *world) (got []string) {
			r := w.replay()
			_, err := r.Advance(w.T.Context(), partition.HandlerFunc(func(_ context.Context, batch []partition.Record) error {
				for i := range batch {
					got = append(got, w.Seen(batch[i].Value))
				}
				return nil
			}))
			require.NoError(w.T, err)
			require.EqualValues(w.T, len(got), r.Records(), "markers and aborted records are none")
			return got
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			want := w.WriteTransactions()
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			w.T = withContext{t, ctx}
			require.Equal(t, want, read(w))
			open := w.Transactions()
			open.Write(w.Plain("open")...)
			w.Send(kafkaio.Message{Key: []byte("k"), Value: []byte("behind what is open")})
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

// TestBrokersTime: of a topic with LogAppendTime the broker's time counts, whatever the producers say, and of none the zero time.
func TestBrokersTime(t *testing.T) {
	for _, kind := range []string{"CreateTime", "LogAppendTime"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t, 1)
			if kind == "LogAppendTime" && !w.Real() {
				t.Skip("the embedded broker has no LogAppendTime: TestFetchedTimes of kafkaio decodes what a real one sends")
			}
			topic := w.Name("times")
			w.Create(topic, 1, kafka.ConfigEntry{ConfigName: "message.timestamp.type", ConfigValue: kind})
			hourAhead := time.Now().Add(time.Hour).Truncate(time.Millisecond)
			stamps := []int64{1, -1, time.Now().Add(-10 * time.Minute).UnixMilli(), hourAhead.UnixMilli()}
			for _, stamp := range stamps {
				require.NoError(t, w.WriteStamped(topic, 0, stamp, []byte("k"), []byte("v")))
			}
			var got []partition.Record
			require.NoError(t, Scan(t.Context(), w.Config, topic, func(r partition.Record) error {
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
