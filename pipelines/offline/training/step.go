package training

import (
	"math/rand/v2"
	"sync"

	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/matrix"
)

// packRows is how many positions go through the tower at once: enough for the matrix kernels, few enough for the cache.
const packRows = 1024

// trainer holds the weights, their moments and the workers.
type trainer struct {
	cfg     *Config
	table   *itemTable
	users   *towers.UserWeights
	workers []*worker

	// candidates are all trained items, or nil where sampler draws a step's.
	candidates []int32
	sampler    *sampler

	userMoments, idMoments, contentMoments *adam
	itemGrad                               *itemGradient
	rng                                    *rand.Rand
	lots                                   *rand.PCG // beneath rng
	steps                                  int

	// A step's: active are the items that take part, candidates first; slot is the inverse of active; vectors has a row for each.
	active    []int32
	slot      []int32
	count     int       // how many of active are candidates
	raise     []float32 // by candidate, at rows of windows without it; nil for none
	ownRaise  []float32 // by candidate, at rows of windows that have it
	byContent []bool    // by slot
	vectors   []float32
	shares    [][][]event
}

// worker is one goroutine's share of a step.
type worker struct {
	body     *body
	loss     softmaxLoss
	grad     *towers.UserWeights
	dVectors []float32
	dx       []float32 // by row of the pack
	pack     pack
	own      ownItems
	// The embeddings of the rows that are learnt from, and the gradient there.
	learnt, dLearnt []float32
	total           float64
}

func newTrainer(cfg *Config, table *itemTable, reads towers.Inputs) *trainer {
	lots := rand.NewPCG(cfg.Seed, 0x66726573686574)
	rng := rand.New(lots)
	t := &trainer{
		cfg: cfg, table: table, users: towers.NewEventWeights(cfg.Dim, cfg.Layers, reads), rng: rng, lots: lots,
	}
	t.users.Randomise(rng)
	table.w.Randomise(rng)
	t.candidates = table.trained()
	if len(t.candidates) > cfg.FullSoftmaxMaxItems {
		t.sampler = newSampler(t.candidates, table.events, cfg.Negatives, cfg.Mixture)
	}
	t.userMoments = newAdam(len(t.users.Flat))
	t.idMoments = newAdam(len(table.w.ID))
	t.contentMoments = newAdam(len(table.w.Content))
	t.itemGrad = newItemGradient(table.w)
	t.slot = make([]int32, len(table.idRow))
	for i := range t.slot {
		t.slot[i] = -1
	}
	for range cfg.workers() {
		w := &worker{
			body: newBody(t.users, newDropout(cfg.Dropout)),
			loss: softmaxLoss{dim: cfg.Dim},
			grad: towers.NewEventWeights(cfg.Dim, cfg.Layers, reads),
		}
		if t.sampler != nil && t.sampler.inBatch > 0 {
			w.loss.own = &w.own
		}
		t.workers = append(t.workers, w)
	}
	t.shares = make([][][]event, len(t.workers))
	return t
}

// parallel runs do for each worker and waits for all.
func (t *trainer) parallel(do func(w int)) {
	var wg sync.WaitGroup
	for w := range t.workers {
		wg.Go(func() { do(w) })
	}
	wg.Wait()
}

// part is worker w's part of n things.
func (t *trainer) part(w, n int) (from, to int) {
	return w * n / len(t.workers), (w + 1) * n / len(t.workers)
}

// step learns from a batch of windows at the given rate and returns the sum of the losses over its positions.
func (t *trainer) step(batch [][]event, rate float64) (total float64, positions int) {
	total, positions = t.gradient(batch)
	t.steps++
	p := newPace(rate, t.steps)
	t.parallel(func(w int) {
		t.reduce(w)
		t.updateUsers(w, p)
	})
	t.updateItems(p)
	return total, positions
}

// gradient leaves the gradient of the batch's mean loss in the workers' grad and dVectors.
func (t *trainer) gradient(batch [][]event) (total float64, positions int) {
	t.chooseItems(batch)
	share(t.shares, batch)
	for _, window := range batch {
		positions += targetsIn(window)
	}
	resize(&t.vectors, len(t.active)*t.cfg.Dim)
	t.parallel(t.encodeItems)
	weight := 1 / float32(max(positions, 1))
	t.parallel(func(w int) {
		t.workers[w].body.drop.seed(t.cfg.Seed, uint64(t.steps), uint64(w))
		t.workers[w].run(t, t.shares[w], weight)
	})
	for _, w := range t.workers {
		total += w.total
	}
	return total, positions
}

// chooseItems fills active, slot and byContent for a batch.
func (t *trainer) chooseItems(batch [][]event) {
	if t.sampler == nil && len(t.active) > 0 {
		t.dropIDs() // all items, as in the step before
		return
	}
	for _, item := range t.active {
		t.slot[item] = -1
	}
	if t.sampler == nil {
		t.active = append(t.active[:0], t.candidates...)
	} else {
		t.active = t.sampler.draw(t.active[:0], t.rng)
	}
	for s, item := range t.active {
		t.slot[item] = int32(s)
	}
	if t.sampler != nil {
		t.sampleBatch(batch)
	}
	t.count = len(t.active)
	for _, window := range batch {
		for _, e := range window {
			if t.slot[e.item] < 0 {
				t.slot[e.item] = int32(len(t.active))
				t.active = append(t.active, e.item)
			}
		}
	}
	t.dropIDs()
}

// sampleBatch adds candidates from the batch, and says by how much each candidate's logit is raised.
func (t *trainer) sampleBatch(batch [][]event) {
	if t.sampler.keep > 0 {
		const refused = -2 // its lot has been drawn
		for _, window := range batch {
			for _, e := range window {
				if t.slot[e.item] != -1 {
					continue
				}
				if t.slot[e.item] = refused; t.rng.Float64() < t.sampler.keep {
					t.slot[e.item] = int32(len(t.active))
					t.active = append(t.active, e.item)
				}
			}
		}
	}
	t.raise, t.ownRaise = t.raise[:0], t.ownRaise[:0]
	for _, item := range t.active {
		elsewhere, own := t.sampler.raise(item, len(batch))
		t.raise, t.ownRaise = append(t.raise, elsewhere), append(t.ownRaise, own)
	}
}

func (t *trainer) dropIDs() {
	resize(&t.byContent, len(t.active))
	for s := range t.byContent {
		t.byContent[s] = t.cfg.IDDropout > 0 && t.rng.Float64() < t.cfg.IDDropout
	}
}

// encodeItems is worker w's part of the step's item vectors.
func (t *trainer) encodeItems(w int) {
	d := t.cfg.Dim
	from, to := t.part(w, len(t.active))
	for s := from; s < to; s++ {
		t.table.encode(t.vectors[s*d:(s+1)*d], t.active[s], t.byContent[s])
	}
}

// run takes windows pack by pack forward and backward.
func (w *worker) run(t *trainer, windows [][]event, weight float32) {
	clear(w.grad.Flat)
	resize(&w.dVectors, len(t.active)*t.cfg.Dim)
	clear(w.dVectors)
	w.total = 0
	w.reset()
	for _, window := range windows {
		if len(w.pack.inputs)+len(window)-1 > packRows && len(w.pack.inputs) > 0 {
			w.runPack(t, weight)
		}
		rows := len(w.pack.rows)
		w.pack.add(window, t.slot)
		if w.loss.own != nil {
			w.own.add(t, window, len(w.pack.rows)-rows)
		}
	}
	if len(w.pack.inputs) > 0 {
		w.runPack(t, weight)
	}
}

func (w *worker) runPack(t *trainer, weight float32) {
	d := t.cfg.Dim
	x := w.body.forward(&w.pack, t.vectors)
	resize(&w.learnt, len(w.pack.rows)*d)
	resize(&w.dLearnt, len(w.pack.rows)*d)
	for i, r := range w.pack.rows {
		copy(w.learnt[i*d:(i+1)*d], x[int(r)*d:int(r+1)*d])
	}
	w.total += w.loss.run(w.dLearnt, w.dVectors, w.learnt, t.vectors, w.pack.targets, t.count, t.raise, weight)
	resize(&w.dx, len(x))
	clear(w.dx)
	for i, r := range w.pack.rows {
		copy(w.dx[int(r)*d:int(r+1)*d], w.dLearnt[i*d:(i+1)*d])
	}
	w.body.backward(w.dx, w.grad)
	for r, slot := range w.pack.inputs {
		matrix.Axpy(1, w.dx[r*d:(r+1)*d], w.dVectors[int(slot)*d:int(slot+1)*d])
	}
	w.reset()
}

func (w *worker) reset() {
	w.pack.reset()
	w.own.reset()
}

// reduce adds up worker w's part of all workers' gradients, in the order of the workers, into the first one's.
func (t *trainer) reduce(w int) {
	sum := func(of func(*worker) []float32) {
		whole := of(t.workers[0])
		from, to := t.part(w, len(whole))
		for _, other := range t.workers[1:] {
			matrix.Axpy(1, of(other)[from:to], whole[from:to])
		}
	}
	sum(func(w *worker) []float32 { return w.grad.Flat })
	sum(func(w *worker) []float32 { return w.dVectors })
}

func (t *trainer) updateUsers(w int, p pace) {
	from, to := t.part(w, len(t.users.Flat))
	t.userMoments.update(t.users.Flat[from:to], t.workers[0].grad.Flat[from:to], from, p)
}

// updateItems moves the rows of both tables that the step touched.
func (t *trainer) updateItems(p pace) {
	d := t.cfg.Dim
	dVectors := t.workers[0].dVectors
	t.itemGrad.reset(d)
	for s, item := range t.active {
		t.table.backward(t.itemGrad, item, dVectors[s*d:(s+1)*d])
	}
	weights := t.table.w
	t.parallel(func(w int) {
		from, to := t.part(w, len(t.active))
		for s := from; s < to; s++ {
			item := t.active[s]
			if row := t.table.rowOf(item, t.byContent[s]); row >= 0 {
				t.idMoments.update(weights.ID[row*d:(row+1)*d], dVectors[s*d:(s+1)*d], row*d, p)
			}
		}
		from, to = t.part(w, len(t.itemGrad.tokens))
		for _, row := range t.itemGrad.tokens[from:to] {
			at := int(row) * d
			t.contentMoments.update(weights.Content[at:at+d], t.itemGrad.content[at:at+d], at, p)
		}
	})
}
