package rules

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/ranking"
)

// ranked makes n candidates of a plain catalogue: 18 categories, two an item, few of them ineligible.
func ranked(n int) []ranking.Candidate {
	random := rand.New(rand.NewPCG(3, 4))
	list := make([]ranking.Candidate, n)
	for i := range list {
		price := 100 * random.Float64()
		list[i] = ranking.Candidate{Score: float32(n - i), Source: "retrieval", Item: &schemas.ItemChange{
			ItemID: fmt.Sprintf("item-%04d", i), Op: schemas.UpsertItem, Title: "A Title Of Usual Length", Price: &price,
			Categories: []string{fmt.Sprintf("category-%d", random.IntN(18)), fmt.Sprintf("category-%d", random.IntN(18))},
			Brand:      fmt.Sprintf("brand-%d", random.IntN(50)), Available: i%50 != 0,
			PublishedAt: now.Add(-time.Duration(i) * time.Hour),
		}}
		if i%10 == 0 {
			list[i].Item.Regions = []string{"eu", "us"}
		}
	}
	return list
}

func benchmarkApply(b *testing.B, set *Set, r *Request) {
	original := ranked(500)
	work := make([]ranking.Candidate, len(original))
	b.ReportAllocs()
	for b.Loop() {
		copy(work, original)
		set.Apply(r, work)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(original)), "ns/candidate")
}

func benchRequest(b *testing.B, filter string) *Request {
	r := &Request{
		UserID: "ann", Region: "eu", Now: now, Count: 20, Exclude: map[string]struct{}{"item-0007": {}},
		Seen: func(id string) bool { return id[len(id)-1] == '3' },
	}
	if filter != "" {
		f, err := CompileFilter(filter)
		if err != nil {
			b.Fatal(err)
		}
		r.Filter = f
	}
	return r
}

func BenchmarkDefault(b *testing.B) { benchmarkApply(b, Default(), benchRequest(b, "")) }

func BenchmarkDefaultAndFilter(b *testing.B) {
	benchmarkApply(b, Default(), benchRequest(b, `item.price < 50 and "category-3" not in item.categories`))
}

// BenchmarkDefaultAndMachineFilter has a filter of which one part runs on expr's virtual machine.
func BenchmarkDefaultAndMachineFilter(b *testing.B) {
	benchmarkApply(b, Default(), benchRequest(b, `lower(item.title) contains "usual"`))
}

func BenchmarkEverything(b *testing.B) {
	set, err := Parse([]byte(string(defaultSource[:len(defaultSource)-len(capSource)]) + `
  - {kind: boost, when: item.brand == "brand-1", multiply: 1.2}
  - {kind: freshness, half_life: 720h, weight: 0.2}
  - {kind: diversify, by: [category, brand], relevance: 0.7}
  - {kind: cap, by: category, max: 5, window: 10}
  - {kind: pin, item: item-0100, position: 2}
`))
	if err != nil {
		b.Fatal(err)
	}
	benchmarkApply(b, set, benchRequest(b, ""))
}

// capSource is how the default rules end.
const capSource = "  - name: category_cap\n    kind: cap\n    by: category\n    max: 5\n    window: 10\n"

func BenchmarkPushdown(b *testing.B) {
	r := benchRequest(b, `item.price < 50 and "category-3" not in item.categories`)
	b.ReportAllocs()
	for b.Loop() {
		pushdown(Default(), r)
	}
}

func BenchmarkCompileFilter(b *testing.B) {
	for b.Loop() {
		if _, err := CompileFilter(`item.price < 50 and "category-3" not in item.categories`); err != nil {
			b.Fatal(err)
		}
	}
}
