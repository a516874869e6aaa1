package partition

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Reading is the settings of whoever reads partitions.
type Reading struct {
	Backoff Backoff `yaml:"backoff" envPrefix:"BACKOFF_"`
	Fetch   Fetch   `yaml:"fetch" envPrefix:"FETCH_"`
}

// Backoff is the pause before trying again: it starts with Initial, doubles up to Max, and is jittered by half either way.
type Backoff struct {
	Initial time.Duration `yaml:"initial" env:"INITIAL"`
	Max     time.Duration `yaml:"max" env:"MAX"`
}

// Fetch bounds the reading of one partition.
type Fetch struct {
	// MaxWait is how long the broker holds the answer of a fetch when there is nothing new. A new record is answered at
	// once whatever its value.
	MaxWait time.Duration `yaml:"max_wait" env:"MAX_WAIT"`
	// MaxBytes bounds one fetch, as the broker stores it; one record batch is returned even if it is larger. A partition
	// holds at most two fetches in memory beside the batch in work.
	MaxBytes int `yaml:"max_bytes" env:"MAX_BYTES"`
}

// DefaultReading suits brokers near by.
func DefaultReading() Reading {
	return Reading{
		// A second at the most, so that a failover of Redis is followed within two.
		Backoff: Backoff{Initial: 50 * time.Millisecond, Max: time.Second},
		Fetch:   Fetch{MaxWait: 500 * time.Millisecond, MaxBytes: 1 << 20},
	}
}

// Pauses returns a new series of pauses.
func (b Backoff) Pauses() *backoff.ExponentialBackOff {
	p := backoff.NewExponentialBackOff()
	p.InitialInterval = b.Initial
	p.MaxInterval = b.Max
	p.Multiplier = 2
	return p
}

// Pause waits for d and reports whether ctx outlived it.
func Pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
