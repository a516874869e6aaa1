package training

import (
	"math"
	"math/rand/v2"

	"github.com/freshet/freshet/services/towers/matrix"
)

// mostAsked bounds, where the loss is sampled, the items that one question takes part with: a category may fit half of a large
// catalogue.
const mostAsked = 8

// queryColumns are the items that the softmax of a step ranks: all candidates where these are few, else a draw of them by the
// same sampler and with the same correction as for the user tower (see softmaxLoss), and what the questions ask for.
type queryColumns struct {
	dim     int
	vectors []float32 // of all items, frozen
	sampler *sampler  // nil where all candidates take part

	columns []int32   // items; the first count of them for all questions, the others only for who asks for them
	column  []int32   // the inverse, by item, -1 for none
	table   []float32 // the columns' vectors
	raise   []float32 // the corrections of the first count
	count   int
}

func newQueryColumns(cfg *Config, vectors []float32, candidates []int32, events []int) queryColumns {
	c := queryColumns{dim: cfg.Dim, vectors: vectors, column: make([]int32, len(events))}
	for i := range c.column {
		c.column[i] = -1
	}
	if len(candidates) > cfg.FullSoftmaxMaxItems {
		seen := make([]int, len(events)) // a new item is worth finding too
		for i, n := range events {
			seen[i] = n + 1
		}
		c.sampler = newSampler(candidates, seen, cfg.Negatives, Mixture{Popularity: 1, Power: cfg.Mixture.Power})
		return c
	}
	c.add(candidates)
	c.count = len(candidates)
	return c
}

func (c *queryColumns) vector(item int32) []float32 {
	return c.vectors[int(item)*c.dim : int(item+1)*c.dim]
}

func (c *queryColumns) add(items []int32) {
	for _, item := range items {
		c.column[item] = int32(len(c.columns))
		c.columns = append(c.columns, item)
		c.table = append(c.table, c.vector(item)...)
	}
}

// choose draws the columns of a step where the loss is sampled: candidates for all questions, and up to mostAsked of what each
// asks for, which it brings to the front of its items.
func (c *queryColumns) choose(batch []asked, rng *rand.Rand) {
	if c.sampler == nil {
		return
	}
	for _, item := range c.columns {
		c.column[item] = -1
	}
	drawn := c.sampler.draw(nil, rng)
	c.columns, c.table, c.raise = c.columns[:0], c.table[:0], c.raise[:0]
	c.add(drawn)
	for _, item := range drawn {
		elsewhere, _ := c.sampler.raise(item, 0)
		c.raise = append(c.raise, elsewhere)
	}
	c.count = len(c.columns)
	for i := range batch {
		q := &batch[i].question
		for at := range min(mostAsked, len(q.items)) {
			j := at + rng.IntN(len(q.items)-at)
			q.items[at], q.items[j] = q.items[j], q.items[at]
			q.shares[at], q.shares[j] = q.shares[j], q.shares[at]
			if c.column[q.items[at]] < 0 {
				c.add(q.items[at : at+1])
			}
		}
	}
}

// each goes over the items that a question asks for and that take part, by their columns, with shares that sum up to 1.
func (c *queryColumns) each(a *asked, do func(column int, share float32)) {
	n := len(a.items)
	if c.sampler != nil {
		n = min(n, mostAsked)
	}
	total := float32(0)
	for _, s := range a.shares[:n] {
		total += s
	}
	for i, item := range a.items[:n] {
		do(int(c.column[item]), a.shares[i]/total)
	}
}

// mask corrects a question's logits for sampling, leaves out the columns of others alone, and returns minus what it asks for. An
// item that fits the question and was drawn as a candidate only is no wrong answer, and is left out as well.
func (c *queryColumns) mask(a *asked, logits []float32) (loss float64) {
	var own [mostAsked]float32
	at := 0
	c.each(a, func(column int, share float32) {
		if c.sampler != nil {
			own[at] = logits[column]
			at++
		}
		loss -= float64(share * logits[column])
	})
	if c.sampler == nil {
		return loss
	}
	out := float32(math.Inf(-1))
	matrix.Axpy(1, c.raise, logits[:c.count])
	for column := c.count; column < len(logits); column++ {
		logits[column] = out
	}
	for _, item := range a.items {
		if column := c.column[item]; column >= 0 {
			logits[column] = out
		}
	}
	at = 0
	c.each(a, func(column int, _ float32) { logits[column] = own[at]; at++ })
	return loss
}
