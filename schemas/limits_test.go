package schemas

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// refusal is what a check must say of a record that one change has spoilt.
type refusal[T Record] struct {
	name  string
	spoil func(*T)
	field string // empty: nothing to say
	value string
}

func refuses[T Record](t *testing.T, sample T, check func(*T) error, cases []refusal[T]) {
	t.Helper()
	require.NoError(t, check(&sample))
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			record := sample
			c.spoil(&record)
			err := check(&record)
			if c.field == "" {
				require.NoError(t, err)
				return
			}
			require.True(t, IsInvalid(err), "%v", err)
			var invalid *InvalidError
			errors.As(err, &invalid)
			require.Equal(t, c.field, invalid.Field)
			require.Contains(t, invalid.Value, c.value)
			require.Less(t, len(invalid.Value), 400)
			require.NotEmpty(t, invalid.Remedy)
		})
	}
}

var (
	testNow = sampleTime.Add(time.Minute)
	long    = strings.Repeat("x", 257)
	huge    = strings.Repeat("é", 1<<19)
	notUTF8 = "caf\xe9\x1b[2J"
)

func many(n int) []string { return strings.Split(strings.Repeat("t,", n-1)+"t", ",") }

func TestLimitsOfInteractions(t *testing.T) {
	check := func(e *Interaction) error { return DefaultLimits().Interaction(e, testNow) }
	number := func(v float64) func(*Interaction) { return func(e *Interaction) { e.Value = &v } }
	at := func(at time.Time) func(*Interaction) { return func(e *Interaction) { e.OccurredAt = at } }
	refuses(t, sampleInteraction, check, []refusal[Interaction]{
		{"no event id", func(e *Interaction) { e.EventID = "" }, "event_id", `""`},
		{"no user", func(e *Interaction) { e.UserID = "" }, "user_id", `""`},
		{"no item", func(e *Interaction) { e.ItemID = "" }, "item_id", `""`},
		{"id of 256 bytes", func(e *Interaction) { e.UserID = long[:256] }, "", ""},
		{"id of 257 bytes", func(e *Interaction) { e.UserID = long }, "user_id", "(257 bytes)"},
		{"id of a megabyte", func(e *Interaction) { e.ItemID = huge }, "item_id", "(1048576 bytes)"},
		{"id of broken UTF-8", func(e *Interaction) { e.UserID = notUTF8 }, "user_id", `"caf\xe9\x1b[2J"`},
		{"unknown type", func(e *Interaction) { e.Type = UnknownInteraction }, "type", "unknown"},
		{"type beyond all", func(e *Interaction) { e.Type = 99 }, "type", "unknown(99)"},
		{"no value", func(e *Interaction) { e.Value = nil }, "", ""},
		{"negative value", number(-1), "", ""},
		{"NaN", number(math.NaN()), "value", "NaN"},
		{"infinite", number(math.Inf(-1)), "value", "-Inf"},
		{"no time", at(time.Time{}), "occurred_at", "(none)"},
		{"before 1970", at(time.UnixMilli(-1)), "occurred_at", "1969-12-31T23:59:59.999Z"},
		{"a little ahead", at(testNow.Add(5 * time.Minute)), "", ""},
		{"far ahead", at(testNow.Add(5*time.Minute + time.Millisecond)), "occurred_at", "2026-01-31T12:06:00.124Z"},
		{"microseconds taken for milliseconds", at(time.UnixMilli(testNow.UnixMicro())), "occurred_at", "58"},
		{"the last time of all", at(time.UnixMilli(math.MaxInt64)), "occurred_at", "292278994"},
		{"no request", func(e *Interaction) { e.RequestID = "" }, "", ""},
		{"long request", func(e *Interaction) { e.RequestID = long }, "request_id", "(257 bytes)"},
		{"long surface", func(e *Interaction) { e.Surface = huge }, "surface", "bytes)"},
		{"context of a huge value", func(e *Interaction) { e.Context = map[string]string{"k": huge} }, `context["k"]`, "bytes)"},
		{"context of a huge key", func(e *Interaction) { e.Context = map[string]string{huge: "v"} }, "context key", "bytes)"},
		{"context of many entries", func(e *Interaction) {
			e.Context = make(map[string]string)
			for i := range 129 {
				e.Context[string(rune('a'+i))] = ""
			}
		}, "context", "of 129 entries"},
	})
}

func TestLimitsOfItems(t *testing.T) {
	check := func(c *ItemChange) error { return DefaultLimits().ItemChange(c, testNow) }
	price := func(v float64) func(*ItemChange) { return func(c *ItemChange) { c.Price = &v } }
	refuses(t, sampleItem, check, []refusal[ItemChange]{
		{"no id", func(c *ItemChange) { c.ItemID = "" }, "item_id", `""`},
		{"unknown op", func(c *ItemChange) { c.Op = UnknownItemOp }, "op", "unknown"},
		{"version 0", func(c *ItemChange) { c.Version = 0 }, "version", "0"},
		{"negative version", func(c *ItemChange) { c.Version = -7 }, "version", "-7"},
		{"no time", func(c *ItemChange) { c.OccurredAt = time.Time{} }, "occurred_at", "(none)"},
		{"far ahead", func(c *ItemChange) { c.OccurredAt = testNow.Add(time.Hour) }, "occurred_at", "2026-01-31T13:01:00.123Z"},
		{"huge title", func(c *ItemChange) { c.Title = huge }, "title", "bytes)"},
		{"long description", func(c *ItemChange) { c.Description = huge[:64<<10] }, "", ""},
		{"huge description", func(c *ItemChange) { c.Description = huge }, "description", "bytes)"},
		{"no category", func(c *ItemChange) { c.Categories = nil }, "", ""},
		{"128 categories", func(c *ItemChange) { c.Categories = many(128) }, "", ""},
		{"129 categories", func(c *ItemChange) { c.Categories = many(129) }, "categories", "of 129 entries"},
		{"huge category", func(c *ItemChange) { c.Categories = []string{"a", huge} }, "categories[1]", "bytes)"},
		{"129 tags", func(c *ItemChange) { c.Tags = many(129) }, "tags", "of 129 entries"},
		{"broken tag", func(c *ItemChange) { c.Tags = []string{notUTF8} }, "tags[0]", `\x1b`},
		{"129 regions", func(c *ItemChange) { c.Regions = many(129) }, "regions", "of 129 entries"},
		{"huge brand", func(c *ItemChange) { c.Brand = huge }, "brand", "bytes)"},
		{"no price", func(c *ItemChange) { c.Price = nil }, "", ""},
		{"free", price(0), "", ""},
		{"negative price", price(-0.5), "price", "-0.5"},
		{"price NaN", price(math.NaN()), "price", "NaN"},
		{"infinite price", price(math.Inf(1)), "price", "+Inf"},
		{"huge currency", func(c *ItemChange) { c.Currency = huge }, "currency", "bytes)"},
		{"published next year", func(c *ItemChange) { c.PublishedAt = testNow.AddDate(1, 0, 0) }, "", ""},
		{"published in 1895", func(c *ItemChange) { c.PublishedAt = time.Date(1895, 1, 1, 0, 0, 0, 0, time.UTC) }, "", ""},
		{"published in the year 292278994", func(c *ItemChange) { c.PublishedAt = time.UnixMilli(math.MaxInt64) },
			"published_at", "292278994"},
		{"published before Christ", func(c *ItemChange) { c.PublishedAt = time.UnixMilli(math.MinInt64) }, "published_at",
			"-292275055"},
		{"negative age", func(c *ItemChange) { c.MinAge = -1 }, "min_age", "-1"},
		{"huge attribute", func(c *ItemChange) { c.Attributes = map[string]string{"a": huge} }, `attributes["a"]`, "bytes)"},
		{"deletion without a title", func(c *ItemChange) {
			*c = ItemChange{ItemID: "i", Op: DeleteItem, Version: 1,
				OccurredAt: sampleTime}
		}, "", ""},
	})
}

func TestLimitsOfRequests(t *testing.T) {
	check := func(q *RecommendationRequest) error { return DefaultLimits().Request(q, testNow) }
	count := func(n int32) func(*RecommendationRequest) { return func(q *RecommendationRequest) { q.Count = n } }
	recent := func(e RecentEvent) func(*RecommendationRequest) {
		return func(q *RecommendationRequest) { q.Recent = []RecentEvent{{"i", View, sampleTime}, e} }
	}
	sample := sampleRequest
	sample.Query = "" // it goes with everything but a seed
	search := func(text string) func(*RecommendationRequest) {
		return func(q *RecommendationRequest) { q.SeedItemID, q.Query = "", text }
	}
	refuses(t, sample, check, []refusal[RecommendationRequest]{
		{"no request id", func(q *RecommendationRequest) { q.RequestID = "" }, "request_id", `""`},
		{"no user", func(q *RecommendationRequest) { q.UserID = "" }, "user_id", `""`},
		{"count 0", count(0), "count", "0"},
		{"negative count", count(-3), "count", "-3"},
		{"count 1000", count(1000), "", ""},
		{"count 1001", count(1001), "count", "1001"},
		{"long seed", func(q *RecommendationRequest) { q.SeedItemID = long }, "seed_item_id", "(257 bytes)"},
		{"huge filter", func(q *RecommendationRequest) { q.Filter = huge }, "filter", "bytes)"},
		{"query", search("prison drama"), "", ""},
		{"query in another script", search("日本"), "", ""},
		{"query of a number", search("1984"), "", ""},
		{"query of 512 bytes", search(huge[:512]), "", ""},
		{"query of 514 bytes", search(huge[:514]), "query", "(514 bytes)"},
		{"query of broken UTF-8", search(notUTF8), "query", `\x1b`},
		{"query without a word", search(" ?! "), "query", `" ?! "`},
		{"query and seed", func(q *RecommendationRequest) { q.Query = "tea" }, "query", `"tea" beside seed_item_id "film-318"`},
		{"huge surface", func(q *RecommendationRequest) { q.Surface = huge }, "surface", "bytes)"},
		{"huge region", func(q *RecommendationRequest) { q.Region = huge }, "region", "bytes)"},
		{"huge variant", func(q *RecommendationRequest) { q.Variant = huge }, "variant", "bytes)"},
		{"excludes nothing", func(q *RecommendationRequest) { q.ExcludeItemIDs = []string{"a", ""} }, "exclude_item_ids[1]", `""`},
		{"excludes too many", func(q *RecommendationRequest) { q.ExcludeItemIDs = many(1001) }, "exclude_item_ids", "of 1001 entries"},
		{"negative age", func(q *RecommendationRequest) { v := int32(-1); q.Age = &v }, "age", "-1"},
		{"recent without an item", recent(RecentEvent{"", View, sampleTime}), "recent[1].item_id", `""`},
		{"recent of no type", recent(RecentEvent{"i", 0, sampleTime}), "recent[1].type", "unknown"},
		{"recent without a time", recent(RecentEvent{"i", View, time.Time{}}), "recent[1].occurred_at", "(none)"},
		{"recent far ahead", recent(RecentEvent{"i", View, testNow.Add(time.Hour)}), "recent[1].occurred_at", "2026-01-31T13"},
		{"too many recent", func(q *RecommendationRequest) { q.Recent = make([]RecentEvent, 257) }, "recent", "of 257 entries"},
		{"negative partition", func(q *RecommendationRequest) { q.SeenThrough = &Position{-1, 0} }, "seen_through.partition", "-1"},
		{"negative offset", func(q *RecommendationRequest) { q.SeenThrough = &Position{0, -1} }, "seen_through.offset", "-1"},
		{"past deadline", func(q *RecommendationRequest) { q.Deadline = testNow.AddDate(-9, 0, 0) }, "", ""},
		{"deadline beyond time", func(q *RecommendationRequest) { q.Deadline = time.UnixMilli(math.MaxInt64) }, "deadline",
			"292278994"},
	})
}

func TestLimitsOfRecall(t *testing.T) {
	refuses(t, sampleRecall, func(r *Recall) error { return DefaultLimits().Recall(r, testNow.Add(time.Hour)) }, []refusal[Recall]{
		{"as it is", func(*Recall) {}, "", ""},
		{"no model", func(r *Recall) { r.ModelVersion = "" }, "model_version", `""`},
		{"no start", func(r *Recall) { r.WindowStart = time.Time{} }, "window_start", "(none)"},
		{"an empty window", func(r *Recall) { r.WindowEnd = r.WindowStart }, "window_end", "2026-01-31T12:00:00.000Z"},
		{"unknown segment", func(r *Recall) { r.Segment = "tail" }, "segment", `"tail"`},
		{"k 0", func(r *Recall) { r.K = 0 }, "k", "0"},
		{"no share", func(r *Recall) { r.SampleShare = 0 }, "sample_share", "0"},
		{"share NaN", func(r *Recall) { r.SampleShare = math.NaN() }, "sample_share", "NaN"},
		{"negative events", func(r *Recall) {
			*r = Recall{ModelVersion: "m", WindowStart: r.WindowStart, WindowEnd: r.WindowEnd,
				Segment: SegmentAll, K: 1, SampleShare: 1, Events: -1}
		}, "events", "-1"},
		{"more hits than events", func(r *Recall) { r.EmbeddingHits = 9 }, "embedding_hits", "9"},
		{"more unlisted than events", func(r *Recall) { r.Unlisted = 9 }, "unlisted", "9"},
		{"more pages than events", func(r *Recall) { r.Paged = 9 }, "paged", "9"},
		{"more page hits than pages", func(r *Recall) { r.PageHits = 5 }, "page_hits", "5"},
		{"no page", func(r *Recall) { r.Paged, r.PageHits, r.PageRecall, r.PageLow, r.PageHigh = 0, 0, nil, nil, nil }, "", ""},
		{"recall above 1", func(r *Recall) { r.PageRecall = new(1.5) }, "page_recall", "1.5"},
	})
	late := sampleRecall
	late.WindowEnd = testNow.Add(time.Hour)
	require.ErrorContains(t, DefaultLimits().Recall(&late, testNow), "window_end")
	require.Equal(t, "m1/2026-01-31T12:00:00Z/known/10", sampleRecall.Key())
}

func TestLimitsOfLimits(t *testing.T) {
	require.NoError(t, DefaultLimits().Validate())
	l := DefaultLimits()
	l.MaxIDBytes = 257
	require.ErrorContains(t, l.Validate(), "invalid max_id_bytes 257: give at most 256")
	l = DefaultLimits()
	l.MaxCount = 0
	require.ErrorContains(t, l.Validate(), "invalid max_count 0: give a number from 1")
	l = DefaultLimits()
	l.MaxFutureSkew = -time.Second
	require.ErrorContains(t, l.Validate(), "invalid max_future_skew -1s")
}

func TestInvalidErrorForPeople(t *testing.T) {
	err := DefaultLimits().Interaction(&Interaction{EventID: strings.Repeat("é", 200)}, testNow)
	require.EqualError(t, err, `invalid event_id "`+strings.Repeat("é", 32)+`"… (400 bytes): give at most 256 bytes`)
	require.False(t, IsInvalid(errors.New("x")))
	cut := strings.Repeat("x", 63) + "日本"
	require.Equal(t, `"`+strings.Repeat("x", 63)+`"… (69 bytes)`, Quote(cut), "no rune is cut in two")
}
