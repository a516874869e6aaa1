package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/milvus-io/milvus-sdk-go/v2/entity"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
)

// Catalogue measures how many item changes a second the role catalogue brings to Redis and Milvus, from a backlog.
//
// The floor is plain upserts of the ready rows through Milvus's SDK, a thousand a call: without Kafka, tower and Redis. Each
// repeat, of either side, fills a collection of its own.
func Catalogue(ctx context.Context, o Options) (report *Report, err error) {
	l, err := openLab(ctx, o, needs{milvus: true})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, l.close(ctx)) }()
	w, err := l.makeWorld(l.Users)
	if err != nil {
		return nil, err
	}
	changes, err := l.publishItems(ctx, w)
	if err != nil {
		return nil, err
	}
	c := &catalogue{lab: l, world: w, changes: changes}
	// The first round is the warm-up: connections are made, Milvus has seen such a collection.
	for round := range o.Repeats + 1 {
		l.say("repeat %d of %d (0 is the warm-up)", round, o.Repeats)
		if err := c.measure(ctx, round); err != nil {
			return nil, err
		}
	}
	return c.report(ctx)
}

// catalogue is one run of the bench; its slices have an entry for each repeat.
type catalogue struct {
	*lab
	world       *world
	changes     *published
	ours, floor []float64
}

func (c *catalogue) measure(ctx context.Context, round int) error {
	floor, err := c.upsertRaw(ctx, fmt.Sprintf("_raw%d", round))
	if err != nil {
		return err
	}
	trial := fmt.Sprintf("_%d", round)
	s := c.settings(trial)
	ours, err := c.workOff(ctx, s, online.Catalogue, s.Topics.Items.Name, c.changes.ends())
	if err != nil {
		return err
	}
	if err := c.verify(ctx, trial); err != nil {
		return err
	}
	n := len(c.world.Items)
	c.say("  ours %.0f/s, floor %.0f/s", perSecond(n, ours), perSecond(n, floor))
	if round > 0 {
		c.ours, c.floor = append(c.ours, perSecond(n, ours)), append(c.floor, perSecond(n, floor))
	}
	for _, name := range []string{trial, fmt.Sprintf("_raw%d", round)} { // what is full would slow down what follows
		if err := c.milvus.DropCollection(ctx, c.collectionOf(name)); err != nil {
			return fmt.Errorf("dropping a collection of the bench: %w", err)
		}
	}
	return nil
}

func (c *catalogue) collectionOf(trial string) string {
	return c.settings(trial).Milvus.Collection + "_" + c.world.itemTower.Version()
}

// verify fails unless the collection holds every item.
func (c *catalogue) verify(ctx context.Context, trial string) error {
	index, err := candidates.Connect(ctx, c.settings(trial).Milvus)
	if err != nil {
		return err
	}
	defer func() { _ = index.Close() }()
	n, err := index.Count(ctx, c.world.itemTower.Version())
	if err == nil && n != int64(len(c.world.Items)) {
		err = fmt.Errorf("the collection holds %d of %d items, and all offsets are committed", n, len(c.world.Items))
	}
	return err
}

// rawRows is how many rows a call of the floor writes.
const rawRows = 1000

// upsertRaw writes ready rows into a new collection of the same schema and index, and returns how long the upserts took.
func (c *catalogue) upsertRaw(ctx context.Context, trial string) (time.Duration, error) {
	s := c.settings(trial)
	index, err := candidates.Connect(ctx, s.Milvus)
	if err != nil {
		return 0, err
	}
	defer func() { _ = index.Close() }()
	if err := index.Ensure(ctx, c.world.itemTower.Version(), c.world.itemTower.Dim()); err != nil {
		return 0, err
	}
	var calls [][]entity.Column
	for items := range slices.Chunk(c.world.Items, rawRows) {
		calls = append(calls, c.rawColumns(items))
	}
	name := c.collectionOf(trial)
	begin := time.Now()
	for _, columns := range calls {
		if _, err := c.milvus.Upsert(ctx, name, "", columns...); err != nil {
			return 0, fmt.Errorf("upserting %d raw rows: %w", columns[0].Len(), err)
		}
	}
	return time.Since(begin), nil
}

// rawColumns lays items out by column, all that the role writes: what filters ask for costs Milvus as much as vectors do.
func (c *catalogue) rawColumns(items []schemas.ItemChange) []entity.Column {
	var (
		ids, brands         []string
		vectors             [][]float32
		available           []bool
		prices              []float32
		published           []int64
		categories, regions [][][]byte
		ages                []int32
	)
	for i := range items {
		row := candidates.RowOf(&items[i], c.world.vector(&items[i]))
		ids, brands, vectors = append(ids, row.ItemID), append(brands, row.Brand), append(vectors, row.Vector)
		available, prices = append(available, row.Available), append(prices, row.Price)
		published, ages = append(published, row.PublishedAt), append(ages, row.MinAge)
		categories, regions = append(categories, bytesOf(row.Categories)), append(regions, bytesOf(row.Regions))
	}
	return []entity.Column{
		entity.NewColumnVarChar("item_id", ids),
		entity.NewColumnFloatVector("vector", c.world.itemTower.Dim(), vectors),
		entity.NewColumnBool("available", available),
		entity.NewColumnFloat("price", prices),
		entity.NewColumnInt64("published_at", published),
		entity.NewColumnVarCharArray("categories", categories),
		entity.NewColumnVarCharArray("regions", regions),
		entity.NewColumnVarChar("brand", brands),
		entity.NewColumnInt32("min_age", ages),
	}
}

func bytesOf(list []string) [][]byte {
	out := make([][]byte, len(list))
	for i, s := range list {
		out[i] = []byte(s)
	}
	return out
}

func (c *catalogue) report(ctx context.Context) (*Report, error) {
	r, err := c.lab.report(ctx, "catalogue", fmt.Sprintf("%d items a repeat", len(c.world.Items)),
		fmt.Sprintf("vectors of %d", c.world.itemTower.Dim()))
	if err != nil {
		return nil, err
	}
	r.compare("items searchable", "items/s", c.ours, c.floor, atLeast(0.9))
	r.note("ours runs from when the role has its partitions to when all offsets are committed: decoded, encoded by the tower, written " +
		"to Redis, upserted, marked; the collection was then found to hold every item")
	r.note("the floor upserts ready rows, %d a call, one call after the other", rawRows)
	return r, nil
}
