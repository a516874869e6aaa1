package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/milvus-io/milvus-sdk-go/v2/client"
	"github.com/milvus-io/milvus-sdk-go/v2/entity"

	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/rules"
)

// rawSearch asks Milvus as the role recommendations does by default (the same collection, k, filter and parameters, ids
// alone), without anything around it.
type rawSearch struct {
	client     client.Client
	collection string
	k          int
	filter     string
	params     entity.SearchParam
	level      entity.ConsistencyLevel
	vectors    []entity.Vector
}

func (l *lab) rawSearch(w *world, embeddings [][]float32) (*rawSearch, error) {
	s := l.settings("")
	k := s.Recommender.Candidates
	params, err := entity.NewIndexHNSWSearchParam(max(s.Milvus.HNSW.Ef, k))
	if err != nil {
		return nil, fmt.Errorf("making search parameters: %w", err)
	}
	now := time.Now()
	r := &rawSearch{
		client: l.milvus, collection: s.Milvus.Collection + "_" + w.itemTower.Version(), k: k, params: params, level: entity.ClBounded,
		filter: candidates.Join(candidates.Pushes(rules.Default().Conditions(&rules.Request{Now: now, Count: pageSize}), now.UnixMilli())),
	}
	if s.Milvus.Consistency == "eventually" {
		r.level = entity.ClEventually
	}
	for _, e := range embeddings {
		r.vectors = append(r.vectors, entity.FloatVector(e))
	}
	return r, nil
}

// batch searches for the vectors of the requests of these numbers in one call.
func (r *rawSearch) batch(ctx context.Context, numbers []uint64) error {
	queries := make([]entity.Vector, len(numbers))
	for i, n := range numbers {
		queries[i] = r.vectors[n%uint64(len(r.vectors))]
	}
	found, err := r.client.Search(ctx, r.collection, nil, r.filter, nil, queries, "vector", entity.IP, r.k, r.params,
		client.WithSearchQueryConsistencyLevel(r.level))
	if err != nil {
		return fmt.Errorf("searching %s: %w", r.collection, err)
	}
	if len(found) != len(numbers) {
		return fmt.Errorf("searching %s: %d results for %d vectors", r.collection, len(found), len(numbers))
	}
	for i := range found {
		if found[i].Err == nil && found[i].ResultCount == 0 {
			return errors.New("a raw search found nothing: the index is empty")
		}
		if found[i].Err != nil {
			return fmt.Errorf("searching %s: %w", r.collection, found[i].Err)
		}
	}
	return nil
}

// seal has Milvus write the rows down and build the index, which it would do by itself sooner or later: a measurement must not
// begin on one kind of segment and end on another.
func (l *lab) seal(ctx context.Context, collection string) error {
	if l.Embedded { // which has no segments
		return nil
	}
	l.say("waiting for the index of %s…", collection)
	if err := l.milvus.Flush(ctx, collection, false); err != nil {
		return fmt.Errorf("flushing %s: %w", collection, err)
	}
	for {
		state, err := l.milvus.GetIndexState(ctx, collection, "vector")
		if err != nil {
			return fmt.Errorf("asking for the index of %s: %w", collection, err)
		}
		if state == indexFinished {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(sealPoll):
		}
	}
}

const (
	indexFinished entity.IndexState = 3 // commonpb.IndexState_Finished
	sealPoll                        = 100 * time.Millisecond
)
