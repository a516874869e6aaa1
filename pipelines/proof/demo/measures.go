package demo

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/terminal"
)

// measures is what the run has measured, in order.
type measures struct{ rows []terminal.Row }

func (m *measures) measure(what, value string) { m.rows = append(m.rows, terminal.Row{what, value}) }

// The loads of measureLoad: enough for a p99, short enough for a demo.
const (
	aloneRequests = 200
	waiting       = 32
	waitingRounds = 20
	freshEvents   = 200
)

// measureLoad measures what the story did not: latencies alone and under load.
func (d *Demo) measureLoad(ctx context.Context) error {
	fresh, err := d.repeat(freshEvents, func(i int) error { _, err := d.eventToEmbedding(ctx, i); return err })
	if err != nil {
		return err
	}
	d.measure("event to readable embedding", quantiles(fresh))
	alone, err := d.repeat(aloneRequests, func(i int) error { return d.ask(ctx, i) })
	if err != nil {
		return err
	}
	d.measure("request to reply, alone", quantiles(alone))
	begin := time.Now()
	under, err := d.together(waiting, waitingRounds, func(i int) error { return d.ask(ctx, i) })
	if err != nil {
		return err
	}
	rate := float64(len(under)) / time.Since(begin).Seconds()
	d.measure(fmt.Sprintf("request to reply, %d waiting", waiting), fmt.Sprintf("%s, %.0f replies/s", quantiles(under), rate))
	return nil
}

// ask requests a page for the i-th user, round and round.
func (d *Demo) ask(ctx context.Context, i int) error {
	user := d.world.data.Users[i%len(d.world.data.Users)].ID
	_, err := d.client.Recommend(ctx, &schemas.RecommendationRequest{UserID: user, Count: 10})
	return err
}

// repeat times n calls, one after the other.
func (d *Demo) repeat(n int, call func(i int) error) ([]time.Duration, error) {
	times := make([]time.Duration, n)
	for i := range n {
		begin := time.Now()
		if err := call(i); err != nil {
			return nil, err
		}
		times[i] = time.Since(begin)
	}
	return times, nil
}

// together times the calls of so many callers who each wait for their last call before the next.
func (d *Demo) together(callers, rounds int, call func(i int) error) ([]time.Duration, error) {
	var mu sync.Mutex
	var all []time.Duration
	var failure error
	var done sync.WaitGroup
	for c := range callers {
		done.Go(func() {
			times, err := d.repeat(rounds, func(i int) error { return call(c*rounds + i) })
			mu.Lock()
			defer mu.Unlock()
			all = append(all, times...)
			if err != nil {
				failure = err
			}
		})
	}
	done.Wait()
	return all, failure
}

// quantiles renders p50 and p99.
func quantiles(times []time.Duration) string {
	sorted := slices.Sorted(slices.Values(times))
	at := func(q float64) float64 {
		return float64(sorted[min(len(sorted)-1, int(q*float64(len(sorted))))].Microseconds()) / 1000
	}
	return fmt.Sprintf("p50 %.2f ms, p99 %.2f ms (%d)", at(0.5), at(0.99), len(sorted))
}

// summary ends the story with everything that was measured.
func (d *Demo) summary() {
	d.measure("demo", fmt.Sprintf("%.1f s, %s", time.Since(d.begin).Seconds(), peakMemory()))
	d.measure("checks", fmt.Sprintf("%d held, %d did not", d.passed, len(d.failed)))
	d.printf("\nMeasured in this run:\n")
	d.table(terminal.Row{"what", "figure"}, d.rows)
}

// peakMemory is the most memory that the process has held, where the system tells (Linux).
func peakMemory() string {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return "peak memory unknown on this system"
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			var kib int
			if _, err := fmt.Sscanf(value, "%d", &kib); err == nil {
				return fmt.Sprintf("peak memory %d MiB", kib/1024)
			}
		}
	}
	return "peak memory unknown on this system"
}
