package tuning

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"

	"github.com/freshet/freshet/pipelines/offline/training"
)

// Config says how to search.
type Config struct {
	Space  Space
	Method string
	// Trials counts trial 0, the configuration as it is.
	Trials int
	// Seed draws the trials.
	Seed uint64
	// Folder keeps the trials that are done.
	Folder string
}

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	switch {
	case c.Trials < 1 || c.Trials > 100_000:
		return fmt.Errorf("trials is %d: set it to 1 or more, some dozens at the most on one machine", c.Trials)
	case c.Method != Random && c.Method != Halving:
		return fmt.Errorf("method is %q: set it to %s or %s", c.Method, Random, Halving)
	case c.Folder == "":
		return fmt.Errorf("folder is empty: name one to keep the trials in")
	}
	return c.Space.Validate()
}

// Trial is one training.
type Trial struct {
	Number    int     `json:"trial"` // from 0, the configuration as it is
	Epochs    int     `json:"epochs"`
	Values    Values  `json:"values"`
	Recall    float64 `json:"recall_at_10"`
	NDCG      float64 `json:"ndcg_at_10"`
	WholeNDCG float64 `json:"ndcg"` // not cut; trials are compared by it
	Loss      float64 `json:"loss"` // 0 where training diverged
	Diverged  bool    `json:"diverged,omitempty"`
	BestEpoch int     `json:"best_epoch"`
	Weights   int     `json:"weights"`
	Seconds   float64 `json:"seconds"`
}

// Step is what a search is about to do, or has just done.
type Step struct {
	Rung, Rungs   int // counted from 1
	Trial, Trials int // of the rung, counted from 1
	Values        Values
	Epochs        int
	// Done is the trial where it has been trained, nil before.
	Done *Trial
}

// Outcome is what a search came to.
type Outcome struct {
	Rungs   []Rung
	Trials  []Trial // as Sort has them: the best first
	Stopped bool    // by the caller: there may be better ones
	Names   []string
	base    training.Config
	space   Space
	seed    uint64
}

// Search trains trial after trial. step is called before and after each; the trials that an earlier search in the same folder did
// are taken from there. When ctx ends, Search returns soon, with what is done and no error.
func Search(ctx context.Context, in training.Input, base training.Config, c Config, step func(Step)) (*Outcome, error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("tuning: %w", err)
	}
	if len(in.Validation) == 0 && base.ValidationUsers == 0 {
		return nil, fmt.Errorf("tuning: validation_users is 0, and the data has no validation cases: set it above 0")
	}
	s := &search{in: in, base: base, c: c, step: step}
	o := &Outcome{Rungs: Rungs(c.Method, c.Trials, base.Epochs), Names: c.Space.names(), base: base, space: c.Space, seed: c.Seed}
	numbers := make([]int, c.Trials)
	for n := range numbers {
		numbers[n] = n
		if _, err := s.values(n).apply(base); err != nil {
			return nil, fmt.Errorf("tuning: trial %d of the space cannot be trained: %w", n, err)
		}
	}
	var err error
	if s.log, err = openLog(c.Folder, s.fingerprint()); err != nil {
		return nil, fmt.Errorf("tuning: %w", err)
	}
	defer s.log.close()
	for i, rung := range o.Rungs {
		done, err := s.rung(ctx, i, o.Rungs, numbers[:rung.Trials])
		o.Trials = append(o.Trials, done...)
		if err != nil {
			return nil, fmt.Errorf("tuning: %w", err)
		}
		if len(done) < rung.Trials {
			o.Stopped = true
			break
		}
		Sort(done)
		for j, t := range done {
			numbers[j] = t.Number
		}
	}
	Sort(o.Trials)
	return o, nil
}

// search is one Search.
type search struct {
	in   training.Input
	base training.Config
	c    Config
	step func(Step)
	log  *trialLog
}

func (s *search) values(n int) Values {
	if n == 0 {
		return s.c.Space.of(s.base)
	}
	return s.c.Space.draw(s.c.Seed, n)
}

// fingerprint is of all that decides a trial by its number and epochs.
func (s *search) fingerprint() training.Fingerprint {
	f := training.FingerprintOf(&s.in, &s.base)
	delete(f, "epochs")
	f["the search's seed"] = fmt.Sprint(s.c.Seed)
	for name, p := range s.c.Space {
		f["the space's "+name] = fmt.Sprint(p)
	}
	return f
}

// rung trains the trials of those numbers, in the order of their numbers. Fewer come back when ctx ends.
func (s *search) rung(ctx context.Context, i int, rungs []Rung, numbers []int) ([]Trial, error) {
	numbers = slices.Clone(numbers)
	slices.Sort(numbers)
	var done []Trial
	for at, n := range numbers {
		now := Step{
			Rung: i + 1, Rungs: len(rungs), Trial: at + 1, Trials: len(numbers), Values: s.values(n), Epochs: rungs[i].Epochs,
		}
		trial, known := s.log.find(n, now.Epochs)
		if !known {
			s.step(now)
			var err error
			if trial, err = s.train(ctx, n, now); err != nil {
				return done, err
			}
			if trial == nil {
				return done, nil
			}
			if err := s.log.add(trial); err != nil {
				return done, err
			}
		}
		now.Done = trial
		s.step(now)
		done = append(done, *trial)
	}
	return done, nil
}

// train gives nil when ctx ended on the way.
func (s *search) train(ctx context.Context, n int, now Step) (*Trial, error) {
	if ended(ctx) {
		return nil, nil
	}
	config, err := now.Values.apply(s.base)
	if err != nil {
		return nil, err
	}
	config.Epochs = now.Epochs
	_, result, err := training.Train(ctx, s.in, config, nil)
	if ended(ctx) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("training trial %d: %w", n, err)
	}
	t := &Trial{
		Number: n, Epochs: now.Epochs, Values: now.Values, Recall: result.Recall, NDCG: result.NDCG, WholeNDCG: result.WholeNDCG,
		Loss: result.Loss, BestEpoch: result.BestEpoch, Weights: result.Parameters, Seconds: result.Elapsed.Seconds(),
	}
	if t.Diverged = math.IsNaN(t.Loss) || math.IsInf(t.Loss, 0); t.Diverged {
		t.Loss = 0
	}
	return t, nil
}

func ended(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return true
	default:
		return false
	}
}

// Sort puts those first that got the most epochs, and of these the best.
func Sort(trials []Trial) {
	slices.SortStableFunc(trials, func(a, b Trial) int {
		return cmp.Or(cmp.Compare(b.Epochs, a.Epochs), cmp.Compare(b.WholeNDCG, a.WholeNDCG), cmp.Compare(a.Number, b.Number))
	})
}
