package catalogue

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTombstonesOfNobodyAndForeignKeys: a removal that removes nothing, and an item under another's key, are counted and told, once.
func TestTombstonesOfNobodyAndForeignKeys(t *testing.T) {
	read := observe(t)
	r := newRig(t)
	r.write(change("known", 1))
	require.NoError(t, r.handle(r.raw("known", nil), r.raw("secret-item", nil), r.raw("secret-other", nil)))
	require.NoError(t, r.handle(r.raw("secret-item", nil)))
	c := change("kept", 1)
	require.NoError(t, r.handle(r.raw("secret-key", r.records.Serde.Append(nil, &c))))
	require.False(t, r.item("kept").Deleted)
	require.Equal(t, map[string]int64{"indexed": 2, "deleted": 1, "unknown": 2, "unchanged": 1}, outcomesOf(t, read("freshet.items")))
	require.Equal(t, map[string]int64{"": 1}, outcomesOf(t, read("freshet.keys.unlike")))
	log := r.log.String()
	require.Equal(t, 1, strings.Count(log, "tombstones of items that nobody knows"), log)
	require.Equal(t, 1, strings.Count(log, "records have a key that is not their item_id"), log)
	require.NotContains(t, log, "secret")
}
