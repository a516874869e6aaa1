package recommender_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

// TestAnIndexThatFindsNothing is one that has lost rows only where it should have had them: what was published just now, and suits a
// narrow filter alone, is on the shelf before it is in the index, and before a search sees it.
func TestAnIndexThatFindsNothing(t *testing.T) {
	for name, c := range map[string]struct {
		indexed  bool // the index has acknowledged the row
		age      time.Duration
		degraded bool
	}{
		"published just now":                       {false, 0, false},
		"published long ago, the role lags":        {false, time.Hour, false},
		"acknowledged, but searches lag":           {true, 0, false},
		"acknowledged, and searches should see it": {true, time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.stock(t, 20, nil)
			r.click(t, "ann", itemID(1))
			fresh := item(30)
			fresh.Brand = "only"
			r.clock = time.Now().Add(-c.age).Truncate(time.Millisecond)
			_, marks := r.record(t, model, fresh)
			if c.indexed {
				_, err := r.items.MarkIndexed(t.Context(), model, marks)
				require.NoError(t, err)
			}
			q := request("ann", 5)
			q.Filter = `item.brand == "only"`
			var reply schemas.RecommendationReply
			require.Eventually(t, func() bool { reply = r.ask(t, q); return len(reply.Items) == 1 }, patience, time.Millisecond)
			require.Equal(t, fresh.ItemID, reply.Items[0].ItemID)
			if !c.degraded {
				requireOK(t, reply)
				return
			}
			require.Equal(t, schemas.StatusDegraded, reply.Status)
			require.Contains(t, reply.Error, "rows are missing: run `freshet rebuild candidates`")
		})
	}
}
