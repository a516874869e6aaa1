package rebuild

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/freshet/freshet/consumers/catalogue"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
)

// CandidatesResult is what a rebuild of the candidates did.
type CandidatesResult struct {
	// Records of the items topic were read; Refused of them are no item changes, or can never be in the index, and are dead
	// letters of the role.
	Records, Refused int64
	// Stale rows had no live record in Redis and were removed.
	Stale int64
	// Settled items were published again: their last record in the topic was one that a newer one had won over.
	Settled int
	// Model is the version whose collection was filled; Live tells which one serves.
	Model, Live string
}

// Candidates brings the item records in Redis and the rows of the bundle's model in Milvus to what the items topic says,
// whichever of the two was emptied, while the role catalogue goes on. Where no collection is live, the filled one becomes it.
func Candidates(ctx context.Context, s settings.Settings, report Reporter, log *slog.Logger) (result CandidatesResult, err error) {
	c, err := online.Connect(ctx, s, []online.Role{online.Catalogue}, log)
	if err != nil {
		return result, err
	}
	defer func() { err = errors.Join(err, c.Close()) }()
	serde, err := schemas.NewSerde[schemas.ItemChange](ctx, c.Registry, s.Topics.Items.Name)
	if err != nil {
		return result, err
	}
	held, claim, err := c.Items.Claim(ctx)
	if err != nil {
		return result, err
	}
	topic := replay.New(s.Kafka, replayConfig(s.Consumers.Catalogue), s.Topics.Items.Name, log)
	defer topic.Close()
	indexer := catalogue.NewIndexer(c.Items, c.Index, c.ItemTower())
	r := &candidatesRebuild{
		Connections: c, model: c.ItemTower().Version(), replay: topic, indexer: indexer, report: report,
		handler: catalogue.New(serde, s.Topics.ItemKeys(s.Limits, c.Registry), s.Limits, indexer, c.Writer, log).Replaying(),
	}
	r.result.Model = r.model
	err = r.run(held)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		err = fmt.Errorf("%w (%w)", context.Cause(held), err)
	}
	if err == nil {
		err = markWhole(held, catalogueMark{c.Items.Whole(), c.Items, r.collection}, claim.Check)
	}
	r.result.Records = topic.Records()
	return r.result, errors.Join(err, claim.Release(context.WithoutCancel(ctx)))
}

type candidatesRebuild struct {
	*online.Connections
	model string
	// collection is the one that is filled: one that is made again meanwhile gets no mark.
	collection candidates.Collection
	replay     *replay.Replay
	handler    *catalogue.Handler
	indexer    *catalogue.Indexer
	report     Reporter
	result     CandidatesResult
}

func (r *candidatesRebuild) run(ctx context.Context) error {
	if err := r.Index.Ensure(ctx, r.model, r.ItemTower().Dim()); err != nil {
		return err
	}
	var err error
	if r.collection, err = r.Index.Collection(ctx, r.model); err != nil {
		return err
	}
	_, m := r.report.counting(StageForget, 0)
	err = r.Items.ForgetAllIndexed(ctx, r.model)
	m.end()
	if err != nil {
		return err
	}
	if err := r.fill(ctx); err != nil {
		return fmt.Errorf("replaying the item changes: %w", err)
	}
	if err := r.removeStale(ctx); err != nil {
		return fmt.Errorf("removing rows without a record: %w", err)
	}
	return r.makeLive(ctx)
}

// fill replays the topic. What comes into it meanwhile is the role's business: no mark keeps the role from indexing it.
func (r *candidatesRebuild) fill(ctx context.Context) error {
	m := r.report.replaying(r.replay, nil)
	defer m.end()
	refused, err := r.replay.Advance(ctx, r.handler)
	r.result.Refused = refused
	if err != nil {
		return err
	}
	r.result.Settled, err = r.handler.Settle(ctx)
	return err
}

// removeStale removes the rows whose items have no live record. The role writes the record before the row, so that a row
// without a record is not one that is just coming. But it may be one that comes back:
//
//	rebuild: lists row i, finds no record ......................................... deletes row i
//	role:    ............................. i is published: record, row, marked ..................
//
// So whoever has a record after the deletion is indexed once more; who gets one later has the row written later, too.
func (r *candidatesRebuild) removeStale(ctx context.Context) error {
	total, err := r.Index.Count(ctx, r.model)
	if err != nil {
		return err
	}
	looked, m := r.report.counting(StageStale, total)
	defer m.end()
	return r.Index.EachID(ctx, r.model, func(ids []string) error {
		looked.Add(int64(len(ids)))
		_, stale, err := r.split(ctx, ids)
		if err != nil || len(stale) == 0 {
			return err
		}
		if err := r.Index.Delete(ctx, r.model, stale); err != nil {
			return err
		}
		back, stale, err := r.split(ctx, stale)
		r.result.Stale += int64(len(stale))
		if err != nil || len(back) == 0 {
			return err
		}
		return r.indexAgain(ctx, back)
	})
}

// split tells the items that have a live record, as changes, from the others. A record that cannot be read is somebody's.
func (r *candidatesRebuild) split(ctx context.Context, ids []string) (live []catalogue.Change, stale []string, err error) {
	records, err := r.Items.Load(ctx, ids)
	if err != nil {
		return nil, nil, err
	}
	for i, it := range records {
		switch {
		case it == nil, it.Deleted && it.Err == nil:
			stale = append(stale, ids[i])
		case it.Err == nil:
			live = append(live, catalogue.Change{ItemChange: it.ItemChange})
		}
	}
	return live, stale, nil
}

func (r *candidatesRebuild) indexAgain(ctx context.Context, changes []catalogue.Change) error {
	ids := make([]string, len(changes))
	for i := range changes {
		ids[i] = changes[i].ItemID
	}
	if err := r.Items.ForgetIndexed(ctx, r.model, ids); err != nil {
		return err
	}
	failed, err := r.indexer.Index(ctx, changes)
	for _, one := range failed {
		err = errors.Join(err, one)
	}
	return err
}

// makeLive makes the collection live where none is. Another model that is live stays: which one serves is decided by releases.
func (r *candidatesRebuild) makeLive(ctx context.Context) (err error) {
	r.result.Live, err = r.Index.Live(ctx)
	if !candidates.IsNoLive(err) {
		return err
	}
	r.result.Live = r.model
	return r.Index.SwitchLive(ctx, r.model)
}
