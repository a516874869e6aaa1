package candidates

import (
	"context"
	"errors"
	"fmt"

	"github.com/milvus-io/milvus-sdk-go/v2/client"
	"github.com/milvus-io/milvus-sdk-go/v2/entity"

	"github.com/freshet/freshet/schemas"
)

// MaxResults is how many hits one query vector can have at the most, in Milvus (quotaAndLimits.limits.topK).
const MaxResults = 16384

// Hit is one item near to a query vector; Score is the inner product, larger is nearer.
type Hit struct {
	ItemID string
	Score  float32
}

// Result is what one query vector found, best first, or why it found nothing.
type Result struct {
	Hits []Hit
	Err  error
}

// Search returns for each vector up to k items that filter lets through; an empty filter lets all through. All vectors go in one
// call, which costs little more than one vector does, and only ids come back, since other columns cost four times the search.
func (ix *Index) Search(ctx context.Context, model string, vectors [][]float32, k int, filter string) ([]Result, error) {
	name, err := ix.cfg.name(model)
	if err != nil || len(vectors) == 0 {
		return nil, err
	}
	if k < 1 || k > MaxResults {
		return nil, fmt.Errorf("searching %s: k is %d, use 1 to %d", name, k, MaxResults)
	}
	ctx, cancel := ix.within(ctx)
	defer cancel()
	if err := ix.checkQueries(ctx, name, vectors); err != nil {
		return nil, fmt.Errorf("searching %s: %w", name, err)
	}
	params, err := entity.NewIndexHNSWSearchParam(max(ix.cfg.HNSW.Ef, k)) // HNSW refuses an ef below k
	if err != nil {
		return nil, fmt.Errorf("searching %s: %w", name, err)
	}
	queries := make([]entity.Vector, len(vectors))
	for i, v := range vectors {
		queries[i] = entity.FloatVector(v)
	}
	found, err := ix.client.Search(ctx, name, nil, filter, nil, queries, columnVector, entity.IP, k, params,
		client.WithSearchQueryConsistencyLevel(ix.consistency))
	if err != nil {
		return nil, fmt.Errorf("searching %s: %w", name, err)
	}
	if len(found) != len(vectors) {
		// The SDK leaves out, rather than marks, a query whose ids it cannot read: what is left belongs to unknown queries.
		return nil, fmt.Errorf("searching %s: %d results for %d vectors", name, len(found), len(vectors))
	}
	results := make([]Result, len(found))
	for i := range found {
		results[i] = resultOf(&found[i])
	}
	return results, nil
}

// checkQueries refuses vectors of another model: Milvus answers them with an internal error, or, while the collection is
// empty, not at all.
func (ix *Index) checkQueries(ctx context.Context, name string, vectors [][]float32) error {
	dim, err := ix.remembered(ctx, name, len(vectors[0]))
	if err != nil {
		return err
	}
	for i, v := range vectors {
		if len(v) != dim {
			return fmt.Errorf("query vector %d has %d dimensions, the collection has %d", i, len(v), dim)
		}
	}
	return nil
}

var errIDColumn = errors.New("reading search result: ids are no strings")

func resultOf(found *client.SearchResult) Result {
	if found.Err != nil {
		return Result{Err: fmt.Errorf("reading search result: %w", found.Err)}
	}
	if found.ResultCount == 0 {
		return Result{}
	}
	ids, ok := found.IDs.(*entity.ColumnVarChar)
	if !ok || ids.Len() != len(found.Scores) {
		return Result{Err: errIDColumn}
	}
	hits := make([]Hit, ids.Len())
	for i, id := range ids.Data() {
		hits[i] = Hit{ItemID: id, Score: found.Scores[i]}
	}
	return Result{Hits: hits}
}

// Count is the number of rows of a model version, those upserted a moment ago included.
func (ix *Index) Count(ctx context.Context, model string) (int64, error) {
	return ix.count(ctx, model, "", entity.ClStrong)
}

// CountMatching is the number of rows that a filter keeps, as fresh as a search: it explains one.
func (ix *Index) CountMatching(ctx context.Context, model, filter string) (int64, error) {
	return ix.count(ctx, model, filter, ix.consistency)
}

func (ix *Index) count(ctx context.Context, model, filter string, level entity.ConsistencyLevel) (int64, error) {
	name, err := ix.cfg.name(model)
	if err != nil {
		return 0, err
	}
	ctx, cancel := ix.within(ctx)
	defer cancel()
	const count = "count(*)"
	set, err := ix.client.Query(ctx, name, nil, filter, []string{count}, client.WithSearchQueryConsistencyLevel(level))
	if err != nil {
		return 0, fmt.Errorf("counting rows of %s: %w", name, err)
	}
	column, ok := set.GetColumn(count).(*entity.ColumnInt64)
	if !ok || column.Len() != 1 {
		return 0, fmt.Errorf("counting rows of %s: the answer holds no number", name)
	}
	return column.Data()[0], nil
}

// Get returns the row of one item as the index holds it now; false if there is none.
func (ix *Index) Get(ctx context.Context, model, itemID string) (Row, bool, error) {
	name, err := ix.cfg.name(model)
	if err != nil {
		return Row{}, false, err
	}
	ctx, cancel := ix.within(ctx)
	defer cancel()
	set, err := ix.client.Query(ctx, name, nil, idIs(itemID), []string{"*"},
		client.WithSearchQueryConsistencyLevel(entity.ClStrong))
	if err != nil {
		return Row{}, false, fmt.Errorf("reading item %s from %s: %w", schemas.Quote(itemID), name, err)
	}
	if set.Len() == 0 {
		return Row{}, false, nil
	}
	row, err := rowOf(set)
	if err != nil {
		return Row{}, false, fmt.Errorf("reading item %s from %s: %w", schemas.Quote(itemID), name, err)
	}
	return row, true, nil
}

// rowOf reads the first row of a result set.
func rowOf(set client.ResultSet) (Row, error) {
	var r Row
	var categories, regions [][]byte
	for _, c := range []struct {
		name string
		read func(entity.Column) bool
	}{
		{columnID, first(&r.ItemID)}, {columnVector, firstVector(&r.Vector)}, {columnAvailable, first(&r.Available)},
		{columnPrice, first(&r.Price)}, {columnPublishedAt, first(&r.PublishedAt)}, {columnBrand, first(&r.Brand)},
		{columnMinAge, first(&r.MinAge)}, {columnCategories, first(&categories)}, {columnRegions, first(&regions)},
	} {
		column := set.GetColumn(c.name)
		if column == nil || !c.read(column) {
			return Row{}, fmt.Errorf("column %s: %w", c.name, errSchema)
		}
	}
	r.Categories, r.Regions = stringsOf(categories), stringsOf(regions)
	return r, nil
}

// first reads a column's first value into to, if it is of that type.
func first[T any](to *T) func(entity.Column) bool {
	return func(c entity.Column) bool {
		v, err := c.Get(0)
		if err != nil {
			return false
		}
		value, ok := v.(T)
		*to = value
		return ok
	}
}

func firstVector(to *[]float32) func(entity.Column) bool {
	return func(c entity.Column) bool {
		vectors, ok := c.(*entity.ColumnFloatVector)
		if ok && vectors.Len() > 0 {
			*to = vectors.Data()[0]
		}
		return ok && *to != nil
	}
}

func stringsOf(list [][]byte) []string {
	if len(list) == 0 {
		return nil
	}
	out := make([]string, len(list))
	for i, b := range list {
		out[i] = string(b)
	}
	return out
}
