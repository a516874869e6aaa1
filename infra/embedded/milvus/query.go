package milvus

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v2/schemapb"
)

const countField = "count(*)"

// maxWindow is Milvus's limit on limit plus offset, and on the results of one query vector.
const maxWindow = 16384

// Query returns the rows that a filter selects, in the order of their keys, or their number.
func (s *Server) Query(_ context.Context, req *milvuspb.QueryRequest) (*milvuspb.QueryResults, error) {
	resp, err := s.query(req)
	if err != nil {
		return &milvuspb.QueryResults{Status: statusOf(err)}, nil
	}
	return resp, nil
}

func (s *Server) query(req *milvuspb.QueryRequest) (*milvuspb.QueryResults, error) {
	c, err := s.lookup(req.GetCollectionName())
	if err != nil {
		return nil, err
	}
	if err := checkPartitions(req.GetPartitionNames()...); err != nil {
		return nil, err
	}
	params := keyValues(req.GetQueryParams())
	limit, offset, err := window(params, "limit")
	if err != nil {
		return nil, err
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if !c.loaded {
		return nil, fmt.Errorf("failed to query: %w", c.notLoaded())
	}
	counting := slices.Equal(req.GetOutputFields(), []string{countField})
	switch {
	case counting && limit+offset > 0:
		return nil, unexpectedf("count entities with pagination is not allowed")
	case !counting && isBlank(req.GetExpr()) && limit == 0:
		return nil, unexpectedf("empty expression should be used with limit")
	}
	rows, err := c.filter(req.GetExpr())
	if err != nil {
		return nil, err
	}
	if counting {
		return &milvuspb.QueryResults{Status: statusOf(nil), FieldsData: []*schemapb.FieldData{{
			Type: schemapb.DataType_Int64, FieldName: countField,
			Field: &schemapb.FieldData_Scalars{Scalars: wrapLong([]int64{int64(rows.count())})},
		}}}, nil
	}
	names, err := c.outputFields(req.GetOutputFields())
	if err != nil {
		return nil, err
	}
	if !slices.Contains(names, c.keys.name) {
		names = append(names, c.keys.name)
	}
	return &milvuspb.QueryResults{
		Status:         statusOf(nil),
		FieldsData:     c.output(names, page(c.sorted(rows), offset, limit)),
		CollectionName: req.GetCollectionName(),
		OutputFields:   names,
	}, nil
}

// sorted returns rows in the order of their keys.
func (c *collection) sorted(rows bitset) []int32 {
	list := rows.list()
	slices.SortFunc(list, func(a, b int32) int { return strings.Compare(c.keys.values[a], c.keys.values[b]) })
	return list
}

func (c *collection) output(names []string, rows []int32) []*schemapb.FieldData {
	out := make([]*schemapb.FieldData, len(names))
	for i, name := range names {
		out[i] = c.columns[c.byName[name]].output(rows)
	}
	return out
}

// outputFields expands "*" and refuses names that the schema lacks.
func (c *collection) outputFields(asked []string) ([]string, error) {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range asked {
		if name == "*" {
			for _, f := range c.fields {
				add(f.name)
			}
			continue
		}
		if _, ok := c.byName[name]; !ok {
			return nil, unexpectedf("field %s not exist", name)
		}
		add(name)
	}
	return names, nil
}

// page cuts [offset, offset+limit) out of list; limit 0 has no end.
func page[T any](list []T, offset, limit int) []T {
	list = list[min(offset, len(list)):]
	if limit > 0 {
		list = list[:min(limit, len(list))]
	}
	return list
}

// window reads the number of results under key and the offset.
func window(params map[string]string, key string) (limit, offset int, err error) {
	for _, p := range []struct {
		key string
		to  *int
	}{{key, &limit}, {"offset", &offset}} {
		text := params[p.key]
		if text == "" {
			continue
		}
		n, err := strconv.Atoi(text)
		if err != nil || n < 0 {
			return 0, 0, unexpectedf("%s [%s] is invalid", p.key, text)
		}
		*p.to = n
	}
	if limit+offset > maxWindow {
		return 0, 0, unexpectedf("invalid max query result window, (offset+limit) should be in range [1, %d], but got %d",
			maxWindow, limit+offset)
	}
	return limit, offset, nil
}

func isBlank(expr string) bool { return strings.TrimSpace(expr) == "" }
