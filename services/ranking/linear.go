package ranking

import (
	"math"
	"sync"
	"time"
)

// Linear scores a candidate by a weighted sum: retrieval score, recency, popularity, price affinity.
type Linear struct {
	config Config
	// pool holds scratch for one page: without it each Rank would allocate as many popularities as it has candidates.
	pool sync.Pool
}

// NewLinear makes a ranker of weights that Validate accepts.
func NewLinear(c Config) *Linear {
	return &Linear{config: c, pool: sync.Pool{New: func() any { return new([]float64) }}}
}

// The reasons that Rank gives.
const (
	ReasonTaste   = "close to your recent taste"
	ReasonSimilar = "similar to the item you look at"
	ReasonSearch  = "fits your search"
	ReasonPopular = "popular now"
	ReasonNew     = "new"
	ReasonPrice   = "in your price range"
	mostReasons   = 4
)

// closeRetrieval, in standard deviations above the page's mean, and popularShare, of the logarithmic scale up to the
// page's most popular item, are where a part of the score is worth a reason.
const (
	closeRetrieval = 1.0
	popularShare   = 0.7
)

// Rank implements Ranker.
func (l *Linear) Rank(q *Query, candidates []Candidate) {
	if len(candidates) == 0 {
		return
	}
	scratch := l.pool.Get().(*[]float64)
	defer l.pool.Put(scratch)
	popularity := popularities((*scratch)[:0], q, candidates)
	*scratch = popularity
	scale := standardise(candidates)
	var reasons []string
	if q.Explain {
		reasons = make([]string, mostReasons*len(candidates))
	}
	for i := range candidates {
		c := &candidates[i]
		p := l.parts(q, c, scale, popularity[i])
		c.Score = float32(l.config.Retrieval*p.retrieval + l.config.Recency*p.recency +
			l.config.Popularity*p.popularity + l.config.PriceAffinity*p.price)
		if q.Explain {
			own := reasons[mostReasons*i : mostReasons*i : mostReasons*(i+1)]
			c.Reasons = append(p.reasons(own, c.Source), c.Reasons...)
		}
	}
	Sort(candidates)
}

// parts are the unweighted parts of one candidate's score, each finite.
type parts struct {
	retrieval, recency, popularity, price float64
	isNew, inRange                        bool
}

func (l *Linear) parts(q *Query, c *Candidate, s scale, popularity float64) parts {
	p := parts{retrieval: s.of(c.Retrieval), popularity: popularity}
	if at := c.Item.PublishedAt; !at.IsZero() && !at.After(q.Now) { // what is yet to come is not new
		age := q.Now.Sub(at)
		p.recency = math.Exp2(-float64(age) / float64(max(l.config.RecencyHalfLife, time.Nanosecond)))
		p.isNew = age <= l.config.NewWithin
	}
	p.price, p.inRange = q.PriceTaste.affinity(c.Item.Price)
	return p
}

func (p parts) reasons(dst []string, source string) []string {
	if p.retrieval >= closeRetrieval {
		dst = append(dst, closeTo(source))
	}
	if p.popularity >= popularShare {
		dst = append(dst, ReasonPopular)
	}
	if p.isNew {
		dst = append(dst, ReasonNew)
	}
	if p.inRange {
		dst = append(dst, ReasonPrice)
	}
	return dst
}

// closeTo is the reason of an item that lies close to what a source searched by.
func closeTo(source string) string {
	switch source {
	case SourceSimilar:
		return ReasonSimilar
	case SourceSearch:
		return ReasonSearch
	default:
		return ReasonTaste
	}
}

// popularities appends each candidate's popularity on a logarithmic scale from 0 to 1, 1 being the page's most popular.
func popularities(dst []float64, q *Query, candidates []Candidate) []float64 {
	most := 0.0
	for i := range candidates {
		p := 0.0
		if q.Popularity != nil {
			p = math.Log1p(max(0, q.Popularity(candidates[i].Item.ItemID)))
		}
		if !finite(p) {
			p = 0
		}
		most = max(most, p)
		dst = append(dst, p)
	}
	if most > 0 {
		for i := range dst {
			dst[i] /= most
		}
	}
	return dst
}

// scale standardises retrieval scores over one page's candidates.
type scale struct{ mean, deviation, lowest float64 }

// standardise measures the finite retrieval scores. The sums run over offsets from the first one, since squares of large
// scores that differ little would cancel out.
func standardise(candidates []Candidate) scale {
	n, sum, squares := 0.0, 0.0, 0.0
	first, lowest := 0.0, 0.0
	for i := range candidates {
		x := float64(candidates[i].Retrieval)
		if !finite(x) {
			continue
		}
		if n == 0 {
			first, lowest = x, x
		}
		lowest = min(lowest, x)
		n++
		sum += x - first
		squares += (x - first) * (x - first)
	}
	if n == 0 {
		return scale{}
	}
	mean := sum / n
	return scale{mean: first + mean, deviation: math.Sqrt(max(0, squares/n-mean*mean)), lowest: lowest}
}

// of is x in standard deviations from the mean. A score that is not finite counts as the page's lowest: nothing speaks for
// such a candidate, but it is no worse than what retrieval found last.
func (s scale) of(x float32) float64 {
	v := float64(x)
	if !finite(v) {
		v = s.lowest
	}
	if s.deviation <= 1e-12*math.Abs(s.mean) || s.deviation == 0 {
		return 0
	}
	return (v - s.mean) / s.deviation
}
