package online

import (
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/online/oracle"
	"github.com/freshet/freshet/schemas"
)

// foldTopic folds all events of the interactions topic.
func (w *world) foldTopic(vectors map[string][]float32) oracle.Topic {
	w.t.Helper()
	by := &oracle.World{Tower: w.userTower(), Vectors: vectors, HistoryLength: w.settings.Profiles.HistoryLength, Ratings: w.settings.Profiles.Ratings}
	for i := range knownItems + unknownItems {
		by.Items = append(by.Items, itemID(i))
	}
	keys := w.settings.Topics.InteractionKeys(w.settings.Limits, schemas.EmbeddedRegistry())
	topic, err := oracle.FoldTopic(w.t.Context(), w.settings.Kafka, w.settings.Topics.Interactions.Name, w.events, keys, by)
	require.NoError(w.t, err)
	return topic
}
