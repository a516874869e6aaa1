package rules

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/filter"
)

// indexed puts items into an index of the test's own: an embedded Milvus or a real one. The result searches it for all items that satisfy a filter.
func indexed(t *testing.T, items []*schemas.ItemChange) func(filter string) map[string]bool {
	const model = "m1"
	milvus := servertest.StartMilvus(t)
	cfg := candidates.DefaultConfig()
	cfg.Address, cfg.Collection, cfg.Alias, cfg.DialTimeout = milvus.Addr(), milvus.Collection, milvus.Alias, servertest.MilvusDialTimeout
	index, err := candidates.Connect(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, index.Close()) })
	require.NoError(t, index.Ensure(t.Context(), model, 2))
	rows := make([]candidates.Row, len(items))
	for i, it := range items {
		rows[i] = candidates.RowOf(it, []float32{1, float32(i)})
	}
	require.NoError(t, index.Upsert(t.Context(), model, rows))
	search := func(filter string) map[string]bool {
		results, err := index.Search(t.Context(), model, [][]float32{{1, 0}}, len(items), filter)
		require.NoError(t, err, filter)
		require.NoError(t, results[0].Err, filter)
		found := map[string]bool{}
		for _, h := range results[0].Hits {
			found[h.ItemID] = true
		}
		return found
	}
	require.Eventually(t, func() bool { return len(search("")) == len(items) }, 10*time.Second, 20*time.Millisecond)
	return search
}

// TestTheIndexKeepsWhatTheRulesKeep goes the whole way from expressions to a Milvus: it understands what random ones become, and gives
// every item that the expression keeps.
func TestTheIndexKeepsWhatTheRulesKeep(t *testing.T) {
	w := newWorld(11)
	var items []*schemas.ItemChange
	for i := range 120 {
		it := w.item()
		it.ItemID = fmt.Sprintf("item-%03d", i)
		if row := candidates.RowOf(it, nil); !(row.Price >= -1e38 && row.Price <= 1e38) {
			it.Price = nil // the index refuses such a price
		}
		items = append(items, it)
	}
	search := indexed(t, items)
	narrowed := 0
	for seed := range uint64(400) {
		w := newWorld(seed)
		source := w.condition(w.IntN(4), true)
		compiled, err := compile(source, ruleScope)
		require.NoError(t, err)
		e := newEvaluator(w.request())
		bound := compiled.root.bind(e)
		if pushed := candidates.Join(candidates.Pushes([]filter.Named{{Condition: bound}}, e.nowMillis)); pushed != "" {
			found := search(pushed)
			if len(found) < len(items) {
				narrowed++
			}
			for _, it := range items {
				if holds, _ := bound.Holds(it, e.nowMillis); holds {
					require.True(t, found[it.ItemID], "%s as %s on %+v", source, pushed, it)
				}
			}
		}
		e.release()
	}
	require.Greater(t, narrowed, 100)
}
