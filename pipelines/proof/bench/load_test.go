package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas"
)

// stalling is a server that takes serviceTime for each call, but answers nothing from begin to end of a stall.
type stalling struct {
	start      time.Time
	begin, end time.Duration
}

const serviceTime = time.Millisecond

func (s *stalling) call(context.Context, int) error {
	time.Sleep(serviceTime)
	if at := time.Since(s.start); at > s.begin && at < s.end {
		time.Sleep(s.end - at)
	}
	return nil
}

// TestAStallShowsInTheOpenLoop: whatever a stall's length and place, each call that was due within it waits for its end, and
// the others do not. A closed loop over the same server shows a single slow call.
func TestAStallShowsInTheOpenLoop(t *testing.T) {
	const rate, during = 1000.0, time.Second
	rng := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		length := 20*time.Millisecond + time.Duration(rng.Int64N(int64(300*time.Millisecond)))
		begin := time.Duration(rng.Int64N(int64(during - length)))
		synctest.Test(t, func(t *testing.T) {
			s := &stalling{time.Now(), begin, begin + length}
			latencies, err := openLoop(t.Context(), rate, during, s.call)
			require.NoError(t, err)
			require.Len(t, latencies, int(rate*during.Seconds()))
			slow := 0
			for i, latency := range latencies {
				due := time.Duration(float64(i) / rate * float64(time.Second))
				answered := due + serviceTime
				if answered > s.begin && answered < s.end {
					slow++
					answered = s.end
				}
				require.InDelta(t, float64(answered-due), float64(latency), 1, "the call due at %s of a stall from %s to %s", due, s.begin, s.end)
			}
			require.InDelta(t, length.Seconds()*rate, slow, 2, "as many as were due")
			// A hundredth of the calls are due in 10 ms; with twice that in a stall, the p99 tells of it.
			require.Greater(t, latencies.p99(), millis(length-15*time.Millisecond))
		})
		synctest.Test(t, func(t *testing.T) {
			s := &stalling{time.Now(), begin, begin + length}
			latencies, _, err := closedLoop(t.Context(), 1, during, s.call)
			require.NoError(t, err)
			slow := 0
			for _, latency := range latencies {
				if latency > serviceTime {
					slow++
				}
			}
			require.LessOrEqual(t, slow, 1, "which is why it is not used for latencies under load")
		})
	}
}

// TestALateGeneratorIsNoExcuse: calls that the generator itself could not make in time count from when they were due.
func TestALateGeneratorIsNoExcuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var late samples
		err := paced(t.Context(), 100, 10, func(i int, due time.Time) error {
			if i == 2 {
				time.Sleep(35 * time.Millisecond) // as if the machine had been busy
			}
			late = append(late, time.Since(due))
			return nil
		})
		require.NoError(t, err)
		require.Equal(t, samples{0, 0, 35 * time.Millisecond, 25 * time.Millisecond, 15 * time.Millisecond, 5 * time.Millisecond, 0, 0, 0, 0},
			late)
	})
}

func TestLoadsEndWithTheFirstError(t *testing.T) {
	broken := errors.New("broken")
	fail := func(_ context.Context, i int) error {
		if i == 3 {
			return broken
		}
		return nil
	}
	synctest.Test(t, func(t *testing.T) {
		_, err := openLoop(t.Context(), 100, time.Hour, fail)
		require.ErrorIs(t, err, broken)
		_, _, err = closedLoop(t.Context(), 4, time.Hour, fail)
		require.ErrorIs(t, err, broken)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err = openLoop(ctx, 100, time.Hour, func(context.Context, int) error { return nil })
		require.ErrorIs(t, err, context.DeadlineExceeded)
	})
	_, err := openLoop(t.Context(), 0.5, time.Second, fail)
	require.ErrorContains(t, err, "give a longer duration")
}

func TestClosedLoopCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		seen := map[int]bool{}
		latencies, rate, err := closedLoop(t.Context(), 8, time.Second, func(_ context.Context, i int) error {
			time.Sleep(10 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			require.False(t, seen[i], "each number once")
			seen[i] = true
			return nil
		})
		require.NoError(t, err)
		require.Len(t, latencies, 800)
		require.InEpsilon(t, 800, rate, 1e-9)
		require.InEpsilon(t, 10, latencies.p99(), 1e-9)
	})
}

// TestRepliesThatFallShortAreFigures: a machine that is too slow for a load is measured; what is wrong with the bench or its servers ends it.
func TestRepliesThatFallShortAreFigures(t *testing.T) {
	broken := errors.New("no leader")
	for _, c := range []struct {
		status  schemas.ReplyStatus
		err     error
		counted int64
		want    error
	}{
		{schemas.StatusOK, nil, 0, nil},
		{schemas.StatusDegraded, nil, 1, nil},
		{0, &producers.ReplyError{Status: schemas.StatusUnavailable}, 1, nil},
		{0, fmt.Errorf("asking: %w", &producers.ReplyError{Status: schemas.StatusDeadlineExceeded}), 1, nil},
		{0, &producers.ReplyError{Status: schemas.StatusInvalidRequest}, 0, &producers.ReplyError{Status: schemas.StatusInvalidRequest}},
		{0, broken, 0, broken},
	} {
		v := &serve{}
		require.Equal(t, c.want, v.count(schemas.RecommendationReply{Status: c.status}, c.err), "%+v", c)
		require.Equal(t, c.counted, v.degraded.Load(), "%+v", c)
	}
}
