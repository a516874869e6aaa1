package milvus

import (
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
)

// Index and load state: what a collection needs before it answers searches.

// CreateIndex notes the index of the vector field. The same again is no error, another one is.
func (s *Server) CreateIndex(_ context.Context, req *milvuspb.CreateIndexRequest) (*commonpb.Status, error) {
	return statusOf(s.createIndex(req)), nil
}

func (s *Server) createIndex(req *milvuspb.CreateIndexRequest) error {
	c, err := s.lookup(req.GetCollectionName())
	if err != nil {
		return err
	}
	if _, ok := c.byName[req.GetFieldName()]; !ok {
		return unexpectedf("cannot create index on non-exist field: %s", req.GetFieldName())
	}
	if req.GetFieldName() != c.vectors.name {
		return unexpectedf("the embedded server keeps an index of the vector field alone, not of %s", req.GetFieldName())
	}
	params := keyValues(req.GetExtraParams())
	metric := strings.ToUpper(params["metric_type"])
	if params["index_type"] == "" || metric != "IP" && metric != "L2" {
		return statusErrorf(codeInvalidParameter, "index type %q with metric type %q: the embedded server supports IP and L2: "+
			"invalid parameter", params["index_type"], metric)
	}
	name := req.GetIndexName()
	if name == "" {
		name = req.GetFieldName()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index != nil {
		if !maps.Equal(c.index.params, params) || c.index.name != name {
			return unexpectedf("CreateIndex failed: at most one distinct index is allowed per field")
		}
		return nil
	}
	c.index = &index{id: int64(s.tick()), name: name, params: params, metric: metric}
	return nil
}

// DescribeIndex returns the index of the vector field, always finished.
func (s *Server) DescribeIndex(_ context.Context, req *milvuspb.DescribeIndexRequest) (*milvuspb.DescribeIndexResponse, error) {
	c, err := s.lookup(req.GetCollectionName())
	if err != nil {
		return &milvuspb.DescribeIndexResponse{Status: statusOf(err)}, nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if c.index == nil || req.GetIndexName() != "" && req.GetIndexName() != c.index.name {
		return &milvuspb.DescribeIndexResponse{Status: statusOf(c.indexNotFound())}, nil
	}
	params := make([]*commonpb.KeyValuePair, 0, len(c.index.params))
	for _, k := range slices.Sorted(maps.Keys(c.index.params)) {
		params = append(params, &commonpb.KeyValuePair{Key: k, Value: c.index.params[k]})
	}
	rows := int64(c.rows())
	return &milvuspb.DescribeIndexResponse{Status: statusOf(nil), IndexDescriptions: []*milvuspb.IndexDescription{{
		IndexName: c.index.name, IndexID: c.index.id, Params: params, FieldName: c.vectors.name,
		IndexedRows: rows, TotalRows: rows, State: commonpb.IndexState_Finished,
	}}}, nil
}

func (c *collection) indexNotFound() error {
	return statusErrorf(codeIndexNotFound, "index not found[collection=%s]", c.schema.GetName())
}

// DropIndex forgets the index of a collection that is not loaded.
func (s *Server) DropIndex(_ context.Context, req *milvuspb.DropIndexRequest) (*commonpb.Status, error) {
	c, err := s.lookup(req.GetCollectionName())
	if err != nil {
		return statusOf(err), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.loaded {
		return statusOf(unexpectedf("index cannot be dropped, collection is loaded, please release it first")), nil
	}
	c.index = nil
	return statusOf(nil), nil
}

// LoadCollection makes a collection answer searches, at once.
func (s *Server) LoadCollection(_ context.Context, req *milvuspb.LoadCollectionRequest) (*commonpb.Status, error) {
	c, err := s.lookup(req.GetCollectionName())
	if err != nil {
		return statusOf(err), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.index == nil {
		return statusOf(c.indexNotFound()), nil
	}
	c.loaded = true
	return statusOf(nil), nil
}

// ReleaseCollection ends what LoadCollection began; the rows stay.
func (s *Server) ReleaseCollection(_ context.Context, req *milvuspb.ReleaseCollectionRequest) (*commonpb.Status, error) {
	c, err := s.lookup(req.GetCollectionName())
	if err != nil {
		return statusOf(err), nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loaded = false
	return statusOf(nil), nil
}

func (c *collection) isLoaded() bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.loaded
}

// GetLoadState says whether a collection is there and loaded.
func (s *Server) GetLoadState(_ context.Context, req *milvuspb.GetLoadStateRequest) (*milvuspb.GetLoadStateResponse, error) {
	state := commonpb.LoadState_LoadStateNotExist
	if c, err := s.lookup(req.GetCollectionName()); err == nil {
		state = commonpb.LoadState_LoadStateNotLoad
		if c.isLoaded() {
			state = commonpb.LoadState_LoadStateLoaded
		}
	}
	return &milvuspb.GetLoadStateResponse{Status: statusOf(nil), State: state}, nil
}

// GetLoadingProgress is 100 for a loaded collection and an error for any other.
func (s *Server) GetLoadingProgress(
	_ context.Context, req *milvuspb.GetLoadingProgressRequest,
) (*milvuspb.GetLoadingProgressResponse, error) {
	c, err := s.lookup(req.GetCollectionName())
	if err == nil && !c.isLoaded() {
		err = c.notLoaded()
	}
	if err != nil {
		return &milvuspb.GetLoadingProgressResponse{Status: statusOf(err)}, nil
	}
	return &milvuspb.GetLoadingProgressResponse{Status: statusOf(nil), Progress: 100, RefreshProgress: 100}, nil
}

func (c *collection) notLoaded() error {
	return statusErrorf(codeCollectionNotLoaded, "collection not loaded[collection=%d]", c.id)
}

// GetCollectionStatistics returns row_count.
func (s *Server) GetCollectionStatistics(
	_ context.Context, req *milvuspb.GetCollectionStatisticsRequest,
) (*milvuspb.GetCollectionStatisticsResponse, error) {
	c, err := s.lookup(req.GetCollectionName())
	if err != nil {
		return &milvuspb.GetCollectionStatisticsResponse{Status: statusOf(err)}, nil
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return &milvuspb.GetCollectionStatisticsResponse{Status: statusOf(nil), Stats: []*commonpb.KeyValuePair{
		{Key: "row_count", Value: strconv.Itoa(c.rows())},
	}}, nil
}

// efOf reads ef out of the search parameters that the SDK sends as JSON; zero if it is not there.
func efOf(params string) (int, error) {
	if params == "" {
		return 0, nil
	}
	var p struct {
		EF *float64 `json:"ef"`
	}
	if err := json.Unmarshal([]byte(params), &p); err != nil {
		return 0, unexpectedf("failed to parse search params %s: %v", params, err)
	}
	if p.EF == nil {
		return 0, nil
	}
	return int(*p.EF), nil
}
