package evaluation

import (
	"math"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/services/towers"
)

// RecentPopularity scores an item by how often it occurred, an occurrence counting half for each half-life that has passed
// since: what is popular now. It knows the last moment of what it learnt from, not that of each case.
type RecentPopularity struct{ Popularity }

// Name is the scorer's row in the table.
func (p *RecentPopularity) Name() string { return "recent popularity" }

// halfLives is how many half-lives the times of a data set span: nine days of half a year.
const halfLives = 20

// lastEvents is the half-life in events of a user, where nothing but each user's order is known.
const lastEvents = 10

// NewRecentPopularity counts over the events that move tastes, by their time; the half-life is a twentieth of their span.
func NewRecentPopularity(d *dataset.Dataset) *RecentPopularity {
	p := &RecentPopularity{Popularity{counts: make([]float32, len(d.Items))}}
	if len(d.Events) == 0 {
		return p
	}
	last := d.Events[len(d.Events)-1].At
	span := float64(max(last-d.Events[0].At, 1))
	for i := range d.Events {
		if e := &d.Events[i]; towers.CountsForTaste(d.Kind(e)) {
			p.counts[e.Item] += decayed(float64(last-e.At) * halfLives / span)
		}
	}
	return p
}

// NewRecentPopularityInOrder counts over histories of which only the order is known: with inTime, the rows are in the order of
// time, and the half-life is a twentieth of them; otherwise it is ten events, back from the end of each row.
func NewRecentPopularityInOrder(rows [][]int32, items int, inTime bool) *RecentPopularity {
	p := &RecentPopularity{Popularity{counts: make([]float32, items)}}
	for r, row := range rows {
		for at, item := range row {
			age := float64(len(row)-1-at) / lastEvents
			if inTime {
				age = float64(len(rows)-1-r) * halfLives / float64(len(rows))
			}
			p.counts[item] += decayed(age)
		}
	}
	return p
}

func decayed(halfLives float64) float32 { return float32(math.Exp2(-halfLives)) }

// SessionPopularity scores the items of the history by how often they occur in it, and all by how popular they are, which decides
// among equals: the baseline S-POP of session-based recommendation (Hidasi et al., ICLR 2016). It says something only where
// seen items stay in the lists.
type SessionPopularity struct{ share []float32 }

// NewSessionPopularity counts over the users' histories; items is the size of the catalogue.
func NewSessionPopularity(histories [][]int32, items int) *SessionPopularity {
	p := &SessionPopularity{share: NewPopularity(histories, items).counts}
	most := float32(1)
	for _, n := range p.share {
		most = max(most, n)
	}
	for i := range p.share {
		p.share[i] /= 2 * most // half at the most: one event of the session weighs more
	}
	return p
}

// Name is the scorer's row in the table.
func (*SessionPopularity) Name() string { return "session popularity" }

// Score counts the history's items.
func (p *SessionPopularity) Score(scores []float32, _ int32, history []int32) {
	copy(scores, p.share)
	for _, item := range history {
		scores[item]++
	}
}
