package evaluation

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sync/errgroup"

	"github.com/freshet/freshet/pipelines/offline/dataset"
)

// Config says how to measure.
type Config struct {
	// K is the length of the list of which the report speaks first: its table, its lists, its segments.
	K int `yaml:"k" env:"K"`
	// At are more lengths at which the metrics of ranking are computed.
	At []int `yaml:"at" env:"AT"`
	// Against names a scorer of the table with which each other one is compared, case by case; "" compares none.
	Against string `yaml:"against" env:"AGAINST"`
	// IncludeSeen ranks the items of the history too; without it, they cannot be recommended.
	IncludeSeen bool `yaml:"include_seen" env:"INCLUDE_SEEN"`
	// Resamples is how many times the cases are drawn anew, with replacement, for the intervals; 0 leaves them out.
	Resamples int `yaml:"resamples" env:"RESAMPLES"`
	// Seed decides the resampling.
	Seed uint64 `yaml:"seed" env:"SEED"`
	// Workers is how many cases are scored at once; 0 means one for each core.
	Workers int `yaml:"workers" env:"WORKERS"`
	// Samples is how many cases the report shows in full, spread evenly, as the first scorer answers them.
	Samples int `yaml:"samples" env:"SAMPLES"`
	// Progress, if not nil, is told how many of the rankings (cases times scorers) are done, never from two goroutines at once.
	Progress func(done, of int) `yaml:"-" env:"-"`
}

// mostK bounds the length of lists.
const mostK = 10_000

// DefaultConfig measures lists of ten without what the user has seen.
func DefaultConfig() Config {
	return Config{K: 10, At: []int{1, 5, 10, 20, 50, 100}, Resamples: 1000, Seed: 1}
}

// Validate says which field is out of range.
func (c Config) Validate() error {
	for _, k := range c.At {
		if k < 1 || k > mostK {
			return fmt.Errorf("at has %d: give 1 to %d", k, mostK)
		}
	}
	switch {
	case c.K < 1 || c.K > mostK:
		return fmt.Errorf("k is %d: give 1 to %d", c.K, mostK)
	case c.Resamples < 0 || c.Resamples > 100_000:
		return fmt.Errorf("resamples is %d: give 0 to 100000", c.Resamples)
	case c.Samples < 0 || c.Samples > 1000:
		return fmt.Errorf("samples is %d: give 0 to 1000", c.Samples)
	case c.Workers < 0:
		return fmt.Errorf("workers is %d: give 0 (one for each core) or more", c.Workers)
	}
	return nil
}

// Evaluate ranks all items of the catalogue for each case by each scorer. The scorers' order is the report's.
func Evaluate(ctx context.Context, cases []dataset.Case, catalogue Catalogue, scorers []Scorer, c Config) (*Report, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("evaluating: %w", err)
	}
	if err := errors.Join(catalogue.check(), checkCases(cases, catalogue.Items)); err != nil {
		return nil, fmt.Errorf("evaluating: %w", err)
	}
	baseline := slices.IndexFunc(scorers, func(s Scorer) bool { return s.Name() == c.Against })
	if c.Against != "" && baseline < 0 {
		return nil, fmt.Errorf("evaluating: there is no scorer %q to compare with", c.Against)
	}
	c.At = slices.Compact(slices.Sorted(slices.Values(append([]int{c.K}, c.At...))))
	popular := newPopularities(catalogue.Counts)
	tick := ticker(c.Progress, len(cases)*len(scorers))
	tied := ties(cases)
	var done []*evaluation
	for i, s := range scorers {
		e := &evaluation{
			Config: c, cases: cases, catalogue: &catalogue, popular: popular, scorer: s, tick: tick,
			outcomes: newOutcomes(len(cases), metrics*len(c.At)+listMetrics), ranks: make([][]int32, len(cases)),
			shown: make([]int, catalogue.Items),
		}
		if tied != nil {
			e.tied = newOutcomes(len(cases), spans)
		}
		if i == 0 {
			e.lists = make(map[int][]int32, c.Samples)
			for at := range min(c.Samples, len(cases)) {
				e.lists[at*len(cases)/min(c.Samples, len(cases))] = nil
			}
		}
		if err := e.run(ctx); err != nil {
			return nil, fmt.Errorf("evaluating %s: %w", s.Name(), err)
		}
		done = append(done, e)
	}
	r := newReport(done, baseline)
	r.Ties = tied
	return r, nil
}

func checkCases(cases []dataset.Case, items int) error {
	if len(cases) == 0 {
		return errors.New("there are no cases: take a later or larger part of the data")
	}
	for i := range cases {
		if len(cases[i].Targets) == 0 {
			return fmt.Errorf("case %d has no target", i)
		}
		for _, list := range [][]int32{cases[i].History, cases[i].Targets, cases[i].Tied} {
			for _, item := range list {
				if item < 0 || int(item) >= items {
					return fmt.Errorf("case %d has item %d, but there are %d items", i, item, items)
				}
			}
		}
	}
	return nil
}

// ticker makes a function that counts its calls and tells progress, every hundredth part of the way.
func ticker(progress func(done, of int), of int) func() {
	if progress == nil {
		return func() {}
	}
	var mu sync.Mutex
	done := 0
	return func() {
		mu.Lock()
		defer mu.Unlock()
		done++
		if step := max(1, of/100); done%step == 0 || done == of {
			progress(done, of)
		}
	}
}

// evaluation is one scorer's part.
type evaluation struct {
	Config
	cases     []dataset.Case
	catalogue *Catalogue
	popular   *popularities // nil where the catalogue has no counts
	scorer    Scorer
	tick      func()

	// outcomes has the metrics at each of At, one group after the other, then the list metrics.
	outcomes *outcomes
	ranks    [][]int32 // of each case's targets
	tied     *outcomes // of other orders of the cases' moments; nil where no case was decided within a tie
	mu       sync.Mutex
	shown    []int           // in how many lists each item stands; under mu
	lists    map[int][]int32 // of the cases that are samples; under mu
}

// chunk is how many cases a worker scores at a time at most; of large catalogues it takes fewer, so that their scores stay small.
const chunk = 32

// chunkScores bounds a worker's scores: 64 MiB.
const chunkScores = 16 << 20

func (e *evaluation) run(ctx context.Context) error {
	workers := e.Workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	group, ctx := errgroup.WithContext(ctx)
	size := min(chunk, max(1, chunkScores/len(e.shown)), len(e.cases))
	chunks := make(chan int)
	group.Go(func() error {
		defer close(chunks)
		for from := 0; from < len(e.cases); from += size {
			select {
			case chunks <- from:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	for range workers {
		group.Go(func() error {
			items := len(e.shown)
			w := newRanking(items, e.K)
			scores := make([]float32, size*items)
			for from := range chunks {
				cases := e.cases[from:min(from+size, len(e.cases))]
				scoreCases(e.scorer, scores[:len(cases)*items], cases)
				for i := range cases {
					w.scores = scores[i*items : (i+1)*items]
					e.rank(w, from+i)
					e.tick()
				}
				if e.tied != nil {
					e.reorder(w, scores, from, cases)
				}
			}
			e.mu.Lock()
			defer e.mu.Unlock()
			for item, shown := range w.shown {
				e.shown[item] += shown
			}
			return nil
		})
	}
	return group.Wait()
}

// rank looks where the targets of case i, whose scores are in w, stand and what its list is like, and fills the case's row.
func (e *evaluation) rank(w *ranking, i int) {
	c, row := &e.cases[i], e.outcomes.row(i)
	e.exclude(w, c, func() {
		w.list()
		e.ranks[i] = w.ranks(c.Targets)
	})
	for at, k := range e.At {
		measure(row[metrics*at:metrics*(at+1)], e.ranks[i], len(c.Targets), k)
	}
	e.describe(row[metrics*len(e.At):], w, c)
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, sampled := e.lists[i]; sampled {
		e.lists[i] = slices.Clone(w.top)
	}
}

// exclude calls while what the case's user has seen cannot be recommended, where the protocol says so.
func (e *evaluation) exclude(w *ranking, c *dataset.Case, call func()) {
	if !e.IncludeSeen {
		for _, item := range c.History {
			w.excluded[item] = true
		}
	}
	call()
	for _, item := range c.History {
		w.excluded[item] = false
	}
}

// describe fills in what a list is like.
func (e *evaluation) describe(row []float64, w *ranking, c *dataset.Case) {
	if e.popular != nil && len(w.top) > 0 {
		row[popularity] = e.popular.mean(e.popular.percentile, w.top)
		row[novelty] = e.popular.mean(e.popular.surprise, w.top)
		if len(c.History) > 0 {
			row[popularityBias] = row[popularity] - e.popular.mean(e.popular.percentile, c.History)
		}
	}
	if e.catalogue.Categories != nil {
		row[diversity] = e.catalogue.diversity(w.top)
		row[miscalibration], _ = w.tastes.miscalibration(e.catalogue.Categories, c.History, w.top)
	}
}
