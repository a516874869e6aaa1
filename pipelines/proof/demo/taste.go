package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/terminal"
)

const (
	pageLength = 10
	titleWidth = 38
)

// heroAge is old enough for every item.
var heroAge = int32(40)

func (d *Demo) heroID() string { return d.world.data.Users[d.world.hero].ID }

// heroRequest asks for a page for the story's user, with everything explained.
func (d *Demo) heroRequest() *schemas.RecommendationRequest {
	return &schemas.RecommendationRequest{
		UserID: d.heroID(), Count: pageLength, Region: d.world.region, Age: &heroAge, Explain: true,
	}
}

// tellRecommendations is step 1.
func (d *Demo) tellRecommendations(ctx context.Context) error {
	history := d.world.histories[d.world.hero]
	category, share := d.world.favourite(history)
	d.note("User %s has interacted with %d items, %.0f %% of them %s. The last ones:", d.heroID(), len(history), 100*share, category)
	for _, i := range slices.Backward(history[max(0, len(history)-3):]) {
		d.note("   %s (%s)", d.world.data.Items[i].Title, strings.Join(d.world.data.Items[i].Categories, ", "))
	}
	begin := time.Now()
	reply, err := d.client.Recommend(ctx, d.heroRequest())
	if err != nil {
		return err
	}
	took := time.Since(begin)
	rows := make([]terminal.Row, len(reply.Items))
	for i, it := range reply.Items {
		rows[i] = terminal.Row{
			i + 1, clip(d.world.title(it.ItemID), titleWidth), fmt.Sprintf("%.2f", it.Score), clip(strings.Join(it.Reasons, "; "), 60),
		}
	}
	d.table(terminal.Row{"#", "title", "score", "reasons"}, rows)
	d.check(reply.Status == schemas.StatusOK && len(reply.Items) == pageLength,
		"status %s, %d items after %.1f ms, model %s", reply.Status, len(reply.Items), ms(took), reply.Freshness.ModelVersion)
	d.check(everyReason(reply.Items), "each item says why it is there")
	return nil
}

func everyReason(items []schemas.RecommendedItem) bool {
	return !slices.ContainsFunc(items, func(it schemas.RecommendedItem) bool { return len(it.Reasons) == 0 })
}

func ms(t time.Duration) float64 { return float64(t.Microseconds()) / 1000 }

// tastePage is how many recommendations are looked at for a change; the first ones are shown.
const tastePage = 30

// tellChangeOfTaste is step 2.
func (d *Demo) tellChangeOfTaste(ctx context.Context) error {
	history := d.world.histories[d.world.hero]
	category, wanted := d.world.strange(history)
	if category == "" {
		return fmt.Errorf("every common category of this data set has its place in the history of user %s", d.heroID())
	}
	request := d.heroRequest()
	request.Count = tastePage
	before, err := d.client.Recommend(ctx, request)
	if err != nil {
		return err
	}
	var took []time.Duration
	var last schemas.Position
	for _, i := range wanted[:likes] {
		item := &d.world.data.Items[i]
		event := d.heroEvent(schemas.Like, item.ItemID)
		changed, position, err := d.publishAndAwait(ctx, event)
		if err != nil {
			return err
		}
		took, last = append(took, changed), position
		d.note("likes %s (%s): new embedding readable in Redis after %.1f ms", item.Title, strings.Join(item.Categories, ", "), ms(changed))
	}
	request.SeenThrough = &last
	after, err := d.client.Recommend(ctx, request)
	if err != nil {
		return err
	}
	d.sideBySide(&before, &after, category)
	was, is := d.countOf(before.Items, category), d.countOf(after.Items, category)
	d.check(is > was, "%d of the first %d recommendations are %s now, %d were before", is, len(after.Items), category, was)
	satisfied := after.Freshness.SeenThroughSatisfied
	d.check(satisfied != nil && *satisfied, "the reply is made from everything up to the last click (seen_through)")
	d.check(slices.Max(took) < time.Second, "each click was in the embedding within %.1f ms", ms(slices.Max(took)))
	return nil
}

// heroEvent is something that the story's user does now.
func (d *Demo) heroEvent(kind schemas.InteractionType, itemID string) *schemas.Interaction {
	now := time.Now()
	return &schemas.Interaction{
		EventID: fmt.Sprintf("demo-%d", now.UnixNano()), UserID: d.heroID(), ItemID: itemID, Type: kind, OccurredAt: now, Surface: "demo",
	}
}

// publishAndAwait publishes an event and returns how long it took, from before publishing, until the user's profile in
// Redis held the event and an embedding made from it.
func (d *Demo) publishAndAwait(ctx context.Context, e *schemas.Interaction) (time.Duration, schemas.Position, error) {
	begin := time.Now()
	position, err := d.publisher.PublishInteraction(ctx, e)
	if err != nil {
		return 0, position, err
	}
	p, err := d.awaitPosition(ctx, e.UserID, position)
	if err == nil && p.Embedding == nil {
		err = fmt.Errorf("the profile of user %s holds the event but no embedding", e.UserID)
	}
	return time.Since(begin), position, err
}

const profilePoll = 100 * time.Microsecond

// awaitPosition reads a profile until it holds the user's event at the position.
func (d *Demo) awaitPosition(ctx context.Context, user string, position schemas.Position) (*profiles.Profile, error) {
	for {
		loaded, err := d.worker.Profiles.Load(ctx, []string{user}, d.tower.Version())
		if err != nil {
			return nil, err
		}
		if p := loaded[0]; p != nil {
			if offset, ok := p.Watermarks[position.Partition]; ok && offset >= position.Offset {
				return p, nil
			}
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(profilePoll):
		}
	}
}

// eventToEmbedding publishes a view for the i-th user, round and round, and times it.
func (d *Demo) eventToEmbedding(ctx context.Context, i int) (time.Duration, error) {
	e := d.heroEvent(schemas.View, d.world.data.Items[i%len(d.world.data.Items)].ItemID)
	e.UserID = d.world.data.Users[i%len(d.world.data.Users)].ID
	took, _, err := d.publishAndAwait(ctx, e)
	return took, err
}

func (d *Demo) countOf(items []schemas.RecommendedItem, category string) int {
	n := 0
	for _, it := range items {
		if slices.Contains(d.world.categories(it.ItemID), category) {
			n++
		}
	}
	return n
}

// sideBySide shows two pages, items of the category marked.
func (d *Demo) sideBySide(before, after *schemas.RecommendationReply, category string) {
	cell := func(items []schemas.RecommendedItem, i int) string {
		if i >= len(items) {
			return ""
		}
		mark := " "
		if slices.Contains(d.world.categories(items[i].ItemID), category) {
			mark = "•"
		}
		return mark + " " + clip(d.world.title(items[i].ItemID), titleWidth)
	}
	var rows []terminal.Row
	for i := range pageLength {
		rows = append(rows, terminal.Row{i + 1, cell(before.Items, i), cell(after.Items, i)})
	}
	d.table(terminal.Row{"#", "before", "after (• " + category + ")"}, rows)
}
