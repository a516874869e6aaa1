package milvus

import (
	"context"
	"fmt"

	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v2/schemapb"
)

// Upsert stores rows in place of those with the same keys.
func (s *Server) Upsert(_ context.Context, req *milvuspb.UpsertRequest) (*milvuspb.MutationResult, error) {
	ids, err := s.store(req.GetCollectionName(), req.GetPartitionName(), req.GetFieldsData(), int(req.GetNumRows()))
	if err != nil {
		return &milvuspb.MutationResult{Status: statusOf(err)}, nil
	}
	result := s.stored(ids)
	result.DeleteCnt, result.UpsertCnt = int64(len(ids)), int64(len(ids))
	return result, nil
}

// Insert is Upsert under another name: of two rows with one key a real server keeps both.
func (s *Server) Insert(_ context.Context, req *milvuspb.InsertRequest) (*milvuspb.MutationResult, error) {
	ids, err := s.store(req.GetCollectionName(), req.GetPartitionName(), req.GetFieldsData(), int(req.GetNumRows()))
	if err != nil {
		return &milvuspb.MutationResult{Status: statusOf(err)}, nil
	}
	return s.stored(ids), nil
}

func (s *Server) store(name, partition string, data []*schemapb.FieldData, rows int) ([]string, error) {
	c, err := s.lookup(name)
	if err != nil {
		return nil, err
	}
	if err := checkPartitions(partition); err != nil {
		return nil, err
	}
	if rows == 0 {
		return nil, statusErrorf(codeInvalidParameter, "num_rows should be greater than 0: invalid parameter[expected=0][actual=0]")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.upsert(data, rows)
}

func (s *Server) stored(ids []string) *milvuspb.MutationResult {
	succeeded := make([]uint32, len(ids))
	for i := range succeeded {
		succeeded[i] = uint32(i)
	}
	return &milvuspb.MutationResult{
		Status:    statusOf(nil),
		IDs:       textIDs(ids),
		SuccIndex: succeeded,
		InsertCnt: int64(len(ids)),
		Timestamp: s.tick(),
	}
}

// Delete removes the rows that a filter selects.
func (s *Server) Delete(_ context.Context, req *milvuspb.DeleteRequest) (*milvuspb.MutationResult, error) {
	removed, err := s.remove(req)
	if err != nil {
		return &milvuspb.MutationResult{Status: statusOf(err)}, nil
	}
	return &milvuspb.MutationResult{
		Status: statusOf(nil), IDs: &schemapb.IDs{}, DeleteCnt: int64(removed), Timestamp: s.tick(),
	}, nil
}

func (s *Server) remove(req *milvuspb.DeleteRequest) (int, error) {
	c, err := s.lookup(req.GetCollectionName())
	if err != nil {
		return 0, fmt.Errorf("failed to get collection id: %w", err)
	}
	if err := checkPartitions(req.GetPartitionName()); err != nil {
		return 0, err
	}
	if isBlank(req.GetExpr()) {
		return 0, statusErrorf(codeInvalidParameter, "invalid expression: invalid parameter[expected=valid expr][actual=empty expr]")
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	rows, err := c.filter(req.GetExpr())
	if err != nil {
		return 0, fmt.Errorf("failed to create expr plan, expr = %s: %w", req.GetExpr(), err)
	}
	return c.remove(rows), nil
}

// Flush is answered: there is nothing to write out.
func (s *Server) Flush(_ context.Context, req *milvuspb.FlushRequest) (*milvuspb.FlushResponse, error) {
	for _, name := range req.GetCollectionNames() {
		if _, err := s.lookup(name); err != nil {
			return &milvuspb.FlushResponse{Status: statusOf(err)}, nil
		}
	}
	return &milvuspb.FlushResponse{Status: statusOf(nil)}, nil
}

// checkPartitions accepts the one partition that there is.
func checkPartitions(names ...string) error {
	for _, name := range names {
		if name != "" && name != "_default" {
			return statusErrorf(codePartitionNotFound, "partition not found[partition=%s]", name)
		}
	}
	return nil
}

func textIDs(ids []string) *schemapb.IDs {
	return &schemapb.IDs{IdField: &schemapb.IDs_StrId{StrId: &schemapb.StringArray{Data: ids}}}
}
