package schemas

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"flag"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas/internal/avro"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestCodecsEqualGoavro holds, for random records, that the typed encoder writes goavro's bytes, and that the typed decoder
// gives the record back from them.
func TestCodecsEqualGoavro(t *testing.T) {
	t.Run("interaction", func(t *testing.T) { equalGoavro(t, interactionNative, generator.interaction) })
	t.Run("item change", func(t *testing.T) { equalGoavro(t, itemNative, generator.item) })
	t.Run("request", func(t *testing.T) { equalGoavro(t, requestNative, generator.request) })
	t.Run("reply", func(t *testing.T) { equalGoavro(t, replyNative, generator.reply) })
	t.Run("recall", func(t *testing.T) { equalGoavro(t, recallNative, generator.recall) })
}

func equalGoavro[T Record](t *testing.T, native func(*T) map[string]any, random func(generator) T) {
	o := newOracle(t, native)
	c := codecOf[T]()
	g := generator{rand.New(rand.NewPCG(1, 2))}
	for range 2000 {
		record := random(g)
		theirs, err := o.BinaryFromNative(nil, o.native(&record))
		require.NoError(t, err)
		ours := c.encode(nil, &record)
		require.Equal(t, theirs, ours, "%+v", record)
		back, err := c.decode(theirs)
		require.NoError(t, err)
		require.Equal(t, record, back)
	}
}

// samples are records with every field set, for golden files and benchmarks.
var (
	sampleTime  = time.Date(2026, 1, 31, 12, 0, 0, 123e6, time.UTC)
	sampleValue = 4.5
	sampleAge   = int32(34)
	sampleYes   = true

	sampleInteraction = Interaction{
		EventID: "01JK3M8Z5Q9W", UserID: "user-4711", ItemID: "film-318", Type: Rating, Value: &sampleValue, OccurredAt: sampleTime,
		RequestID: "req-99", Surface: "home", Context: map[string]string{"app": "ios"},
	}
	sampleItem = ItemChange{
		ItemID: "film-318", Op: UpsertItem, Version: 3, OccurredAt: sampleTime, Title: "The Shawshank Redemption",
		Description: "Two imprisoned men bond over a number of years.", Categories: []string{"drama", "crime"},
		Tags:  []string{"prison"},
		Brand: "Castle Rock", Price: &sampleValue, Currency: "EUR", Available: true, Regions: []string{"DE", "DK"},
		PublishedAt: time.Date(1994, 9, 23, 0, 0, 0, 0, time.UTC), MinAge: 12, Attributes: map[string]string{"year": "1994"},
	}
	sampleRequest = RecommendationRequest{
		RequestID: "req-99", UserID: "user-4711", Count: 10, Surface: "home", SeedItemID: "film-318", Filter: "item.price < 20",
		ExcludeItemIDs: []string{"film-1", "film-2"}, IncludeSeen: true, Region: "DK", Age: &sampleAge,
		Recent:      []RecentEvent{{"film-7", Click, sampleTime}, {"film-8", Hide, sampleTime}},
		SeenThrough: &Position{3, 1234567}, Deadline: sampleTime.Add(time.Second), Explain: true, Variant: "b",
		Query: "prison drama",
	}
	sampleReply = RecommendationReply{
		RequestID: "req-99", UserID: "user-4711", Status: StatusDegraded, Error: "user profile: the server is away",
		Degraded: []Degradation{DegradedUserProfile},
		Items:    []RecommendedItem{{"film-5", 0.75, "retrieval", []string{"like film-318"}}, {"film-6", -1.5, "popular", nil}},
		Freshness: Freshness{ModelVersion: "m1", IndexVersion: "freshet_items_m1", Profile: &Position{3, 1234567}, ProfileAgeMillis: 12,
			SeenThroughSatisfied: &sampleYes},
		Waterfall: []WaterfallStep{{"retrieval", 100, 80}, {"exclude_seen", 80, 60}}, Fallback: "popular",
		Timings: []StageTiming{{"retrieval", 1500}},
	}
	sampleRecall = Recall{
		ModelVersion: "m1", WindowStart: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		WindowEnd: time.Date(2026, 1, 31, 12, 1, 0, 0, time.UTC), Segment: SegmentKnown, K: 10, SampleShare: 0.5,
		Events: 8, Unlisted: 1, EmbeddingHits: 2, EmbeddingRecall: new(.25), EmbeddingLow: new(.07), EmbeddingHigh: new(.59),
		Paged: 4, PageHits: 1, PageRecall: new(.25), PageLow: new(.05), PageHigh: new(.7),
	}
)

// TestGolden pins the bytes and the JSON of one record of each kind; goavro and encoding/json must read both back.
func TestGolden(t *testing.T) {
	t.Run("interaction", func(t *testing.T) { golden(t, &sampleInteraction, interactionNative) })
	t.Run("item_change", func(t *testing.T) { golden(t, &sampleItem, itemNative) })
	t.Run("recommendation_request", func(t *testing.T) { golden(t, &sampleRequest, requestNative) })
	t.Run("recommendation_reply", func(t *testing.T) { golden(t, &sampleReply, replyNative) })
	t.Run("recall", func(t *testing.T) { golden(t, &sampleRecall, recallNative) })
}

func golden[T Record](t *testing.T, record *T, native func(*T) map[string]any) {
	c := codecOf[T]()
	body := c.encode(nil, record)
	text, err := json.MarshalIndent(record, "", "  ")
	require.NoError(t, err)
	sameAsFile(t, c.record+".avro.hex", []byte(hex.Dump(body)))
	sameAsFile(t, c.record+".json", append(text, '\n'))

	theirs, err := newOracle(t, native).BinaryFromNative(nil, native(record))
	require.NoError(t, err)
	require.Equal(t, theirs, body)
	var back T
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, *record, back)
}

func sameAsFile(t *testing.T, name string, got []byte) {
	path := filepath.Join("testdata", "golden", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got))
}

// A value without a symbol is a programming error of the writer's; its record must not be poison to every reader.
func TestValuesWithoutASymbolAreWrittenAsUnknown(t *testing.T) {
	e, err := DecodeInteraction(AppendInteraction(nil, &Interaction{Type: 200}))
	require.NoError(t, err)
	require.Equal(t, UnknownInteraction, e.Type)
}

func TestMapsAreWrittenInOrder(t *testing.T) {
	record := Interaction{Context: map[string]string{"c": "3", "a": "1", "b": "2"}}
	body := AppendInteraction(nil, &record)
	require.True(t, bytes.HasSuffix(body, []byte("\x06\x02a\x021\x02b\x022\x02c\x023\x00")), "%q", body)
	native, _, err := newOracle(t, interactionNative).NativeFromBinary(body)
	require.NoError(t, err)
	require.Equal(t, anyMap(record.Context), native.(map[string]any)["context"])
}

// Each decoder: any bytes give a record or an error; what it accepts goavro accepts too, and in the same values, which the
// canonical bytes of both show.
func FuzzDecodeInteraction(f *testing.F) { fuzzDecode(f, interactionNative, generator.interaction) }
func FuzzDecodeItemChange(f *testing.F)  { fuzzDecode(f, itemNative, generator.item) }
func FuzzDecodeRequest(f *testing.F)     { fuzzDecode(f, requestNative, generator.request) }
func FuzzDecodeReply(f *testing.F)       { fuzzDecode(f, replyNative, generator.reply) }
func FuzzDecodeRecall(f *testing.F)      { fuzzDecode(f, recallNative, generator.recall) }

func fuzzDecode[T Record](f *testing.F, native func(*T) map[string]any, random func(generator) T) {
	c := codecOf[T]()
	g := generator{rand.New(rand.NewPCG(3, 4))}
	for range 8 {
		record := random(g)
		f.Add(c.encode(nil, &record))
	}
	f.Add(bytes.Repeat([]byte{0xff}, 32))
	f.Add(bytes.Repeat([]byte{0}, 64))
	o := newOracle(f, native)
	schema, err := avro.Parse(embeddedSchemas().current[c.record])
	require.NoError(f, err)
	identity := avro.Resolve(schema, schema)
	f.Fuzz(func(t *testing.T, body []byte) {
		record, err := c.decode(body)
		if err != nil {
			require.True(t, IsMalformed(err))
			return
		}
		again, err := c.decode(c.encode(nil, &record))
		require.NoError(t, err)
		require.Equal(t, c.encode(nil, &record), c.encode(nil, &again))

		theirs, rest, err := o.NativeFromBinary(body)
		require.NoError(t, err)
		require.Empty(t, rest)
		requireSameNative(t, o, &record, theirs)

		resolved, _, err := identity.Append(nil, body)
		require.NoError(t, err)
		same, err := c.decode(resolved)
		require.NoError(t, err)
		require.Equal(t, c.encode(nil, &record), c.encode(nil, &same))
	})
}

// requireSameNative compares through goavro's text form, in which maps and lists are in order, and absent and empty texts alike.
func requireSameNative[T Record](t *testing.T, o oracle[T], record *T, theirs any) {
	ours, _, err := o.NativeFromBinary(codecOf[T]().encode(nil, record))
	require.NoError(t, err)
	require.Equal(t, plain(theirs), plain(ours))
}

// plain drops what the typed records do not tell apart: an optional text or time that is there and empty, and none; and what
// require.Equal cannot compare, NaN.
func plain(native any) any {
	switch v := native.(type) {
	case map[string]any:
		if s, ok := v["string"].(string); ok && s == "" && len(v) == 1 {
			return nil
		}
		if at, ok := v["long.timestamp-millis"].(time.Time); ok && at.IsZero() {
			return nil
		}
		out := make(map[string]any, len(v))
		for key, value := range v {
			out[key] = plain(value)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, value := range v {
			out[i] = plain(value)
		}
		return out
	case float64:
		if v != v {
			return "NaN"
		}
	case float32:
		if v != v {
			return "NaN"
		}
	}
	return native
}

// TestHostileBytesTakeBoundedMemory decodes megabytes that are made to claim as much memory as they can. The worst that a true
// record can claim is a list of a million empty texts, a header of 16 bytes each, and as much again a few times over where the
// list comes in many blocks.
func TestHostileBytesTakeBoundedMemory(t *testing.T) {
	const size = 1 << 20
	filled := func(b byte) []byte { return bytes.Repeat([]byte{b}, size) }
	list := func(prefix []byte, count int64) []byte { return append(avro.AppendLong(prefix, count), filled(0)...) }
	for _, c := range []struct {
		name string
		body []byte
	}{
		{"zeroes", filled(0)},
		{"ones", filled(1)},
		{"twos", filled(2)},
		{"numbers without an end", filled(0x80)},
		{"a text of a terabyte", list(nil, 1<<40)},
		{"a terabyte of categories", list(beforeCategories(), 1<<40)},
		{"a million empty categories", list(beforeCategories(), size)},
		{"as many recent events", list(beforeRecent(), size/recentEventBytes)},
		{"as many blocks of one category", append(beforeCategories(), bytes.Repeat([]byte{2, 0}, size/2)...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			const most = 50 * size
			require.Less(t, allocated(func() { _, _ = DecodeInteraction(c.body) }), uint64(most))
			require.Less(t, allocated(func() { _, _ = DecodeItemChange(c.body) }), uint64(most))
			require.Less(t, allocated(func() { _, _ = DecodeRecommendationRequest(c.body) }), uint64(most))
			require.Less(t, allocated(func() { _, _ = DecodeRecommendationReply(c.body) }), uint64(most))
			require.Less(t, allocated(func() { _, _ = DecodeRecall(c.body) }), uint64(most))
		})
	}
}

// beforeCategories is an item change up to its categories, beforeRecent a request up to its recent events.
func beforeCategories() []byte { return []byte{0, 2, 2, 2, 0, 0} }
func beforeRecent() []byte     { return []byte{0, 0, 2, 0, 0, 0, 0, 0, 0, 0} }

func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
