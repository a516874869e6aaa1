package training

import (
	"fmt"

	"github.com/freshet/freshet/services/towers"
)

// Shape is the size of what is trained on.
type Shape struct {
	Items   int // of the catalogue
	Trained int // of them with events
	IDs     int // of them with an id embedding
	Tokens  int // with a content embedding
	Labels  int // tokens of all items together
	Users   int
	Events  int
	Reads   int // rows of what the user tower reads beside the items (see towers.Inputs)
	Cases   int // of validation
}

// Memory is what training holds at its largest moment, in bytes, beside its input. The heap of a Go program may grow to twice
// that before what is dead is collected (GOGC, GOMEMLIMIT).
//
// With d = dim, P = 4 bytes x (d x (ids + tokens) + a user tower's weights), and the d of one head everywhere:
//
//	Weights    P x heads, and once more for the best epoch's
//	Optimiser  2 P (Adam's moments) + 4 d tokens (the gradient of the content)
//	Catalogue  60 items + 16 ids + 4 labels (names, indexes, slots, the sampler's probabilities)
//	Events     8 events + 24 users (what training makes of the sequences; twice that where both directions
//	           are learnt) + 24 windows
//	Workers    each: the user tower's gradient, 4 d (active items) for theirs, a pack's tape of rows x d x (13 + 26 layers)
//	           values, a block of logits, and 12 d candidates (their vectors and gradient, transposed)
//	Step       4 d (active items)
//	Validation 4 d items + 4 items x 16 cases for each worker, and a tape of 16 histories for each
//
// where active items are a step's candidates and those of its windows.
type Memory struct {
	Weights, Optimiser, Catalogue, Events, Workers, Step, Validation int
}

// Total is the sum.
func (m Memory) Total() int {
	return m.Weights + m.Optimiser + m.Catalogue + m.Events + m.Workers + m.Step + m.Validation
}

func (m Memory) String() string {
	mib := func(bytes int) string { return fmt.Sprintf("%.1f", float64(bytes)/(1<<20)) }
	return fmt.Sprintf("about %s MiB of memory beside the data: weights %s, optimiser %s, catalogue %s, events %s, workers %s, step %s, "+
		"validation %s", mib(m.Total()), mib(m.Weights), mib(m.Optimiser), mib(m.Catalogue), mib(m.Events), mib(m.Workers), mib(m.Step),
		mib(m.Validation))
}

// EstimateMemory tells what training will hold before it begins.
func EstimateMemory(cfg Config, s Shape) Memory {
	const value, index, header = 4, 4, 24
	d, workers := cfg.Dim, cfg.workers()
	norms, products := 3*2*d, 3*d*d+d*d+2*towers.FeedForward*d*d
	biases := 3*d + d + towers.FeedForward*d + d
	users := 2*2*d + cfg.Layers*(norms+products+biases+3*d*s.Reads)
	parameters := d*(s.IDs+s.Tokens) + users

	windows := s.Users + s.Events/cfg.MaxWindow
	long := min(cfg.MaxWindow, max(s.Events/max(s.Users, 1), 2)) // a mean window
	candidates := s.Trained
	if s.Trained > cfg.FullSoftmaxMaxItems {
		candidates = min(cfg.Negatives, s.Trained)
	}
	active := min(s.Trained, candidates+cfg.batchSize(windows)*long)
	rows := min(max(packRows, cfg.MaxWindow), s.Events, cfg.batchSize(windows)*long/workers+long)
	lossRows := min(mostLossRows, max(leastLossRows, logitsAtOnce/(candidates+1)), rows)
	tape := func(rows int) int { return value * rows * d * (13 + 26*cfg.Layers) }
	together := min(rankedAtOnce, (s.Cases+workers-1)/workers)

	m := Memory{
		Weights:   value * parameters * (cfg.Heads + 1),
		Optimiser: 2*value*parameters + value*d*s.Tokens,
		Catalogue: 60*s.Items + 16*s.IDs + index*s.Labels,
		Events:    2*index*s.Events + header*s.Users + header*windows,
		Workers: workers * (value*users + value*d*active + tape(rows) + 3*value*rows*d +
			value*lossRows*rowWidth(candidates+1) + 3*value*d*rowWidth(candidates+1)),
		Step: (value*d + 16) * active,
	}
	if s.Cases > 0 {
		m.Validation = value*d*s.Items + workers*(value*s.Items*together+tape(together*min(cfg.ValidationWindow, long)))
	}
	return m
}

// shape is that of an ensemble that is ready to train.
func (e *ensemble) shape() Shape {
	s := Shape{
		Items: len(e.table.idRow), Trained: len(e.table.trained()), IDs: len(e.table.w.IDs),
		Tokens: len(e.table.w.Tokens), Labels: len(e.table.bag),
		Users: len(e.learnt), Cases: len(e.cases), Reads: e.reads.Rows(),
	}
	for _, seq := range e.learnt {
		s.Events += len(seq)
	}
	return s
}
