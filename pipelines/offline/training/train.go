package training

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/freshet/freshet/services/towers"
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
	Objective  string        // what the loss ranked the next item against
	Reads      towers.Inputs // what the user tower reads beside items
	Stop       Stop
	Epochs     int // begun
	BestEpoch  int // whose weights the model has
	Loss       float64
	Recall     float64 // recall@10 on validation, 0 without
	NDCG       float64 // NDCG@10 on validation, 0 without
	WholeNDCG  float64 // not cut at 10: the best epoch is chosen by it, since every case's place says something
	Cases      int     // validation's
	Parameters int
	Examples   int // positions learnt from
	Elapsed    time.Duration
	Throughput float64 // examples a second, validation left out
	// Query tells what became of the query tower.
	Query QueryResult
	// Heads are what each head came to; with several, the figures above are those of all together, but for Loss, Epochs and
	// BestEpoch, which are the last one's.
	Heads []HeadResult
}

// HeadResult is what one head came to alone.
type HeadResult struct {
	Epochs, BestEpoch  int
	Loss, Recall, NDCG float64
}

// String is one line for people.
func (r Result) String() string {
	s := fmt.Sprintf("%s, from %v, %d epochs (%s), loss %.3f", r.Objective, r.Reads, r.Epochs, r.Stop, r.Loss)
	switch heads := len(r.Heads); {
	case r.Cases > 0 && heads > 1:
		s += fmt.Sprintf(", recall@10 %.4f and NDCG@10 %.4f on %d validation cases with %d heads", r.Recall, r.NDCG, r.Cases, heads)
	case r.Cases > 0:
		s += fmt.Sprintf(", recall@10 %.4f and NDCG@10 %.4f on %d validation cases at epoch %d", r.Recall, r.NDCG, r.Cases, r.BestEpoch)
	}
	s += fmt.Sprintf(", %s examples/s", thousands(r.Throughput))
	if r.Query != (QueryResult{}) {
		s += "; " + r.Query.String()
	}
	return s
}

// Train trains both towers, and then the query tower where there is text. progress, if not nil, is called some times a second
// from the calling goroutine.
//
// When ctx ends, Train returns soon, with the best weights so far and no error; the error is ctx's only when not one step
// was done by then.
func Train(ctx context.Context, in Input, cfg Config, progress func(Progress)) (*Model, Result, error) {
	return TrainWith(ctx, in, cfg, Options{Progress: progress})
}

// prepare gives what is learnt from of the sequences of items that are known.
func prepare(sequences [][]event, table *itemTable, cfg *Config, oneChoice bool) ([][]event, error) {
	if cfg.BothDirections {
		sequences = bothDirections(sequences)
	}
	switch {
	case !cfg.Repeats:
		leaveRepeatsAside(sequences, len(table.idRow))
	case oneChoice:
		leaveSuccessionsAside(sequences)
	}
	for _, seq := range sequences {
		if len(seq) > 1 && targetsIn(seq) > 0 {
			return sequences, nil
		}
	}
	return nil, fmt.Errorf("no user has two different items that earn an id (min_item_events is %d) or have content: "+
		"give more events, or set min_item_events to 1", cfg.MinItemEvents)
}

// newRun prepares the training of one head.
func newRun(cfg *Config, table *itemTable, reads towers.Inputs, sequences [][]event, cases []heldOut, report func(Progress)) *run {
	t := newTrainer(cfg, table, reads)
	lots := rand.NewPCG(cfg.Seed, 0x77696e646f7773)
	r := &run{
		trainer: t, cfg: cfg, sequences: sequences, validator: newValidator(t, cases), report: report, keep: func() {},
		begin: time.Now(), windows: rand.New(lots), windowLots: lots,
		bestNDCG: math.Inf(-1),
	}
	r.result = Result{Objective: t.objective(), Reads: reads, Cases: len(cases), Parameters: t.parameters()}
	return r
}

func (t *trainer) parameters() int {
	return len(t.users.Flat) + len(t.table.w.ID) + len(t.table.w.Content)
}

func (t *trainer) objective() string {
	if t.sampler == nil {
		return fmt.Sprintf("full softmax over %d items", len(t.candidates))
	}
	return fmt.Sprintf("sampled softmax with logQ correction, about %d of %d items a step (%v)",
		min(t.cfg.Negatives, len(t.candidates)), len(t.candidates), t.sampler.mixture)
}

// run is one head's training from its first step to its last.
type run struct {
	*trainer
	cfg       *Config
	sequences [][]event
	validator *validator
	report    func(Progress)
	keep      func() // writes a checkpoint
	warm      bool   // begins with an earlier bundle's weights
	result    Result

	windows       *rand.Rand
	windowLots    *rand.PCG // beneath windows
	begin         time.Time
	reported      time.Time
	learning      time.Duration // without validation
	batchSize     int           // windows a step; like stepsPerEpoch, settled in the first epoch
	stepsPerEpoch int

	bestNDCG float64   // not cut at 10
	best     []float32 // the weights of the best epoch
	sinceTop int       // epochs since the best
}

func (r *run) train(ctx context.Context) error {
	if r.warm && r.steps == 0 && len(r.validator.cases) > 0 {
		r.judge() // the earlier weights stay the best unless training betters them
	}
	for r.result.Epochs < r.cfg.Epochs && r.result.Stop == "" {
		r.result.Epochs++
		r.epoch(ctx)
		if r.steps == 0 {
			return ctx.Err()
		}
		if r.result.Stop != StopCaller {
			r.judge()
			r.keep()
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
	if r.sampler != nil {
		r.sampler.begin(all, size)
	}
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
	done := float64(r.steps) / float64(max(r.cfg.Epochs*r.stepsPerEpoch, 1))
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
			r.bestNDCG, r.result.WholeNDCG, r.result.Recall, r.result.NDCG = now.ndcg, now.ndcg, now.recall10, now.ndcg10
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
	r.report(Progress{
		Objective: r.result.Objective, Epoch: r.result.Epochs, Epochs: r.cfg.Epochs, Done: done, EpochDone: when == epochEnd,
		Last: when == atLast, Stop: r.result.Stop,
		Loss: r.result.Loss, Validated: r.best != nil && r.result.Cases > 0, Recall: r.result.Recall, NDCG: r.result.NDCG,
		BestEpoch: r.result.BestEpoch, Throughput: throughput, Elapsed: elapsed, Left: left,
	})
}
