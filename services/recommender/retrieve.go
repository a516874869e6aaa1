package recommender

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
)

// searchesAtOnce bounds the Milvus calls of one batch, each for the requests that share a filter and a k.
const searchesAtOnce = 4

// widenBy is the factor by which k grows when the rules left a page short.
const widenBy = 4

// tasteItems is how many of the newest history items tell a user's price range and the reasons of a page.
const tasteItems = 8

type searchGroup struct {
	filter string
	k      int
}

// retrieve searches for all open jobs, one Milvus call for each group that shares filter and k.
func (b *batch) retrieve(ctx context.Context) {
	groups := map[searchGroup][]*job{}
	for _, j := range b.open {
		if j.vector == nil || j.answered.Load() {
			continue
		}
		g := searchGroup{filter: j.filter, k: j.k}
		groups[g] = append(groups[g], j)
	}
	calls := new(errgroup.Group)
	calls.SetLimit(searchesAtOnce)
	for g, jobs := range groups {
		calls.Go(func() error {
			b.search(ctx, g, jobs)
			return nil
		})
	}
	_ = calls.Wait() // search books its errors on the jobs
}

func (b *batch) search(ctx context.Context, g searchGroup, jobs []*job) {
	vectors := make([][]float32, len(jobs))
	for i, j := range jobs {
		vectors[i] = j.vector
	}
	results, err := b.service.Index.Search(ctx, b.model, vectors, g.k, g.filter)
	for i, j := range jobs {
		switch {
		case err != nil:
			j.searchFailed(err)
		case results[i].Err != nil:
			j.searchFailed(results[i].Err)
		default:
			j.hits = results[i].Hits
		}
	}
}

func (j *job) searchFailed(err error) {
	j.exhausted = true
	j.degrade(schemas.DegradedCandidateIndex, "%v", err)
}

// readRecords reads, once for the whole batch, the records of all hits, of the newest history items, and of pinned items.
func (b *batch) readRecords(ctx context.Context) {
	var ids []string
	set := b.service.Rules()
	for _, j := range b.open {
		for _, id := range set.Pinned(&j.rules) {
			ids = b.missing(ids, id)
		}
		for _, h := range j.hits {
			ids = b.missing(ids, h.ItemID)
		}
		for _, e := range j.newestHistory() {
			ids = b.missing(ids, e.ItemID)
		}
	}
	b.load(ctx, unique(ids))
}

func (b *batch) missing(ids []string, id string) []string {
	if _, known := b.records[id]; known {
		return ids
	}
	return append(ids, id)
}

// load adds the records of ids to the batch's. An item without a record is remembered as nil.
func (b *batch) load(ctx context.Context, ids []string) {
	if len(ids) == 0 {
		return
	}
	loaded, err := b.service.Items.Load(ctx, ids)
	if err != nil {
		b.recordsErr = err
		return
	}
	b.recordsErr = nil
	for i, id := range ids {
		b.records[id] = loaded[i]
	}
}

// record returns an item's record, from the shelf where Redis did not give one.
func (b *batch) record(id string) *items.Item {
	if it, known := b.records[id]; (known || b.recordsErr == nil) && b.found(it) {
		return it
	}
	return b.shelf.record(id)
}

// widen returns the jobs that shall search again with a larger k: their page is short, and the last search was full, so that
// more neighbours exist.
func (b *batch) widen() []*job {
	var again []*job
	for _, j := range b.open {
		short := len(j.page) < int(j.request.Count)
		more := len(j.hits) == j.k && j.k < b.service.config.MaxCandidates
		if short && more && !j.exhausted && b.recordsErr == nil && !j.answered.Load() {
			j.k = min(widenBy*j.k, b.service.config.MaxCandidates)
			again = append(again, j)
		}
	}
	return again
}
