package commands_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestPublishTables publishes what train reads, and twice what has no ids: it counts once.
func TestPublishTables(t *testing.T) {
	i := install(t)
	ok := func(args ...string) outcome {
		t.Helper()
		o := execute(t.Context(), "", args...)
		require.Zero(t, o.code, "%v: %s", args, o.err)
		return o
	}
	ok("topics", "create")
	dir := t.TempDir()
	events := "visitorid,itemid,timestamp,event\n"
	items := "itemid,name,genre\n"
	for user := range 20 {
		for n := range 6 {
			events += fmt.Sprintf("u%d,i%d,%d,addtocart\n", user, (user+n)%12, 1769860800+100*n)
		}
		events += fmt.Sprintf("u%d,i%d,%d,addtocart\n", user, user%12, 1769860800) // twice in one second: both count
	}
	for item := range 12 {
		items += fmt.Sprintf("i%d,Lamp %d,light|home\n", item, item)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "interactions.csv"), []byte(events), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "items.csv"), []byte(items), 0o600))
	meaning := []string{"--map", "type.addtocart=add_to_cart"}

	refused := execute(t.Context(), "", "publish", "interactions", filepath.Join(dir, "interactions.csv"))
	require.Equal(t, 1, refused.code)
	require.Contains(t, refused.err, `column event (type): 1 of its values are not known: "addtocart" in 140 rows`)
	require.Empty(t, refused.out)

	o := ok(append([]string{"publish", "items", filepath.Join(dir, "items.csv")}, meaning...)...)
	require.Equal(t, "12 published, 0 refused\n", o.out)
	require.Contains(t, o.err, `title       "name"    a usual name`)
	require.Contains(t, o.err, "12 items without a version got")
	o = ok(append([]string{"publish", "interactions", filepath.Join(dir, "interactions.csv")}, meaning...)...)
	require.Equal(t, "140 published, 0 refused\n", o.out)
	require.Contains(t, o.err, "seconds since 1970")
	o = ok(append([]string{"publish", "interactions", "--data", dir}, meaning...)...)
	require.Equal(t, "140 published, 0 refused\n", o.out)

	trained := ok("train", "--from-topics", "--epochs", "1", "--out", i.bundle)
	require.Contains(t, trained.err, "interactions: 280 records, 140 events; 140 repeated")

	other := filepath.Join(t.TempDir(), "more.jsonl")
	require.NoError(t, os.WriteFile(other, []byte(`{"visitor":"v","sku":"i1","ts":"2026-01-31 12:00:00 UTC"}`+"\n"), 0o600))
	lines := execute(t.Context(), "", "publish", "interactions", other)
	require.Equal(t, 1, lines.code, "JSON lines are records, unless it is said that they are not")
	require.Contains(t, lines.out, "0 published, 1 refused")
	o = ok("publish", "interactions", other, "--columns", "user_id=visitor")
	require.Equal(t, "1 published, 0 refused\n", o.out)

	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"publish", "items", filepath.Join(dir, "items.csv"), "--data", dir}, 2, "give one of them"},
		{[]string{"publish", "items", "--format", "otto"}, 2, "give it with --data"},
		{[]string{"publish", "items", "--columns", "title=name"}, 2, "say how tables are written"},
		{[]string{"publish", "items", filepath.Join(dir, "nothing.csv")}, 2, "no such file"},
	} {
		o := execute(t.Context(), "", c.args...)
		require.Equal(t, c.code, o.code, "%v: %s", c.args, o.err)
		require.Contains(t, o.err, c.want)
	}
	require.Equal(t, 1, strings.Count(ok("publish", "items", "--data", writeMovieLens(t)).out, fmt.Sprintf("%d published", films)))
}
