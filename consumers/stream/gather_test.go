package stream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet/freshet/consumers/stream/streamtest"
	"github.com/freshet/freshet/producers/kafkaio"
)

// answer is done with every delivery at once.
func (c *tally) answer(_ context.Context, batch []*Delivery) {
	for _, d := range batch {
		c.add(string(d.Value))
		d.Done(nil)
	}
}

func TestGathererGathersFromAllPartitions(t *testing.T) {
	w := newWorld(t, 4)
	w.Fill(0, 400, 4)
	cfg := fastGatherConfig()
	cfg.InFlight = 1
	var seen tally
	var mixed atomic.Bool
	hold := make(chan struct{})
	var once sync.Once
	g := w.gatherer(cfg, func(ctx context.Context, batch []*Delivery) {
		once.Do(func() { <-hold }) // meanwhile the others queue
		assert.LessOrEqual(t, len(batch), cfg.MaxRecords)
		for _, d := range batch {
			if d.Partition != batch[0].Partition {
				mixed.Store(true)
			}
		}
		seen.answer(ctx, batch)
	})
	var read []*kfake.FaultHandle
	for p := range int32(4) {
		read = append(read, w.Fault(kfake.Fault{
			Keys: []kmsg.Key{kmsg.Fetch}, Topic: testTopic, Partitions: []int32{p}, Observe: true, Count: -1,
		}))
	}
	run := start(t, g)
	for _, r := range read {
		require.NoError(t, r.Wait(t.Context(), 2), "what the first fetch brought was taken")
	}
	close(hold)
	for p := range 4 {
		w.requireCommitted(p, 100)
	}
	require.NoError(t, run.drain())
	require.Equal(t, 400, seen.distinct())
	require.Len(t, seen.inOrder(), 400)
	require.True(t, mixed.Load(), "batches are made of several partitions")
	require.Equal(t, int64(400), g.Stats().Records)
	require.Less(t, g.Stats().Batches, int64(400))
}

// TestARecordLingersBesideABatchInWork, until the batch is full, or the other one done, or the time over. A lone one goes at once.
func TestARecordLingersBesideABatchInWork(t *testing.T) {
	for name, c := range map[string]struct {
		linger     time.Duration
		maxRecords int
		write      []string
		release    bool // the first batch, before what was written can go
		want       int
	}{
		"until it is full":         {time.Hour, 2, []string{"b", "c"}, false, 2},
		"until the other is done":  {time.Hour, 64, []string{"b", "c"}, true, 2},
		"until the time is over":   {time.Millisecond, 64, []string{"b"}, false, 1},
		"not at all if that is so": {0, 64, []string{"b"}, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1)
			cfg := fastGatherConfig()
			cfg.InFlight, cfg.Linger, cfg.MaxRecords = 2, c.linger, c.maxRecords
			sizes, release := make(chan int, 2), make(chan struct{})
			var seen tally
			g := w.gatherer(cfg, func(ctx context.Context, batch []*Delivery) {
				sizes <- len(batch)
				if string(batch[0].Value) == "a" {
					<-release
				}
				seen.answer(ctx, batch)
			})
			run := start(t, g)
			w.Write(0, "a")
			require.Equal(t, 1, <-sizes, "nothing is in work")
			w.Write(0, c.write...)
			if c.release {
				require.Never(t, func() bool { return len(sizes) > 0 }, 5*tick, tick)
				close(release)
			}
			require.Equal(t, c.want, <-sizes)
			if !c.release {
				close(release)
			}
			w.requireCommitted(0, int64(1+len(c.write)))
			require.NoError(t, run.drain())
		})
	}
}

func TestGathererCommitsTheLowestContiguousOffset(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, streamtest.Values(10)...)
	held := make(chan *Delivery, 1)
	var seen tally
	g := w.gatherer(fastGatherConfig(), func(_ context.Context, batch []*Delivery) {
		for _, d := range batch {
			if d.Offset == 4 {
				held <- d // waits beside the batches
				continue
			}
			seen.add(string(d.Value))
			d.Done(nil)
		}
	})
	run := start(t, g)
	d := <-held
	require.Eventually(t, func() bool { return seen.distinct() == 9 }, patience, tick)
	w.requireCommitted(0, 4)
	w.Write(0, "later")
	require.Eventually(t, func() bool { return seen.distinct() == 10 }, patience, tick)
	require.Equal(t, int64(4), w.committed(0), "nothing passes the one that waits")
	d.Done(nil)
	d.Done(errors.New("counts no more"))
	w.requireCommitted(0, 11)
	require.NoError(t, run.drain())
}

func TestGathererBuriesAndDeliversAgain(t *testing.T) {
	w := newWorld(t, 2)
	w.Write(0, "bad", "flaky", "ok")
	var attempts []int
	g := w.gatherer(fastGatherConfig(), func(_ context.Context, batch []*Delivery) {
		for _, d := range batch {
			switch {
			case string(d.Value) == "bad":
				d.Done(Permanent(errors.New("no request")))
			case string(d.Value) == "flaky" && d.Attempt < 3:
				attempts = append(attempts, d.Attempt)
				d.Done(errors.New("not now"))
			default:
				d.Done(nil)
			}
		}
	})
	run := start(t, g)
	w.requireCommitted(0, 3)
	require.NoError(t, run.drain())
	require.Equal(t, []int{1, 2}, attempts)
	letters := w.deadLetters()
	require.Len(t, letters, 1)
	require.Equal(t, "no request", letters[0].Reason)
}

func TestGathererIsolatesARequestThatPanics(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, "a", "boom", "c", "d")
	var seen tally
	g := w.gatherer(fastGatherConfig(), func(_ context.Context, batch []*Delivery) {
		for _, d := range batch {
			if string(d.Value) == "boom" {
				panic("index out of range")
			}
			seen.add(string(d.Value))
			d.Done(nil)
		}
	})
	run := start(t, g)
	w.requireCommitted(0, 4)
	require.NoError(t, run.drain())
	require.Equal(t, 3, seen.distinct())
	require.Len(t, seen.inOrder(), 3, "what was done before the panic is not done again")
	letters := w.deadLetters()
	require.Len(t, letters, 1)
	require.Equal(t, int64(1), letters[0].Original.Offset)
}

func TestGathererBoundsWhatItHolds(t *testing.T) {
	w := newWorld(t, 2)
	w.Fill(0, 200, 2)
	cfg := fastGatherConfig()
	cfg.MaxOutstanding = 10
	cfg.InFlight = 100
	var mu sync.Mutex
	var held []*Delivery
	g := w.gatherer(cfg, func(_ context.Context, batch []*Delivery) {
		mu.Lock()
		defer mu.Unlock()
		held = append(held, batch...)
	})
	start(t, g)
	take := func(n int) []*Delivery {
		require.Eventually(t, func() bool {
			mu.Lock()
			defer mu.Unlock()
			return len(held) == n
		}, patience, tick)
		mu.Lock()
		defer mu.Unlock()
		all := held
		held = nil
		return all
	}
	for range 20 {
		for _, d := range take(10) {
			d.Done(nil)
		}
	}
	w.requireCommitted(0, 100)
	w.requireCommitted(1, 100)
}

func TestGathererLetsNothingRunTooFarAhead(t *testing.T) {
	w := newWorld(t, 2)
	w.Write(0, streamtest.Values(50)...)
	cfg := fastGatherConfig()
	cfg.MaxUncommitted = 8
	var seen tally
	held := make(chan *Delivery, 1)
	g := w.gatherer(cfg, func(_ context.Context, batch []*Delivery) {
		for _, d := range batch {
			if d.Partition == 0 && d.Offset == 0 {
				held <- d
				continue
			}
			seen.add(string(d.Value))
			d.Done(nil)
		}
	})
	start(t, g)
	d := <-held
	require.Eventually(t, func() bool { return seen.distinct() == 7 }, patience, tick)
	w.Write(1, "other")
	require.Eventually(t, func() bool { return seen.distinct() == 8 }, patience, tick, "other partitions go on")
	d.Done(nil)
	w.requireCommitted(0, 50)
}

func TestGathererAnswersWhatItReadBeforeItDrains(t *testing.T) {
	w := newWorld(t, 2)
	w.Fill(0, 40, 2)
	cfg := fastGatherConfig()
	cfg.MaxRecords = 5
	cfg.InFlight = 2
	var seen tally
	begun := make(chan struct{}, 100)
	release := make(chan struct{})
	g := w.gatherer(cfg, func(ctx context.Context, batch []*Delivery) {
		begun <- struct{}{}
		<-release
		seen.answer(ctx, batch)
	})
	run := start(t, g)
	<-begun
	<-begun
	run.cancel()
	close(release)
	require.NoError(t, run.wait())
	var committed int64
	for p := range 2 {
		committed += max(w.committed(p), 0)
	}
	require.Equal(t, int64(seen.distinct()), committed, "all that was answered is committed, and nothing else")
	require.GreaterOrEqual(t, seen.distinct(), 10)
	require.Len(t, seen.inOrder(), seen.distinct(), "none is answered twice")
}

func TestGathererGivesUpWhatDoesNotEndInTheDrainTime(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, streamtest.Values(6)...)
	cfg := fastGatherConfig()
	cfg.DrainTimeout = 30 * time.Millisecond
	stuck := make(chan *Delivery, 1)
	var seen tally
	g := w.gatherer(cfg, func(_ context.Context, batch []*Delivery) {
		for _, d := range batch {
			if d.Offset == 3 {
				stuck <- d // never done in time
				continue
			}
			seen.add(string(d.Value))
			d.Done(nil)
		}
	})
	run := start(t, g)
	d := <-stuck
	require.Eventually(t, func() bool { return seen.distinct() == 5 }, patience, tick)
	require.NoError(t, run.drain())
	require.Equal(t, int64(3), w.committed(0))
	d.Done(nil) // too late, and harmless
	d.Done(Permanent(errors.New("x")))
}

func TestGathererEndsABatchsContext(t *testing.T) {
	w := newWorld(t, 1)
	w.Write(0, "a")
	cfg := fastGatherConfig()
	cfg.HandleTimeout = 20 * time.Millisecond
	ended := make(chan error, 2)
	g := w.gatherer(cfg, func(ctx context.Context, batch []*Delivery) {
		d := batch[0]
		go func() {
			if d.Attempt == 1 {
				<-ctx.Done()
				ended <- ctx.Err()
				d.Done(ctx.Err())
				return
			}
			d.Done(nil)
			<-ctx.Done()
			ended <- ctx.Err()
		}()
	})
	start(t, g)
	require.ErrorIs(t, <-ended, context.DeadlineExceeded, "after HandleTimeout")
	require.ErrorIs(t, <-ended, context.Canceled, "when all are done")
	w.requireCommitted(0, 1)
}

func TestGathererAnswersALoneRequestAtOnce(t *testing.T) {
	w := newWorld(t, 8)
	answered := make(chan time.Time, 1)
	g := w.gatherer(fastGatherConfig(), func(_ context.Context, batch []*Delivery) {
		for _, d := range batch {
			answered <- time.Now()
			d.Done(nil)
		}
	})
	start(t, g)
	require.Eventually(t, g.Ready, patience, tick)
	best := time.Hour
	for i := range 20 {
		began := time.Now()
		w.Send(kafkaio.Message{Partition: int32(i % 8), Value: []byte(fmt.Sprint(i))})
		best = min(best, (<-answered).Sub(began))
	}
	require.Less(t, best, 10*time.Millisecond, "no timer stands between a record and its handler")
}
