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

// Index writes changes in their order. It returns the errors of single changes by their place: a *candidates.InvalidRow for
// one whose row the index can never hold, else what kept its item from being written; that is the fate of all changes to the
// item, since only together they leave the right version behind. The second result is an error of the whole, after which all
// of them may be written again.
func (x *Indexer) Index(ctx context.Context, changes []Change) (map[int]error, error) {
	_, failed, err := x.indexAll(ctx, changes)
	return failed, err
}

// indexAll is Index, and tells what the catalogue made of each change.
func (x *Indexer) indexAll(ctx context.Context, changes []Change) (outcomes []items.Outcome, failed map[int]error, err error) {
	if len(changes) == 0 {
		return nil, nil, nil
	}
	writes := x.encode(changes)
	outcomes, err = x.items.Write(ctx, writes)
	if err != nil {
		return nil, nil, fmt.Errorf("writing item records: %w", err)
	}
	var pending []pendingItem
	for i, o := range outcomes {
		if o.NeedsIndex {
			pending = append(pending, pendingItem{change: i, write: &writes[i], mark: o.Mark})
		}
	}
	failed = unwritten(changes, outcomes)
	return outcomes, failed, x.bringToIndex(ctx, pending, failed)
}

// unwritten fails every change to an item that could not be written.
func unwritten(changes []Change, outcomes []items.Outcome) map[int]error {
	reasons := map[string]error{}
	for i, o := range outcomes {
		if o.Err != nil {
			reasons[changes[i].ItemID] = o.Err
		}
	}
	failed := map[int]error{}
	for i := range changes {
		if reason := reasons[changes[i].ItemID]; reason != nil {
			failed[i] = reason
		}
	}
	return failed
}

// pendingItem is an item that the index has to hear of, and what to mark once it has.
type pendingItem struct {
	change int // the place of the change that brought it up
	write  *items.Change
	mark   items.Mark
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
// Changes whose rows are refused are added to failed.
func (x *Indexer) bringToIndex(ctx context.Context, pending []pendingItem, failed map[int]error) error {
	for round := 0; len(pending) > 0; round++ {
		if round == repairRounds {
			return fmt.Errorf("indexing %d items: their records changed %d times meanwhile", len(pending), repairRounds)
		}
		refused, err := x.writeCandidates(ctx, pending)
		if err != nil {
			return err
		}
		written := make(map[string]int, len(pending)) // the place of the change, by item
		marks := make([]items.Mark, 0, len(pending))
		for _, p := range pending {
			reason := refused[p.mark.ItemID]
			switch {
			case reason == nil:
				written[p.mark.ItemID] = p.change
				marks = append(marks, p.mark)
			case round == 0: // in later rounds it is another member's change, and that member's failure
				failed[p.change] = reason
			}
		}
		moved, err := x.items.MarkIndexed(ctx, x.tower.Version(), marks)
		if err != nil {
			return fmt.Errorf("marking items as indexed: %w", err)
		}
		if pending, err = x.stored(ctx, moved, written, failed); err != nil {
			return err
		}
	}
	return nil
}

// writeCandidates returns the rows that the index can never hold, by item; all others are written.
func (x *Indexer) writeCandidates(ctx context.Context, pending []pendingItem) (refused map[string]error, err error) {
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
		err := x.index.Upsert(ctx, x.tower.Version(), rows)
		// Not errors.As: refused rows that are joined with another error mean that the other rows are not all written.
		if invalid, only := err.(candidates.InvalidRows); only { //nolint:errorlint // see above
			refused = make(map[string]error, len(invalid))
			for _, row := range invalid {
				refused[row.ItemID] = row
			}
		} else if err != nil {
			return nil, fmt.Errorf("upserting candidates: %w", err)
		}
	}
	if len(gone) > 0 {
		if err := x.index.Delete(ctx, x.tower.Version(), gone); err != nil {
			return nil, fmt.Errorf("deleting candidates: %w", err)
		}
	}
	return refused, nil
}

// stored makes pending items of what Redis holds for ids now. An item whose record cannot be read any more is a failure of
// the change that brought it up.
func (x *Indexer) stored(
	ctx context.Context, ids []string, changeOf map[string]int, failed map[int]error,
) ([]pendingItem, error) {
	loaded, err := x.items.Load(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("reading items that moved on: %w", err)
	}
	var changes []Change
	for i, it := range loaded {
		switch {
		case it == nil: // a record that has expired meanwhile was a deletion, and the row is gone
		case it.Err != nil:
			failed[changeOf[ids[i]]] = it.Err
		default:
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
		pending[i] = pendingItem{change: changeOf[mark.ItemID], write: &writes[i], mark: mark}
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
