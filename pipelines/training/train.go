package training

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Stop is why training ended.
type Stop string

// The reasons.
const (
	StopEpochs   Stop = "all epochs done"
	StopPatience Stop = "no better epoch within the patience"
	StopBudget   Stop = "time budget spent"
	StopCaller   Stop = "stopped by the caller"
)

// Result says how training went.
type Result struct {
	Objective  string // what the loss ranked the next item against
	Stop       Stop
	Epochs     int // begun
	BestEpoch  int // whose weights the model has
	Loss       float64
	Recall     float64 // recall@10 on validation, 0 without
	NDCG       float64 // NDCG@10 on validation, 0 without
	Cases      int     // validation's
	Parameters int
	Examples   int // positions learnt from
	Elapsed    time.Duration
	Throughput float64 // examples a second, validation left out
	// Query tells what became of the query tower.
	Query QueryResult
}

// String is one line for people.
func (r Result) String() string {
	s := fmt.Sprintf("%s, %d epochs (%s), loss %.3f", r.Objective, r.Epochs, r.Stop, r.Loss)
	if r.Cases > 0 {
		s += fmt.Sprintf(", recall@10 %.4f and NDCG@10 %.4f on %d validation users at epoch %d", r.Recall, r.NDCG, r.Cases, r.BestEpoch)
	}
	s += fmt.Sprintf(", %s examples/s", thousands(r.Throughput))
	if r.Query != (QueryResult{}) {
		s += "; " + r.Query.String()
	}
	return s
}

// Train trains both towers, and then the query tower where there is text. progress, if not nil, is called some times a second from the calling goroutine.
//
// When ctx ends, Train returns soon, with the best weights so far and no error; the error is ctx's only when not one step
// was done by then.
func Train(ctx context.Context, in Input, cfg Config, progress func(Progress)) (*Model, Result, error) {
	if err := cfg.Validate(); err != nil {
		return nil, Result{}, fmt.Errorf("training: %w", err)
	}
	if err := in.validate(); err != nil {
		return nil, Result{}, fmt.Errorf("reading what to train on: %w", err)
	}
	if progress == nil {
		progress = func(Progress) {}
	}
	sequences, cases := in.split(cfg.ValidationUsers)
	table := newItemTable(in.Items, sequences, &cfg)
	sequences, err := prepare(sequences, table, &cfg)
	if err != nil {
		return nil, Result{}, fmt.Errorf("reading what to train on: %w", err)
	}
	t := newTrainer(&cfg, table)
	r := &run{
		trainer: t, cfg: &cfg, sequences: sequences, validator: newValidator(t, cases), report: progress,
		begin: time.Now(), windows: rand.New(rand.NewPCG(cfg.Seed, 0x77696e646f7773)),
		bestNDCG: math.Inf(-1),
	}
	r.result = Result{Objective: t.objective(), Cases: len(cases), Parameters: t.parameters()}
	if err := r.train(ctx); err != nil {
		return nil, r.result, fmt.Errorf("training: %w", err)
	}
	model := newModel(t, &in, sequences, r.result)
	r.trainQueries(ctx, model, &in)
	return model, r.result, nil
}

// prepare leaves out what cannot be learnt from.
func prepare(sequences [][]int32, table *itemTable, cfg *Config) ([][]int32, error) {
	sequences = table.known(sequences)
	if !cfg.Repeats {
		sequences = markRepeats(sequences, len(table.idRow))
	}
	for _, seq := range sequences {
		if len(seq) > 1 && targetsIn(seq) > 0 {
			return sequences, nil
		}
	}
	return nil, fmt.Errorf("no user has two different items that earn an id (min_item_events is %d) or have content: "+
		"give more events, or set min_item_events to 1", cfg.MinItemEvents)
}

func (t *trainer) parameters() int {
	return len(t.users.Flat) + len(t.table.w.ID) + len(t.table.w.Content)
}

func (t *trainer) objective() string {
	if t.sampler == nil {
		return fmt.Sprintf("full softmax over %d items", len(t.candidates))
	}
	return fmt.Sprintf("sampled softmax, about %d of %d items a step", min(t.cfg.Negatives, len(t.candidates)), len(t.candidates))
}

// run is one training from its first step to its last.
type run struct {
	*trainer
	cfg       *Config
	sequences [][]int32
	validator *validator
	report    func(Progress)
	result    Result

	windows       *rand.Rand
	begin         time.Time
	reported      time.Time
	learning      time.Duration // without validation
	batchSize     int           // windows a step; like stepsPerEpoch, settled in the first epoch
	stepsPerEpoch int

	told     Progress  // last
	bestNDCG float64   // not cut at 10
	best     []float32 // the weights of the best epoch
	sinceTop int       // epochs since the best
}

func (r *run) train(ctx context.Context) error {
	for epoch := 1; epoch <= r.cfg.Epochs && r.result.Stop == ""; epoch++ {
		r.result.Epochs = epoch
		r.epoch(ctx)
		if r.steps == 0 {
			return ctx.Err()
		}
		if r.result.Stop != StopCaller {
			r.judge()
		}
	}
	if r.result.Stop == "" {
		r.result.Stop = StopEpochs
	}
	if r.best != nil {
		r.restore()
	} else {
		r.result.BestEpoch = r.result.Epochs
	}
	r.result.Elapsed, r.result.Throughput = time.Since(r.begin), r.throughput()
	r.say(atLast, r.throughput())
	return nil
}

// epoch learns from each window once.
func (r *run) epoch(ctx context.Context) {
	began := time.Now()
	all := cutWindows(nil, r.sequences, r.cfg.MaxWindow, r.windows)
	r.windows.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if r.stepsPerEpoch == 0 {
		r.batchSize = r.cfg.batchSize(len(all))
		r.stepsPerEpoch = (len(all) + r.batchSize - 1) / r.batchSize
	}
	size := r.batchSize
	total, positions := 0.0, 0
	for start := 0; start < len(all); start += size {
		if r.interrupted(ctx) {
			break
		}
		rate := r.cfg.LearningRate * learningRate(r.steps, r.stepsPerEpoch, r.done())
		loss, n := r.step(all[start:min(start+size, len(all))], rate)
		total, positions = total+loss, positions+n
		r.result.Loss = total / float64(max(positions, 1))
		if time.Since(r.reported) > reportEvery {
			r.say(withinEpoch, float64(positions)/time.Since(began).Seconds())
		}
	}
	r.result.Examples += positions
	r.learning += time.Since(began)
}

func (r *run) interrupted(ctx context.Context) bool {
	switch {
	case ctx.Err() != nil:
		r.result.Stop = StopCaller
	case r.cfg.TimeBudget > 0 && time.Since(r.begin) >= r.cfg.TimeBudget:
		r.result.Stop = StopBudget
	}
	return r.result.Stop != ""
}

// done is the share of training that is over, by steps or, if that is more, by the clock.
func (r *run) done() float64 {
	done := float64(r.steps) / float64(r.cfg.Epochs*r.stepsPerEpoch)
	if r.cfg.TimeBudget > 0 {
		done = max(done, float64(time.Since(r.begin))/float64(r.cfg.TimeBudget))
	}
	return min(done, 1)
}

// judge validates the weights as they are and keeps them when they are the best so far. Without cases the last are the best.
func (r *run) judge() {
	better := true
	if len(r.validator.cases) > 0 {
		now := r.validator.run(r.trainer)
		better = now.ndcg > r.bestNDCG
		if better {
			r.bestNDCG, r.result.Recall, r.result.NDCG = now.ndcg, now.recall10, now.ndcg10
		}
	}
	if better {
		r.result.BestEpoch, r.sinceTop = r.result.Epochs, 0
		r.best = append(append(append(r.best[:0], r.users.Flat...), r.table.w.ID...), r.table.w.Content...)
	} else if r.sinceTop++; r.sinceTop >= r.cfg.Patience && r.result.Stop == "" {
		r.result.Stop = StopPatience
	}
	r.say(epochEnd, r.throughput())
}

func (r *run) restore() {
	n := copy(r.users.Flat, r.best)
	n += copy(r.table.w.ID, r.best[n:])
	copy(r.table.w.Content, r.best[n:])
}

func (r *run) throughput() float64 {
	return float64(r.result.Examples) / max(r.learning.Seconds(), 1e-9)
}

// moment is what occasions a report.
type moment uint8

const (
	withinEpoch moment = iota
	epochEnd
	atLast
)

func (r *run) say(when moment, throughput float64) {
	r.reported = time.Now()
	elapsed, done := time.Since(r.begin), r.done()
	if when == atLast {
		done = 1
	}
	left := time.Duration(0)
	if done > 0 {
		left = time.Duration(float64(elapsed) * (1 - done) / done)
	}
	r.told = Progress{
		Objective: r.result.Objective, Epoch: r.result.Epochs, Epochs: r.cfg.Epochs, Done: done, EpochDone: when == epochEnd,
		Last: when == atLast,
		Loss: r.result.Loss, Validated: r.best != nil && r.result.Cases > 0, Recall: r.result.Recall, NDCG: r.result.NDCG,
		BestEpoch: r.result.BestEpoch, Throughput: throughput, Elapsed: elapsed, Left: left,
	}
	r.report(r.told)
}
