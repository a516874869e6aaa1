package milvus

import (
	"cmp"
	"context"
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v2/schemapb"
	"github.com/viterin/vek/vek32"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// searchPlan is a search request, decoded and checked.
type searchPlan struct {
	vectors [][]float32
	metric  string
	limit   int
	offset  int
}

// Search returns for each query vector the nearest rows that the filter lets through, exactly; equal scores by key.
func (s *Server) Search(_ context.Context, req *milvuspb.SearchRequest) (*milvuspb.SearchResults, error) {
	results, err := s.search(req)
	if err != nil {
		return &milvuspb.SearchResults{Status: statusOf(err)}, nil
	}
	status := statusOf(nil)
	if len(results.GetScores()) == 0 {
		status.Reason = "search result is empty"
	}
	return &milvuspb.SearchResults{Status: status, Results: results, CollectionName: req.GetCollectionName()}, nil
}

func (s *Server) search(req *milvuspb.SearchRequest) (*schemapb.SearchResultData, error) {
	c, err := s.lookup(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if err := checkPartitions(req.GetPartitionNames()...); err != nil {
		return nil, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.loaded {
		return nil, fmt.Errorf("failed to search: %w", c.notLoaded())
	}
	plan, err := c.planSearch(req)
	if err != nil {
		return nil, err
	}
	names, err := c.outputFields(req.GetOutputFields())
	if err != nil {
		return nil, err
	}
	rows, err := c.filter(req.GetDsl())
	if err != nil {
		return nil, fmt.Errorf("failed to create query plan: %w", err)
	}
	return c.results(plan, names, c.nearest(plan, rows)), nil
}

func (c *collection) planSearch(req *milvuspb.SearchRequest) (*searchPlan, error) {
	params := keyValues(req.GetSearchParams())
	plan := &searchPlan{metric: c.index.metric}
	var err error
	if plan.limit, plan.offset, err = window(params, "topk"); err != nil || plan.limit == 0 {
		k := params["topk"]
		return nil, unexpectedf("topk [%s] is invalid, top k should be in range [1, %d], but got %s", k, maxWindow, k)
	}
	if f := params["anns_field"]; f != "" && f != c.vectors.name {
		return nil, unexpectedf("failed to create query plan: failed to get field schema by name: fieldName(%s) not found", f)
	}
	if m := strings.ToUpper(params["metric_type"]); m != "" && m != plan.metric {
		return nil, unexpectedf("fail to Search, reason=collection:%d, metric type not match: "+
			"invalid parameter[expected=%s][actual=%s]", c.id, plan.metric, m)
	}
	if g := params["group_by_field"]; g != "" {
		return nil, unexpectedf("group by field %s: not supported by the embedded server", g)
	}
	ef, err := efOf(params["params"])
	if err != nil {
		return nil, err
	}
	if ef > 0 && ef < plan.limit+plan.offset {
		return nil, unexpectedf("fail to Search, reason=ef(%d) should be larger than k(%d)", ef, plan.limit+plan.offset)
	}
	if req.GetDslType() != commonpb.DslType_BoolExprV1 && !isBlank(req.GetDsl()) {
		return nil, unexpectedf("DslType %s is not supported", req.GetDslType())
	}
	plan.vectors, err = c.queryVectors(req.GetPlaceholderGroup())
	return plan, err
}

// queryVectors decodes the query vectors: little-endian float32, one after the other.
func (c *collection) queryVectors(group []byte) ([][]float32, error) {
	var g commonpb.PlaceholderGroup
	if err := proto.Unmarshal(group, protoadapt.MessageV2Of(&g)); err != nil {
		return nil, unexpectedf("failed to parse placeholder group: %v", err)
	}
	var queries [][]float32
	for _, p := range g.GetPlaceholders() {
		if len(p.GetValues()) > 0 && p.GetType() != commonpb.PlaceholderType_FloatVector {
			return nil, unexpectedf("query vectors of type %s are not supported by the embedded server", p.GetType())
		}
		for _, raw := range p.GetValues() {
			if len(raw) != 4*c.vectors.dim {
				return nil, unexpectedf("fail to Search, reason=vector dimension mismatch: expected %d, got %d", c.vectors.dim, len(raw)/4)
			}
			v := make([]float32, c.vectors.dim)
			for i := range v {
				v[i] = math.Float32frombits(binary.LittleEndian.Uint32(raw[4*i:]))
			}
			if err := checkFinite(v); err != nil {
				return nil, err
			}
			queries = append(queries, v)
		}
	}
	if n := len(queries); n == 0 || n > maxWindow {
		return nil, unexpectedf("nq [%d] is invalid, nq (number of search vector per search request) should be in range [1, %d], "+
			"but got %d", n, maxWindow, n)
	}
	return queries, nil
}

// nearest searches for all query vectors, which are shared out over the cores.
func (c *collection) nearest(plan *searchPlan, rows bitset) [][]hit {
	found := make([][]hit, len(plan.vectors))
	scan := func(first, last int) {
		heaps := make([]topK, last-first)
		for i := range heaps {
			heaps[i] = topK{limit: plan.limit + plan.offset, keys: c.keys.values}
		}
		c.scan(plan, plan.vectors[first:last], rows, heaps)
		for i := range heaps {
			found[first+i] = page(heaps[i].sorted(), plan.offset, plan.limit)
		}
	}
	workers := min(runtime.GOMAXPROCS(0), len(plan.vectors))
	if workers == 1 {
		scan(0, len(plan.vectors))
		return found
	}
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() { scan(w*len(plan.vectors)/workers, (w+1)*len(plan.vectors)/workers) })
	}
	wg.Wait()
	return found
}

// scanBlock is how many words of the row set are worked through for one query after the other: 64 rows each, so that a block of
// vectors stays in the cache while all queries see it.
const scanBlock = 8

func (c *collection) scan(plan *searchPlan, queries [][]float32, rows bitset, heaps []topK) {
	score := vek32.Dot
	if plan.metric == "L2" {
		score = negativeSquaredDistance
	}
	for begin := 0; begin < len(rows.words); begin += scanBlock {
		end := min(begin+scanBlock, len(rows.words))
		for q, query := range queries {
			heap := &heaps[q]
			for w := begin; w < end; w++ {
				for word := rows.words[w]; word != 0; word &= word - 1 {
					row := w*64 + bits.TrailingZeros64(word)
					heap.offer(hit{score: score(query, c.vectors.row(row)), row: int32(row)})
				}
			}
		}
	}
}

func negativeSquaredDistance(a, b []float32) float32 {
	var s0, s1, s2, s3 float32
	i := 0
	for ; i+4 <= len(a); i += 4 {
		d0, d1, d2, d3 := a[i]-b[i], a[i+1]-b[i+1], a[i+2]-b[i+2], a[i+3]-b[i+3]
		s0, s1, s2, s3 = s0+d0*d0, s1+d1*d1, s2+d2*d2, s3+d3*d3
	}
	for ; i < len(a); i++ {
		d := a[i] - b[i]
		s0 += d * d
	}
	return -(s0 + s1 + s2 + s3)
}

// results is the wire form of what was found: all queries' hits one after the other.
func (c *collection) results(plan *searchPlan, names []string, found [][]hit) *schemapb.SearchResultData {
	data := &schemapb.SearchResultData{NumQueries: int64(len(found)), OutputFields: names}
	var rows []int32
	var ids []string
	for _, hits := range found {
		data.Topks = append(data.Topks, int64(len(hits)))
		data.TopK = max(data.TopK, int64(len(hits)))
		for _, h := range hits {
			rows = append(rows, h.row)
			ids = append(ids, c.keys.values[h.row])
			if plan.metric == "L2" {
				h.score = -h.score
			}
			data.Scores = append(data.Scores, h.score)
		}
	}
	if len(rows) > 0 { // as a real server, which sends neither keys nor fields when there is nothing to send
		data.Ids = textIDs(ids)
		data.FieldsData = c.output(names, rows)
	}
	return data
}

// hit is one row and its score, larger is nearer.
type hit struct {
	score float32
	row   int32
}

// topK keeps the best hits of one query in a heap whose root is the worst of them.
type topK struct {
	limit int
	keys  []string // by row; decides between equal scores, so that the same search gives the same list
	heap  []hit
}

// worse orders by score, then by key descending.
func (t *topK) worse(a, b hit) bool {
	if a.score != b.score {
		return a.score < b.score
	}
	return t.keys[a.row] > t.keys[b.row]
}

func (t *topK) offer(h hit) {
	if len(t.heap) == t.limit {
		if h.score < t.heap[0].score || !t.worse(t.heap[0], h) {
			return
		}
		t.heap[0] = h
		t.down(0)
		return
	}
	t.heap = append(t.heap, h)
	for i := len(t.heap) - 1; i > 0; {
		parent := (i - 1) / 2
		if !t.worse(t.heap[i], t.heap[parent]) {
			return
		}
		t.heap[i], t.heap[parent] = t.heap[parent], t.heap[i]
		i = parent
	}
}

func (t *topK) down(i int) {
	for {
		worst := i
		for child := 2*i + 1; child <= 2*i+2 && child < len(t.heap); child++ {
			if t.worse(t.heap[child], t.heap[worst]) {
				worst = child
			}
		}
		if worst == i {
			return
		}
		t.heap[i], t.heap[worst] = t.heap[worst], t.heap[i]
		i = worst
	}
}

// sorted returns the hits, best first. The heap is spent.
func (t *topK) sorted() []hit {
	slices.SortFunc(t.heap, func(a, b hit) int {
		if c := cmp.Compare(b.score, a.score); c != 0 {
			return c
		}
		return strings.Compare(t.keys[a.row], t.keys[b.row])
	})
	return t.heap
}
