package milvus

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v2/schemapb"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// record is a row as the oracles of these tests see it.
type record struct {
	id        string
	vector    []float32
	available bool
	price     float32
	score     float64
	published int64
	age       int32
	brand     string
	tags      []string
}

func pairs(kv ...string) []*commonpb.KeyValuePair {
	var out []*commonpb.KeyValuePair
	for i := 0; i < len(kv); i += 2 {
		out = append(out, &commonpb.KeyValuePair{Key: kv[i], Value: kv[i+1]})
	}
	return out
}

func testSchema(dim int) *schemapb.CollectionSchema {
	f := func(name string, t schemapb.DataType, params ...string) *schemapb.FieldSchema {
		return &schemapb.FieldSchema{Name: name, DataType: t, TypeParams: pairs(params...)}
	}
	id := f("id", schemapb.DataType_VarChar, "max_length", "64")
	id.IsPrimaryKey = true
	tags := f("tags", schemapb.DataType_Array, "max_length", "16", "max_capacity", "8")
	tags.ElementType = schemapb.DataType_VarChar
	return &schemapb.CollectionSchema{Name: "c", Fields: []*schemapb.FieldSchema{
		id, f("vector", schemapb.DataType_FloatVector, "dim", fmt.Sprint(dim)), f("available", schemapb.DataType_Bool),
		f("price", schemapb.DataType_Float), f("score", schemapb.DataType_Double), f("published", schemapb.DataType_Int64),
		f("age", schemapb.DataType_Int32), f("brand", schemapb.DataType_VarChar, "max_length", "16"), tags,
	}}
}

func fieldsOf(dim int, records []record) []*schemapb.FieldData {
	var (
		ids, brands []string
		flat        []float32
		available   []bool
		prices      []float32
		scores      []float64
		published   []int64
		ages        []int32
		tags        []*schemapb.ScalarField
	)
	for _, r := range records {
		ids, brands, flat = append(ids, r.id), append(brands, r.brand), append(flat, r.vector...)
		available = append(available, r.available)
		prices, scores = append(prices, r.price), append(scores, r.score)
		published, ages, tags = append(published, r.published), append(ages, r.age), append(tags, wrapText(r.tags))
	}
	scalar := func(name string, s *schemapb.ScalarField) *schemapb.FieldData {
		return &schemapb.FieldData{FieldName: name, Field: &schemapb.FieldData_Scalars{Scalars: s}}
	}
	return []*schemapb.FieldData{
		scalar("id", wrapText(ids)), scalar("brand", wrapText(brands)), scalar("available", wrapBool(available)),
		scalar("price", wrapFloat(prices)), scalar("score", wrapDouble(scores)), scalar("published", wrapLong(published)),
		scalar("age", wrapInt(ages)),
		scalar("tags", &schemapb.ScalarField{Data: &schemapb.ScalarField_ArrayData{ArrayData: &schemapb.ArrayArray{Data: tags}}}),
		{FieldName: "vector", Field: &schemapb.FieldData_Vectors{Vectors: &schemapb.VectorField{
			Dim: int64(dim), Data: &schemapb.VectorField_FloatVector{FloatVector: &schemapb.FloatArray{Data: flat}},
		}}},
	}
}

func testCollection(tb testing.TB, dim int, records []record) *collection {
	tb.Helper()
	c, err := newCollection(testSchema(dim), 1)
	require.NoError(tb, err)
	c.index = &index{metric: "IP"}
	c.loaded = true
	if len(records) > 0 {
		_, err = c.upsert(fieldsOf(dim, records), len(records))
		require.NoError(tb, err)
	}
	return c
}

func randomRecord(r *rand.Rand, id, dim int) record {
	rec := record{
		id: fmt.Sprintf("i%05d", id), vector: make([]float32, dim), available: r.IntN(4) > 0, price: float32(r.IntN(40)) / 4,
		score: float64(r.IntN(10)), published: int64(r.IntN(1000)), age: int32(r.IntN(20)), brand: fmt.Sprint("b", r.IntN(6)),
	}
	for i := range rec.vector {
		rec.vector[i] = float32(r.IntN(9) - 4) // small integers: sums are exact in any order
	}
	for range r.IntN(4) {
		rec.tags = append(rec.tags, fmt.Sprint("t", r.IntN(8)))
	}
	return rec
}

func randomRecords(r *rand.Rand, n, dim int) []record {
	out := make([]record, n)
	for i := range out {
		out[i] = randomRecord(r, i, dim)
	}
	return out
}
