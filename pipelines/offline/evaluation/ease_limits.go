package evaluation

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	runtimemetrics "runtime/metrics"
	"strconv"
	"strings"
	"time"

	"github.com/freshet/freshet/services/towers/matrix"
)

// EASELimits bound what solving EASE may cost.
type EASELimits struct {
	// Items is the largest catalogue for which it is solved, however long that takes; 0 allows what takes up to Time.
	Items int
	// Memory is how many bytes it may take; 0 means half of what is free, by GOMEMLIMIT and by what the machine says.
	Memory int64
	// Time bounds the estimate where Items does not say it; 0 means easeTime.
	Time time.Duration
}

// easeTime is how long a reader may wait for a baseline.
const easeTime = time.Minute

// EASECost estimates what it takes to solve EASE so many times: the counts and an inverse, 8 bytes for each pair of items, and a
// multiplication or addition for each three items, at the speed that this machine shows just now.
func EASECost(items, times int) (memory int64, took time.Duration) {
	n := float64(items)
	seconds := float64(times) * n * n * n / rate()
	return int64(8*n*n + 12*pivot*n), time.Duration(min(seconds, float64(math.MaxInt64/time.Second)) * float64(time.Second))
}

// rate measures how many operations a second products of matrices make, as invert multiplies them.
func rate() float64 {
	const m, n = 256, 1024
	a, b, c := make([]float32, m*pivot), make([]float32, pivot*n), make([]float32, m*n)
	fastest := time.Duration(math.MaxInt64)
	for range 4 { // the first one warms up, and others may be disturbed
		start := time.Now()
		matrix.Gemm(false, false, m, n, pivot, -1, a, pivot, b, n, 1, c, n)
		fastest = min(fastest, max(time.Since(start), time.Microsecond))
	}
	return 2 * m * n * pivot / fastest.Seconds() * float64(runtime.GOMAXPROCS(0)) / 2 // half, for all the rest
}

// Allow says why EASE is not solved so many times for a catalogue, or nothing where it may be.
func (l EASELimits) Allow(items, times int) error {
	memory, took := EASECost(items, times)
	most, of := l.Memory, "the limit"
	if most == 0 {
		free, by := freeMemory()
		most, of = free/2, "half of what is free by "+by
	}
	longest := l.Time
	if longest == 0 {
		longest = easeTime
	}
	switch {
	case l.Items > 0 && items > l.Items:
		return fmt.Errorf("there are %d items, more than the %d that --ease-items allows; memory grows with their square, time with their "+
			"cube, here to about %s", items, l.Items, roughly(took))
	case memory > most:
		return fmt.Errorf("its matrices of %d x %d items take %s, more than %s, which is %s", items, items, inBytes(memory), inBytes(most), of)
	case l.Items == 0 && took > longest:
		return fmt.Errorf("solving it %d times for %d items would take about %s, more than %s; --ease-items %d allows it",
			times, items, roughly(took), longest, items)
	}
	return nil
}

// roughly leaves out what an estimate does not know.
func roughly(d time.Duration) string {
	if d > 48*time.Hour {
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	}
	if d > time.Minute {
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	}
	return d.Round(time.Second).String()
}

func inBytes(n int64) string {
	const gib = 1 << 30
	if n < gib {
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/gib)
}

// unknownMemory is what is taken for free where nothing tells.
const unknownMemory = 4 << 30

// freeMemory is how many bytes this process may still take, and by whose word.
func freeMemory() (free int64, by string) {
	return leastFree("/proc/meminfo", "/sys/fs/cgroup", debug.SetMemoryLimit(-1), inUse())
}

// leastFree is the least of what the machine has (Linux), what its control group leaves (version 2) and what GOMEMLIMIT leaves.
func leastFree(meminfo, group string, limit, used int64) (free int64, by string) {
	free, by = math.MaxInt64, ""
	take := func(n int64, of string) {
		if n < free {
			free, by = max(n, 0), of
		}
	}
	if text, err := os.ReadFile(meminfo); err == nil {
		for line := range strings.Lines(string(text)) {
			if rest, is := strings.CutPrefix(line, "MemAvailable:"); is {
				if kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64); err == nil {
					take(kb<<10, "the machine")
				}
			}
		}
	}
	most, hasMost := number(filepath.Join(group, "memory.max"))
	current, hasCurrent := number(filepath.Join(group, "memory.current"))
	if hasMost && hasCurrent {
		take(most-current, "the control group")
	}
	if limit < math.MaxInt64 {
		take(limit-used, "GOMEMLIMIT")
	}
	if free == math.MaxInt64 {
		return unknownMemory, "guess, for this system does not tell"
	}
	return free, by
}

// number reads a file that holds one; "max" of a control group is none.
func number(path string) (int64, bool) {
	text, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}

// inUse is what the memory limit of the runtime counts.
func inUse() int64 {
	samples := []runtimemetrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	runtimemetrics.Read(samples)
	return int64(samples[0].Value.Uint64() - samples[1].Value.Uint64())
}
