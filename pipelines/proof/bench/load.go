package bench

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// call is one piece of work of a load; i counts them from 0.
type call func(ctx context.Context, i int) error

// openLoop makes calls at a fixed rate for so long, whether or not the earlier ones have ended, and returns their
// latencies, in the order in which the calls were due. A latency counts from when the call was due, not from when it was
// made: if the machine is too busy to make it in time, or a server stalls, whoever would have called then would have waited.
//
// A load generator that waits for an answer before it asks again (a closed loop) leaves out just the calls that a stall would
// have hit: of a stall of a second at a thousand calls a second it shows one slow call, this one a thousand.
func openLoop(ctx context.Context, rate float64, during time.Duration, do call) (samples, error) {
	latencies := make(samples, int(rate*during.Seconds()))
	var failed firstError
	var open sync.WaitGroup
	err := paced(ctx, rate, len(latencies), func(i int, due time.Time) error {
		open.Go(func() {
			failed.keep(do(ctx, i))
			latencies[i] = time.Since(due)
		})
		return failed.err()
	})
	open.Wait()
	return latencies, errors.Join(err, failed.err())
}

// paced calls do n times at a fixed rate, with the time at which each call is due. do must not wait for what it begins; if
// it does, the calls that follow are late, and know it.
func paced(ctx context.Context, rate float64, n int, do func(i int, due time.Time) error) error {
	if n < 1 {
		return fmt.Errorf("a load of %.1f calls a second makes no call in this time: give a longer duration", rate)
	}
	begin := time.Now()
	for i := range n {
		due := begin.Add(time.Duration(float64(i) / rate * float64(time.Second)))
		if wait := time.Until(due); wait > 0 {
			time.Sleep(wait)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := do(i, due); err != nil {
			return err
		}
	}
	return nil
}

// closedLoop has so many callers who each wait for the answer before they call again, for so long, and returns the latencies
// and the calls a second.
func closedLoop(ctx context.Context, callers int, during time.Duration, do call) (samples, float64, error) {
	var mu sync.Mutex
	var all samples
	var failed firstError
	var next atomic.Int64
	var done sync.WaitGroup
	begin := time.Now()
	for range callers {
		done.Go(func() {
			var own samples
			for time.Since(begin) < during && ctx.Err() == nil && !failed.is() {
				asked := time.Now()
				failed.keep(do(ctx, int(next.Add(1)-1)))
				own = append(own, time.Since(asked))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, own...)
		})
	}
	done.Wait()
	return all, perSecond(len(all), time.Since(begin)), errors.Join(ctx.Err(), failed.err())
}

// firstError keeps the first of several errors.
type firstError struct{ at atomic.Pointer[error] }

func (f *firstError) keep(err error) {
	if err != nil {
		f.at.CompareAndSwap(nil, &err)
	}
}

func (f *firstError) is() bool { return f.at.Load() != nil }

func (f *firstError) err() error {
	if err := f.at.Load(); err != nil {
		return *err
	}
	return nil
}
