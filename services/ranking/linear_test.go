package ranking_test

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/ranking"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func ids(candidates []ranking.Candidate) []string {
	out := make([]string, len(candidates))
	for i, c := range candidates {
		out[i] = c.Item.ItemID
	}
	return out
}

func candidate(id string, retrieval float32, change ...func(*schemas.ItemChange)) ranking.Candidate {
	item := &schemas.ItemChange{ItemID: id, Available: true}
	for _, f := range change {
		f(item)
	}
	return ranking.Candidate{Item: item, Retrieval: retrieval, Source: "retrieval"}
}

func price(p float64) func(*schemas.ItemChange) {
	return func(i *schemas.ItemChange) { i.Price = &p }
}

func published(ago time.Duration) func(*schemas.ItemChange) {
	return func(i *schemas.ItemChange) { i.PublishedAt = now.Add(-ago) }
}

func TestEachPartMovesTheOrder(t *testing.T) {
	even := ranking.DefaultConfig()
	day := 24 * time.Hour
	for _, c := range []struct {
		name       string
		query      ranking.Query
		candidates []ranking.Candidate
		want       []string
	}{
		{
			name:       "retrieval leads",
			candidates: []ranking.Candidate{candidate("a", 0.1), candidate("b", 0.9), candidate("c", 0.5)},
			want:       []string{"b", "c", "a"},
		},
		{
			name:       "equal scores go by id",
			candidates: []ranking.Candidate{candidate("c", 1), candidate("a", 1), candidate("b", 1)},
			want:       []string{"a", "b", "c"},
		},
		{
			name: "newer first, an unknown date last",
			candidates: []ranking.Candidate{
				candidate("a", 1), candidate("b", 1, published(90*day)), candidate("c", 1, published(day)),
			},
			want: []string{"c", "b", "a"},
		},
		{
			name:       "wanted by more first",
			query:      ranking.Query{Popularity: func(id string) float64 { return map[string]float64{"b": 3, "c": 90}[id] }},
			candidates: []ranking.Candidate{candidate("a", 1), candidate("b", 1), candidate("c", 1)},
			want:       []string{"c", "b", "a"},
		},
		{
			name:  "own price level first, no price in between",
			query: ranking.Query{PriceTaste: ranking.PriceTasteOf([]float64{math.Log(10), math.Log(12)})},
			candidates: []ranking.Candidate{
				candidate("a", 1, price(500)), candidate("b", 1), candidate("c", 1, price(11)),
			},
			want: []string{"c", "b", "a"},
		},
		{
			name: "not found by retrieval counts as found last",
			candidates: []ranking.Candidate{
				candidate("b", 0.2), candidate("a", float32(math.NaN())), candidate("c", 0.9),
			},
			want: []string{"c", "a", "b"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.query.Now = now
			ranking.NewLinear(even).Rank(&c.query, c.candidates)
			assert.Equal(t, c.want, ids(c.candidates))
		})
	}
}

func TestReasons(t *testing.T) {
	taste := ranking.PriceTasteOf([]float64{math.Log(20)})
	build := func() []ranking.Candidate {
		similar := candidate("d", 9)
		similar.Source = "similar"
		return []ranking.Candidate{
			candidate("a", 9, price(21), published(time.Hour)), candidate("b", 0), candidate("c", 0, price(900)), similar,
			candidate("e", 0),
		}
	}
	q := &ranking.Query{
		Now: now, PriceTaste: taste, Explain: true,
		Popularity: func(id string) float64 { return map[string]float64{"a": 50, "b": 40, "c": 1}[id] },
	}
	ranker := ranking.NewLinear(ranking.DefaultConfig())
	candidates := build()
	ranker.Rank(q, candidates)
	got := map[string][]string{}
	for _, c := range candidates {
		got[c.Item.ItemID] = c.Reasons
	}
	assert.Equal(t, []string{ranking.ReasonTaste, ranking.ReasonPopular, ranking.ReasonNew, ranking.ReasonPrice}, got["a"])
	assert.Equal(t, []string{ranking.ReasonPopular}, got["b"])
	assert.Empty(t, got["c"])
	assert.Equal(t, []string{ranking.ReasonSimilar}, got["d"])

	q.Explain = false
	candidates = build()
	ranker.Rank(q, candidates)
	for _, c := range candidates {
		assert.Nil(t, c.Reasons)
	}
}

// TestHostileNumbers ranks candidates of the worst numbers there are: the scores stay finite, and the order does not depend
// on the order before.
func TestHostileNumbers(t *testing.T) {
	worst := []float64{
		0, 1, -1, math.NaN(), math.Inf(1), math.Inf(-1), math.MaxFloat64, math.SmallestNonzeroFloat64, -math.MaxFloat64, 3.4e38,
	}
	random := rand.New(rand.NewPCG(7, 7))
	pick := func() float64 { return worst[random.IntN(len(worst))] }
	for range 500 {
		var list []ranking.Candidate
		for i := range 1 + random.IntN(12) {
			c := candidate(fmt.Sprintf("item-%02d", i), float32(pick()), price(pick()))
			c.Item.PublishedAt = time.UnixMilli(int64(random.Uint64() >> (1 + random.IntN(60))))
			list = append(list, c)
		}
		q := &ranking.Query{
			Now: now, PriceTaste: ranking.PriceTasteOf([]float64{pick(), pick()}),
			Popularity: func(string) float64 { return pick() }, Explain: true,
		}
		ranking.NewLinear(ranking.DefaultConfig()).Rank(q, list)
		for i, c := range list {
			s := float64(c.Score)
			require.False(t, math.IsNaN(s) || math.IsInf(s, 0), "score %v", s)
			require.True(t, i == 0 || list[i-1].Score > c.Score ||
				list[i-1].Score == c.Score && list[i-1].Item.ItemID < c.Item.ItemID)
		}
	}
}

func TestScaleOfRetrievalDoesNotMatter(t *testing.T) {
	order := func(factor, offset float32) []string {
		list := []ranking.Candidate{
			candidate("a", 0.10*factor+offset, price(10)), candidate("b", 0.11*factor+offset, price(99)),
			candidate("c", 0.50*factor+offset, price(50)), candidate("d", 0.12*factor+offset, price(11)),
		}
		q := &ranking.Query{Now: now, PriceTaste: ranking.PriceTasteOf([]float64{math.Log(10)})}
		ranking.NewLinear(ranking.DefaultConfig()).Rank(q, list)
		return ids(list)
	}
	assert.Equal(t, order(1, 0), order(128, 0))
	assert.Equal(t, order(1, 0), order(16, 4))
}

func TestPriceTaste(t *testing.T) {
	assert.False(t, ranking.PriceTasteOf(nil).Known)
	assert.False(t, ranking.PriceTasteOf([]float64{math.NaN(), math.Inf(-1)}).Known)
	one := ranking.PriceTasteOf([]float64{math.Log(100)})
	assert.InDelta(t, math.Log(100), one.Mean, 1e-12)
	assert.Positive(t, one.Spread)
}

func TestValidate(t *testing.T) {
	require.NoError(t, ranking.DefaultConfig().Validate())
	for name, spoil := range map[string]func(*ranking.Config){
		"recency:":           func(c *ranking.Config) { c.Recency = math.NaN() },
		"retrieval:":         func(c *ranking.Config) { c.Retrieval = 1e9 },
		"recency_half_life:": func(c *ranking.Config) { c.RecencyHalfLife = 0 },
		"new_within:":        func(c *ranking.Config) { c.NewWithin = -1 },
	} {
		c := ranking.DefaultConfig()
		spoil(&c)
		require.ErrorContains(t, c.Validate(), name)
	}
}

func TestRankKeepsEveryCandidate(t *testing.T) {
	list := page(300)
	before := ids(list)
	ranking.NewLinear(ranking.DefaultConfig()).Rank(&ranking.Query{Now: now}, list)
	after := ids(list)
	slices.Sort(before)
	slices.Sort(after)
	assert.Equal(t, before, after)
}

func TestSort(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 3))
	for n := range 60 {
		list := make([]ranking.Candidate, n)
		for i := range list {
			list[i] = candidate(fmt.Sprintf("item-%02d", i), 0)
			list[i].Score = pickScore(random)
		}
		random.Shuffle(n, func(i, j int) { list[i], list[j] = list[j], list[i] })
		want := slices.Clone(list)
		slices.SortFunc(want, func(a, b ranking.Candidate) int {
			if c := cmp.Compare(b.Score, a.Score); c != 0 { // cmp.Compare holds NaN for the least of all
				return c
			}
			return cmp.Compare(a.Item.ItemID, b.Item.ItemID)
		})
		ranking.Sort(list)
		require.Equal(t, ids(want), ids(list))
	}
}

func pickScore(random *rand.Rand) float32 {
	return []float32{1, 2, 3, -1, float32(math.NaN()), float32(math.Inf(1)), random.Float32()}[random.IntN(7)]
}

func page(n int) []ranking.Candidate {
	random := rand.New(rand.NewPCG(1, 2))
	list := make([]ranking.Candidate, n)
	for i := range list {
		age := time.Duration(random.IntN(2000)) * time.Hour
		list[i] = candidate(fmt.Sprintf("item-%04d", i), random.Float32(), price(1+100*random.Float64()), published(age))
	}
	return list
}

func BenchmarkRank(b *testing.B) {
	ranker := ranking.NewLinear(ranking.DefaultConfig())
	q := &ranking.Query{
		Now: now, PriceTaste: ranking.PriceTasteOf([]float64{math.Log(20), math.Log(30)}),
		Popularity: func(id string) float64 { return float64(id[len(id)-1]) },
	}
	original := page(500)
	work := make([]ranking.Candidate, len(original))
	b.ReportAllocs()
	for b.Loop() {
		copy(work, original)
		ranker.Rank(q, work)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(original)), "ns/candidate")
}
