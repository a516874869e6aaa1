package dataset

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

func TestSearchOf(t *testing.T) {
	at := time.UnixMilli(5000)
	searched := map[string]string{"app": "ios", "query": "tea pot"}
	for name, c := range map[string]struct {
		kind    schemas.InteractionType
		context map[string]string
		is      bool
	}{
		"a click on what was found": {schemas.Click, searched, true},
		"what was merely shown":     {schemas.Impression, searched, false},
		"no search":                 {schemas.Click, map[string]string{"app": "ios"}, false},
		"no context":                {schemas.Click, nil, false},
	} {
		got, is := SearchOf(&schemas.Interaction{Type: c.kind, OccurredAt: at, Context: c.context}, 7)
		require.Equal(t, c.is, is, name)
		if is {
			require.Equal(t, Search{At: 5000, Text: "tea pot", Item: 7}, got)
		}
	}
}

// What was searched for after the cut is as little of the past as what was done then.
func TestSplitByTimeSplitsSearches(t *testing.T) {
	d := &Dataset{
		Events:   []Event{{At: 10}, {At: 20}, {At: 30}, {At: 40}},
		Searches: []Search{{5, "a", 0}, {10, "b", 0}, {29, "c", 0}, {30, "d", 0}, {50, "e", 0}},
	}
	past, later := SplitByTime(d, .5)
	require.Equal(t, []Search{{5, "a", 0}, {10, "b", 0}, {29, "c", 0}}, past.Searches)
	require.Equal(t, []Search{{30, "d", 0}, {50, "e", 0}}, later.Searches)
	all, none := SplitByTime(d, 1)
	require.Equal(t, d.Searches, all.Searches)
	require.Empty(t, none.Searches)
}
