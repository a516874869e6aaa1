package recommender

import (
	"sync/atomic"
	"time"
)

// workTime is how long batches take here and now: the longest of late, which fades by a sixteenth with each batch.
type workTime struct{ longest atomic.Int64 }

// took notes how long a batch took. Of two that end at the same time one may be lost, which the next ones make good.
func (w *workTime) took(d time.Duration) {
	before := w.longest.Load()
	w.longest.CompareAndSwap(before, max(int64(d), before-before/16))
}

// reserve is how much of its time a request that waits for its seen_through position must keep, to be answered with a page of the
// user's own where the position is not reached. Under load a constant would not do: the request wakes up, finds no time left,
// and the watchdog answers with popular items. It is at least least, and more only up to half of what is left.
func (w *workTime) reserve(least, left time.Duration) time.Duration {
	return max(least, min(3*time.Duration(w.longest.Load()), left/2))
}
