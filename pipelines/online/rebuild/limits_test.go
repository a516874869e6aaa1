package rebuild_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas"
)

// sized is a text of exactly n bytes that begins with a name.
func sized(name string, n int) string { return name + strings.Repeat("x", n-len(name)) }

// TestWhatTheLimitsAllowGoesThrough: a record with each field as large as limits.* allow is taken by the publisher, applied by its
// role and found again, and one that is larger is refused by the publisher, with the field's name.
func TestWhatTheLimitsAllowGoesThrough(t *testing.T) {
	w := newWorld(t)
	w.start()
	w.fill()
	l := schemas.DefaultLimits()
	entries := map[string]string{}
	var texts []string
	for i := range l.MaxListLength {
		texts = append(texts, sized(fmt.Sprint("t", i, "-"), l.MaxStringBytes))
		entries[sized(fmt.Sprint("k", i, "-"), l.MaxStringBytes)] = sized("v", l.MaxStringBytes)
	}
	price := math.MaxFloat32
	largest := func() schemas.ItemChange {
		return schemas.ItemChange{
			ItemID: sized("large", l.MaxIDBytes), Op: schemas.UpsertItem, Version: math.MaxInt64, OccurredAt: time.Now(), Available: true,
			Title: sized("title", l.MaxStringBytes), Description: sized("words ", l.MaxTextBytes), Categories: texts, Tags: texts,
			Brand: sized("brand", l.MaxStringBytes), Price: &price, Currency: sized("c", l.MaxStringBytes), Regions: texts,
			PublishedAt: time.Now(), MinAge: math.MaxInt32, Attributes: entries,
		}
	}
	small := largest() // that all others may see, with the longest id
	small.Categories, small.Tags, small.Regions, small.Attributes, small.MinAge = texts[:1], nil, nil, nil, 0
	small.ItemID, small.Description = sized("small", l.MaxIDBytes), ""
	for _, c := range []schemas.ItemChange{largest(), small} {
		_, err := w.publisher.PublishItem(t.Context(), &c)
		require.NoError(t, err)
	}
	w.drain()
	loaded, err := w.stores.Items.Load(t.Context(), []string{largest().ItemID, small.ItemID})
	require.NoError(t, err)
	for i, item := range loaded {
		require.NotNil(t, item, i)
		require.NoError(t, item.Err)
	}
	w.stack.Milvus.Settle(t)
	for _, id := range []string{largest().ItemID, small.ItemID} {
		_, found, err := w.stores.Index.Get(t.Context(), modelID, id)
		require.NoError(t, err)
		require.True(t, found, "in the index")
	}

	user, value := sized("user", l.MaxIDBytes), math.MaxFloat64
	event := schemas.Interaction{
		EventID: sized("event", l.MaxIDBytes), UserID: user, ItemID: small.ItemID, Type: schemas.Click, OccurredAt: time.Now(), Value: &value,
		RequestID: sized("request", l.MaxIDBytes), Surface: sized("surface", l.MaxStringBytes), Context: entries,
	}
	_, err = w.publisher.PublishInteraction(t.Context(), &event)
	require.NoError(t, err)
	w.drain()
	require.EqualValues(t, 1, w.profile(user).Counters.Of(schemas.Click))
	require.True(t, w.profile(user).HasSeen(small.ItemID))

	age := int32(math.MaxInt32)
	ask := schemas.RecommendationRequest{
		RequestID: sized("request", l.MaxIDBytes), UserID: user, Count: int32(l.MaxCount), Surface: sized("s", l.MaxStringBytes), IncludeSeen: true,
		Filter: longFilter(l.MaxFilterBytes), Region: texts[0], Age: &age, Variant: sized("v", l.MaxStringBytes),
		Deadline: time.Now().Add(patience),
	}
	for i := range l.MaxExcluded {
		ask.ExcludeItemIDs = append(ask.ExcludeItemIDs, sized(fmt.Sprint("not", i, "-"), l.MaxIDBytes))
	}
	for i := range l.MaxRecent {
		ask.Recent = append(ask.Recent, schemas.RecentEvent{ItemID: fmt.Sprint("item", i%shop), Type: schemas.View, OccurredAt: time.Now()})
	}
	client, err := producers.NewRecommendationClient(t.Context(), w.s.Producer(quiet()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, client.Close(context.WithoutCancel(t.Context()))) })
	reply, err := client.Recommend(t.Context(), &ask)
	require.NoError(t, err)
	require.Equal(t, schemas.StatusOK, reply.Status, reply.Error)
	require.NotEmpty(t, reply.Items)
	ids := map[string]bool{}
	for _, item := range reply.Items {
		ids[item.ItemID] = true
	}
	require.True(t, ids[small.ItemID], "the longest id comes back whole")

	t.Run("what is larger is refused", func(t *testing.T) {
		for field, change := range map[string]func(*schemas.ItemChange){
			"item_id":     func(c *schemas.ItemChange) { c.ItemID += "x" },
			"title":       func(c *schemas.ItemChange) { c.Title += "x" },
			"description": func(c *schemas.ItemChange) { c.Description += "x" },
			"categories":  func(c *schemas.ItemChange) { c.Categories = append([]string{"one more"}, c.Categories...) },
			"tags[0]":     func(c *schemas.ItemChange) { c.Tags = []string{sized("t", l.MaxStringBytes+1)} },
			"regions":     func(c *schemas.ItemChange) { c.Regions = append([]string{"one more"}, c.Regions...) },
			"brand":       func(c *schemas.ItemChange) { c.Brand += "x" },
		} {
			c := largest()
			change(&c)
			_, err := w.publisher.PublishItem(t.Context(), &c)
			require.True(t, schemas.IsInvalid(err), "%s: %v", field, err)
			require.ErrorContains(t, err, field)
		}
		for field, change := range map[string]func(*schemas.RecommendationRequest){
			"count":            func(q *schemas.RecommendationRequest) { q.Count++ },
			"filter":           func(q *schemas.RecommendationRequest) { q.Filter = longFilter(l.MaxFilterBytes + 1) },
			"exclude_item_ids": func(q *schemas.RecommendationRequest) { q.ExcludeItemIDs = append(q.ExcludeItemIDs, "one more") },
			"recent":           func(q *schemas.RecommendationRequest) { q.Recent = append(q.Recent, q.Recent[0]) },
			"region":           func(q *schemas.RecommendationRequest) { q.Region += "x" },
		} {
			q := ask
			q.RequestID = "r"
			change(&q)
			_, err := client.Recommend(t.Context(), &q)
			require.ErrorContains(t, err, field)
		}
	})
}

// longFilter is one of n bytes that all items pass.
func longFilter(n int) string {
	return "item.price >= 0 || item.title == '" + strings.Repeat("x", n-len("item.price >= 0 || item.title == ''")) + "'"
}
