package tables

import (
	"bytes"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/columnar"
)

// TestDecimalsAndUUIDs: warehouses have ids and prices so.
func TestDecimalsAndUUIDs(t *testing.T) {
	type event struct {
		UserID     [16]byte `parquet:"user_id,uuid"`
		ItemID     int64    `parquet:"item_id,decimal(0:18)"`
		OccurredAt int64    `parquet:"occurred_at,decimal(0:18)"`
		Value      int64    `parquet:"value,decimal(2:10)"`
		EventID    uint64   `parquet:"event_id"`
	}
	var b bytes.Buffer
	require.NoError(t, parquet.Write(&b, []event{{
		UserID: [16]byte{0x12, 0x34, 15: 0xff}, ItemID: 9_007_199_254_740_993, OccurredAt: 1_767_322_800_000, Value: -1250, EventID: 1<<64 - 1,
	}}))
	events, _, err := readAll(t, folder(t, map[string]string{"interactions.parquet": b.String()}), Options{})
	require.NoError(t, err)
	require.Len(t, events, 1)
	e := events[0]
	require.Equal(t, "12340000-0000-0000-0000-0000000000ff", e.UserID)
	require.Equal(t, "9007199254740993", e.ItemID)
	require.Equal(t, at(1_767_322_800_000), e.OccurredAt)
	require.InDelta(t, -12.5, *e.Value, 0)
	require.Equal(t, "18446744073709551615", e.EventID)
}

// TestWallClocks: a timestamp of no zone is that of the zone that is told, and UTC else, which is said.
func TestWallClocks(t *testing.T) {
	type event struct {
		UserID     string `parquet:"user_id"`
		ItemID     string `parquet:"item_id"`
		OccurredAt int64  `parquet:"occurred_at,timestamp(microsecond:local)"`
	}
	var b bytes.Buffer
	require.NoError(t, parquet.Write(&b, []event{{"u", "i", 1_769_864_400_000_000}}))
	files := map[string]string{"interactions.parquet": b.String()}
	for zone, want := range map[string]struct {
		at  time.Time
		how string
	}{
		"":              {at(noon + 3_600_000), "timestamps without a zone, in UTC"},
		"Europe/Berlin": {at(noon), "timestamps without a zone, in Europe/Berlin"},
	} {
		events, _, err := readAll(t, folder(t, files), Options{Zone: zone})
		require.NoError(t, err)
		require.Equal(t, want.at, events[0].OccurredAt)
		binding, err := survey(t, files, Options{Zone: zone})
		require.NoError(t, err)
		require.Contains(t, binding.Tables[0].Fields, FieldBinding{"occurred_at", "occurred_at", want.how})
	}
}

// TestMapsOfDecimals: attributes may be any plain value.
func TestMapsOfDecimals(t *testing.T) {
	text, err := plainText(&columnar.Cell{}, &columnar.Value{Kind: columnar.Decimal, Text: []byte("12.50")})
	require.NoError(t, err)
	require.Equal(t, "12.50", text)
}
