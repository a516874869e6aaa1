package milvus

import (
	"context"
	"maps"
	"slices"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v2/milvuspb"
	"github.com/milvus-io/milvus-proto/go-api/v2/schemapb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/protoadapt"
)

// lookup resolves a collection's name or alias.
func (s *Server) lookup(name string) (*collection, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if target, ok := s.aliases[name]; ok {
		name = target
	}
	c, ok := s.collections[name]
	if !ok {
		return nil, collectionNotFound(name)
	}
	return c, nil
}

// CreateCollection makes an empty collection. The same again is no error, another schema under the name is.
func (s *Server) CreateCollection(_ context.Context, req *milvuspb.CreateCollectionRequest) (*commonpb.Status, error) {
	return statusOf(s.createCollection(req)), nil
}

func (s *Server) createCollection(req *milvuspb.CreateCollectionRequest) error {
	name := req.GetCollectionName()
	if err := checkName("collection", name); err != nil {
		return err
	}
	schema := &schemapb.CollectionSchema{}
	if err := proto.Unmarshal(req.GetSchema(), protoadapt.MessageV2Of(schema)); err != nil {
		return unexpectedf("failed to unmarshal schema: %v", err)
	}
	if schema.GetName() != name {
		return statusErrorf(codeInvalidParameter, "collection name matches not the name of its schema: invalid parameter")
	}
	c, err := newCollection(schema, int64(s.tick()))
	if err != nil {
		return err
	}
	c.shards, c.consistency = max(req.GetShardsNum(), 1), req.GetConsistencyLevel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.aliases[name]; ok {
		return unexpectedf("collection name [%s] conflicts with an existing alias, please choose a unique name", name)
	}
	if old, ok := s.collections[name]; ok {
		if !proto.Equal(protoadapt.MessageV2Of(old.schema), protoadapt.MessageV2Of(schema)) {
			return unexpectedf("create duplicate collection with different parameters, collection: %s", name)
		}
		return nil
	}
	s.collections[name] = c
	return nil
}

// DropCollection drops the collection and the aliases that name it. An unknown name is no error.
func (s *Server) DropCollection(_ context.Context, req *milvuspb.DropCollectionRequest) (*commonpb.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := req.GetCollectionName()
	if _, ok := s.aliases[name]; ok {
		return statusOf(unexpectedf("cannot drop the collection via alias = %s", name)), nil
	}
	delete(s.collections, name)
	maps.DeleteFunc(s.aliases, func(_, target string) bool { return target == name })
	return statusOf(nil), nil
}

// HasCollection looks for a name or alias.
func (s *Server) HasCollection(_ context.Context, req *milvuspb.HasCollectionRequest) (*milvuspb.BoolResponse, error) {
	_, err := s.lookup(req.GetCollectionName())
	return &milvuspb.BoolResponse{Status: statusOf(nil), Value: err == nil}, nil
}

// DescribeCollection returns the schema; under an alias as well, with the collection's own name in it.
func (s *Server) DescribeCollection(
	_ context.Context, req *milvuspb.DescribeCollectionRequest,
) (*milvuspb.DescribeCollectionResponse, error) {
	c, err := s.lookup(req.GetCollectionName())
	if err != nil {
		se := &StatusError{Code: codeCollectionNotFound, Reason: "can't find collection " + err.Error()}
		resp := &milvuspb.DescribeCollectionResponse{Status: statusOf(se), CollectionName: req.GetCollectionName()}
		resp.Status.ErrorCode = commonpb.ErrorCode_UnexpectedError // as 2.3.5 does, in this call alone
		//nolint:nilerr // the response carries it
		return resp, nil
	}
	return &milvuspb.DescribeCollectionResponse{
		Status:           statusOf(nil),
		Schema:           c.schema,
		CollectionID:     c.id,
		CollectionName:   req.GetCollectionName(),
		ShardsNum:        c.shards,
		ConsistencyLevel: c.consistency,
		Aliases:          s.aliasesOf(c.schema.GetName()),
		DbName:           "default",
	}, nil
}

func (s *Server) aliasesOf(name string) []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var found []string
	for alias, target := range s.aliases {
		if target == name {
			found = append(found, alias)
		}
	}
	slices.Sort(found)
	return found
}

// ShowCollections lists collections by name: those asked for, or all; with type InMemory only loaded ones.
func (s *Server) ShowCollections(
	_ context.Context, req *milvuspb.ShowCollectionsRequest,
) (*milvuspb.ShowCollectionsResponse, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := req.GetCollectionNames() //nolint:staticcheck // the SDK of the time asks by it
	if len(names) == 0 {
		names = slices.Sorted(maps.Keys(s.collections))
	}
	resp := &milvuspb.ShowCollectionsResponse{Status: statusOf(nil)}
	for _, name := range names {
		c, ok := s.collections[name]
		if !ok {
			return &milvuspb.ShowCollectionsResponse{Status: statusOf(collectionNotFound(name))}, nil
		}
		loaded := c.isLoaded()
		if req.GetType() == milvuspb.ShowType_InMemory {
			if !loaded {
				continue
			}
			resp.InMemoryPercentages = append(resp.InMemoryPercentages, 100)
		}
		resp.CollectionNames = append(resp.CollectionNames, name)
		resp.CollectionIds = append(resp.CollectionIds, c.id)
	}
	return resp, nil
}

// CreateAlias names a collection a second time. The same again is no error.
func (s *Server) CreateAlias(_ context.Context, req *milvuspb.CreateAliasRequest) (*commonpb.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	alias, name := req.GetAlias(), req.GetCollectionName()
	if err := s.checkAlias(alias, name); err != nil {
		return statusOf(err), nil
	}
	if old, ok := s.aliases[alias]; ok && old != name {
		return statusOf(statusErrorf(codeAliasExists,
			"%s is alias to another collection: %s: alias already exist[database=default][alias=%s]", alias, old, alias)), nil
	}
	s.aliases[alias] = name
	return statusOf(nil), nil
}

// AlterAlias points an alias at another collection, in one step.
func (s *Server) AlterAlias(_ context.Context, req *milvuspb.AlterAliasRequest) (*commonpb.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	alias, name := req.GetAlias(), req.GetCollectionName()
	if err := s.checkAlias(alias, name); err != nil {
		return statusOf(err), nil
	}
	if _, ok := s.aliases[alias]; !ok {
		return statusOf(aliasNotFound(alias)), nil
	}
	s.aliases[alias] = name
	return statusOf(nil), nil
}

func (s *Server) checkAlias(alias, name string) error {
	if err := checkName("collection alias", alias); err != nil {
		return err
	}
	if _, ok := s.collections[alias]; ok {
		return statusErrorf(codeAliasNameConflict, "alias and collection name conflict[database=default][alias=%s]", alias)
	}
	if _, ok := s.collections[name]; !ok {
		return collectionNotFound(name)
	}
	return nil
}

// DropAlias forgets an alias; an unknown one is no error.
func (s *Server) DropAlias(_ context.Context, req *milvuspb.DropAliasRequest) (*commonpb.Status, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.aliases, req.GetAlias())
	return statusOf(nil), nil
}

// DescribeAlias says what an alias names.
func (s *Server) DescribeAlias(_ context.Context, req *milvuspb.DescribeAliasRequest) (*milvuspb.DescribeAliasResponse, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	name, ok := s.aliases[req.GetAlias()]
	if !ok {
		return &milvuspb.DescribeAliasResponse{Status: statusOf(aliasNotFound(req.GetAlias()))}, nil
	}
	return &milvuspb.DescribeAliasResponse{Status: statusOf(nil), Alias: req.GetAlias(), Collection: name}, nil
}

func aliasNotFound(alias string) error {
	return statusErrorf(codeAliasNotFound, "alias not found[database=default][alias=%s]", alias)
}
