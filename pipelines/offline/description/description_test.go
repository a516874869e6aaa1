package description

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/dataset/tables"
	"github.com/freshet/freshet/schemas"
)

const day = 24 * time.Hour

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// records are events that a test has made.
type records struct {
	items  []schemas.ItemChange
	events []schemas.Interaction
}

func (r *records) EachItem(_ context.Context, each func(*schemas.ItemChange) error) error {
	for i := range r.items {
		if err := each(&r.items[i]); err != nil {
			return err
		}
	}
	return nil
}

func (r *records) EachInteraction(_ context.Context, each func(*schemas.Interaction, int64) error) error {
	for i := range r.events {
		if err := each(&r.events[i], 0); err != nil {
			return err
		}
	}
	return nil
}

func (r *records) add(user, item string, kind schemas.InteractionType, at time.Time) {
	r.events = append(r.events, schemas.Interaction{
		EventID: fmt.Sprint("e", len(r.events)), UserID: user, ItemID: item, Type: kind, OccurredAt: at,
	})
}

// shop has 300 users who see, choose and hide, ten times each, a day apart; items have titles.
func shop() *records {
	r := &records{}
	for i := range 40 {
		r.items = append(r.items, schemas.ItemChange{ItemID: fmt.Sprint("i", i), Op: schemas.UpsertItem, Version: 1, Available: i > 0, Title: "Lamp"})
	}
	for u := range 300 {
		for n := range 10 {
			kind := schemas.View
			switch n {
			case 3:
				kind = schemas.Impression
			case 4:
				kind = schemas.Hide
			}
			r.add(fmt.Sprint("u", u), fmt.Sprint("i", (7*u+n)%40), kind, start.Add(time.Duration(n)*day+time.Duration(u)*time.Second))
		}
	}
	return r
}

func describe(t *testing.T, r *records, binding *tables.Binding) *Description {
	t.Helper()
	d, err := dataset.FromRecords(t.Context(), "shop", r)
	require.NoError(t, err)
	if binding != nil {
		d.Binding, err = json.Marshal(binding)
		require.NoError(t, err)
	}
	d.Ratings = schemas.RatingScale{Lowest: 1, Highest: 5}
	held := dataset.NewHoldOut(d, .85, dataset.AutoRepeats)
	return OfDataset(d, &held, "shop", "leave-one-out")
}

func TestDescription(t *testing.T) {
	d := describe(t, shop(), nil)
	require.Empty(t, d.Marks)
	require.NoError(t, d.Refusal())
	require.Equal(t, 3000, d.Events)
	require.Equal(t, 300, d.Users)
	require.Equal(t, 40, d.Items)
	require.Equal(t, 40, d.Touched)
	require.Equal(t, 2400, d.Choices)
	require.Equal(t, []Kind{{"view", 2400, .8, "a choice"}, {"impression", 300, .1, "not read"}, {"hide", 300, .1, "negative feedback"}}, d.Kinds)
	require.Equal(t, []Bin{{"8 to 15", 300}}, d.Lengths)
	require.Equal(t, 8, d.Median)
	require.Equal(t, 300, d.Cases)
	require.Zero(t, d.Repeated+d.Tied+d.Bots.Users)
	require.Equal(t, Field{"title", 40, 1}, d.Fields[0])
	require.Equal(t, Field{"not available", 1, 1. / 40}, d.Fields[len(d.Fields)-1])
	require.Equal(t, start, d.From)
	total := 0
	for _, p := range d.Parts {
		total += p.N
	}
	require.Equal(t, d.Events, total, "each event becomes something")
	total = 0
	for _, p := range d.OverTime {
		total += p.N
	}
	require.Equal(t, d.Events, total)
}

func TestMarks(t *testing.T) {
	for name, c := range map[string]struct {
		spoil   func(*records)
		binding *tables.Binding
		red     bool
		want    string
	}{
		"no choice": {func(r *records) {
			for i := range r.events {
				r.events[i].Type = schemas.Impression
			}
		}, nil, true, "none of the 3000 events is a choice"},
		"strangers all": {func(r *records) {
			for i := range r.events {
				r.events[i].UserID = fmt.Sprint("v", i)
			}
		}, nil, true, "no user has chosen twice"},
		"one moment": {func(r *records) {
			for i := range r.events {
				r.events[i].OccurredAt = start
			}
		}, nil, true, "all events are of one moment, 2026-01-01 00:00:00"},
		"one person": {func(r *records) {
			for i := range r.events {
				r.events[i].UserID = "u"
			}
		}, nil, true, "all events are of one user"},
		"another scale": {func(r *records) {
			for i := range r.events {
				r.events[i].Type, r.events[i].Value = schemas.Rating, new(float64(i%10+1))
			}
		}, nil, true, "50.0 % of the ratings are outside of the scale"},
		"some off the scale": {func(r *records) {
			for i := range r.events {
				r.events[i].Type, r.events[i].Value = schemas.Rating, new(4.0)
			}
			r.events[7].Value = new(0.5)
		}, nil, false, "judged: 1 of 3000, which count as choices"},
		"one user": {func(r *records) {
			for i := range r.events[:2000] {
				r.events[i].UserID = "nobody"
			}
		}, nil, true, "one user has 67 % of the events"},
		"one item": {func(r *records) {
			for i := range r.events {
				if i%10 > 3 {
					r.events[i].ItemID = "i0"
				}
			}
		}, nil, true, "of the choices: it is the answer to everything"},
		"other items": {func(*records) {}, &tables.Binding{Overlap: &tables.Overlap{Items: 40, Touched: 40, Known: 1}}, true, "the table of items has 2.5 % of the items"},
		"some others": {func(*records) {}, &tables.Binding{Overlap: &tables.Overlap{Items: 40, Touched: 40, Known: 30}}, false, "the table of items has 75.0 %"},
		"days alone": {func(r *records) {
			for i := range r.events {
				r.events[i].OccurredAt = start.Add(time.Duration(i%10/3) * day)
			}
		}, nil, false, "of the same moment as another of the user's"},
		"a robot": {func(r *records) {
			for i := range 1200 {
				r.add("robot", fmt.Sprint("i", i%40), schemas.View, start.Add(time.Duration(i)*time.Second))
			}
		}, nil, false, "users with 1000 events or more in a day (1) have 28.6 % of all events"},
		"few":        {func(r *records) { r.events = r.events[:100] }, nil, false, "cases are few"},
		"no content": {func(r *records) { r.items = nil }, nil, false, "nothing is known of the items but their ids"},
		"an hour": {func(r *records) {
			for i := range r.events {
				r.events[i].OccurredAt = start.Add(time.Duration(i) * time.Second)
			}
		}, nil, false, "all events happened within 49m59s"},
	} {
		t.Run(name, func(t *testing.T) {
			r := shop()
			c.spoil(r)
			d := describe(t, r, c.binding)
			var what []string
			for _, m := range d.Marks {
				require.NotEmpty(t, m.Remedy)
				what = append(what, fmt.Sprint(m.Red, " ", m.What))
			}
			require.Contains(t, fmt.Sprint(what), c.want)
			if c.red {
				require.ErrorContains(t, d.Refusal(), c.want)
			} else {
				require.NoError(t, d.Refusal())
			}
		})
	}
}

func TestOfSequences(t *testing.T) {
	q := &dataset.Sequences{
		Items: make([]schemas.ItemChange, 4), Train: [][]int32{{0, 1}, {1}}, Known: [][]int32{{0, 1, 1, 0}, {1, 2}},
		Test: []dataset.Case{{User: 0, History: []int32{0, 1, 1, 0}, Targets: []int32{2}}, {User: 2, History: []int32{1}, Targets: []int32{3}}},
	}
	d := OfSequences(q, "s")
	require.Equal(t, 8, d.Events)
	require.Equal(t, 3, d.Users)
	require.Equal(t, 1, d.Repeated)
	require.InDelta(t, 1./5, d.RepeatShare, 1e-9)
	require.Equal(t, []Bin{{"training", 3}, {"validation", 3}, {"test targets", 2}}, d.Parts)
	require.Equal(t, 2, d.Cold)
	require.Equal(t, []Bin{{"1", 1}, {"2 to 3", 1}, {"4 to 7", 1}}, d.Lengths)
}

func TestIDsThatComeAgain(t *testing.T) {
	for repeated, red := range map[int64]bool{1: false, 3000: true} {
		d, err := dataset.FromRecords(t.Context(), "shop", shop())
		require.NoError(t, err)
		d.Repeated = repeated
		held := dataset.NewHoldOut(d, .85, dataset.AutoRepeats)
		marks := OfDataset(d, &held, "shop", "leave-one-out").Marks
		require.Len(t, marks, 1)
		require.Equal(t, red, marks[0].Red)
		require.Contains(t, marks[0].What, "since their event_id had come before")
	}
}
