package tables

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

// FuzzText: any text is records that the topics would take, or an error that names its place.
func FuzzText(f *testing.F) {
	f.Add([]byte("user_id,item_id,occurred_at,type,value,context\nu,i,1769860800000,rating,4.5,\"{\"\"a\"\":\"\"b\"\"}\"\n"))
	f.Add([]byte("\ufeff\"user_id\",item_id,occurred_at\r\nu,\"i\r\n\",2026-01-31T12:00:00Z\r\n"))
	f.Add([]byte("user_id\titem_id\toccurred_at\nu \"x\ti\t2026-01-31 12:00:00 UTC\n"))
	f.Add([]byte("user_id;item_id;occurred_at\n\"u\\\"\";i;31.01.2026 12:00\n"))
	f.Add([]byte("user_id,item_id,occurred_at\n\"u"))
	f.Add([]byte("item_id,occurred_at,user_id,categories,available,published_at\ni,20260131,u,a|b||,1,-3000000000000\n"))
	f.Add([]byte(`{"user_id":"u","item_id":7,"occurred_at":1769860800,"categories":["a",null],"attributes":{"a":1}}`))
	f.Add([]byte(`{"user_id":"u","item_id":7.0,"occurred_at":"2026-01-31","categories":"['a', 'b']"}`))
	limits := schemas.DefaultLimits()
	f.Fuzz(func(t *testing.T, text []byte) {
		path := filepath.Join(t.TempDir(), "table")
		require.NoError(t, os.WriteFile(path, text, 0o600))
		fuzzed(t, path, limits)
	})
}

func fuzzed(t *testing.T, path string, limits schemas.Limits) {
	t.Helper()
	for _, items := range []bool{false, true} {
		table, err := OpenFile(path, items, Options{}, limits)
		require.NoError(t, err)
		binding, err := table.Survey(t.Context())
		if err != nil {
			require.ErrorContains(t, err, "table", "it names the file")
			continue
		}
		require.NotEmpty(t, binding.Lines())
		count := int64(0)
		err = table.EachInteraction(t.Context(), func(e *schemas.Interaction, _ int64) error {
			count++
			return limits.Interaction(e, time.Now())
		})
		if err == nil {
			err = table.EachItem(t.Context(), func(i *schemas.ItemChange) error {
				count++
				return judgeItem(limits, i, time.Now())
			})
		}
		if err != nil {
			require.ErrorContains(t, err, "table", "it names the place")
			continue
		}
		require.Equal(t, binding.Tables[0].Rows, count)
	}
}

// FuzzParquet reads any file as a table.
func FuzzParquet(f *testing.F) {
	dir := f.TempDir()
	writeAll(f, dir, parquetForm, []schemas.Interaction{{EventID: "e", UserID: "u", ItemID: "i", Type: schemas.View, OccurredAt: at(noon)}},
		[]schemas.ItemChange{{ItemID: "i", Op: schemas.UpsertItem, Version: 1, Tags: []string{"a", "b"}, Attributes: map[string]string{"k": "v"}}})
	for _, name := range []string{interactionsFile, itemsFile} {
		b, err := os.ReadFile(filepath.Join(dir, name+parquetForm))
		require.NoError(f, err)
		f.Add(b)
	}
	limits := schemas.DefaultLimits()
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 4 || string(b[:4]) != "PAR1" || len(b) > 1<<16 {
			return
		}
		path := filepath.Join(t.TempDir(), "table")
		require.NoError(t, os.WriteFile(path, b, 0o600))
		fuzzed(t, path, limits)
	})
}

func TestReadingEndsWithItsContext(t *testing.T) {
	f, err := Open(folder(t, map[string]string{"interactions.csv": "user_id,item_id,occurred_at\nu,i,1769860800000\n"}), Options{}, schemas.DefaultLimits())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, f.EachInteraction(ctx, func(*schemas.Interaction, int64) error { return nil }), context.Canceled)
}
