package evaluation

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
)

// Twenty half-lives span the data: an event a twentieth before the end counts half.
func TestRecentPopularityByHand(t *testing.T) {
	d := &dataset.Dataset{Items: make([]schemas.ItemChange, 4)}
	for _, e := range []struct{ at, item int }{{0, 0}, {1900, 1}, {1900, 1}, {1950, 3}, {2000, 2}} {
		d.Events = append(d.Events, dataset.Event{At: int64(e.at), Item: int32(e.item), Type: schemas.Click})
	}
	d.Events[3].Type = schemas.Impression
	require.InDeltaSlice(t, []float32{1. / (1 << 20), 1, 1, 0}, scores(NewRecentPopularity(d), 0)[:4], 1e-6)
	require.Equal(t, make([]float32, 4), scores(NewRecentPopularity(&dataset.Dataset{Items: d.Items}), 0)[:4])
}

func TestRecentPopularityInOrderByHand(t *testing.T) {
	long := make([]int32, 12)
	long[0], long[1], long[11] = 1, 2, 3
	of := scores(NewRecentPopularityInOrder([][]int32{long, {3}}, 4, false), 0)
	require.InDelta(t, .5, of[2], 1e-6, "ten events before the end")
	require.InDelta(t, 2, of[3], 1e-6)
	rows := make([][]int32, 40)
	rows[39], rows[37], rows[0] = []int32{0, 1}, []int32{2, 2}, []int32{3}
	require.InDeltaSlice(t, []float32{1, 1, 1, 0}, scores(NewRecentPopularityInOrder(rows, 4, true), 0)[:4], 1e-5)
}

func TestSessionPopularityPutsTheSessionFirst(t *testing.T) {
	s := NewSessionPopularity(histories, 5)
	require.InDeltaSlice(t, []float32{.375, .5, .25, .25, 0}, scores(s, 0), 1e-6)
	require.InDeltaSlice(t, []float32{.375, .5, 2.25, 1.25, 1}, scores(s, 0, 2, 3, 2, 4), 1e-6)
}
