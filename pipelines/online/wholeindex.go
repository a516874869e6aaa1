package online

import (
	"context"
	"fmt"

	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
)

// judgeIndex decides, when the catalogue role starts, whether the collection of its model holds a row for each live item, and
// returns the collection's mark. The role reads only what is new to its group, so that a collection which was just made fills
// from the topic alone when the group has yet to run and Redis has no item: otherwise it takes a rebuild.
func (y *System) judgeIndex(ctx context.Context, c candidates.Collection) (whole bool, err error) {
	state, err := y.Items.IndexState(ctx, c.Model, c.ID)
	if err != nil {
		return false, err
	}
	group := y.group(Catalogue)
	before, err := y.Items.IndexFilledBy(ctx, group)
	if err != nil {
		return false, err
	}
	switch {
	case !y.canCountRows(ctx, c):
		return state == items.IndexWhole, nil // it stays as it was judged last, for the day on which the right is granted
	case state == items.IndexUnknown:
		whole, err = y.adoptIndex(ctx, c)
	case state == items.IndexWhole && before != "" && before != c.Model:
		y.log.Warn("the collection lacks what was published while the catalogue role ran with another model",
			"model", c.Model, "other", before)
	case state == items.IndexWhole:
		whole, err = y.hasRows(ctx, c)
	}
	if err != nil {
		return false, err
	}
	if whole {
		err = y.Items.MarkIndexWhole(ctx, c.Model, c.ID)
	} else {
		y.log.Warn("the collection of the model lacks rows of items that this role will not read again",
			"model", c.Model, "remedy", remedyItems)
		err = y.Items.MarkIndexPartial(ctx, c.Model)
	}
	if err != nil {
		return false, err
	}
	return whole, y.Items.NoteIndexFilledBy(ctx, group, c.Model)
}

// adoptIndex judges a collection that nobody has judged: of a new installation, of a new model, or of an installation from
// before there were marks. The last is taken for whole where its rows are as many as the recent items, all of them indexed.
func (y *System) adoptIndex(ctx context.Context, c candidates.Collection) (bool, error) {
	recent, indexed, err := y.Items.IndexedRecent(ctx, c.Model)
	if err != nil {
		return false, err
	}
	if recent == 0 {
		committed, err := topics.EverCommitted(ctx, y.settings.Kafka, y.group(Catalogue), y.settings.Topics.Items.Name)
		if err != nil {
			return false, fmt.Errorf("asking whether role %s ever ran: %w", Catalogue, err)
		}
		return !committed, nil
	}
	records, err := y.Items.Whole().Is(ctx)
	if err != nil || !records || indexed < adopted(recent) {
		return false, err
	}
	return y.hasRows(ctx, c)
}

// adopted is how many of the recent items must be indexed for a collection that nobody has judged to be taken for whole. Some may
// not be: another member has them in its hands, or Milvus refuses their rows. Of a model that was never filled none are.
func adopted(recent int64) int64 { return recent - recent/10 }

// canCountRows says so where the user may not: a release from before the right was needed ran without it.
func (y *System) canCountRows(ctx context.Context, c candidates.Collection) bool {
	_, err := y.Index.Count(ctx, c.Model)
	if !candidates.IsRefused(err) {
		return true
	}
	y.log.Warn("the rows of the collection cannot be counted, so nobody knows whether it is whole: grant the user what "+
		"infra/permissions lists for this role", "model", c.Model, "error", err)
	return false
}

// hasRows compares the rows with the recent items that are marked as indexed: a collection whose rows were deleted, or that was
// restored from before they came, has fewer. What is missing beyond that sample does not show.
func (y *System) hasRows(ctx context.Context, c candidates.Collection) (bool, error) {
	_, indexed, err := y.Items.IndexedRecent(ctx, c.Model)
	if err != nil || indexed == 0 {
		return err == nil, err
	}
	rows, err := y.Index.Count(ctx, c.Model)
	if err != nil {
		return false, fmt.Errorf("counting the rows of model %s: %w", c.Model, err)
	}
	return rows >= indexed, nil
}

// makeLive makes the collection of the bundle's version live where none is and it lacks no rows: which model is live is
// otherwise decided by releases, not by whoever starts.
func (y *System) makeLive(ctx context.Context, version string) error {
	collection, err := y.Index.Collection(ctx, version)
	if err != nil {
		return err
	}
	whole, err := y.judgeIndex(ctx, collection)
	if err != nil || !whole {
		return err
	}
	if _, err := y.Index.Live(ctx); !candidates.IsNoLive(err) {
		return nil // another is, or Milvus does not say: then readiness does
	}
	if err := y.Index.SwitchLive(ctx, version); err != nil {
		return fmt.Errorf("making the collection of model %s live: %w", version, err)
	}
	return nil
}
