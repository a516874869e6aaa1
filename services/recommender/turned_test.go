package recommender_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

// TestWhatWasTurnedDownNeverComesBack is the case hide-and-low-rating: by include_seen what was seen comes back, and not what was
// hidden, disliked or rated low, until the user takes that back.
func TestWhatWasTurnedDownNeverComesBack(t *testing.T) {
	r := newRig(t)
	r.setRules(t, plainRules)
	r.stock(t, 40, nil)
	rate := func(id string, stars float64) {
		e := r.event("ann", schemas.Rating, id)
		e.Value = &stars
		r.apply(t, e)
	}
	r.click(t, "ann", itemID(1))
	r.apply(t, r.event("ann", schemas.Hide, itemID(2)))
	r.apply(t, r.event("ann", schemas.Dislike, itemID(3)))
	rate(itemID(4), 1)
	rate(itemID(5), 5)
	shown := func(recent ...schemas.RecentEvent) []string {
		q := request("ann", 40)
		q.IncludeSeen, q.Recent = true, recent
		reply := r.ask(t, q)
		requireOK(t, reply)
		return ids(reply)
	}
	all := shown()
	require.Subset(t, all, []string{itemID(1), itemID(5)})
	for n := 2; n <= 4; n++ {
		require.NotContains(t, all, itemID(n))
	}
	require.Len(t, all, 37)

	like := schemas.RecentEvent{ItemID: itemID(2), Type: schemas.Like, OccurredAt: time.Now()}
	require.Contains(t, shown(like), itemID(2), "taken back by an event of the request")
	hide := schemas.RecentEvent{ItemID: itemID(1), Type: schemas.Hide, OccurredAt: time.Now()}
	require.NotContains(t, shown(hide), itemID(1))
	r.click(t, "ann", itemID(3))
	require.NotContains(t, shown(), itemID(3), "to look at it is not enough")
	r.apply(t, r.event("ann", schemas.Purchase, itemID(3)))
	rate(itemID(4), 4)
	require.Subset(t, shown(), []string{itemID(3), itemID(4)})
}
