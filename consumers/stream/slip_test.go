package stream

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/consumers/stream/streamtest"
)

func (w *world) replay() *replay.Replay {
	cfg := fastConfig()
	as := replay.Config{MaxRecords: 10, HandleTimeout: cfg.HandleTimeout, Reading: cfg.Reading}
	return replay.New(w.Config, as, testTopic, streamtest.Quiet())
}

// TestAHandlersSlipIsTheSameInARoleAndInAReplay: a handler that names a record which it was not given is told so by whoever called it,
// in the same words, and nothing of its batch counts as done.
func TestAHandlersSlipIsTheSameInARoleAndInAReplay(t *testing.T) {
	for want, failures := range map[string]Failures{
		"the handler named record 7 of a batch of 1: its code must be mended":  {{Index: 7, Err: errors.New("x")}},
		"the handler named record -1 of a batch of 1: its code must be mended": {{Index: -1, Err: Permanent(errors.New("x"))}},
	} {
		w := newWorld(t, 1)
		w.Write(0, "a")
		slips := func(context.Context, []Record) error { return failures }
		require.ErrorContains(t, start(t, w.consumer(fastConfig(), slips)).wait(), want)
		require.LessOrEqual(t, w.committed(0), int64(0), "where to begin at the most")
		require.Empty(t, w.deadLetters())

		r := w.replay()
		defer r.Close()
		refused, err := r.Advance(t.Context(), partition.HandlerFunc(slips))
		require.EqualError(t, err, want)
		require.Zero(t, refused)
		require.Zero(t, r.Records())
	}
}

// TestAReplayTriesAgainAsARoleDoes: a record that is named twice is tried again once, and one that panics alone is left out.
func TestAReplayTriesAgainAsARoleDoes(t *testing.T) {
	w := newWorld(t, 1)
	for range 4 {
		w.Write(0, "a") // of one key, and so in one batch
	}
	r := w.replay()
	defer r.Close()
	var calls [][]int64
	refused, err := r.Advance(t.Context(), partition.HandlerFunc(func(_ context.Context, batch []Record) error {
		var offsets []int64
		for i := range batch {
			offsets = append(offsets, batch[i].Offset)
		}
		calls = append(calls, offsets)
		switch {
		case len(calls) == 1:
			away := errors.New("away")
			return Failures{{Index: 3, Err: away}, {Index: 1, Err: away}, {Index: 1, Err: away}}
		case batch[len(batch)-1].Offset == 3:
			panic("nil map")
		}
		return nil
	}))
	require.NoError(t, err)
	require.Equal(t, [][]int64{{0, 1, 2, 3}, {1, 3}, {1}, {3}}, calls)
	require.EqualValues(t, 1, refused)
}
