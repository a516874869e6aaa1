package stream

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// retry returns a new series of pauses.
func (b Backoff) retry() *backoff.ExponentialBackOff {
	r := backoff.NewExponentialBackOff()
	r.InitialInterval = b.Initial
	r.MaxInterval = b.Max
	r.Multiplier = 2
	return r
}

// pause waits for d and says whether ctx outlived it.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
