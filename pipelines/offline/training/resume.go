package training

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/freshet/freshet/services/towers"
)

// keeper writes checkpoints of an ensemble.
type keeper struct {
	path        string
	fingerprint Fingerprint
}

// keepAt has the ensemble keep a checkpoint at path after each epoch, and goes on from the one that is there unless restart is
// set.
func (e *ensemble) keepAt(path string, restart bool, now Fingerprint) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("making the checkpoint's folder: %w", err)
	}
	e.keeper = &keeper{path, now}
	if restart {
		return RemoveCheckpoint(path)
	}
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("opening the checkpoint: %w", err)
	}
	defer f.Close()
	if err := e.resume(f); err != nil {
		return fmt.Errorf("%s: %w; give --restart to train anew over it, or --checkpoint to keep another", path, err)
	}
	e.say(fmt.Sprintf("going on from %s: head %d of %d, %d epochs done after %v", path, len(e.done)+1, e.cfg.Heads,
		e.current.result.Epochs, time.Since(e.begin).Round(time.Second)))
	return nil
}

// resume makes of the ensemble what it was when the checkpoint was written.
func (e *ensemble) resume(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	c, err := openCheckpoint(f, info.Size())
	if err != nil {
		return err
	}
	if differ := e.keeper.fingerprint.Differences(c.head.Fingerprint); len(differ) > 0 {
		return fmt.Errorf("it is of another training (%s)", strings.Join(differ, "; "))
	}
	if len(c.head.Done) >= e.cfg.Heads {
		return damaged("it has %d heads and one more, of %d", len(c.head.Done), e.cfg.Heads)
	}
	var done []*run
	var into [][]float32
	for k := range c.head.Done {
		table := e.table.fresh()
		users := towers.NewEventWeights(e.cfg.Dim, e.cfg.Layers, e.reads)
		r := &run{cfg: e.headConfig(k), trainer: &trainer{table: table, users: users}}
		done, into = append(done, r), append(into, r.weights()...)
	}
	k := len(done)
	current := e.newRun(k)
	current.cfg.TimeBudget = c.head.Current.Budget
	into = append(into, current.tensors(c.head.Current.Kept)...)
	if err := c.tensors(into); err != nil {
		return err
	}
	if err := current.set(&c.head.Current); err != nil {
		return err
	}
	e.begin = time.Now().Add(-c.head.Elapsed)
	for k, r := range done {
		r.result = Result{Objective: current.result.Objective, Cases: len(e.cases), Parameters: r.parameters()}
		r.take(&c.head.Done[k])
		e.add(r)
	}
	e.current = current
	return nil
}

// keep writes a checkpoint of the heads that are done and of r. Training goes on when that fails: what is trained is worth more
// than where it might be gone on from, and the checkpoint before stays whole.
func (e *ensemble) keep(r *run) {
	if e.keeper == nil {
		return
	}
	head := checkpoint{Fingerprint: e.keeper.fingerprint, Elapsed: time.Since(e.begin), Current: r.state()}
	var tensors [][]float32
	for _, d := range e.done {
		head.Done = append(head.Done, d.state())
		tensors = append(tensors, d.weights()...)
	}
	if err := writeCheckpoint(e.keeper.path, &head, append(tensors, r.tensors(r.best != nil)...)); err != nil {
		e.say(fmt.Sprintf("no checkpoint of epoch %d: %v", r.result.Epochs, err))
	}
}

func (t *trainer) weights() [][]float32 {
	return [][]float32{t.users.Flat, t.table.w.ID, t.table.w.Content}
}

// tensors lists what a run that is under way consists of; kept says whether there are best weights.
func (r *run) tensors(kept bool) [][]float32 {
	ts := r.weights()
	for _, m := range []*adam{r.userMoments, r.idMoments, r.contentMoments} {
		ts = append(ts, m.first, m.second)
	}
	if kept {
		if r.best == nil {
			r.best = make([]float32, r.parameters())
		}
		ts = append(ts, r.best)
	}
	return ts
}

// state is the run beside its tensors. A run that is done has no generators, since it draws no more.
func (r *run) state() runState {
	s := runState{
		Stop: r.result.Stop, Epochs: r.result.Epochs, BestEpoch: r.result.BestEpoch, Examples: r.result.Examples,
		Loss: exact(r.result.Loss), Recall: exact(r.result.Recall), NDCG: exact(r.result.NDCG),
		BestNDCG: exact(r.bestNDCG), Kept: r.best != nil, SinceTop: r.sinceTop, Steps: r.steps,
		BatchSize: r.batchSize, StepsPerEpoch: r.stepsPerEpoch,
		Budget: r.cfg.TimeBudget, Elapsed: time.Since(r.begin), Learning: r.learning,
	}
	if r.lots != nil {
		s.Lots, _ = r.lots.MarshalBinary() // cannot fail
		s.Windows, _ = r.windowLots.MarshalBinary()
	}
	return s
}

// take makes of the run what state gave, but for its generators.
func (r *run) take(s *runState) {
	r.result.Stop, r.result.Epochs, r.result.BestEpoch, r.result.Examples = s.Stop, s.Epochs, s.BestEpoch, s.Examples
	r.result.Loss, r.result.Recall, r.result.NDCG = float64(s.Loss), float64(s.Recall), float64(s.NDCG)
	r.bestNDCG, r.sinceTop, r.steps = float64(s.BestNDCG), s.SinceTop, s.Steps
	r.batchSize, r.stepsPerEpoch = s.BatchSize, s.StepsPerEpoch
	if r.result.Cases > 0 {
		r.result.WholeNDCG = r.bestNDCG
	}
	r.learning, r.begin = s.Learning, time.Now().Add(-s.Elapsed)
}

func (r *run) set(s *runState) error {
	if s.Steps < 1 || s.Epochs < 1 || s.BatchSize < 1 || s.StepsPerEpoch < 1 {
		return damaged("it counts %d steps in %d epochs of %d steps of %d windows", s.Steps, s.Epochs, s.StepsPerEpoch, s.BatchSize)
	}
	r.take(s)
	if err := errors.Join(r.lots.UnmarshalBinary(s.Lots), r.windowLots.UnmarshalBinary(s.Windows)); err != nil {
		return damaged("its generators cannot be read: %v", err)
	}
	return nil
}
