package partition

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var errAway = errors.New("the store is away")

// handled is what became of a batch.
type handled struct {
	calls   [][]int64 // the offsets of each call of the handler
	givenUp map[int64]Reason
	retries int
	left    []int64
	err     error
}

func offsetsOf(records []Record) []int64 {
	offsets := make([]int64, len(records))
	for i := range records {
		offsets[i] = records[i].Offset
	}
	return offsets
}

func recordsAt(offsets ...int64) []Record {
	records := make([]Record, len(offsets))
	for i, offset := range offsets {
		records[i].Offset = offset
	}
	return records
}

// run has a batch handled; giveUp may fail, nil never does.
func run(ctx, intake context.Context, batch []Record, handle HandlerFunc, giveUp func(*Record) error) handled {
	did := handled{givenUp: map[int64]Reason{}}
	h := &Handling{
		Handler: HandlerFunc(func(ctx context.Context, batch []Record) error {
			did.calls = append(did.calls, offsetsOf(batch))
			return handle(ctx, batch)
		}),
		Timeout: time.Minute, Backoff: Backoff{Initial: time.Microsecond, Max: time.Microsecond}, Log: slog.New(slog.DiscardHandler),
		GiveUp: func(_ context.Context, r *Record, reason error) error {
			if giveUp != nil {
				if err := giveUp(r); err != nil {
					return err
				}
			}
			did.givenUp[r.Offset] = ReasonOf(reason)
			return nil
		},
		Retry: func(context.Context, []Record, error, time.Duration) { did.retries++ },
	}
	left, err := h.Run(ctx, intake, batch)
	did.left, did.err = offsetsOf(left), err
	return did
}

func TestHandling(t *testing.T) {
	bad := PermanentFor(ReasonInvalid, errors.New("bad"))
	first := func(failure error) HandlerFunc { // fails the first call alone
		called := false
		return func(context.Context, []Record) error {
			if called {
				return nil
			}
			called = true
			return failure
		}
	}
	for name, c := range map[string]struct {
		handle  HandlerFunc
		calls   [][]int64
		givenUp map[int64]Reason
		left    []int64
		err     string
	}{
		"all done":       {handle: first(nil), calls: [][]int64{{3, 4, 7}}},
		"empty failures": {handle: first(Failures{}), calls: [][]int64{{3, 4, 7}}},
		"the whole again": {
			handle: first(errAway), calls: [][]int64{{3, 4, 7}, {3, 4, 7}},
		},
		"only what failed again, in its order": {
			handle: first(Failures{{Index: 2, Err: errAway}, {Index: 1}, {Index: 0, Err: errAway}}), calls: [][]int64{{3, 4, 7}, {3, 7}},
		},
		"a record named twice": {
			handle: first(Failures{{Index: 1, Err: errAway}, {Index: 1, Err: bad}, {Index: 1, Err: errAway}}), calls: [][]int64{{3, 4, 7}, {4}},
		},
		"a record given up once": {
			handle: first(Failures{{Index: 1, Err: bad}, {Index: 1, Err: bad}}), calls: [][]int64{{3, 4, 7}},
			givenUp: map[int64]Reason{4: ReasonInvalid},
		},
		"a record behind the batch": {
			handle: first(Failures{{Index: 0, Err: bad}, {Index: 3, Err: bad}}), calls: [][]int64{{3, 4, 7}}, left: []int64{3, 4, 7},
			err: "the handler named record 3 of a batch of 3: its code must be mended",
		},
		"a record before the batch": {
			handle: first(Failures{{Index: -1}}), calls: [][]int64{{3, 4, 7}}, left: []int64{3, 4, 7},
			err: "the handler named record -1 of a batch of 3: its code must be mended",
		},
		"a batch refused": {handle: first(bad), calls: [][]int64{{3, 4, 7}}, left: []int64{3, 4, 7}, err: "bad"},
		"a panic": {
			handle: func(_ context.Context, batch []Record) error {
				for _, r := range batch {
					if r.Offset == 4 {
						panic("nil map")
					}
				}
				return nil
			},
			calls: [][]int64{{3, 4, 7}, {3}, {4}, {7}}, givenUp: map[int64]Reason{4: ReasonPanic},
		},
	} {
		t.Run(name, func(t *testing.T) {
			did := run(t.Context(), t.Context(), recordsAt(3, 4, 7), c.handle, nil)
			require.Equal(t, c.calls, did.calls)
			if c.givenUp == nil {
				c.givenUp = map[int64]Reason{}
			}
			require.Equal(t, c.givenUp, did.givenUp)
			if c.err != "" {
				require.EqualError(t, did.err, c.err)
				require.Equal(t, c.left, did.left)
				return
			}
			require.NoError(t, did.err)
			require.Empty(t, did.left)
		})
	}
}

// TestHandlingLeavesWhatIsNotDone when nothing new may be begun, or a record cannot be given up.
func TestHandlingLeavesWhatIsNotDone(t *testing.T) {
	over, end := context.WithCancel(t.Context())
	end()
	did := run(t.Context(), over, recordsAt(3, 4, 7), func(context.Context, []Record) error {
		return Failures{{Index: 1, Err: errAway}}
	}, nil)
	require.ErrorIs(t, did.err, ErrUnfinished)
	require.EqualError(t, did.err, "the batch is not done: 1 records of the batch failed; record 1: the store is away")
	require.Equal(t, []int64{4}, did.left)

	did = run(t.Context(), over, recordsAt(3, 4, 7), func(context.Context, []Record) error { panic("nil map") }, nil)
	require.ErrorIs(t, did.err, ErrUnfinished)
	require.Equal(t, []int64{3, 4, 7}, did.left)
	require.Len(t, did.calls, 1)

	full := errors.New("the topic is full")
	did = run(t.Context(), t.Context(), recordsAt(3, 4, 7), func(context.Context, []Record) error {
		return Failures{{Index: 2, Err: PermanentFor(ReasonInvalid, errAway)}, {Index: 0, Err: PermanentFor(ReasonInvalid, errAway)}}
	}, func(r *Record) error {
		if r.Offset == 7 {
			return full
		}
		return nil
	})
	require.ErrorIs(t, did.err, full)
	require.Equal(t, []int64{7}, did.left)
	require.Equal(t, map[int64]Reason{3: ReasonInvalid}, did.givenUp)
}

// TestHandlingHandlesEachRecordOnce: whatever a handler answers, by records that panic, fail for good, or fail some times, each record
// is done or given up exactly once.
func TestHandlingHandlesEachRecordOnce(t *testing.T) {
	for seed := range uint64(200) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n := int64(1 + rng.IntN(12))
		batch, fails := make([]Record, n), make([]int, n)
		panics, poison := make([]bool, n), make([]bool, n)
		want := map[int64]Reason{}
		for i := range n {
			batch[i].Offset = i
			fails[i], panics[i], poison[i] = rng.IntN(3), rng.IntN(6) == 0, rng.IntN(4) == 0
			switch {
			case panics[i]:
				want[i] = ReasonPanic
			case poison[i]:
				want[i] = ReasonCorrupt
			}
		}
		done := make([]int, n)
		did := run(t.Context(), t.Context(), batch, func(_ context.Context, records []Record) error {
			for _, r := range records {
				if panics[r.Offset] {
					panic("it cannot be handled")
				}
			}
			var failed Failures
			for i, r := range records {
				switch {
				case poison[r.Offset]:
					failed = append(failed, Failure{i, PermanentFor(ReasonCorrupt, errAway)})
				case fails[r.Offset] > 0:
					fails[r.Offset]--
					failed = append(failed, Failure{i, errAway})
				default:
					done[r.Offset]++
				}
			}
			rng.Shuffle(len(failed), func(i, j int) { failed[i], failed[j] = failed[j], failed[i] })
			return failed
		}, nil)
		require.NoError(t, did.err)
		require.Empty(t, did.left)
		require.Equal(t, want, did.givenUp, "seed %d", seed)
		for i := range n {
			_, gone := want[i]
			require.Equal(t, !gone, done[i] == 1, "seed %d, record %d", seed, i)
		}
	}
}
