package replay

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/consumers/stream/streamtest"
)

func TestSnapshotIsTheSameEachTime(t *testing.T) {
	w := newWorld(t, 3)
	w.Fill(0, 3000, 3) // several batches
	s := w.snapshot(fast())
	w.Fill(3000, 10, 3) // after the moment of the snapshot
	read := func() (order [][2]int64) {
		seen := map[int]bool{}
		require.NoError(t, s.Each(t.Context(), func(r *partition.Record) error {
			order = append(order, [2]int64{int64(r.Partition), r.Offset})
			require.Less(t, streamtest.NumberOf(r.Value), 3000)
			seen[streamtest.NumberOf(r.Value)] = true
			return nil
		}))
		require.Len(t, seen, 3000)
		done, total := s.Progress()
		require.EqualValues(t, 3000, total)
		require.Equal(t, total, done)
		return order
	}
	first := read()
	require.Len(t, first, 3000)
	require.Equal(t, first, read())

	enough := errors.New("enough")
	calls := 0
	require.ErrorIs(t, s.Each(t.Context(), func(*partition.Record) error { calls++; return enough }), enough)
	require.Equal(t, 1, calls)

	_, err := NewSnapshot(t.Context(), w.Config, fast(), w.Topic+".nowhere", streamtest.Quiet())
	require.ErrorContains(t, err, "does not exist: run `freshet topics create`, or correct its name")
}
