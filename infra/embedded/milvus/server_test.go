package milvus_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"testing"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"github.com/milvus-io/milvus-sdk-go/v2/client"
	"github.com/milvus-io/milvus-sdk-go/v2/entity"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/freshet/freshet/infra/embedded/faults"
	"github.com/freshet/freshet/infra/embedded/milvus"
)

func start(t *testing.T) (*milvus.Server, *client.GrpcClient) {
	t.Helper()
	s, err := milvus.Start(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(s.Close)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	c, err := client.NewClient(ctx, client.Config{Address: s.Addr(), RetryRateLimit: &client.RetryRateLimitOption{}})
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.Close() })
	return s, c.(*client.GrpcClient)
}

func idField() *entity.Field {
	return entity.NewField().WithName("id").WithDataType(entity.FieldTypeVarChar).WithMaxLength(8).WithIsPrimaryKey(true)
}

func vectorField(dim int64) *entity.Field {
	return entity.NewField().WithName("v").WithDataType(entity.FieldTypeFloatVector).WithDim(dim)
}

func tagsField() *entity.Field {
	return entity.NewField().WithName("tags").WithDataType(entity.FieldTypeArray).WithElementType(entity.FieldTypeVarChar).
		WithMaxLength(4).WithMaxCapacity(2)
}

func smallSchema(name string) *entity.Schema {
	return entity.NewSchema().WithName(name).WithField(idField()).WithField(vectorField(2)).WithField(tagsField())
}

func columns(ids []string, tags ...string) []entity.Column {
	vectors := make([][]float32, len(ids))
	lists := make([][][]byte, len(ids))
	for i := range ids {
		vectors[i] = []float32{float32(i), 1}
		for _, tag := range tags {
			lists[i] = append(lists[i], []byte(tag))
		}
	}
	return []entity.Column{
		entity.NewColumnVarChar("id", ids), entity.NewColumnFloatVector("v", 2, vectors), entity.NewColumnVarCharArray("tags", lists),
	}
}

func serving(t *testing.T, c client.Client, name string) {
	t.Helper()
	require.NoError(t, c.CreateCollection(t.Context(), smallSchema(name), 1))
	hnsw, err := entity.NewIndexHNSW(entity.IP, 16, 200)
	require.NoError(t, err)
	require.NoError(t, c.CreateIndex(t.Context(), name, "v", hnsw, false))
	require.NoError(t, c.LoadCollection(t.Context(), name, true))
}

func search(ctx context.Context, c client.Client, name, expr string, k int, fields ...string) ([]client.SearchResult, error) {
	params, _ := entity.NewIndexHNSWSearchParam(64)
	return c.Search(ctx, name, nil, expr, fields, []entity.Vector{entity.FloatVector{1, 0}}, "v", entity.IP, k, params)
}

func TestSchemaRefusals(t *testing.T) {
	_, c := start(t)
	field := func(name string, t entity.FieldType) *entity.Field {
		return entity.NewField().WithName(name).WithDataType(t)
	}
	schema := func(fields ...*entity.Field) *entity.Schema {
		s := entity.NewSchema().WithName("a")
		for _, f := range fields {
			s.WithField(f)
		}
		return s
	}
	id, vector := idField, vectorField(2)
	for reason, schema := range map[string]*entity.Schema{
		"only contain numbers, letters": schema(id(), vector).WithName("a-b"),
		"primary key is not specified":  schema(field("x", entity.FieldTypeInt64), vector),
		"duplicated field":              schema(id(), vector, vector),
		"exactly one vector":            schema(id(), vector, vectorField(2).WithName("w")),
		"dim of field v is 0":           schema(id(), vectorField(0)),
		"type param(max_length)":        schema(field("id", entity.FieldTypeVarChar).WithIsPrimaryKey(true), vector),
		"only VarChar as primary":       schema(field("id", entity.FieldTypeInt64).WithIsPrimaryKey(true), vector),
		"JSON is not supported":         schema(id(), vector, field("x", entity.FieldTypeJSON)),
		"arrays of Int64":               schema(id(), vector, tagsField().WithElementType(entity.FieldTypeInt64)),
		"dynamic fields are not":        schema(id(), vector).WithDynamicFieldEnabled(true),
		"auto id, dynamic fields":       schema(id().WithIsAutoID(true), vector),
		"Invalid field name: a b":       schema(id(), vectorField(2).WithName("a b")),
		"max_capacity of field tags":    schema(id(), vector, tagsField().WithMaxCapacity(5000)),
		"max_length of field id is -1":  schema(id().WithMaxLength(-1), vector),
	} {
		require.ErrorContains(t, c.CreateCollection(t.Context(), schema, 1), reason)
	}
}

func TestCollectionLife(t *testing.T) {
	_, c := start(t)
	ctx := t.Context()
	require.NoError(t, c.CreateCollection(ctx, smallSchema("a"), 1))
	require.NoError(t, c.CreateCollection(ctx, smallSchema("a"), 1), "the same again")
	other := smallSchema("a")
	other.Fields[0].WithMaxLength(9)
	require.ErrorContains(t, c.CreateCollection(ctx, other, 1), "create duplicate collection with different parameters")

	_, err := search(ctx, c, "a", "", 1)
	require.ErrorContains(t, err, "collection not loaded")
	require.ErrorContains(t, c.LoadCollection(ctx, "a", true), "index not found")
	state, err := c.GetLoadState(ctx, "a", nil)
	require.NoError(t, err)
	require.Equal(t, entity.LoadStateNotLoad, state)

	hnsw, err := entity.NewIndexHNSW(entity.IP, 16, 200)
	require.NoError(t, err)
	require.NoError(t, c.CreateIndex(ctx, "a", "v", hnsw, false))
	require.NoError(t, c.CreateIndex(ctx, "a", "v", hnsw, false), "the same again")
	flat, err := entity.NewIndexFlat(entity.IP)
	require.NoError(t, err)
	require.ErrorContains(t, c.CreateIndex(ctx, "a", "v", flat, false), "at most one distinct index")
	indexes, err := c.DescribeIndex(ctx, "a", "v")
	require.NoError(t, err)
	require.Len(t, indexes, 1)
	require.Equal(t, "HNSW", string(indexes[0].IndexType()))

	require.NoError(t, c.LoadCollection(ctx, "a", false))
	require.ErrorContains(t, c.DropIndex(ctx, "a", "v"), "release it first")
	shown, err := c.ListCollections(ctx, client.WithShowInMemory(true))
	require.NoError(t, err)
	require.Len(t, shown, 1)
	require.True(t, shown[0].Loaded)
	require.NoError(t, c.ReleaseCollection(ctx, "a"))
	_, err = c.Query(ctx, "a", nil, `id == "x"`, []string{"id"})
	require.ErrorContains(t, err, "collection not loaded")
	require.NoError(t, c.DropIndex(ctx, "a", "v"))
	require.NoError(t, c.DropCollection(ctx, "a"))
	require.NoError(t, c.DropCollection(ctx, "a"), "an unknown collection")
	has, err := c.HasCollection(ctx, "a")
	require.NoError(t, err)
	require.False(t, has)
	_, err = c.DescribeCollection(ctx, "a")
	require.ErrorContains(t, err, "collection not found")
	require.ErrorContains(t, c.Flush(ctx, "a", false), "collection not found")
}

func TestAliases(t *testing.T) {
	_, c := start(t)
	ctx := t.Context()
	serving(t, c, "a")
	serving(t, c, "b")
	require.ErrorContains(t, c.AlterAlias(ctx, "a", "live"), "alias not found")
	require.ErrorContains(t, c.CreateAlias(ctx, "nope", "live"), "collection not found")
	require.ErrorContains(t, c.CreateAlias(ctx, "a", "b"), "alias and collection name conflict")
	require.NoError(t, c.CreateAlias(ctx, "a", "live"))
	require.NoError(t, c.CreateAlias(ctx, "a", "live"), "the same again")
	require.ErrorContains(t, c.CreateAlias(ctx, "b", "live"), "alias already exist")
	require.ErrorContains(t, c.CreateCollection(ctx, smallSchema("live"), 1), "conflicts with an existing alias")

	_, err := c.Upsert(ctx, "live", "", columns([]string{"x"})...)
	require.NoError(t, err)
	results, err := search(ctx, c, "live", "", 5)
	require.NoError(t, err)
	require.Equal(t, 1, results[0].ResultCount)
	require.NoError(t, c.AlterAlias(ctx, "b", "live"))
	described, err := c.DescribeCollection(ctx, "live")
	require.NoError(t, err)
	require.Equal(t, "b", described.Name)
	alias, err := c.Service.DescribeAlias(ctx, &milvuspb.DescribeAliasRequest{Alias: "live"})
	require.NoError(t, err)
	require.Equal(t, "b", alias.GetCollection())

	require.ErrorContains(t, c.DropCollection(ctx, "live"), "via alias")
	require.NoError(t, c.DropCollection(ctx, "b"))
	_, err = c.DescribeCollection(ctx, "live")
	require.ErrorContains(t, err, "collection not found")
	require.NoError(t, c.DropAlias(ctx, "live"))
}

func TestBadBatchesChangeNothing(t *testing.T) {
	_, c := start(t)
	ctx := t.Context()
	serving(t, c, "a")
	good := func() []entity.Column { return columns([]string{"x", "y"}, "t") }
	with := func(i int, c entity.Column) []entity.Column {
		batch := good()
		batch[i] = c
		return batch
	}
	vectors := func(v ...[]float32) entity.Column { return entity.NewColumnFloatVector("v", len(v[0]), v) }
	for reason, batch := range map[string][]entity.Column{
		"the length (9) of 1th string exceeds max length (8)": columns([]string{"x", "123456789"}),
		"the length (5) of 0th string exceeds max length (4)": columns([]string{"x"}, "12345"),
		"the length (3) of 0th array exceeds max capacity":    columns([]string{"x"}, "1", "2", "3"),
		"number of fields is less than needed":                good()[:2],
		"should divide the dim(2)":                            with(1, vectors([]float32{1, 2, 3}, []float32{1, 2, 3})),
		"the num_rows (1) of field (id)":                      with(0, entity.NewColumnVarChar("id", []string{"x"})),
		"need float vector":                                   with(1, entity.NewColumnBinaryVector("v", 8, [][]byte{{1}, {2}})),
		"field 'tags' is illegal":                             with(2, entity.NewColumnVarChar("tags", []string{"a", "b"})),
		"not a number":                                        with(1, vectors([]float32{1, 2}, []float32{1, nan()})),
		"field id has not been passed":                        with(0, entity.NewColumnVarChar("other", []string{"x", "y"})),
	} {
		req := &milvuspb.UpsertRequest{CollectionName: "a", NumRows: uint32(batch[len(batch)-1].Len())}
		for _, col := range batch {
			req.FieldsData = append(req.FieldsData, col.FieldData())
		}
		resp, err := c.Service.Upsert(ctx, req)
		require.NoError(t, err)
		require.Contains(t, resp.GetStatus().GetReason(), reason)
		require.NotZero(t, resp.GetStatus().GetErrorCode()) //nolint:staticcheck // the SDK looks at this one only
	}
	stats, err := c.GetCollectionStatistics(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, "0", stats["row_count"])
	_, err = c.Upsert(ctx, "a", "elsewhere", good()...)
	require.ErrorContains(t, err, "partition not found")
}

func nan() float32 { return float32(math.NaN()) }

func TestQueries(t *testing.T) {
	_, c := start(t)
	ctx := t.Context()
	serving(t, c, "a")
	var ids []string
	for i := range 25 {
		ids = append(ids, fmt.Sprintf("i%02d", (i*7)%25))
	}
	_, err := c.Insert(ctx, "a", "", columns(ids, "t")...)
	require.NoError(t, err)

	it, err := c.QueryIterator(ctx, client.NewQueryIteratorOption("a").WithBatchSize(10).WithOutputFields("id"))
	require.NoError(t, err)
	var walked []string
	for {
		set, err := it.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		walked = append(walked, set.GetColumn("id").(*entity.ColumnVarChar).Data()...)
	}
	require.Len(t, walked, 25)
	require.IsIncreasing(t, walked)

	set, err := c.Query(ctx, "a", nil, `id >= "i10"`, []string{"tags"}, client.WithLimit(2), client.WithOffset(1))
	require.NoError(t, err)
	require.Equal(t, []string{"i11", "i12"}, set.GetColumn("id").(*entity.ColumnVarChar).Data())
	_, err = c.Query(ctx, "a", nil, "", []string{"id"})
	require.ErrorContains(t, err, "empty expression should be used with limit")
	_, err = c.Query(ctx, "a", nil, "", []string{"count(*)"}, client.WithLimit(1))
	require.ErrorContains(t, err, "pagination")
	_, err = c.Query(ctx, "a", nil, `id == "x"`, []string{"nope"})
	require.ErrorContains(t, err, "field nope not exist")
	_, err = c.Query(ctx, "a", []string{"elsewhere"}, `id == "x"`, nil)
	require.ErrorContains(t, err, "partition not found")
	_, err = c.Query(ctx, "a", nil, "", nil, client.WithLimit(20000))
	require.ErrorContains(t, err, "max query result window")

	require.NoError(t, c.Delete(ctx, "a", "", `id < "i20"`))
	require.ErrorContains(t, c.Delete(ctx, "a", "", ""), "empty expr")
	require.ErrorContains(t, c.Delete(ctx, "a", "", "id in "), "failed to create expr plan")
	set, err = c.Query(ctx, "a", nil, "", []string{"count(*)"})
	require.NoError(t, err)
	require.Equal(t, []int64{5}, set.GetColumn("count(*)").(*entity.ColumnInt64).Data())
	require.NoError(t, c.Flush(ctx, "a", false))
}

func TestSearchRefusals(t *testing.T) {
	_, c := start(t)
	ctx := t.Context()
	serving(t, c, "a")
	results, err := search(ctx, c, "a", "", 5, "id")
	require.NoError(t, err)
	require.ErrorContains(t, results[0].Err, "extra output fields", "an empty result with output fields, as a real server has it")
	_, err = c.Upsert(ctx, "a", "", columns([]string{"x", "y"}, "t")...)
	require.NoError(t, err)
	results, err = search(ctx, c, "a", "", 5, "*")
	require.NoError(t, err)
	require.Equal(t, []float32{1, 0}, results[0].Scores)
	require.NotNil(t, results[0].Fields.GetColumn("tags"))

	_, err = search(ctx, c, "a", "", 0)
	require.ErrorContains(t, err, "topk [0] is invalid")
	_, err = search(ctx, c, "a", "", 65)
	require.ErrorContains(t, err, "ef(64) should be larger than k(65)")
	_, err = search(ctx, c, "a", "nope == 1", 1)
	require.ErrorContains(t, err, "failed to create query plan: cannot parse expression")
	_, err = search(ctx, c, "a", "", 1, "nope")
	require.ErrorContains(t, err, "field nope not exist")
	params, err := entity.NewIndexHNSWSearchParam(64)
	require.NoError(t, err)
	one := []entity.Vector{entity.FloatVector{1, 0}}
	_, err = c.Search(ctx, "a", nil, "", nil, one, "v", entity.L2, 1, params)
	require.ErrorContains(t, err, "metric type not match")
	_, err = c.Search(ctx, "a", nil, "", nil, one, "w", entity.IP, 1, params)
	require.ErrorContains(t, err, "fieldName(w) not found")
	_, err = c.Search(ctx, "a", nil, "", nil, nil, "v", entity.IP, 1, params)
	require.ErrorContains(t, err, "nq [0] is invalid")
	_, err = c.Search(ctx, "a", nil, "", nil, []entity.Vector{entity.FloatVector{1}}, "v", entity.IP, 1, params)
	require.ErrorContains(t, err, "dimension mismatch")
	_, err = c.Search(ctx, "a", nil, "", nil, one, "v", entity.IP, 1, params, client.WithGroupByField("id"))
	require.ErrorContains(t, err, "group by")
	_, err = c.Search(ctx, "a", []string{"elsewhere"}, "", nil, one, "v", entity.IP, 1, params)
	require.ErrorContains(t, err, "partition not found")
}

// TestReadersSeeWholeBatches upserts batches in which all rows carry one tag, while readers look.
func TestReadersSeeWholeBatches(t *testing.T) {
	_, c := start(t)
	serving(t, c, "a")
	ids := []string{"a", "b", "c", "d", "e", "f"}
	_, err := c.Upsert(t.Context(), "a", "", columns(ids, "0")...)
	require.NoError(t, err)
	g, ctx := errgroup.WithContext(t.Context())
	done := make(chan struct{})
	g.Go(func() error {
		defer close(done)
		for i := range 100 {
			if _, err := c.Upsert(ctx, "a", "", columns(ids, fmt.Sprint(i%10))...); err != nil {
				return err
			}
		}
		return nil
	})
	for range 3 {
		g.Go(func() error {
			for {
				select {
				case <-done:
					return nil
				default:
				}
				set, err := c.Query(ctx, "a", nil, `id != ""`, []string{"tags"})
				if err != nil {
					return err
				}
				tags := set.GetColumn("tags").(*entity.ColumnVarCharArray).Data()
				for _, tag := range tags {
					if len(tags) != len(ids) || string(tag[0]) != string(tags[0][0]) {
						return fmt.Errorf("half a batch: %q", tags)
					}
				}
			}
		})
	}
	require.NoError(t, g.Wait())
}

func TestFaults(t *testing.T) {
	s, c := start(t)
	ctx := t.Context()
	serving(t, c, "a")
	s.Fail("Search", 2, &milvus.StatusError{Code: 101, Reason: "collection not loaded"})
	_, err := search(ctx, c, "a", "", 1)
	require.NoError(t, err)
	_, err = search(ctx, c, "a", "", 1)
	require.ErrorContains(t, err, "collection not loaded")
	_, err = search(ctx, c, "a", "", 1)
	require.NoError(t, err)
	require.Equal(t, 3, s.Calls("Search"))

	s.Fail("DropAlias", 1, &milvus.StatusError{Code: 5, Reason: "a bare status"})
	require.ErrorContains(t, c.DropAlias(ctx, "x"), "a bare status")

	s.FailAfter("Upsert", 1, status.Error(codes.Internal, "lost on the way back"))
	_, err = c.Upsert(ctx, "a", "", columns([]string{"x"})...)
	require.Equal(t, codes.Internal, status.Code(err))
	stats, err := c.GetCollectionStatistics(ctx, "a")
	require.NoError(t, err)
	require.Equal(t, "1", stats["row_count"], "the call was served")

	s.Delay("Query", 1, time.Hour)
	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	_, err = c.Query(short, "a", nil, `id == "x"`, []string{"id"})
	require.Equal(t, codes.DeadlineExceeded, status.Code(err))

	s.Fail(faults.Any, faults.Every, status.Error(codes.DataLoss, "all"))
	_, err = c.GetVersion(ctx)
	require.Equal(t, codes.DataLoss, status.Code(err))
	s.ClearFaults()
	_, err = c.GetVersion(ctx)
	require.NoError(t, err)
}

func TestStopAndRestartKeepRows(t *testing.T) {
	s, c := start(t)
	serving(t, c, "a")
	_, err := c.Upsert(t.Context(), "a", "", columns([]string{"x"})...)
	require.NoError(t, err)
	s.Stop()
	s.Stop()
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err = search(short, c, "a", "", 1)
	require.Error(t, err)
	require.NoError(t, s.Restart(t.Context()))
	require.Eventually(t, func() bool {
		results, err := search(t.Context(), c, "a", "", 1)
		return err == nil && results[0].ResultCount == 1
	}, 10*time.Second, 10*time.Millisecond)
	_, err = milvus.Start(t.Context(), s.Addr())
	require.ErrorContains(t, err, "starting embedded Milvus")
}
