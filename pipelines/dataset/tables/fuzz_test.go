package tables

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/dataset/columnar"
	"github.com/freshet/freshet/schemas"
)

// FuzzCSV: a row is a record that the topics would take, or an error that names its place.
func FuzzCSV(f *testing.F) {
	f.Add([]byte("user_id,item_id,occurred_at,type,value,context\nu,i,1769860800000,rating,4.5,\"{\"\"a\"\":\"\"b\"\"}\"\n"))
	f.Add([]byte("\ufeffuser_id,item_id,occurred_at\r\nu,\"i\r\n\",2026-01-31T12:00:00Z\r\n"))
	f.Add([]byte("user_id,item_id,occurred_at\n\"u"))
	f.Add([]byte("item_id,categories,available,published_at\ni,a|b||,1,-3000000000000\n"))
	limits := schemas.DefaultLimits()
	f.Fuzz(func(t *testing.T, text []byte) {
		fuzzed(t, interactionsFile, interactionFields, newInteraction, text, func(e *schemas.Interaction) error {
			e.EventID = "e"
			return limits.Interaction(e, time.Now())
		})
		fuzzed(t, itemsFile, itemFields, newItem, text, func(i *schemas.ItemChange) error { return judgeItem(limits, i, time.Now()) })
	})
}

func fuzzed[T any](t *testing.T, file string, fields []field[T], fresh func() T, text []byte, judge func(*T) error) {
	t.Helper()
	table, err := newCSV(file+csvForm, bytes.NewReader(text))
	if err != nil {
		return
	}
	places, err := bind(file, fields, nil, table.names())
	if err != nil {
		return
	}
	var there []field[T]
	var at []int
	for i, place := range places {
		if place >= 0 {
			there, at = append(there, fields[i]), append(at, place)
		}
	}
	require.NoError(t, table.begin(at))
	for {
		more, err := table.next()
		if err != nil || !more {
			return
		}
		record := fresh()
		for i := range there {
			if err := fill(&record, &there[i], table.cell(i)); err != nil {
				require.ErrorAs(t, err, new(*badCell), "an error shows the value and the remedy")
				return
			}
		}
		if err := judge(&record); err != nil {
			require.True(t, schemas.IsInvalid(err))
			return
		}
	}
}

// FuzzParquet reads any file as a table of items.
func FuzzParquet(f *testing.F) {
	dir := f.TempDir()
	writeAll(f, dir, []schemas.Interaction{{EventID: "e", UserID: "u", ItemID: "i", Type: schemas.View, OccurredAt: at(noon)}},
		[]schemas.ItemChange{{ItemID: "i", Op: schemas.UpsertItem, Version: 1, Tags: []string{"a", "b"}, Attributes: map[string]string{"k": "v"}}})
	for _, name := range []string{interactionsFile, itemsFile} {
		b, err := os.ReadFile(filepath.Join(dir, name+parquetForm))
		require.NoError(f, err)
		f.Add(b)
	}
	f.Fuzz(func(_ *testing.T, b []byte) {
		table, err := newParquet("items.parquet", bytes.NewReader(b), int64(len(b)), columnar.Bounds{Rows: 10_000, PageBytes: 1 << 16})
		if err != nil {
			return
		}
		table.file = io.NopCloser(nil)
		defer table.close()
		places, err := bind(itemsFile, itemFields, nil, table.names())
		if err != nil {
			return
		}
		var at []int
		var there []field[schemas.ItemChange]
		for i, place := range places {
			if place >= 0 {
				there, at = append(there, itemFields[i]), append(at, place)
			}
		}
		if table.begin(at) != nil {
			return
		}
		for more, err := table.next(); more && err == nil; more, err = table.next() {
			item := newItem()
			for i := range there {
				if fill(&item, &there[i], table.cell(i)) != nil {
					return
				}
			}
		}
	})
}

func TestReadingEndsWithItsContext(t *testing.T) {
	f, err := Open(folder(t, map[string]string{"interactions.csv": "user_id,item_id,occurred_at\nu,i,1769860800000\n"}), nil, schemas.DefaultLimits())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, f.EachInteraction(ctx, func(*schemas.Interaction, int64) error { return nil }), context.Canceled)
}
