package evaluation

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

// TestTowersReadTheTimeline: kinds, times and what was turned down count where the tower has learnt them, and the newest window of
// what it reads is all that does.
func TestTowersReadTheTimeline(t *testing.T) {
	items := []schemas.ItemChange{{ItemID: "a"}, {ItemID: "b"}, {ItemID: "c"}}
	features := make([]towers.ItemFeatures, len(items))
	for i := range items {
		features[i] = towers.FeaturesOf(&items[i])
	}
	timeline := []dataset.Event{
		{At: 0, Item: 2, Type: schemas.View}, {At: 1000, Item: 0, Type: schemas.View}, {At: 9000, Item: 1, Type: schemas.Hide},
		{At: 9_000_000, Item: 1, Type: schemas.Purchase},
	}
	c := dataset.Case{History: []int32{2, 0, 1}, Timeline: timeline}
	score := func(reads towers.Inputs, c dataset.Case) []float32 {
		dir := towertest.Write(t, towertest.Shape{Reads: reads}, features)
		scorer, err := LoadTowers(dir, items, 2)
		require.NoError(t, err)
		scores := make([]float32, len(items))
		scoreCases(scorer, scores, []dataset.Case{c})
		return scores
	}
	changed := func(change func(timeline []dataset.Event)) dataset.Case {
		other := c
		other.Timeline = append([]dataset.Event(nil), timeline...)
		change(other.Timeline)
		return other
	}
	everything, alone := score(towertest.Everything, c), score(towers.Inputs{}, c)
	require.NotEqual(t, everything, score(towertest.Everything, changed(func(e []dataset.Event) { e[3].Type = schemas.View })))
	require.NotEqual(t, everything, score(towertest.Everything, changed(func(e []dataset.Event) { e[2].Item = 2 })))
	require.NotEqual(t, everything, score(towertest.Everything, changed(func(e []dataset.Event) { e[3].At *= 9 })))
	require.Equal(t, everything, score(towertest.Everything, changed(func(e []dataset.Event) { e[1].Item = 2 })), "beyond the window")
	require.NotEqual(t, everything, score(towertest.Everything, dataset.Case{History: c.History}))

	require.Equal(t, alone, score(towers.Inputs{}, dataset.Case{History: c.History}), "items alone are all that this tower reads")
	require.Equal(t, alone, score(towers.Inputs{}, changed(func(e []dataset.Event) { e[2].Item, e[3].Type = 2, schemas.View })))
	require.NotEqual(t, alone, score(towers.Inputs{}, changed(func(e []dataset.Event) { e[1].Item = 2 })),
		"a hide takes no place in its window")
}
