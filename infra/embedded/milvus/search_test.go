package milvus

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// TestSearchFindsWhatSortingFinds compares with a plain sort of all rows, over random upserts and deletes.
func TestSearchFindsWhatSortingFinds(t *testing.T) {
	const dim = 5
	r := rand.New(rand.NewPCG(7, 8))
	for round := range 60 {
		metric := []string{"IP", "L2"}[round%2]
		c := testCollection(t, dim, nil)
		c.index.metric = metric
		oracle := map[string]record{}
		for range r.IntN(6) {
			batch := make([]record, 1+r.IntN(100))
			for i := range batch {
				batch[i] = randomRecord(r, r.IntN(150), dim)
				oracle[batch[i].id] = batch[i]
			}
			_, err := c.upsert(fieldsOf(dim, batch), len(batch))
			require.NoError(t, err)
			gone := randomPredicate(r, 2)
			rows, err := c.filter("(" + gone.expr + ") and age < 5")
			require.NoError(t, err)
			c.remove(rows)
			for id, rec := range oracle {
				if gone.holds(&rec) && rec.age < 5 {
					delete(oracle, id)
				}
			}
		}
		require.Equal(t, len(oracle), c.rows())
		plan := &searchPlan{metric: metric, limit: 1 + r.IntN(20), offset: r.IntN(3)}
		for range 1 + r.IntN(4) {
			plan.vectors = append(plan.vectors, randomRecord(r, 0, dim).vector)
		}
		p := randomPredicate(r, 2)
		rows, err := c.filter(p.expr)
		require.NoError(t, err)
		for q, hits := range c.nearest(plan, rows) {
			var got []string
			for _, h := range hits {
				got = append(got, fmt.Sprintf("%s %g", c.keys.values[h.row], h.score))
			}
			require.Equal(t, sortedHits(oracle, p, plan, q), got, "%s %s", metric, p.expr)
		}
	}
}

func sortedHits(oracle map[string]record, p predicate, plan *searchPlan, q int) []string {
	type scored struct {
		id    string
		score float32
	}
	var all []scored
	for id, rec := range oracle {
		if !p.holds(&rec) {
			continue
		}
		var s float32
		for i, v := range plan.vectors[q] {
			if plan.metric == "IP" {
				s += v * rec.vector[i]
			} else {
				s -= (v - rec.vector[i]) * (v - rec.vector[i])
			}
		}
		all = append(all, scored{id, s})
	}
	slices.SortFunc(all, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), strings.Compare(a.id, b.id))
	})
	var out []string
	for _, s := range page(all, plan.offset, plan.limit) {
		out = append(out, fmt.Sprintf("%s %g", s.id, s.score))
	}
	return out
}

func TestRemoveKeepsColumnsTogether(t *testing.T) {
	const dim = 3
	r := rand.New(rand.NewPCG(9, 10))
	records := randomRecords(r, 130, dim)
	c := testCollection(t, dim, records)
	rows, err := c.filter("age >= 7")
	require.NoError(t, err)
	removed := rows.count()
	require.Equal(t, removed, c.remove(rows))
	require.Equal(t, len(records)-removed, c.rows())
	for _, rec := range records {
		row, ok := c.keys.index[rec.id]
		require.Equal(t, rec.age < 7, ok)
		if !ok {
			continue
		}
		require.Equal(t, rec.id, c.keys.values[row])
		require.Equal(t, rec.vector, c.vectors.row(int(row)))
		one := []int32{row}
		require.Equal(t, rec.brand, c.columns[c.byName["brand"]].output(one).GetScalars().GetStringData().GetData()[0])
		tags := c.columns[c.byName["tags"]].output(one).GetScalars().GetArrayData().GetData()[0].GetStringData().GetData()
		require.True(t, slices.Equal(rec.tags, tags))
	}
}

func benchmarkSearch(b *testing.B, queries int, expr string) {
	const rows, dim = 10000, 64
	r := rand.New(rand.NewPCG(1, 1))
	c := testCollection(b, dim, randomRecords(r, rows, dim))
	plan := &searchPlan{metric: "IP", limit: 100}
	for range queries {
		plan.vectors = append(plan.vectors, randomRecord(r, 0, dim).vector)
	}
	for b.Loop() {
		selected, err := c.filter(expr)
		if err != nil {
			b.Fatal(err)
		}
		c.nearest(plan, selected)
	}
	b.ReportMetric(float64(b.Elapsed().Milliseconds())/float64(b.N)/float64(queries), "ms/query")
}

func BenchmarkSearch10k(b *testing.B) {
	filter := `available == true and price >= 0 and array_contains_any(tags, ["t1", "t2", "t3"]) and age < 18`
	for _, queries := range []int{1, 16, 64} {
		b.Run(fmt.Sprintf("queries=%d/all", queries), func(b *testing.B) { benchmarkSearch(b, queries, "") })
		b.Run(fmt.Sprintf("queries=%d/filter", queries), func(b *testing.B) { benchmarkSearch(b, queries, filter) })
	}
}

func FuzzPlaceholderGroup(f *testing.F) {
	raw := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, math.Float32bits(1)), math.Float32bits(2))
	group, err := proto.Marshal(protoadapt.MessageV2Of(&commonpb.PlaceholderGroup{Placeholders: []*commonpb.PlaceholderValue{
		{Tag: "$0", Type: commonpb.PlaceholderType_FloatVector, Values: [][]byte{raw}},
	}}))
	require.NoError(f, err)
	f.Add(group)
	f.Add([]byte{0xff})
	c := testCollection(f, 2, nil)
	f.Fuzz(func(t *testing.T, group []byte) {
		plan, err := c.planSearch(&milvuspb.SearchRequest{PlaceholderGroup: group, SearchParams: pairs("topk", "1")})
		if err == nil {
			for _, v := range plan.vectors {
				require.Len(t, v, 2)
			}
		}
	})
}
