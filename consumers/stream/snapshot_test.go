package stream

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSnapshotIsTheSameEachTime(t *testing.T) {
	w := newWorld(t, 3)
	w.fill(0, 3000, 3) // several batches
	s, err := NewSnapshot(t.Context(), w.cfg, fastRuntime(), testTopic, quiet())
	require.NoError(t, err)
	defer s.Close()
	w.fill(3000, 10, 3) // after the moment of the snapshot
	read := func() (order [][2]int64) {
		seen := map[int]bool{}
		require.NoError(t, s.Each(t.Context(), func(r *Record) error {
			order = append(order, [2]int64{int64(r.Partition), r.Offset})
			require.Less(t, numberOf(r.Value), 3000)
			seen[numberOf(r.Value)] = true
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
	require.ErrorIs(t, s.Each(t.Context(), func(*Record) error { calls++; return enough }), enough)
	require.Equal(t, 1, calls)

	_, err = NewSnapshot(t.Context(), w.cfg, fastRuntime(), testTopic+".nowhere", quiet())
	require.ErrorContains(t, err, "does not exist: run `freshet topics create`, or correct its name")
}
