package dataset

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

func world(t *testing.T, change func(*SyntheticConfig)) *Dataset {
	t.Helper()
	c := DefaultSyntheticConfig()
	c.Users, c.Items, c.Events = 300, 400, 12_000
	if change != nil {
		change(&c)
	}
	d, err := Synthetic(c)
	require.NoError(t, err)
	return d
}

func TestSyntheticIsAsAsked(t *testing.T) {
	for _, c := range []SyntheticConfig{
		{Users: 1, Items: 128, Events: 1}, {Users: 7, Items: 129, Events: 5000}, {Users: 500, Items: 3000, Events: 20_000},
		{Users: 50, Items: 200, Events: 50},
	} {
		d := world(t, func(to *SyntheticConfig) { to.Users, to.Items, to.Events = c.Users, c.Items, c.Events })
		require.Len(t, d.Users, c.Users)
		require.Len(t, d.Items, c.Items)
		require.Len(t, d.Events, c.Events)
	}
}

func TestSyntheticIsDecidedByItsSeed(t *testing.T) {
	first := world(t, nil)
	again := world(t, nil)
	other := world(t, func(c *SyntheticConfig) { c.Seed = 2 })
	require.Equal(t, first.Items, again.Items)
	for i := range first.Events {
		require.Equal(t, first.Interaction(i), again.Interaction(i))
	}
	require.NotEqual(t, first.Items, other.Items)
}

func TestSyntheticHoldsToItsOwnRules(t *testing.T) {
	d := world(t, nil)
	types := map[schemas.InteractionType]int{}
	for i, e := range d.Events {
		types[e.Type]++
		item, user := &d.Items[e.Item], &d.Users[e.User]
		require.GreaterOrEqual(t, e.At, item.PublishedAt.UnixMilli(), "an event before the item was there")
		require.GreaterOrEqual(t, user.Age, item.MinAge)
		require.True(t, len(item.Regions) == 0 || slices.Contains(item.Regions, user.Region))
		if i > 0 {
			require.LessOrEqual(t, d.Events[i-1].At, e.At)
		}
	}
	require.Len(t, types, 9, "types of events: %v", types)
	titles, ids := map[string]bool{}, map[string]bool{}
	start, late := DefaultSyntheticConfig().Start, 0
	for _, item := range d.Items {
		titles[item.Title], ids[item.ItemID] = true, true
		require.NotEmpty(t, item.Brand)
		require.Positive(t, *item.Price)
		if item.PublishedAt.After(start) {
			late++
		}
	}
	require.Len(t, titles, len(d.Items))
	require.Len(t, ids, len(d.Items))
	require.Positive(t, late, "no item appears later")
}

func TestSyntheticAttentionIsSkewed(t *testing.T) {
	d := world(t, nil)
	counts := make([]int, len(d.Items))
	for _, e := range d.Events {
		counts[e.Item]++
	}
	slices.Sort(counts)
	top := 0
	for _, n := range counts[len(counts)*9/10:] {
		top += n
	}
	require.Greater(t, float64(top)/float64(len(d.Events)), .2, "share of the most popular tenth")
}

func TestSyntheticConfigRefuses(t *testing.T) {
	for want, change := range map[string]func(*SyntheticConfig){
		"users is 0":               func(c *SyntheticConfig) { c.Users = 0 },
		"items is 3: give 128":     func(c *SyntheticConfig) { c.Items = 3 },
		"events is 5: give":        func(c *SyntheticConfig) { c.Events = 5 },
		"span is 1ms":              func(c *SyntheticConfig) { c.Span = time.Millisecond },
		"start is before 1970":     func(c *SyntheticConfig) { c.Start = time.Time{} },
		"making a synthetic world": func(c *SyntheticConfig) { c.Users = -1 },
	} {
		c := DefaultSyntheticConfig()
		change(&c)
		_, err := Synthetic(c)
		require.ErrorContains(t, err, want)
	}
}

// The names are only names as long as no line repeats another's.
func TestLineNamesDiffer(t *testing.T) {
	s := newShop(DefaultSyntheticConfig())
	names := map[string]bool{}
	for line := range 3000 {
		names[s.lineName(line)] = true
	}
	require.Len(t, names, 3000)
}
