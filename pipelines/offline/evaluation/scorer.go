package evaluation

import "github.com/freshet/freshet/pipelines/offline/dataset"

// Scorer is a model under measurement: towers, or one of the baselines here.
type Scorer interface {
	// Name stands in reports.
	Name() string
	// Score writes a score for each item, by its dense index, the higher the better, to a user with this history (oldest
	// first), which it must not keep. It is called from several goroutines at once.
	Score(scores []float32, user int32, history []int32)
}

// batchScorer is a Scorer that answers many cases at once, and reads more of each than the history's items, such as kinds
// and times of its events.
type batchScorer interface {
	// ScoreCases is Score for each of the cases, one row of scores after the other. It must not look at the targets.
	ScoreCases(scores []float32, cases []dataset.Case)
}

// scoreCases writes a row of scores for each case.
func scoreCases(s Scorer, scores []float32, cases []dataset.Case) {
	if batches, can := s.(batchScorer); can {
		batches.ScoreCases(scores, cases)
		return
	}
	items := len(scores) / len(cases)
	for i := range cases {
		s.Score(scores[i*items:(i+1)*items], cases[i].User, cases[i].History)
	}
}

// Popularity scores an item by how often it occurs in the histories.
type Popularity struct{ counts []float32 }

// NewPopularity counts over the users' histories; items is the size of the catalogue.
func NewPopularity(histories [][]int32, items int) *Popularity {
	p := &Popularity{counts: make([]float32, items)}
	for _, history := range histories {
		for _, item := range history {
			p.counts[item]++
		}
	}
	return p
}

// Name is the scorer's row in the table.
func (p *Popularity) Name() string { return "popularity" }

// Score gives every user the same scores.
func (p *Popularity) Score(scores []float32, _ int32, _ []int32) { copy(scores, p.counts) }

// Random scores by chance, the same for each user and item as long as the seed is: the floor of every table.
type Random struct{ Seed uint64 }

// Name is the scorer's row in the table.
func (r Random) Name() string { return "random" }

// Score draws from [0, 1), by the seed, the user and the item alone.
func (r Random) Score(scores []float32, user int32, _ []int32) {
	for i := range scores {
		scores[i] = float32(dataset.Mix64(r.Seed^dataset.Mix64(uint64(uint32(user))<<32|uint64(i)))>>40) / (1 << 24)
	}
}
