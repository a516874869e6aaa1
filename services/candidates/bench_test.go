package candidates_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/services/candidates"
)

// BenchmarkSearch is the whole way over TCP: 10,000 items of 64 dimensions, the best 100 for each vector.
func BenchmarkSearch(b *testing.B) {
	const dim, items = 64, 10000
	server, err := embedded.StartMilvus(b.Context(), embedded.Config{})
	require.NoError(b, err)
	defer server.Close()
	cfg := candidates.DefaultConfig()
	cfg.Address = server.Addr()
	ix, err := candidates.Connect(b.Context(), cfg)
	require.NoError(b, err)
	defer ix.Close()
	require.NoError(b, ix.Ensure(b.Context(), model, dim))

	r := rand.New(rand.NewPCG(1, 2))
	vector := func() []float32 {
		v := make([]float32, dim)
		for i := range v {
			v[i] = float32(r.NormFloat64())
		}
		return v
	}
	rows := make([]candidates.Row, items)
	for i := range rows {
		rows[i] = candidates.Row{
			ItemID: fmt.Sprint("item-", i), Vector: vector(), Available: r.IntN(10) > 0, Price: r.Float32() * 100,
			Regions: []string{[]string{candidates.Everywhere, "DE", "FR"}[r.IntN(3)]}, MinAge: int32(r.IntN(2) * 18),
		}
	}
	require.NoError(b, ix.Upsert(b.Context(), model, rows))
	for _, filter := range []string{"", `available == true and array_contains_any(regions, ["*","DE"]) and min_age <= 17`} {
		for _, n := range []int{1, 16, 64} {
			queries := make([][]float32, n)
			for i := range queries {
				queries[i] = vector()
			}
			b.Run(fmt.Sprintf("vectors=%d/filter=%t", n, filter != ""), func(b *testing.B) {
				for b.Loop() {
					if _, err := ix.Search(b.Context(), model, queries, 100, filter); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "vectors/s")
			})
		}
	}
}
