package training

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/matrix"
)

// QueryResult says what became of the query tower.
type QueryResult struct {
	// None says why there is no query tower; empty where there is one.
	None     string
	Items    int // with text
	Searches int // different ones
	Features int // words and n-grams
	Steps    int
	Loss     float64 // of the last epoch
	Elapsed  time.Duration
}

// String is one line for people.
func (r QueryResult) String() string {
	if r.None != "" {
		return "no query tower: " + r.None
	}
	return fmt.Sprintf("query tower of %d words and n-grams from the texts of %d items and %d searches, loss %.3f",
		r.Features, r.Items, r.Searches, r.Loss)
}

// lengthUsers and lengthEvents bound what the typical length of a user's embedding is measured on.
const (
	lengthUsers  = 256
	lengthEvents = 32
)

// trainQueries trains the query tower over the model's item vectors, and leaves it there. When ctx ends it keeps what is learnt so
// far, and makes no tower when that is nothing.
func (e *ensemble) trainQueries(ctx context.Context, m *Model, in *Input) {
	result, began := &e.result.Query, time.Now()
	if !e.cfg.Query.Enabled {
		result.None = "query.enabled is false"
		return
	}
	var candidates []int32
	has := func(item int32) bool { v := m.Vector(item); return matrix.Dot(v, v) > 0 }
	for i := range in.Items {
		if has(int32(i)) {
			candidates = append(candidates, int32(i))
		}
	}
	texts := newQueryTexts(&e.cfg.Query, in.Items, in.Searches, e.table.events, has)
	result.Searches = len(texts.searches)
	result.Items = len(texts.sources) - result.Searches
	switch {
	case len(texts.sources) == 0:
		result.None = "no item has a title or other text, and there are no searches"
		return
	case ctx.Err() != nil:
		result.None, e.result.Stop = "training was stopped before it", StopCaller
		return
	}
	cfg := *e.cfg
	cfg.Dim = m.Dim() // of all heads
	t := newQueryTrainer(&cfg, texts, m.vectors, candidates, e.table.events)
	result.Features = len(t.score)
	e.queryEpochs(ctx, t)
	if ctx.Err() != nil {
		e.result.Stop = StopCaller
	}
	result.Steps, result.Elapsed = t.steps, time.Since(began)
	m.queries = t.weights(m.typicalLength(in.Sequences))
}

// queryShare is what part of a time budget the query tower may take on top of it.
const queryShare = 5

// queryEpochs goes over the sources, each time in another order.
func (e *ensemble) queryEpochs(ctx context.Context, t *queryTrainer) {
	c, sources := &e.cfg.Query, t.texts.sources
	rng := rand.New(rand.NewPCG(e.cfg.Seed, 0x71756572696573))
	batch := c.batch(len(sources))
	each := (len(sources) + batch - 1) / batch
	all := min(c.MaxSteps, c.Epochs*each)
	began := time.Now()
	done := func() float64 {
		share := float64(t.steps) / float64(all)
		if budget := e.cfg.TimeBudget / queryShare; budget > 0 {
			share = max(share, float64(time.Since(began))/float64(budget))
		}
		return share
	}
	for done() < 1 {
		rng.Shuffle(len(sources), func(i, j int) { sources[i], sources[j] = sources[j], sources[i] })
		total, steps := 0.0, 0
		for start := 0; start < len(sources) && done() < 1; start += batch {
			if ctx.Err() != nil {
				return
			}
			rate := c.LearningRate * learningRate(t.steps, each, done())
			total += t.step(sources[start:min(start+batch, len(sources))], rng, rate)
			steps++
			e.result.Query.Loss = total / float64(steps)
			if time.Since(e.reported) > reportEvery {
				e.sayQuery(t)
			}
		}
	}
}

func (e *ensemble) sayQuery(t *queryTrainer) {
	e.reported = time.Now()
	e.told.Query = fmt.Sprintf("query tower  step %d  loss %.3f", t.steps, e.result.Query.Loss)
	e.progress(e.told)
}

// typicalLength is the mean length of the embeddings of some users; of those who did nothing there is none.
func (m *Model) typicalLength(sequences [][]int32) float32 {
	embedding := make([]float32, m.Dim())
	total, n := 0.0, 0
	users := min(lengthUsers, len(sequences))
	for k := range users {
		seq := sequences[k*len(sequences)/users]
		m.embed(embedding, eventsOf(seq[max(0, len(seq)-lengthEvents):], nil, nil, towers.Inputs{}))
		if length := math.Sqrt(float64(matrix.Dot(embedding, embedding))); length > 0 {
			total += length
			n++
		}
	}
	if n == 0 {
		return 1
	}
	return float32(total / float64(n))
}

// QueryTower is the trained query tower; nil where there was no text to learn from.
func (m *Model) QueryTower() *towers.QueryTower {
	if m.queries == nil {
		return nil
	}
	return towers.NewQueryTower("trained", m.queries)
}
