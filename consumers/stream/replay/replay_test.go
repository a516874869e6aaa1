package replay

import (
	"context"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet/freshet/consumers/stream/partition"
)

// fetchedHead is a head whose fetches are there already; each number is the time of a record, in seconds.
func fetchedHead(id int32, fetches ...[]int64) *head {
	h := &head{fetched: make(chan []partition.Record, len(fetches))}
	offset := int64(0)
	for _, times := range fetches {
		var records []partition.Record
		for _, at := range times {
			records = append(records, partition.Record{Partition: id, Offset: offset, Time: time.Unix(at, 0)})
			offset++
		}
		h.fetched <- records
	}
	close(h.fetched)
	return h
}

func TestMergeGoesByTimeAndKeepsPartitionsInOrder(t *testing.T) {
	m := newMerge(t.Context(), byTime)
	defer m.close()
	m.heads = []*head{
		fetchedHead(0, []int64{1, 4}, []int64{3, 9}), // the clock of a producer went back
		fetchedHead(1, []int64{2, 5}, []int64{10}),
		fetchedHead(2),
	}
	var got []partition.Record
	for more := true; more; {
		var batch []partition.Record
		var err error
		batch, more, err = nextBatch(m, 3)
		require.NoError(t, err)
		require.LessOrEqual(t, len(batch), 3)
		got = append(got, batch...)
	}
	var order [][2]int64
	for _, r := range got {
		order = append(order, [2]int64{int64(r.Partition), r.Offset})
	}
	require.Equal(t, [][2]int64{{0, 0}, {1, 0}, {0, 1}, {0, 2}, {1, 1}, {0, 3}, {1, 2}}, order)
}

// TestReadersOutsideOfAGroupEndWhereTheyAreRefused: who may describe a topic and not read it finds out, instead of waiting for ever.
// What the other partitions hold is not handed over, since it may only make sense after what is missing.
func TestReadersOutsideOfAGroupEndWhereTheyAreRefused(t *testing.T) {
	for name, read := range map[string]func(w *world, each func(*partition.Record) error) error{
		"Scan": func(w *world, each func(*partition.Record) error) error {
			return Scan(t.Context(), w.Config, w.Topic, func(r partition.Record) error {
				if r.Partition == 0 { // it goes partition by partition
					return nil
				}
				return each(&r)
			})
		},
		"Snapshot": func(w *world, each func(*partition.Record) error) error {
			s := w.snapshot(fast())
			return s.Each(t.Context(), each)
		},
		"Timeline": func(w *world, each func(*partition.Record) error) error {
			return w.timeline(w.Topic).Until(t.Context(), time.Now().Add(time.Hour),
				func(_ int, _ time.Time, r *partition.Record) error { return each(r) })
		},
		"Replay": func(w *world, each func(*partition.Record) error) error {
			r := w.replay()
			_, err := r.Advance(t.Context(), partition.HandlerFunc(func(_ context.Context, batch []partition.Record) error {
				return each(&batch[0])
			}))
			done, _ := r.Progress()
			require.Zero(t, done)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			w.Fill(0, 30, 3)
			fault := w.Fault(kfake.Fault{
				Keys: []kmsg.Key{kmsg.Fetch}, Topic: w.Topic, Partitions: []int32{1}, Err: kerr.TopicAuthorizationFailed, Count: -1,
			})
			err := read(w, func(r *partition.Record) error {
				t.Errorf("%d/%d is given", r.Partition, r.Offset)
				return nil
			})
			require.ErrorIs(t, err, kafka.TopicAuthorizationFailed)
			require.ErrorContains(t, err, "reading "+w.Topic+"/1: ")
			require.Equal(t, 1, fault.Hits(), "it is not tried again")
		})
	}
}
