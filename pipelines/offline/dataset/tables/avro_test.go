package tables

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/linkedin/goavro/v2"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

// TestAvroOfAnyWriter binds the columns of a writer's own schema. Spark writes times in microseconds, polars without a zone.
func TestAvroOfAnyWriter(t *testing.T) {
	written := func(dir, name, schema string, rows ...any) {
		var b bytes.Buffer
		w, err := goavro.NewOCFWriter(goavro.OCFConfig{W: &b, Schema: schema, CompressionName: goavro.CompressionDeflateLabel})
		require.NoError(t, err)
		require.NoError(t, w.Append(rows))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), b.Bytes(), 0o600))
	}
	dir := t.TempDir()
	written(dir, "interactions.avro", `{"type": "record", "name": "topLevelRecord", "fields": [
		{"name": "visitorid", "type": ["long", "null"]}, {"name": "sku", "type": {"type": "fixed", "name": "Sku", "size": 3}},
		{"name": "ts", "type": {"type": "long", "logicalType": "local-timestamp-micros"}},
		{"name": "action", "type": {"type": "enum", "name": "Action", "symbols": ["VIEW", "ADD_TO_CART"]}},
		{"name": "value", "type": ["null", "float"]}, {"name": "context", "type": {"type": "map", "values": ["null", "string"]}}]}`,
		map[string]any{
			"visitorid": goavro.Union("long", int64(7)), "sku": []byte("i-1"), "ts": int64(noon*1000 + 999), "action": "ADD_TO_CART",
			"value": goavro.Union("float", 1.5), "context": map[string]any{"page": goavro.Union("string", "home"), "none": nil},
		})
	written(dir, "items.avro", `{"type": "record", "name": "Item", "fields": [{"name": "sku", "type": "string"},
		{"name": "categories", "type": ["null", {"type": "array", "items": ["null", "string"]}]},
		{"name": "published_at", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]}]}`,
		map[string]any{
			"sku": "i-1", "categories": goavro.Union("array", []any{goavro.Union("string", "a"), nil, goavro.Union("string", "b|c")}),
			"published_at": goavro.Union("long.timestamp-micros", at(noon)),
		}, map[string]any{"sku": "i-2", "categories": nil, "published_at": nil})
	events, items, err := readAll(t, dir, Options{Zone: "Europe/Berlin"})
	require.NoError(t, err)
	require.Len(t, events, 1)
	require.Contains(t, events[0].EventID, "interactions.avro")
	events[0].EventID = ""
	require.Equal(t, schemas.Interaction{
		UserID: "7", ItemID: "i-1", Type: schemas.AddToCart, Value: new(1.5), OccurredAt: at(noon - 3_600_000), Context: map[string]string{"page": "home"},
	}, events[0], "clocks without a zone stood in Berlin")
	require.Equal(t, []schemas.ItemChange{
		{ItemID: "i-1", Op: schemas.UpsertItem, Version: 1, Available: true, Categories: []string{"a", "b|c"}, PublishedAt: at(noon)},
		{ItemID: "i-2", Op: schemas.UpsertItem, Version: 1, Available: true},
	}, items)
}
