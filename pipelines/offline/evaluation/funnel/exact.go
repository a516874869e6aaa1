package funnel

import (
	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/evaluation"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/matrix"
)

// exact ranks all items of a catalogue by the inner product alone.
type exact struct {
	user        *towers.UserTower
	vectors     []float32 // items x dim
	items       int
	window      int
	includeSeen bool
	scores      []float32
	seen        []bool
}

func newExact(item *towers.ItemTower, user *towers.UserTower, changes []schemas.ItemChange, c Config) *exact {
	d := item.Dim()
	e := &exact{
		user: user, items: len(changes), window: c.Window, includeSeen: c.IncludeSeen,
		vectors: make([]float32, len(changes)*d), scores: make([]float32, len(changes)), seen: make([]bool, len(changes)),
	}
	for i := range changes {
		features := towers.FeaturesOf(&changes[i])
		item.Encode(e.vectors[i*d:(i+1)*d], &features)
	}
	return e
}

// embedding encodes the newest events of a history, as training scored it.
func (e *exact) embedding(c *dataset.Case) []float32 {
	d := e.user.Dim()
	vector := func(item int32) []float32 { return e.vectors[int(item)*d : int(item+1)*d] }
	embedding := make([]float32, d)
	e.user.Follow(new(towers.State), embedding, evaluation.AppendActs(nil, e.user, c, e.window, vector))
	return embedding
}

// rank is how many items stand before a case's target, those of equal score among them; -1 where there is no embedding, or the
// target was seen and cannot be listed.
func (e *exact) rank(embedding []float32, c *dataset.Case) int {
	if embedding == nil {
		return -1
	}
	d := e.user.Dim()
	matrix.Gemm(false, true, 1, e.items, d, 1, embedding, d, e.vectors, d, 0, e.scores, e.items)
	if !e.includeSeen {
		for _, item := range c.History {
			e.seen[item] = true
		}
		defer func() {
			for _, item := range c.History {
				e.seen[item] = false
			}
		}()
	}
	target := c.Targets[0]
	if e.seen[target] {
		return -1
	}
	before := 0
	for item, score := range e.scores {
		if !(score < e.scores[target]) && !e.seen[item] && int32(item) != target {
			before++
		}
	}
	return before
}
