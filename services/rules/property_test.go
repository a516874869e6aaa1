package rules

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/expr-lang/expr"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/filter"
)

// world makes random items, requests and expressions from the same few values, so that they often meet.
type world struct{ *rand.Rand }

func newWorld(seed uint64) world { return world{rand.New(rand.NewPCG(seed, 99))} }

func pick[T any](w world, from ...T) T { return from[w.IntN(len(from))] }

var (
	worldTexts = []string{"a", "b", "c", `q"uo\te`, "*", "", "eu", "us", "Ünï", "tab\there"}
	worldNums  = []float64{0, 0.1, 0.3, 5, 9.99, 10, 17, 18, -1, -0.5, 1e20, 16777217, 33.333333333333336, 0.1 + 0.2}
)

func (w world) text() string { return pick(w, worldTexts...) }

func (w world) texts() []string {
	out := make([]string, w.IntN(4))
	for i := range out {
		out[i] = w.text()
	}
	return out
}

func (w world) item() *schemas.ItemChange {
	it := &schemas.ItemChange{
		ItemID: pick(w, "a", "b", "item-1", `q"uo\te`), Op: schemas.UpsertItem, Title: w.text(), Brand: w.text(),
		Categories: w.texts(), Tags: w.texts(), Regions: w.texts(), Available: w.IntN(4) > 0, MinAge: int32(pick(w, 0, 0, 17, 18)),
		Currency: w.text(), Attributes: map[string]string{"a": w.text()},
	}
	if w.IntN(10) == 0 {
		it.Op = schemas.DeleteItem
	}
	if w.IntN(4) > 0 {
		p := pick(w, append(worldNums, math.NaN(), math.Inf(1), 1e300, -1e-50, math.MaxFloat32, w.Float64()*20)...)
		it.Price = &p
	}
	if w.IntN(4) > 0 {
		it.PublishedAt = now.Add(-pick(w, 0, time.Millisecond, 24*time.Hour, 240*time.Hour+500*time.Millisecond,
			time.Duration(w.Int64N(int64(5000*time.Hour)))))
	}
	return it
}

func (w world) request() *Request {
	r := &Request{
		UserID: w.text(), Surface: w.text(), Region: pick(w, "", "eu", "us", "*"), Now: now, IncludeSeen: w.IntN(2) == 0,
		Exclude: map[string]struct{}{},
	}
	if w.IntN(2) == 0 {
		age := int32(pick(w, 5, 17, 18, 40))
		r.Age = &age
	}
	for range pick(w, 0, 3, 20, 300) {
		r.Exclude[pick(w, "a", "b", fmt.Sprintf("item-%d", w.IntN(1000)))] = struct{}{}
	}
	return r
}

func (w world) number() string {
	return pick(w, fmt.Sprint(pick(w, worldNums...)), fmt.Sprint(w.IntN(30)-5))
}

func (w world) list() string {
	out := make([]string, w.IntN(4))
	for i := range out {
		out[i] = fmt.Sprintf("%q", w.text())
	}
	return "[" + strings.Join(out, ", ") + "]"
}

// condition writes a random expression. With requests, it may mention the request as well.
func (w world) condition(depth int, requests bool) string {
	sub := func() string { return w.condition(depth-1, requests) }
	if depth > 0 && w.IntN(3) > 0 {
		return pick(w,
			func() string { return "(" + sub() + " and " + sub() + ")" },
			func() string { return "(" + sub() + " or " + sub() + ")" },
			func() string { return "not (" + sub() + ")" },
			func() string { return "!(" + sub() + ") && " + sub() },
		)()
	}
	return w.atom(requests)
}

func (w world) atom(requests bool) string {
	op := pick(w, "<", "<=", ">", ">=", "==", "!=")
	textual := pick(w, "id", "title", "brand", "currency")
	several := pick(w, "categories", "tags", "regions")
	seconds := now.Unix() - pick[int64](w, 0, 1, 86400, 864000, -5)
	atoms := []string{
		pick(w, "item.available", "item.has_price", "true", "false"),
		fmt.Sprintf("item.price %s %s", op, w.number()), fmt.Sprintf("%s %s item.price", w.number(), op),
		fmt.Sprintf("item.min_age %s %s", op, w.number()), fmt.Sprintf("item.age_days %s %s", op, w.number()),
		fmt.Sprintf("item.published_at %s %d", op, seconds), fmt.Sprintf("item.published_at %s %d.5", op, seconds),
		fmt.Sprintf("item.published_at %s %s", op, w.number()),
		fmt.Sprintf("item.%s %s %q", textual, pick(w, "==", "!=", "<", ">="), w.text()),
		fmt.Sprintf("item.%s %s %s", textual, pick(w, "in", "not in"), w.list()),
		fmt.Sprintf("%q %s item.%s", w.text(), pick(w, "in", "not in"), several),
		fmt.Sprintf("any(item.%s, # == %q)", several, w.text()), fmt.Sprintf("any(item.%s, # in %s)", several, w.list()),
		fmt.Sprintf("len(item.%s) %s %d", several, op, w.IntN(3)), fmt.Sprintf("all(item.%s, # != %q)", several, w.text()),
		fmt.Sprintf("item.title contains %q", w.text()), fmt.Sprintf(`item.attributes["a"] == %q`, w.text()),
		fmt.Sprintf("item.price * 2 %s %s", op, w.number()), fmt.Sprintf("18 %% item.min_age == %d", w.IntN(2)),
	}
	if requests {
		atoms = append(atoms,
			"request.has_age", "request.include_seen", `request.region == ""`, "request.region in item.regions",
			"len(item.regions) == 0", fmt.Sprintf("item.min_age %s (request.has_age ? request.age : 0)", op),
			fmt.Sprintf("item.published_at %s request.now - %d", op, 864000), "10 % request.age == 0", "item.brand == request.surface",
			"request.surface in item.categories", "item.min_age "+op+" 36 % request.age",
		)
	}
	return pick(w, atoms...)
}

// machine is what expr itself makes of the whole expression, unoptimised: the oracle.
func machine(t testing.TB, source string) func(*Request, *schemas.ItemChange) (bool, error) {
	program, err := expr.Compile(source, expr.Env(environment{}), expr.AsBool(), expr.Optimize(false))
	require.NoError(t, err, source)
	return func(r *Request, it *schemas.ItemChange) (bool, error) {
		var env environment
		env.Request.fill(r)
		env.Item.fill(it, r.Now.UnixMilli())
		out, err := expr.Run(program, &env)
		if err != nil {
			return false, err
		}
		return out.(bool), nil
	}
}

// TestConditionsAgreeWithTheMachine checks random expressions on random items: the bound tree says what expr says, and fails where expr
// fails.
func TestConditionsAgreeWithTheMachine(t *testing.T) {
	const seeds = 1000
	without := 0
	for seed := range uint64(seeds) {
		w := newWorld(seed)
		source := w.condition(w.IntN(4), true)
		compiled, err := compile(source, ruleScope)
		require.NoError(t, err, source)
		oracle := machine(t, source)
		for range 4 {
			r := w.request()
			e := newEvaluator(r)
			bound := compiled.root.bind(e)
			if !runs(bound) {
				without++
			}
			for range 10 {
				it := w.item()
				want, wantErr := oracle(r, it)
				got, gotErr := bound.Holds(it, e.nowMillis)
				require.Equal(t, want, got, "seed %d: %s on %+v", seed, source, it)
				require.Equal(t, wantErr == nil, gotErr == nil, "seed %d: %s: %v, %v", seed, source, wantErr, gotErr)
			}
			e.release()
		}
	}
	require.Greater(t, without, seeds, "too little goes without the machine for the test to mean anything")
}

// runs reports whether a condition runs on the machine.
func runs(n filter.Node) bool {
	switch n := n.(type) {
	case filter.And:
		return slices.ContainsFunc(n, runs)
	case filter.Or:
		return slices.ContainsFunc(n, runs)
	case filter.Not:
		return runs(n.Leaf)
	case *running:
		return true
	}
	return false
}

// TestConditionsOfSets does the same for whole sets: all conditions hold for what Apply keeps.
func TestConditionsOfSets(t *testing.T) {
	narrowed := 0
	for seed := range uint64(500) {
		w := newWorld(seed)
		source := strings.ReplaceAll(w.condition(2, true), "'", "''")
		embargo := ""
		if w.IntN(2) == 0 {
			embargo = "  - {kind: published}\n"
		}
		set, err := Parse([]byte("rules:\n  - {kind: filter, keep: '" + source + "'}\n" + embargo +
			strings.ReplaceAll(string(defaultSource), "rules:", "")))
		require.NoError(t, err)
		r := w.request()
		if w.IntN(2) == 0 {
			r.Filter, err = CompileFilter(w.condition(2, false))
			require.NoError(t, err)
		}
		conditions := set.Conditions(r)
		pushed := pushdown(set, r)
		require.Equal(t, pushed, pushdown(set, r), "equal requests share a search")
		for range 20 {
			it := w.item()
			if w.IntN(3) == 0 {
				it.PublishedAt = r.Now.Add(time.Duration(w.IntN(240)-120) * time.Second)
			}
			kept, _ := set.Apply(r, listOf(it))
			for _, c := range conditions {
				holds, err := c.Condition.Holds(it, r.Now.UnixMilli())
				if len(kept) > 0 {
					require.NoError(t, err)
					require.True(t, holds, "seed %d: %s of %s on %+v", seed, c.Condition, c.Name, it)
				} else if !holds {
					narrowed++
				}
			}
			if len(kept) > 0 {
				require.False(t, embargo != "" && it.PublishedAt.After(r.Now), "seed %d: %+v", seed, it)
			}
		}
	}
	require.Greater(t, narrowed, 500, "the conditions drop too little for the test to mean anything")
}

// pushdown is what the index makes of the conditions of a set.
func pushdown(s *Set, r *Request) string {
	return candidates.Join(candidates.Pushes(s.Conditions(r), r.Now.UnixMilli()))
}

func FuzzConditions(f *testing.F) {
	f.Add(uint64(1))
	f.Fuzz(func(t *testing.T, seed uint64) {
		w := newWorld(seed)
		source := w.condition(4, true)
		compiled, err := compile(source, ruleScope)
		require.NoError(t, err, source)
		r, it := w.request(), w.item()
		e := newEvaluator(r)
		defer e.release()
		want, _ := machine(t, source)(r, it)
		got, _ := compiled.root.bind(e).Holds(it, e.nowMillis)
		require.Equal(t, want, got, source)
	})
}
