package candidates_test

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/filter"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// foreign is a leaf of another room.
type foreign struct{ title string }

func (f foreign) Holds(it *schemas.ItemChange, _ int64) (bool, error) {
	if it.MinAge == 0 {
		return false, errors.New("fails")
	}
	return it.Title == f.title, nil
}

func TestExpressions(t *testing.T) {
	of := func(op filter.Op, field filter.Number, value float64) filter.Node {
		return &filter.Compared{Field: field, Op: op, Value: value}
	}
	in := func(field filter.List, texts ...string) filter.Node {
		return &filter.HoldsAny{Field: field, Texts: filter.TextsOf(texts...)}
	}
	oneOf := func(field filter.Text, texts ...string) filter.Node {
		return &filter.OneOf{Field: field, Texts: filter.TextsOf(texts...)}
	}
	many := make([]string, 257)
	listed := filter.Unlisted{"line\nbreak": {}}
	for i := range many {
		many[i] = fmt.Sprintf("%03d", i)
		listed[many[i]] = struct{}{}
	}
	for _, c := range []struct {
		condition filter.Node
		want      string
	}{
		{filter.Always, ""},
		{filter.Never, `item_id == ""`},
		{filter.Available, "available == true"},
		{filter.Negate(filter.Available), "available == false"},
		{filter.HasPrice, "price >= 0"},
		{filter.Negate(filter.HasPrice), "price < 0"},
		{of(filter.Less, filter.Price, 9.99), "price <= 9.989999771118164"},
		{filter.Negate(of(filter.Less, filter.Price, 9.99)), "price >= 9.989999771118164"},
		{of(filter.Less, filter.Price, -1), `item_id == ""`},
		{of(filter.Unequal, filter.Price, 5), ""},
		{of(filter.Less, filter.Price, math.NaN()), ""},
		{of(filter.AtMost, filter.MinAge, 17.5), "min_age < 18"},
		{of(filter.Equal, filter.MinAge, 18), "min_age >= 18 and min_age < 19"},
		{of(filter.Unequal, filter.MinAge, 18), "(min_age < 18 or min_age >= 19)"},
		{of(filter.Less, filter.PublishedAt, 60), "published_at < 60000"},
		{of(filter.AtMost, filter.AgeDays, 0), fmt.Sprintf("published_at >= %d", now.UnixMilli()-1)},
		{of(filter.Equal, filter.AgeDays, 1), ""},
		{oneOf(filter.Brand, `q"uo\te`), `brand == "q\"uo\\te"`},
		{oneOf(filter.ID, "a", "b"), `item_id in ["a", "b"]`},
		{filter.Negate(oneOf(filter.ID, "a", "b")), `not (item_id in ["a", "b"])`},
		{filter.Negate(oneOf(filter.Brand, "a")), `brand != "a"`},
		{oneOf(filter.Brand), `item_id == ""`},
		{oneOf(filter.Title, "a"), ""},
		{oneOf(filter.Brand, "tab\t"), ""},
		{oneOf(filter.Brand, many...), ""},
		{in(filter.Categories, "a"), `array_contains(categories, "a")`},
		{filter.Negate(in(filter.Categories, "b", "a", "b")), `not (array_contains_any(categories, ["a", "b"]))`},
		{in(filter.Tags, "a"), ""},
		{filter.Empty{Field: filter.Regions}, `array_contains(regions, "*")`},
		{filter.Negate(filter.Empty{Field: filter.Regions}), ""},
		{filter.Empty{Field: filter.Categories}, ""},
		{filter.Or{filter.Empty{Field: filter.Regions}, in(filter.Regions, "eu")}, `array_contains_any(regions, ["*", "eu"])`},
		{filter.And{filter.Available, foreign{}, filter.HasPrice}, "available == true and price >= 0"},
		{filter.Or{filter.Available, foreign{}}, ""},
		{filter.Or{filter.And{filter.Available, filter.HasPrice}, oneOf(filter.ID, "a")},
			`((available == true and price >= 0) or item_id == "a")`},
		{foreign{}, ""},
		{filter.Not{Leaf: foreign{}}, ""},
		{filter.Not{Leaf: filter.And{filter.Available}}, ""},
		{filter.Unlisted{"a": {}, "b": {}}, `not (item_id in ["a", "b"])`},
		{filter.Unlisted{"line\nbreak": {}}, ""},
		{listed, "not (item_id in [\"" + strings.Join(many[:256], `", "`) + "\"])"},
	} {
		require.Equal(t, c.want, candidates.ExpressionOf(c.condition, now.UnixMilli()), "%#v", c.condition)
	}
}

func TestPushes(t *testing.T) {
	pushes := candidates.Pushes([]filter.Named{
		{Name: "in_stock", Condition: filter.Available}, {Name: "odd", Condition: foreign{}}, {Name: "again", Condition: filter.Available},
		{Name: "priced", Condition: filter.HasPrice},
	}, 0)
	require.Equal(t, []candidates.Push{{"in_stock", "available == true"}, {"priced", "price >= 0"}}, pushes)
	require.Equal(t, "available == true and price >= 0", candidates.Join(pushes))
	require.Empty(t, candidates.Join(nil))
	require.Equal(t, `item_id == "a\"b"`, candidates.IDIs(`a"b`).Expression)
}

// draw makes random items and conditions from the same few values, so that they often meet.
type draw struct{ *rand.Rand }

func newDraw(seed uint64) draw { return draw{rand.New(rand.NewPCG(seed, 5))} }

func pick[T any](d draw, from ...T) T { return from[d.IntN(len(from))] }

func (d draw) texts() []string {
	out := make([]string, d.IntN(4))
	for i := range out {
		out[i] = pick(d, "a", "b", "c", `q"uo\te`, "*", "", "eu", "us", "Ünï", "tab\there", "\u2028")
	}
	return out
}

var numbers = []float64{0, 0.1, 0.3, 5, 9.99, 10, 17, 18, -1, -0.5, 1e20, 16777217, 33.333333333333336, 0.1 + 0.2}

func (d draw) item() *schemas.ItemChange {
	it := &schemas.ItemChange{
		ItemID: pick(d, "a", "b", "item-1", `q"uo\te`), Op: pick(d, schemas.UpsertItem, schemas.UpsertItem, schemas.DeleteItem),
		Title: pick(d, "a", "b"), Brand: pick(d, append(d.texts(), "a")...), Categories: d.texts(), Tags: d.texts(), Regions: d.texts(),
		Available: d.IntN(4) > 0, MinAge: int32(pick(d, 0, 0, 17, 18)),
	}
	if d.IntN(4) > 0 {
		it.Price = new(pick(d, append(numbers, -1e-50, 1e30, d.Float64()*20)...))
	}
	if d.IntN(4) > 0 {
		it.PublishedAt = now.Add(-pick(d, 0, time.Millisecond, 24*time.Hour, 240*time.Hour+500*time.Millisecond,
			time.Duration(d.Int64N(int64(5000*time.Hour)))))
	}
	return it
}

// condition draws a tree.
func (d draw) condition(depth int) filter.Node {
	if depth > 0 && d.IntN(3) > 0 {
		parts := []filter.Node{d.condition(depth - 1), d.condition(depth - 1)}
		return pick[filter.Node](d, filter.And(parts), filter.Or(parts))
	}
	leaf := d.leaf()
	if d.IntN(3) == 0 {
		return filter.Negate(leaf)
	}
	return leaf
}

func (d draw) leaf() filter.Node {
	number := pick(d, append(numbers, float64(d.IntN(30)-5))...)
	field := pick(d, filter.Price, filter.MinAge, filter.AgeDays, filter.PublishedAt)
	if field == filter.PublishedAt && d.IntN(4) > 0 {
		number = float64(now.Unix()) - pick(d, 0, 1, 86400, 864000, 0.5, -5)
	}
	op := pick(d, filter.Equal, filter.Unequal, filter.Less, filter.AtMost, filter.Greater, filter.AtLeast)
	list := pick(d, filter.Categories, filter.Tags, filter.Regions)
	unlisted := filter.Unlisted{}
	for _, id := range d.texts() {
		unlisted[id] = struct{}{}
	}
	return pick[filter.Node](d,
		filter.Available, filter.HasPrice, pick(d, filter.Always, filter.Never),
		&filter.Compared{Field: field, Op: op, Value: number}, &filter.Compared{Field: filter.Price, Op: op, Value: number},
		&filter.OneOf{Field: pick(d, filter.ID, filter.Title, filter.Brand, filter.Currency), Texts: filter.TextsOf(d.texts()...)},
		&filter.HoldsAny{Field: list, Texts: filter.TextsOf(d.texts()...)}, filter.Empty{Field: list}, unlisted, foreign{"a"},
	)
}

// TestExpressionsAreTrueOfWhatConditionsKeep: of each row whose item the condition holds for.
func TestExpressionsAreTrueOfWhatConditionsKeep(t *testing.T) {
	const seeds = 4000
	pushed, dropped := 0, 0
	for seed := range uint64(seeds) {
		d := newDraw(seed)
		condition := d.condition(d.IntN(4))
		expression := candidates.ExpressionOf(condition, now.UnixMilli())
		if expression != "" {
			pushed++
		}
		for range 10 {
			it := d.item()
			holds, _ := condition.Holds(it, now.UnixMilli())
			switch in := modelRowOf(it).satisfies(expression); {
			case holds:
				require.True(t, in, "seed %d: %#v as %s, on %+v", seed, condition, expression, it)
			case !in:
				dropped++
			}
		}
	}
	require.Greater(t, pushed, seeds/2, "too little is pushed down for the test to mean anything")
	require.Greater(t, dropped, seeds, "what is pushed down drops too little for the test to mean anything")
}

// TestTheIndexKeepsWhatConditionsKeep asks a Milvus: it understands each expression, as the model does.
func TestTheIndexKeepsWhatConditionsKeep(t *testing.T) {
	ix := prepared(t, config(t), model, 2)
	d := newDraw(11)
	var items []*schemas.ItemChange
	var rows []candidates.Row
	for i := range 120 {
		it := d.item()
		it.ItemID = fmt.Sprintf("%s-%03d", it.ItemID, i)
		items, rows = append(items, it), append(rows, candidates.RowOf(it, []float32{1, float32(i)}))
	}
	require.NoError(t, ix.Upsert(t.Context(), model, rows))
	search := func(expression string) map[string]bool {
		results, err := ix.Search(t.Context(), model, [][]float32{{1, 0}}, len(items), expression)
		require.NoError(t, err, expression)
		require.NoError(t, results[0].Err, expression)
		found := map[string]bool{}
		for _, h := range results[0].Hits {
			found[h.ItemID] = true
		}
		return found
	}
	require.Eventually(t, func() bool { return len(search("")) == len(items) }, 10*time.Second, 20*time.Millisecond)
	narrowed := 0
	for seed := range uint64(600) {
		d := newDraw(seed)
		condition := d.condition(d.IntN(4))
		expression := candidates.ExpressionOf(condition, now.UnixMilli())
		if expression == "" {
			continue
		}
		found := search(expression)
		if len(found) < len(items) {
			narrowed++
		}
		for _, it := range items {
			require.Equal(t, modelRowOf(it).satisfies(expression), found[it.ItemID], "%#v as %s on %+v", condition, expression, it)
			if holds, _ := condition.Holds(it, now.UnixMilli()); holds {
				require.True(t, found[it.ItemID], "%#v as %s on %+v", condition, expression, it)
			}
		}
	}
	require.Greater(t, narrowed, 200)
}

func FuzzExpressions(f *testing.F) {
	f.Add(uint64(1), 4)
	f.Fuzz(func(t *testing.T, seed uint64, depth int) {
		d := newDraw(seed)
		condition, it := d.condition(max(0, min(depth, 8))), d.item()
		expression := candidates.ExpressionOf(condition, now.UnixMilli())
		in := modelRowOf(it).satisfies(expression) // which panics on what is no expression
		if holds, _ := condition.Holds(it, now.UnixMilli()); holds {
			require.True(t, in, "%#v as %s", condition, expression)
		}
	})
}
