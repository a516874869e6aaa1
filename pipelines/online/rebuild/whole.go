package rebuild

import (
	"context"
	"errors"

	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/redisdb"
)

// marker is a mark that something is whole.
type marker interface {
	Mark(ctx context.Context) error
	Unmark(ctx context.Context) error
}

// catalogueMark is the mark of the item records and that of the collection which was filled from them.
type catalogueMark struct {
	records    redisdb.Whole
	items      *items.Store
	collection candidates.Collection
}

func (m catalogueMark) Mark(ctx context.Context) error {
	return errors.Join(m.items.MarkIndexWhole(ctx, m.collection.Model, m.collection.ID), m.records.Mark(ctx))
}

func (m catalogueMark) Unmark(ctx context.Context) error {
	return errors.Join(m.items.MarkIndexPartial(ctx, m.collection.Model), m.records.Unmark(ctx))
}

// markWhole sets the mark first and then looks whether the claim is still there, since Redis may be emptied at any moment:
//
//	looks: there ............... sets the mark: on an empty Redis, for good
//	............. FLUSHALL ...
//
// In the other order either the look finds the claim gone, or what empties Redis afterwards takes the mark as well.
func markWhole(ctx context.Context, mark marker, check func(context.Context) error) error {
	if err := mark.Mark(ctx); err != nil {
		return err
	}
	err := check(ctx)
	if errors.Is(err, redisdb.ErrClaimLost) {
		err = errors.Join(err, mark.Unmark(ctx))
	}
	return err
}
