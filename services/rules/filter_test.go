package rules

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/ranking"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func TestFilterHolds(t *testing.T) {
	price := 12.5
	item := &schemas.ItemChange{
		ItemID: "sku-1", Title: "Red Running Shoe", Brand: "Acme", Categories: []string{"shoes", "sport"},
		Tags:  []string{"sale", "red"},
		Price: &price, Currency: "EUR", Available: true, PublishedAt: now.Add(-48 * time.Hour),
		Attributes: map[string]string{"colour": "red"},
	}
	for source, want := range map[string]bool{
		`item.price < 20`:                                true,
		`20 > item.price`:                                true,
		`item.price < 12.5`:                              false,
		`not (item.price < 12.5)`:                        true,
		`10 < item.price and item.price < 13`:            true,
		`"shoes" in item.categories`:                     true,
		`"hats" not in item.categories`:                  true,
		`any(item.tags, # in ["sale", "new"])`:           true,
		`any(item.tags, # startsWith "sa")`:              true,
		`all(item.tags, len(#) < 4)`:                     false,
		`none(item.tags, # == "blue")`:                   true,
		`item.brand != "Acme" or item.currency == "EUR"`: true,
		`item.brand in []`:                               false,
		`item.age_days <= 2`:                             true,
		`item.age_days < 2`:                              false,
		`lower(item.title) contains "shoe"`:              true,
		`item.title endsWith "shoe"`:                     false,
		`item.attributes["colour"] == "red"`:             true,
		`item.attributes.colour == "blue"`:               false,
		`item.attributes["size"] == ""`:                  true,
		`"colour" in item.attributes`:                    true,
		`item.price * 2 == 25`:                           true,
		`len(item.regions) == 0`:                         true,
		`len(item.tags) > 0 and !(len(item.tags) == 1)`:  true,
		`item.published_at > 9007199254740993`:           false,
		`true`:                                           true,
		`item.available == true`:                         true,
	} {
		f, err := CompileFilter(source)
		require.NoError(t, err, source)
		e := newEvaluator(&Request{Now: now})
		got, err := f.expression.root.bind(e).Holds(item, e.nowMillis)
		require.NoError(t, err, source)
		assert.Equal(t, want, got, source)
		assert.Equal(t, source, f.String())
		e.release()
	}
}

func TestBadFilters(t *testing.T) {
	for source, want := range map[string]string{
		``:                                         "line 1, character 1: the filter is empty: leave it out",
		`item.prise < 20`:                          `character 6: item has no field "prise": did you mean item.price?`,
		`price < 3`:                                `character 1: unknown name "price": did you mean item.price?`,
		"item.price < 3 and\nitem.bland == 3":      `line 2, character 6: item has no field "bland": did you mean item.brand?`,
		`item.zzzzzz`:                              `the fields are item.age_days`,
		`item.price`:                               "expected bool, but got float64: make it a condition",
		`item.price < `:                            "unexpected token EOF: write a condition such as",
		`item.price < "x"`:                         "mismatched types float64 and string",
		`request.age > 3`:                          "request cannot be used in a request's own filter",
		`now() > 3`:                                "function now is not allowed",
		`item.title + item.title == "x"`:           "only numbers can be added",
		`repeat("x", 1000) == ""`:                  "function repeat is not allowed",
		`foo(3)`:                                   "unknown function foo: the functions are all, any, len",
		`item.title.foo()`:                         "unknown function item.title.foo",
		`item.title matches "(a+)+$"`:              "operator matches is not allowed",
		`len(1..1000000000) > 3`:                   "operator .. is not allowed",
		`2 ** 3 == 8`:                              "operator ** is not allowed",
		`item.tags | any(# == "x")`:                "",
		`let x = 1; x > 2`:                         "not allowed",
		`true; false`:                              "not allowed",
		`item.available ? true : false`:            "not allowed",
		`{"a": 1} == {"a": 1}`:                     "not allowed",
		`item.title[1:3] == "x"`:                   "not allowed",
		`item.tags[0] == "x"`:                      "this access is not allowed",
		`item[item.id] == 2`:                       "a field of item must be named",
		`item?.price == 2`:                         "not allowed",
		`item == item`:                             "item alone is no value",
		`any(item.tags, any(item.tags, # == "x"))`: "any may only go over",
		`any(item.tags, item.title == #)`:          "a condition on elements cannot read other fields",
		`any(["a", "b"], # == "a")`:                "any may only go over",
		`any(item.tags, #index == 1)`:              "#index is not allowed",
		`count(item.tags, # == "x") > 1`:           "function count is not allowed",
		`item.brand in [item.title]`:               "lists may hold plain values only",
		`item.brand in [` + strings.Repeat(`"",`, 70) + `""]`: "the list has 71 values",
		strings.Repeat("not ", 200) + "true":                  "maximum allowed nodes: use a shorter expression",
		strings.Repeat(" ", 4093) + "true":                    "the filter has 4097 bytes",
		strings.Repeat(" ", 4092) + "true":                    "",
		"item.brand == \"\xff\"":                              "not UTF-8",
	} {
		f, err := CompileFilter(source)
		if want == "" {
			require.NoError(t, err, source)
			continue
		}
		require.ErrorContains(t, err, want)
		assert.True(t, IsBadFilter(err), source)
		assert.Nil(t, f)
	}
}

func listOf(items ...*schemas.ItemChange) []ranking.Candidate {
	out := make([]ranking.Candidate, len(items))
	for i, it := range items {
		out[i] = ranking.Candidate{Item: it, Score: float32(len(items) - i), Source: "retrieval"}
	}
	return out
}

func pageOf(list []ranking.Candidate) []string {
	out := make([]string, len(list))
	for i, c := range list {
		out[i] = c.Item.ItemID
	}
	return out
}

// TestFilterThatFails divides by the age limit, which most items do not have.
func TestFilterThatFails(t *testing.T) {
	f, err := CompileFilter(`18 % item.min_age == 0`)
	require.NoError(t, err)
	set, err := Parse([]byte("rules: [{kind: exclude_listed}, {kind: request_filter}]"))
	require.NoError(t, err)
	list, steps := set.Apply(&Request{Now: now, Filter: f}, listOf(
		&schemas.ItemChange{ItemID: "a", MinAge: 6}, &schemas.ItemChange{ItemID: "b"}, &schemas.ItemChange{ItemID: "c", MinAge: 7},
	))
	assert.Equal(t, []string{"a"}, pageOf(list))
	assert.Equal(t, []schemas.WaterfallStep{
		{Stage: "exclude_listed", In: 3, Out: 3}, {Stage: "request_filter", In: 3, Out: 2},
		{Stage: "request_filter_failed", In: 2, Out: 1},
	}, steps)
}

// TestFilterRunsOutOfFuel gives a filter items so large that it may not look at all of them.
func TestFilterRunsOutOfFuel(t *testing.T) {
	f, err := CompileFilter(`none(item.tags, upper(#) == "X") and lower(item.title) contains "a"`)
	require.NoError(t, err)
	set, err := Parse([]byte("rules: [{kind: exclude_listed}, {kind: request_filter}]"))
	require.NoError(t, err)
	huge := make([]*schemas.ItemChange, 1000)
	for i := range huge {
		huge[i] = &schemas.ItemChange{ItemID: "x", Title: strings.Repeat("a", 100_000), Tags: make([]string, 10)}
	}
	list, steps := set.Apply(&Request{Now: now, Filter: f}, listOf(huge...))
	assert.NotEmpty(t, list)
	assert.Less(t, len(list), 500)
	assert.Equal(t, int32(1000), steps[1].Out)
	assert.Equal(t, schemas.WaterfallStep{Stage: "request_filter_failed", In: 1000, Out: int32(len(list))}, steps[2])
}

func TestFilterCache(t *testing.T) {
	c := NewFilterCache(2)
	first, err := c.Compile("item.price < 1")
	require.NoError(t, err)
	for _, other := range []string{"item.price < 2", "item.price < 3"} {
		_, err = c.Compile(other)
		require.NoError(t, err)
		again, err := c.Compile("item.price < 1")
		require.NoError(t, err)
		assert.Same(t, first, again, "what is used stays")
	}
	_, err = c.Compile("item.prise < 1")
	require.True(t, IsBadFilter(err))
	_, again := c.Compile("item.prise < 1")
	assert.Same(t, err, again)
	for range 3 {
		for _, s := range []string{"item.price < 4", "item.price < 5", "item.price < 6", "item.price < 7"} {
			_, err = c.Compile(s)
			require.NoError(t, err)
		}
	}
	assert.LessOrEqual(t, len(c.young)+len(c.old), 4)
	assert.NotContains(t, c.old, "item.price < 1")
}
