package training

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/freshet/freshet/services/towers"
)

// ensemble trains the heads one after the other and puts them side by side.
type ensemble struct {
	cfg       *Config
	reads     towers.Inputs
	table     *itemTable
	sequences [][]event // the users'
	learnt    [][]event // what is made of them
	cases     []heldOut
	from      *start // nil begins with what is drawn
	progress  func(Progress)
	say       func(string)
	keeper    *keeper // nil keeps no checkpoint
	begin     time.Time

	done     []*run
	current  *run          // what a checkpoint gave to go on with
	learning time.Duration // of all done, without validation
	result   Result

	told     Progress // last
	reported time.Time
}

// seedStep parts the seeds of heads far enough that neighbouring seeds of two trainings share none.
const seedStep = 0x9e3779b97f4a7c15

// train trains every head. A head that the caller cuts short counts only where there is no whole one.
func (e *ensemble) train(ctx context.Context) error {
	for k := len(e.done); k < e.cfg.Heads; k++ {
		r := e.current
		if e.current = nil; r == nil {
			r = e.newRun(k)
		}
		r.keep = func() { e.keep(r) }
		err := r.train(ctx)
		if k == 0 {
			e.result = r.result
		}
		if cut := err != nil || r.result.Stop == StopCaller; cut && k > 0 {
			e.result.Stop = StopCaller
			return nil
		}
		if err != nil {
			return err
		}
		e.add(r)
		if r.result.Stop == StopCaller {
			return nil
		}
	}
	return nil
}

func (e *ensemble) newRun(k int) *run {
	r := newRun(e.headConfig(k), e.table.fresh(), e.reads, e.learnt, e.cases, e.report(k))
	if e.from != nil {
		e.from.apply(k, r.trainer)
		r.warm = true
	}
	return r
}

// headConfig is head k's: its seed, and its share of the time that is left.
func (e *ensemble) headConfig(k int) *Config {
	cfg := *e.cfg
	cfg.Seed += uint64(k) * seedStep
	if cfg.TimeBudget > 0 {
		left := cfg.TimeBudget - time.Since(e.begin)
		cfg.TimeBudget = max(left/time.Duration(cfg.Heads-k), time.Nanosecond)
	}
	return &cfg
}

func (e *ensemble) report(k int) func(Progress) {
	return func(p Progress) {
		p.Head, p.Heads = k+1, e.cfg.Heads
		p.Done = (float64(k) + p.Done) / float64(e.cfg.Heads)
		p.Elapsed = time.Since(e.begin)
		if p.Left = 0; p.Done > 0 {
			p.Left = time.Duration(float64(p.Elapsed) * (1 - p.Done) / p.Done)
		}
		p.Last = false // see sayLast
		e.told = p
		e.progress(p)
	}
}

// sayLast tells that nothing is trained any more.
func (e *ensemble) sayLast() {
	e.told.EpochDone, e.told.Last, e.told.Done, e.told.Left = false, true, 1, 0
	e.progress(e.told)
}

// add keeps a head, without what it took to train it, and sums up.
func (e *ensemble) add(r *run) {
	e.done = append(e.done, &run{
		trainer: &trainer{table: r.table, users: r.users}, cfg: r.cfg, result: r.result, learning: r.learning, begin: r.begin,
	})
	e.learning += r.learning
	sum := r.result
	sum.Heads = append(slices.Clone(e.result.Heads), HeadResult{
		Epochs: sum.Epochs, BestEpoch: sum.BestEpoch, Loss: sum.Loss, Recall: sum.Recall, NDCG: sum.NDCG,
	})
	if len(e.done) > 1 {
		sum.Parameters += e.result.Parameters
		sum.Examples += e.result.Examples
	}
	sum.Throughput = float64(sum.Examples) / max(e.learning.Seconds(), 1e-9)
	sum.Elapsed = time.Since(e.begin)
	e.result = sum
}

// model puts the heads side by side and, where there are several, validates them together.
func (e *ensemble) model(in *Input) *Model {
	table, heads := e.done[0].table, []*towers.UserWeights{e.done[0].users}
	if len(e.done) > 1 {
		var items []*towers.ItemWeights
		heads = nil
		for _, r := range e.done {
			items, heads = append(items, r.table.w), append(heads, r.users)
		}
		whole := *table
		whole.w = joinItemWeights(items)
		table = &whole
		for _, head := range heads {
			scaleOutput(head, 1/float32(len(heads))) // the mean of the scores, as the loss knew them
		}
	}
	m := newModel(e.cfg, table, heads, in, e.sequences)
	if len(heads) > 1 && len(e.cases) > 0 {
		mean := m.validate(e.cases, e.cfg)
		e.result.Recall, e.result.NDCG, e.result.WholeNDCG = mean.recall10, mean.ndcg10, mean.ndcg
	}
	e.result.Elapsed = time.Since(e.begin)
	m.metrics = e.result.metrics()
	return m
}

func (r *Result) metrics() map[string]float64 {
	m := map[string]float64{
		"train_loss": r.Loss, "epoch": float64(r.BestEpoch), "train_examples": float64(r.Examples), "train_seconds": r.Elapsed.Seconds(),
	}
	if r.Cases > 0 {
		m["validation_recall_at_10"] = r.Recall
		m["validation_ndcg_at_10"] = r.NDCG
		m["validation_cases"] = float64(r.Cases)
	}
	return m
}

// validate ranks the cases' targets by the model as it will serve.
func (m *Model) validate(cases []heldOut, cfg *Config) score {
	parts := make([]ranking, cfg.workers())
	d := m.Dim()
	n := len(m.vectors) / d
	var wg sync.WaitGroup
	for w := range parts {
		mine := cases[w*len(cases)/len(parts) : (w+1)*len(cases)/len(parts)]
		wg.Go(func() {
			embeddings, scores := make([]float32, rankedAtOnce*d), make([]float32, rankedAtOnce*n)
			for batch := range slices.Chunk(mine, rankedAtOnce) {
				for i, c := range batch {
					m.embed(embeddings[i*d:(i+1)*d], c.history[max(0, len(c.history)-cfg.ValidationWindow):])
				}
				m.products(scores, embeddings[:len(batch)*d])
				for i, c := range batch {
					parts[w].add(rankOf(scores[i*n:(i+1)*n], c, cfg.Repeats))
				}
			}
		})
	}
	wg.Wait()
	return meanOf(parts)
}
