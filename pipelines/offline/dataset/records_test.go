package dataset

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset/tables"
	"github.com/freshet/freshet/schemas"
)

// listed are records in memory.
type listed struct {
	items  []schemas.ItemChange
	events []schemas.Interaction
	orders []int64 // of the events; nil where none is known
}

func (l listed) EachItem(_ context.Context, each func(*schemas.ItemChange) error) error {
	for i := range l.items {
		if err := each(&l.items[i]); err != nil {
			return err
		}
	}
	return nil
}

func (l listed) EachInteraction(_ context.Context, each func(*schemas.Interaction, int64) error) error {
	for i := range l.events {
		order := int64(0)
		if l.orders != nil {
			order = l.orders[i]
		}
		if err := each(&l.events[i], order); err != nil {
			return err
		}
	}
	return nil
}

func event(id, user, item string, kind schemas.InteractionType, ms int64) schemas.Interaction {
	return schemas.Interaction{EventID: id, UserID: user, ItemID: item, Type: kind, OccurredAt: time.UnixMilli(ms).UTC()}
}

func TestFromRecords(t *testing.T) {
	stars := 4.5
	rated := event("4", "b", "x", schemas.Rating, 15)
	rated.Value = &stars
	d, err := FromRecords(t.Context(), "test", listed{
		items: []schemas.ItemChange{
			{ItemID: "x", Op: schemas.UpsertItem, Version: 3, Title: "X"}, {ItemID: "gone", Op: schemas.DeleteItem, Version: 1},
			{ItemID: "never", Op: schemas.UpsertItem, Version: 1, OccurredAt: time.UnixMilli(7).UTC()},
		},
		events: []schemas.Interaction{
			event("1", "a", "gone", schemas.View, 30), event("2", "a", "unknown", schemas.Click, 10),
			event("3", "a", "x", schemas.Impression, 11), rated, event("5", "c", "x", schemas.Hide, 20),
		},
	})
	require.NoError(t, err)
	require.Equal(t, []User{{ID: "a"}, {ID: "b"}, {ID: "c"}}, d.Users, "by their first events")
	var ids []string
	for _, item := range d.Items {
		ids = append(ids, item.ItemID)
	}
	require.Equal(t, []string{"x", "never", "unknown", "gone"}, ids, "the catalogue, then what it lacks, by the first events")
	require.Equal(t, schemas.ItemChange{
		ItemID: "gone", Op: schemas.UpsertItem, Version: 1, Available: true, OccurredAt: time.UnixMilli(10).UTC(),
	}, d.Items[3])
	require.Equal(t, time.UnixMilli(7).UTC(), d.Items[1].OccurredAt)
	var kinds []schemas.InteractionType
	for _, e := range d.Events {
		kinds = append(kinds, e.Type)
	}
	require.Equal(t, []schemas.InteractionType{schemas.Click, schemas.Impression, schemas.Rating, schemas.Hide, schemas.View}, kinds)
	require.InDelta(t, 4.5, d.Events[2].Value, 0)
	require.True(t, math.IsNaN(float64(d.Events[0].Value)))
	require.Equal(t, [][]int32{{2, 3}, {0}, {}}, d.Histories(), "impressions and hides are kept, and are no part of a history")

	_, err = FromRecords(t.Context(), "test", listed{items: d.Items})
	require.ErrorContains(t, err, "there are no interactions")
	_, err = FromRecords(t.Context(), "test", listed{items: append(d.Items, d.Items[0]), events: []schemas.Interaction{rated}})
	require.ErrorContains(t, err, `item "x" comes twice`)
}

func TestOnce(t *testing.T) {
	once := &Once{Records: listed{events: []schemas.Interaction{
		event("1", "a", "x", schemas.View, 1), event("1", "b", "x", schemas.View, 1), event("1", "a", "y", schemas.View, 2),
		event("2", "a", "x", schemas.View, 1), event("1", "a", "x", schemas.View, 1),
	}}}
	for range 2 { // and again
		var kept []string
		require.NoError(t, once.EachInteraction(t.Context(), func(e *schemas.Interaction, _ int64) error {
			kept = append(kept, e.UserID+e.EventID+e.ItemID)
			return nil
		}))
		require.Equal(t, []string{"a1x", "b1x", "a2x"}, kept)
		require.EqualValues(t, 2, once.Repeated)
	}
}

// randomRecords use few users, items and moments, so that all meet; no two events of one moment have one user.
func randomRecords(seed uint64) listed {
	lots := rand.New(rand.NewPCG(seed, 5))
	var l listed
	for i := range 1 + lots.IntN(20) {
		l.items = append(l.items, schemas.ItemChange{
			ItemID: fmt.Sprint("i", i), Op: schemas.UpsertItem, Version: int64(1 + i), Title: fmt.Sprint("title ", lots.IntN(9)),
			OccurredAt: time.UnixMilli(1e12 + lots.Int64N(1e11)).UTC(),
		})
	}
	for i, ms := range lots.Perm(1 + lots.IntN(300)) {
		e := event(fmt.Sprint(i), fmt.Sprint("u", lots.IntN(12)), fmt.Sprint("i", lots.IntN(25)),
			schemas.InteractionType(1+lots.IntN(int(schemas.Hide))), int64(2e11)+int64(ms))
		if v := float64(lots.Float32()); lots.IntN(2) == 0 {
			e.Value = &v
		}
		l.events = append(l.events, e)
	}
	return l
}

// TestRecordsInAnyOrder: the rows in another order are the same data set.
func TestRecordsInAnyOrder(t *testing.T) {
	for seed := range uint64(20) {
		l := randomRecords(seed)
		d, err := FromRecords(t.Context(), "test", l)
		require.NoError(t, err)
		shuffled := slices.Clone(l.events)
		rand.New(rand.NewPCG(seed, 6)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		again, err := FromRecords(t.Context(), "test", listed{items: l.items, events: shuffled})
		require.NoError(t, err)
		requireSame(t, d, again)
	}
}

// TestExportedIsRead: a data set that is written as tables and read again is the same.
func TestExportedIsRead(t *testing.T) {
	for seed := range uint64(6) {
		d, err := FromRecords(t.Context(), "test", randomRecords(seed))
		require.NoError(t, err)
		dir := t.TempDir()
		w, err := tables.NewWriter(dir)
		require.NoError(t, err)
		require.NoError(t, w.BeginItems())
		require.NoError(t, w.BeginInteractions())
		require.NoError(t, d.EachItem(t.Context(), w.Item))
		require.NoError(t, d.EachInteraction(t.Context(), w.Interaction))
		require.NoError(t, w.Commit())
		require.NoError(t, w.Close())
		folder, err := tables.Open(dir, tables.Options{}, schemas.DefaultLimits())
		require.NoError(t, err)
		again, err := FromRecords(t.Context(), "test", &Once{Records: folder})
		require.NoError(t, err)
		requireSame(t, d, again)
	}
}

// requireSame compares bit by bit, the values that are none included.
func requireSame(t *testing.T, want, got *Dataset) {
	t.Helper()
	require.Equal(t, want.Items, got.Items)
	require.Equal(t, want.Users, got.Users)
	require.Len(t, got.Events, len(want.Events))
	for i := range want.Events {
		w, g := want.Events[i], got.Events[i]
		require.Equal(t, math.Float32bits(w.Value), math.Float32bits(g.Value), "event %d", i)
		w.Value, g.Value = 0, 0
		require.Equal(t, w, g, "event %d", i)
	}
}
