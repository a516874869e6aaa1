package candidates_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
)

const model = "m1"

func row(id string, vector ...float32) candidates.Row {
	return candidates.Row{
		ItemID: id, Vector: vector, Available: true, Price: candidates.NoPrice, Regions: []string{candidates.Everywhere},
	}
}

func TestUpsertedRowsAreFoundByInnerProduct(t *testing.T) {
	ix := prepared(t, config(t), model, 4)
	require.NoError(t, ix.Upsert(t.Context(), model, []candidates.Row{
		row("far", 0, 0, 0, 1), row("near", 2, 0, 0, 0), row("middle", 1, 1, 0, 0),
	}))
	found(t, ix, []float32{1, 0, 0, 0}, "", []string{"near", "middle", "far"})
	results, err := ix.Search(t.Context(), model, [][]float32{{1, 0, 0, 0}, {0, 0, 0, 3}}, 2, "")
	require.NoError(t, err)
	require.Equal(t, []candidates.Hit{{ItemID: "near", Score: 2}, {ItemID: "middle", Score: 1}}, results[0].Hits)
	require.Equal(t, candidates.Hit{ItemID: "far", Score: 3}, results[1].Hits[0])
}

func TestUpsertReplacesAndOfEqualIDsTheLastCounts(t *testing.T) {
	cfg := config(t)
	cfg.WriteRows = 2
	ix := prepared(t, cfg, model, 2)
	rows := []candidates.Row{row("a", 1, 0), row("b", 1, 0), row("c", 1, 0), row("a", 0, 5)}
	require.NoError(t, ix.Upsert(t.Context(), model, rows))
	n, err := ix.Count(t.Context(), model)
	require.NoError(t, err)
	require.EqualValues(t, 3, n)
	a, ok, err := ix.Get(t.Context(), model, "a")
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, []float32{0, 5}, a.Vector)

	require.NoError(t, ix.Upsert(t.Context(), model, []candidates.Row{row("b", 0, 7)}))
	b, _, err := ix.Get(t.Context(), model, "b")
	require.NoError(t, err)
	require.Equal(t, []float32{0, 7}, b.Vector)
	require.NoError(t, ix.Delete(t.Context(), model, []string{"a", "b", "unknown"}))
	found(t, ix, []float32{1, 1}, "", []string{"c"})
	_, ok, err = ix.Get(t.Context(), model, "a")
	require.NoError(t, err)
	require.False(t, ok)
}

func TestRowsComeBackWhole(t *testing.T) {
	ix := prepared(t, config(t), model, 3)
	price := 9.5
	published := time.Date(2026, 3, 1, 12, 0, 0, int(7*time.Millisecond), time.UTC)
	for name, change := range map[string]schemas.ItemChange{
		"full": {
			ItemID: "full", Op: schemas.UpsertItem, Available: true, Price: &price, PublishedAt: published, Brand: "Brück & Söhne",
			Categories: []string{"Shoes", `"quoted"`}, Regions: []string{"DE", "FR"}, MinAge: 18,
		},
		"bare":    {ItemID: "bare", Op: schemas.UpsertItem},
		"deleted": {ItemID: "deleted", Op: schemas.DeleteItem, Available: true},
	} {
		t.Run(name, func(t *testing.T) {
			want := candidates.RowOf(&change, []float32{1, 2, 3})
			require.NoError(t, ix.Upsert(t.Context(), model, []candidates.Row{want}))
			got, ok, err := ix.Get(t.Context(), model, change.ItemID)
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, want, got)
			require.Equal(t, want.FilterDigest(), got.FilterDigest())
		})
	}
}

// hostileIDs try to end the string literal that they are written into.
var hostileIDs = []string{
	`a`, `quote"`, `single'`, `back\`, `back\\"`,
	"line\nbreak", "tab\t", "carriage\r", "nul\x00", "bell\a", "del\x7f", "é", "日本語", "🦊",
	`"] or item_id != "`, `%`, `_`, ` `, "\u2028", "\ufeff", "\U000e0001", `\u0061`, `"`, `\`,
}

func TestHostileIDs(t *testing.T) {
	ix := prepared(t, config(t), model, 2)
	var rows []candidates.Row
	for _, id := range hostileIDs {
		r := row(id, 1, 1)
		r.Brand = id
		r.Categories = []string{id}
		rows = append(rows, r)
	}
	require.NoError(t, ix.Upsert(t.Context(), model, rows))
	found(t, ix, []float32{1, 0}, "", hostileIDs)
	for _, id := range hostileIDs {
		r, ok, err := ix.Get(t.Context(), model, id)
		require.NoError(t, err, "%q", id)
		require.True(t, ok, "%q", id)
		require.Equal(t, id, r.ItemID)
		found(t, ix, []float32{1, 0}, "item_id in "+candidates.QuoteList([]string{id}), []string{id})
		found(t, ix, []float32{1, 0}, "brand == "+candidates.Quote(id), []string{id})
		found(t, ix, []float32{1, 0}, "array_contains(categories, "+candidates.Quote(id)+")", []string{id})
	}
	require.NoError(t, ix.Delete(t.Context(), model, hostileIDs[1:]))
	found(t, ix, []float32{1, 0}, "", hostileIDs[:1])
}

func TestFilters(t *testing.T) {
	ix := prepared(t, config(t), model, 2)
	rows := []candidates.Row{
		{ItemID: "boots", Vector: []float32{1, 0}, Available: true, Price: 120, PublishedAt: 1000,
			Categories: []string{"shoes", "winter"}, Regions: []string{"DE", "FR"}, Brand: "acme"},
		{ItemID: "sandals", Vector: []float32{1, 0}, Available: true, Price: 9.99, PublishedAt: 2000,
			Categories: []string{"shoes", "summer"}, Regions: []string{"*"}, Brand: "zeta"},
		{ItemID: "wine", Vector: []float32{1, 0}, Available: true, Price: 9.99, PublishedAt: 3000,
			Categories: []string{"drinks"}, Regions: []string{"FR"}, Brand: "acme", MinAge: 18},
		{ItemID: "gone", Vector: []float32{1, 0}, Available: false, Price: candidates.NoPrice, Regions: []string{"*"}},
	}
	require.NoError(t, ix.Upsert(t.Context(), model, rows))
	found(t, ix, []float32{1, 0}, "", []string{"boots", "sandals", "wine", "gone"})
	for filter, want := range map[string][]string{
		`available == true`:                                  {"boots", "sandals", "wine"},
		`available == false`:                                 {"gone"},
		`price == 9.99`:                                      {"sandals", "wine"},
		`price < 100 and price >= 0`:                         {"sandals", "wine"},
		`price < 100`:                                        {"sandals", "wine", "gone"},
		`published_at > 1000 && published_at <= 3000`:        {"sandals", "wine"},
		`array_contains(categories, "shoes")`:                {"boots", "sandals"},
		`array_contains_any(regions, ["*", "DE"])`:           {"boots", "sandals", "gone"},
		`array_contains_all(categories, ["shoes","winter"])`: {"boots"},
		`not (array_contains(categories, "shoes"))`:          {"wine", "gone"},
		`min_age <= 16`:                                      {"boots", "sandals", "gone"},
		`min_age in [0, 18]`:                                 {"boots", "sandals", "wine", "gone"},
		`brand in ["acme", 'zeta']`:                          {"boots", "sandals", "wine"},
		`brand not in ["acme"]`:                              {"sandals", "gone"},
		`brand == "acme" or brand == ""`:                     {"boots", "wine", "gone"},
		`item_id not in ["boots","wine"]`:                    {"sandals", "gone"},
		`!(item_id in ["boots"]) and available == true`:      {"sandals", "wine"},
		`brand like "ac%"`:                                   {"boots", "wine"},
		`10 < price`:                                         {"boots"},
		`5 < price < 50`:                                     {"sandals", "wine"},
		`available == true and (price > 100 or array_contains_any(regions, ["FR"])) and min_age < 18`: {"boots"},
		`price > 1000`:  nil,
		`item_id in []`: nil,
	} {
		found(t, ix, []float32{1, 0}, filter, want)
	}
}

func TestBadFiltersAreErrors(t *testing.T) {
	ix := prepared(t, config(t), model, 2)
	require.NoError(t, ix.Upsert(t.Context(), model, []candidates.Row{row("a", 1, 0)}))
	for _, filter := range []string{
		`available`, `not available`, `not available == true`, `available = true`, `available == 1`, `unknown == 1`, `price > "1"`,
		`published_at > 1.5`, `item_id in [1]`, `item_id in ["a", 1]`, `min_age in [0.5]`, `array_contains(brand, "a")`,
		`array_contains(categories, 1)`, `array_contains_any(categories, "a")`, `array_contains_any(categories, [])`, `(price > 1`,
		`price > 1)`, `price > 1 and`, `and price > 1`, `price > 1; price > 2`, `price > 1 AND price > 2`, `NOT (price > 1)`,
		`item_id in["a"]`, `item_id == "a`, `item_id == "\q"`, "item_id == \"a\nb\"", `true`, `brand like "%x"`,
		`price is null`, `price + 1 > 2`, `item_id not  in ["a"]`, `vector == 1`, `min_age < 99999999999999999999`, `price > 1 # no`,
	} {
		results, err := ix.Search(t.Context(), model, [][]float32{{1, 0}}, 1, filter)
		require.Error(t, err, "%s found %v", filter, results)
		require.False(t, candidates.IsUnavailable(err), "%s: %v", filter, err)
		require.False(t, candidates.IsNotFound(err), "%s: %v", filter, err)
	}
}

func TestInvalidRowsAreRefusedAndTheOthersWritten(t *testing.T) {
	ix := prepared(t, config(t), model, 2)
	nan := float32(math.NaN())
	long := strings.Repeat("x", 1025)
	with := func(id string, change func(*candidates.Row)) candidates.Row {
		r := row(id, 1, 0)
		change(&r)
		return r
	}
	bad := map[string]candidates.Row{
		"brand":      with("brand", func(r *candidates.Row) { r.Brand = long }),
		"categories": with("categories", func(r *candidates.Row) { r.Categories = []string{long} }),
		"regions":    with("regions", func(r *candidates.Row) { r.Regions = make([]string, 200) }),
		"price":      with("price", func(r *candidates.Row) { r.Price = nan }),
		"vector":     with("vector", func(r *candidates.Row) { r.Vector = []float32{1, 2, 3} }),
		"item_id":    with(long, func(*candidates.Row) {}),
	}
	rows := []candidates.Row{row("good", 1, 0)}
	for _, r := range bad {
		rows = append(rows, r)
	}
	rows = append(rows, with("nan", func(r *candidates.Row) { r.Vector[1] = nan }),
		with("utf8", func(r *candidates.Row) { r.Brand = "\xff" }), row(""))
	err := ix.Upsert(t.Context(), model, rows)
	var invalid candidates.InvalidRows
	require.ErrorAs(t, err, &invalid)
	require.Len(t, invalid, len(rows)-1)
	require.False(t, candidates.IsUnavailable(err))
	for _, e := range invalid {
		require.NotEmpty(t, e.Remedy)
		if want, ok := bad[e.Field]; ok && len(e.ItemID) > 4 {
			require.Equal(t, want.ItemID, e.ItemID)
		}
	}
	found(t, ix, []float32{1, 0}, "", []string{"good"})
}

func TestEnsure(t *testing.T) {
	cfg := config(t)
	ix := prepared(t, cfg, model, 3)
	loaded, err := ix.Loaded(t.Context(), model)
	require.NoError(t, err)
	require.True(t, loaded)
	require.NoError(t, ix.Ensure(t.Context(), model, 3), "again")
	cfg.HNSW.M = 8
	require.NoError(t, connect(t, cfg).Ensure(t.Context(), model, 3), "with other index parameters the collection stays as it is")
	require.ErrorContains(t, ix.Ensure(t.Context(), model, 4), "3 dimensions")
	for _, bad := range []string{"", "Upper", "a-b", "a b", strings.Repeat("a", 200), "alias"} {
		require.Error(t, ix.Ensure(t.Context(), bad, 3), bad)
	}
	loaded, err = ix.Loaded(t.Context(), "unknown")
	require.NoError(t, err)
	require.False(t, loaded)
}

func TestEnsureAtOnce(t *testing.T) {
	cfg := config(t)
	first, second := connect(t, cfg), connect(t, cfg)
	var g errgroup.Group
	for range 2 {
		g.Go(func() error { return first.Ensure(t.Context(), model, 3) })
		g.Go(func() error { return second.Ensure(t.Context(), model, 3) })
	}
	require.NoError(t, g.Wait())
	require.NoError(t, first.Drop(t.Context(), model))
}

func TestUnknownModel(t *testing.T) {
	ix := connect(t, config(t))
	_, err := ix.Search(t.Context(), "nope", [][]float32{{1}}, 1, "")
	require.True(t, candidates.IsNotFound(err), err)
	require.False(t, candidates.IsUnavailable(err), err)
	require.True(t, candidates.IsNotFound(ix.Upsert(t.Context(), "nope", []candidates.Row{row("a", 1)})))
	require.True(t, candidates.IsNotFound(ix.Delete(t.Context(), "nope", []string{"a"})))
	_, err = ix.Count(t.Context(), "nope")
	require.True(t, candidates.IsNotFound(err), err)
	_, _, err = ix.Get(t.Context(), "nope", "a")
	require.True(t, candidates.IsNotFound(err), err)
	require.NoError(t, ix.Drop(t.Context(), "nope"))
}

func TestSwitchLive(t *testing.T) {
	cfg := config(t)
	ix := prepared(t, cfg, "one", 2)
	_, err := ix.Live(t.Context())
	require.True(t, candidates.IsNoLive(err), err)
	require.NoError(t, ix.SwitchLive(t.Context(), "one"))
	live, err := ix.Live(t.Context())
	require.NoError(t, err)
	require.Equal(t, "one", live)

	require.ErrorContains(t, ix.SwitchLive(t.Context(), "two"), "not loaded")
	require.NoError(t, ix.Ensure(t.Context(), "two", 3))
	require.NoError(t, ix.SwitchLive(t.Context(), "two"))
	require.NoError(t, ix.SwitchLive(t.Context(), "two"), "again")
	live, err = connect(t, cfg).Live(t.Context())
	require.NoError(t, err)
	require.Equal(t, "two", live)
	require.ErrorContains(t, ix.Drop(t.Context(), "two"), "live")
	require.NoError(t, ix.SwitchLive(t.Context(), "one"))
	require.NoError(t, ix.Drop(t.Context(), "two"))
}

func TestSearchRefusals(t *testing.T) {
	ix := prepared(t, config(t), model, 2)
	results, err := ix.Search(t.Context(), model, nil, 10, "")
	require.NoError(t, err)
	require.Empty(t, results)
	results, err = ix.Search(t.Context(), model, [][]float32{{1, 0}, {0, 1}}, 10, "")
	require.NoError(t, err)
	require.Equal(t, make([]candidates.Result, 2), results, "an empty collection")
	_, err = ix.Search(t.Context(), model, [][]float32{{1, 0}}, 0, "")
	require.ErrorContains(t, err, "k is 0")
	_, err = ix.Search(t.Context(), model, [][]float32{{1, 0, 0}}, 1, "")
	require.ErrorContains(t, err, "query vector 0 has 3 dimensions, the collection has 2")
	require.False(t, candidates.IsUnavailable(err))
}

func TestManyRows(t *testing.T) {
	cfg := config(t)
	ix := prepared(t, cfg, model, 8)
	rows := make([]candidates.Row, 2500)
	for i := range rows {
		rows[i] = row(fmt.Sprintf("i%04d", i), float32(i), 0, 0, 0, 0, 0, 0, 1)
	}
	require.NoError(t, ix.Upsert(t.Context(), model, rows))
	n, err := ix.Count(t.Context(), model)
	require.NoError(t, err)
	require.EqualValues(t, len(rows), n)
	results, err := ix.Search(t.Context(), model, [][]float32{{1, 0, 0, 0, 0, 0, 0, 0}}, 300, "")
	require.NoError(t, err)
	require.Len(t, results[0].Hits, 300)
	require.Equal(t, "i2499", results[0].Hits[0].ItemID)
}
