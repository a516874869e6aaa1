package online

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/training"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// TestSearchFromTheCatalogueToThePage trains on a small synthetic shop, publishes its catalogue, and searches: the first items are
// those that the words, or what a typo has left of them, stand for. Then an item that nobody knew is published and found.
func TestSearchFromTheCatalogueToThePage(t *testing.T) {
	t.Parallel()
	shop := dataset.DefaultSyntheticConfig()
	shop.Users, shop.Items, shop.Events = 60, 128, 3000
	d, err := dataset.Synthetic(shop)
	require.NoError(t, err)
	config := training.DefaultConfig()
	config.Dim, config.Epochs, config.ValidationUsers = 32, 6, 0
	model, result, err := training.Train(t.Context(), training.FromDataset(d), config, nil)
	require.NoError(t, err)
	require.Empty(t, result.Query.None)
	bundle := t.TempDir() + "/bundle"
	_, err = model.WriteBundle(towers.Place{Dir: bundle})
	require.NoError(t, err)

	w := newWorld(t, func(s *settings.Settings) { s.Bundle = bundle })
	publish := func(items ...schemas.ItemChange) {
		for i := range items {
			w.send(w.keyed(w.settings.Topics.Items, items[i].ItemID, w.items.Append(nil, &items[i])))
		}
	}
	publish(d.Items...)
	m := w.join(Catalogue, Recommendations)
	m.awaitReady()
	w.awaitDone(Catalogue, w.settings.Topics.Items)
	w.stack.Milvus.Settle(t)
	client := w.client()
	search := func(text string) schemas.RecommendationReply {
		q := recommendationRequest("nobody")
		q.Query, q.Age = text, new(int32(40))
		reply, err := client.Recommend(t.Context(), &q)
		require.NoError(t, err)
		require.Equal(t, schemas.StatusOK, reply.Status, reply.Error)
		return reply
	}
	byID := map[string]*schemas.ItemChange{}
	for i := range d.Items {
		byID[d.Items[i].ItemID] = &d.Items[i]
	}
	for text, category := range map[string]string{
		"camping": "Camping", "campign": "Camping", "sleeping bag": "Camping", "photograhpy": "Photography", "wine": "Wine",
	} {
		reply := search(text)
		require.Len(t, reply.Items, 5, text)
		require.Equal(t, "search", reply.Items[0].Source)
		require.True(t, slices.Contains(byID[reply.Items[0].ItemID].Categories, category), "%s: %v", text, reply.Items)
		of, all := 0, 0
		for _, it := range reply.Items {
			if slices.Contains(byID[it.ItemID].Categories, category) {
				of++
			}
		}
		for _, it := range byID {
			if slices.Contains(it.Categories, category) {
				all++
			}
		}
		require.GreaterOrEqual(t, of, min(3, all), "%s finds %v", text, reply.Items)
	}
	found := 0
	for i := 0; i < len(d.Items); i += 4 { // by their own titles, in other letters
		for _, it := range search(strings.ToUpper(d.Items[i].Title)).Items {
			if it.ItemID == d.Items[i].ItemID {
				found++
			}
		}
	}
	require.Greater(t, found, 26, "of 32 items that are asked for by their titles")

	fresh := *byID[search("camping").Items[0].ItemID]
	fresh.ItemID, fresh.Title = "fresh", "A new tent"
	publish(fresh)
	w.awaitDone(Catalogue, w.settings.Topics.Items)
	w.stack.Milvus.Settle(t)
	q := recommendationRequest("nobody")
	q.Query, q.Filter = "camping", `item.id == "fresh"`
	reply, err := client.Recommend(t.Context(), &q)
	require.NoError(t, err)
	require.Len(t, reply.Items, 1)
	require.Equal(t, "search", reply.Items[0].Source)
}

// TestOldBundlesServeWithoutSearch: a bundle of before has no query tower; all but searches is as it was, and these say so.
func TestOldBundlesServeWithoutSearch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fillCatalogue()
	m := w.join(Recommendations)
	m.awaitReady()
	client := w.client()
	q := recommendationRequest("nobody")
	reply, err := client.Recommend(t.Context(), &q)
	require.NoError(t, err)
	require.Equal(t, schemas.StatusOK, reply.Status)
	q.Query = "title 3"
	reply, err = client.Recommend(t.Context(), &q)
	require.NoError(t, err)
	require.Equal(t, schemas.StatusDegraded, reply.Status)
	require.Contains(t, reply.Error, "query: model m1 has no query tower here")
	require.NotEmpty(t, reply.Items)
	q.SeedItemID = itemID(1)
	_, err = client.Recommend(t.Context(), &q)
	require.True(t, schemas.IsInvalid(err), "%v", err)
}
