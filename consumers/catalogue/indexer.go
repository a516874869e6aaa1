package catalogue

import (
	"context"
	"fmt"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/towers"
)

// Change is an item change, or the tombstone that removes an item whatever its version.
type Change struct {
	schemas.ItemChange
	Tombstone bool
}

// Indexer writes item changes to Redis, then to Milvus.
type Indexer struct {
	items *items.Store
	index *candidates.Index
	tower *towers.ItemTower
}

// NewIndexer returns an Indexer that encodes with tower and writes to the collection of the tower's version.
func NewIndexer(items *items.Store, index *candidates.Index, tower *towers.ItemTower) *Indexer {
	return &Indexer{items: items, index: index, tower: tower}
}

// Index writes changes in their order. It returns the errors of single changes by their place; the second result is an
// error of the whole, after which all of them may be written again.
func (x *Indexer) Index(ctx context.Context, changes []Change) (map[int]error, error) {
	if len(changes) == 0 {
		return nil, nil
	}
	writes := x.encode(changes)
	outcomes, err := x.items.Write(ctx, writes)
	if err != nil {
		return nil, fmt.Errorf("writing item records: %w", err)
	}
	failed := map[int]error{}
	var pending []pendingItem
	for i, o := range outcomes {
		switch {
		case o.Err != nil:
			failed[i] = o.Err
		case o.NeedsIndex:
			pending = append(pending, pendingItem{write: &writes[i], mark: o.Mark})
		}
	}
	return failed, x.bringToIndex(ctx, pending)
}

// pendingItem is an item that the index has to hear of, and what to mark once it has.
type pendingItem struct {
	write *items.Change
	mark  items.Mark
}

// repairRounds bounds how often one call follows records that move on under its hands.
const repairRounds = 3

// bringToIndex upserts and deletes candidates and marks them as indexed. It closes this race:
//
//  1. a member that is about to lose its partition writes version 4 to Redis and pauses before Milvus;
//  2. the partition's new owner writes version 5 to Redis, to Milvus, and marks it;
//  3. the first member wakes up and puts version 4 into Milvus, over version 5.
//
// Marking is guarded by the version, so the first member is told that the record moved on, and indexes what is stored now.
func (x *Indexer) bringToIndex(ctx context.Context, pending []pendingItem) error {
	for round := 0; len(pending) > 0; round++ {
		if round == repairRounds {
			return fmt.Errorf("indexing %d items: their records changed %d times meanwhile", len(pending), repairRounds)
		}
		if err := x.writeCandidates(ctx, pending); err != nil {
			return err
		}
		marks := make([]items.Mark, len(pending))
		for i := range pending {
			marks[i] = pending[i].mark
		}
		moved, err := x.items.MarkIndexed(ctx, x.tower.Version(), marks)
		if err != nil {
			return fmt.Errorf("marking items as indexed: %w", err)
		}
		if pending, err = x.stored(ctx, moved); err != nil {
			return err
		}
	}
	return nil
}

func (x *Indexer) writeCandidates(ctx context.Context, pending []pendingItem) error {
	var rows []candidates.Row
	var gone []string
	for _, p := range pending {
		if p.mark.Deleted {
			gone = append(gone, p.mark.ItemID)
		} else {
			rows = append(rows, candidates.RowOf(&p.write.Record, p.write.Vector))
		}
	}
	if len(rows) > 0 {
		if err := x.index.Upsert(ctx, x.tower.Version(), rows); err != nil {
			return fmt.Errorf("upserting candidates: %w", err)
		}
	}
	if len(gone) > 0 {
		if err := x.index.Delete(ctx, x.tower.Version(), gone); err != nil {
			return fmt.Errorf("deleting candidates: %w", err)
		}
	}
	return nil
}

// stored makes pending items of what Redis holds for ids now.
func (x *Indexer) stored(ctx context.Context, ids []string) ([]pendingItem, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	loaded, err := x.items.Load(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("reading items that moved on: %w", err)
	}
	var changes []Change
	for _, it := range loaded {
		if it != nil { // a record that has expired meanwhile was a deletion, and the row is gone
			changes = append(changes, Change{ItemChange: it.ItemChange, Tombstone: it.Deleted})
		}
	}
	writes := x.encode(changes)
	pending := make([]pendingItem, len(changes))
	for i := range changes {
		mark := items.Mark{ItemID: changes[i].ItemID, Version: changes[i].Version, Deleted: changes[i].Tombstone}
		if !mark.Deleted {
			mark.FilterDigest = writes[i].FilterDigest
		}
		pending[i] = pendingItem{write: &writes[i], mark: mark}
	}
	return pending, nil
}

// encode adds to the changes that can win what Redis and Milvus need beyond the record.
func (x *Indexer) encode(changes []Change) []items.Change {
	writes := make([]items.Change, len(changes))
	for i := range changes {
		writes[i] = items.Change{Record: changes[i].ItemChange, Tombstone: changes[i].Tombstone, Model: x.tower.Version()}
	}
	winners := items.Winners(writes)
	vectors := make([]float32, len(winners)*x.tower.Dim())
	for n, i := range winners {
		w := &writes[i]
		features := towers.FeaturesOf(&w.Record)
		w.Vector = vectors[n*x.tower.Dim() : (n+1)*x.tower.Dim()]
		x.tower.Encode(w.Vector, &features)
		row := candidates.RowOf(&w.Record, w.Vector)
		w.FilterDigest = row.FilterDigest()
	}
	return writes
}
