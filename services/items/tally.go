package items

import (
	"context"
	"log/slog"
	"math"
	"sync"
	"time"

	"go.opentelemetry.io/otel/trace"
)

// Tally adds up popularity and writes it beside the work that brings it: popularity is an estimate over days, and a round
// trip with a ZINCRBY for each event would be a third of what an event costs Redis. It is safe for concurrent use.
//
// A process that dies loses what has not been written, up to a second of it.
type Tally struct {
	store *Store
	log   *slog.Logger

	mu      sync.Mutex
	weights map[string]float64 // as of from, as in the shelf: later ones count more
	from    time.Time
	latest  time.Time
	timer   *time.Timer // runs while weights wait
	writing sync.WaitGroup
}

const (
	// tallyPause is how long weights wait for more.
	tallyPause = time.Second
	// tallyItems bounds how many items wait; more are written at once, by whoever brings them.
	tallyItems = 1 << 14
	// farthest is after how many half-lives the weights that wait are made smaller.
	farthest = 64
	// tallyTimeout is how long a write may take. While Redis is away the profiles cannot be written either, so that no more
	// weights come.
	tallyTimeout = 10 * time.Second
)

// NewTally makes a tally; Close ends it.
func (s *Store) NewTally(log *slog.Logger) *Tally {
	return &Tally{store: s, log: log, weights: map[string]float64{}}
}

// Add counts weights of items for events around the broker's time at.
func (t *Tally) Add(ctx context.Context, weights map[string]float64, at time.Time) {
	t.mu.Lock()
	gain := t.gain(at)
	for id, w := range weights {
		t.weights[id] += w * gain
	}
	full := len(t.weights) >= tallyItems
	if t.timer == nil && !full {
		t.writing.Add(1)
		t.timer = time.AfterFunc(tallyPause, func() {
			defer t.writing.Done()
			t.Flush(context.Background())
		})
	}
	t.mu.Unlock()
	if full {
		t.Flush(ctx)
	}
}

// gain returns what a weight at a time counts as of from. The caller holds the lock.
func (t *Tally) gain(at time.Time) float64 {
	if len(t.weights) == 0 {
		t.from, t.latest = at, at
	}
	if at.After(t.latest) {
		t.latest = at
	}
	if t.halfLives() > farthest {
		t.decay()
	}
	return math.Exp2(float64(at.Sub(t.from)) / float64(t.store.cfg.PopularHalfLife))
}

// halfLives is how far the latest event is past from.
func (t *Tally) halfLives() float64 {
	return float64(t.latest.Sub(t.from)) / float64(t.store.cfg.PopularHalfLife)
}

// decay makes the weights those as of the latest event. The caller holds the lock.
func (t *Tally) decay() {
	loss := math.Exp2(-t.halfLives())
	for id := range t.weights {
		t.weights[id] *= loss
	}
	t.from = t.latest
}

// Flush writes what waits. What Redis refuses is lost, and logged.
func (t *Tally) Flush(ctx context.Context) {
	t.mu.Lock()
	t.decay()
	weights, at := t.weights, t.latest
	t.weights = make(map[string]float64, len(weights))
	if t.timer != nil && t.timer.Stop() {
		t.writing.Done() // for the function that will not run
	}
	t.timer = nil
	t.mu.Unlock()
	if len(weights) == 0 {
		return
	}
	// The write is of many batches, and belongs to the trace of none.
	ctx = trace.ContextWithSpanContext(context.WithoutCancel(ctx), trace.SpanContext{})
	ctx, cancel := context.WithTimeout(ctx, tallyTimeout)
	defer cancel()
	if err := t.store.AddPopularity(ctx, weights, at); err != nil {
		t.log.Warn("popularity was not counted", slog.Int("items", len(weights)), slog.Any("error", err))
	}
}

// Close writes what waits, and waits for writes that have begun. Add must not be called any more.
func (t *Tally) Close() {
	t.Flush(context.Background())
	t.writing.Wait()
}
