package demo

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/freshet/freshet/schemas"
)

// milvusLag is how long Milvus is made to take over the removal: long enough to show that serving does not depend on it.
const milvusLag = 1500 * time.Millisecond

// tellCatalogue is step 3.
func (d *Demo) tellCatalogue(ctx context.Context) error {
	item := d.newItem()
	begin := time.Now()
	if _, err := d.publisher.PublishItem(ctx, item); err != nil {
		return err
	}
	only := d.heroRequest()
	only.Count, only.Filter = 1, "item.id == "+strconv.Quote(item.ItemID)
	if err := d.askUntil(ctx, only, func(r *schemas.RecommendationReply) bool { return holds(r, item.ItemID) }); err != nil {
		return fmt.Errorf("waiting for the new item: %w", err)
	}
	recommendable := time.Since(begin)
	d.note("New: %s, unknown to the model, known by its content alone.", item.Title)
	d.check(true, "it can be recommended %.1f ms after it was published", ms(recommendable))
	d.measure("new item to recommendable", fmt.Sprintf("%.1f ms", ms(recommendable)))

	page, err := d.client.Recommend(ctx, d.heroRequest())
	if err != nil {
		return err
	}
	victim := page.Items[0].ItemID
	d.stack.Milvus.Delay("Delete", 1, milvusLag)
	change := d.world.data.Items[d.world.place[victim]]
	change.Op, change.Version, change.OccurredAt = schemas.DeleteItem, change.Version+1, time.Now()
	begin = time.Now()
	if _, err := d.publisher.PublishItem(ctx, &change); err != nil {
		return err
	}
	if err := d.awaitDeleted(ctx, victim); err != nil {
		return err
	}
	counted := time.Since(begin)
	next, err := d.client.Recommend(ctx, d.heroRequest())
	if err != nil {
		return err
	}
	_, inMilvus, err := d.serving.Index.Get(ctx, d.tower.Version(), victim)
	if err != nil {
		return err
	}
	d.note("Taken down: %s, first of the page. Milvus is made to lag by %s.", d.world.title(victim), milvusLag)
	d.check(!holds(&next, victim), "gone from the very next reply, %.1f ms after the takedown was published", ms(counted))
	d.check(inMilvus, "although its candidate was still in Milvus then")
	d.measure("takedown to record", fmt.Sprintf("%.1f ms", ms(counted)))
	return nil
}

// newItem is an item that nobody has interacted with, of the kind that the story's user likes.
func (d *Demo) newItem() *schemas.ItemChange {
	history := d.world.histories[d.world.hero]
	model := d.world.data.Items[history[len(history)-1]]
	item := model
	item.ItemID, item.Title = "demo-new-item", "A Brand New "+model.Categories[0]
	item.Version, item.Available, item.Regions, item.MinAge = time.Now().UnixMilli(), true, nil, 0
	item.OccurredAt, item.PublishedAt = time.Now(), time.Now()
	return &item
}

const askPoll = time.Millisecond

// askUntil repeats a request until the reply is as wished.
func (d *Demo) askUntil(
	ctx context.Context, r *schemas.RecommendationRequest, wished func(*schemas.RecommendationReply) bool,
) error {
	for {
		reply, err := d.client.Recommend(ctx, r)
		if err != nil {
			return err
		}
		if wished(&reply) {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(askPoll):
		}
	}
}

// awaitDeleted returns when the item's record says that it is deleted.
func (d *Demo) awaitDeleted(ctx context.Context, id string) error {
	for {
		loaded, err := d.serving.Items.Load(ctx, []string{id})
		if err != nil {
			return err
		}
		if loaded[0] != nil && loaded[0].Deleted {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(profilePoll):
		}
	}
}

func holds(r *schemas.RecommendationReply, id string) bool {
	return slices.ContainsFunc(r.Items, func(it schemas.RecommendedItem) bool { return it.ItemID == id })
}
