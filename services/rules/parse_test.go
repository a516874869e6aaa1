package rules

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDefaultSet(t *testing.T) {
	assert.Equal(t, []string{
		"available", "region", "min_age", "exclude_listed", "exclude_seen", "request_filter", "category_cap",
	}, Default().Names())
	again, err := Parse(DefaultSource())
	require.NoError(t, err)
	assert.Equal(t, Default().Names(), again.Names())
}

// TestRequestsAreRespectedByAnySet holds that a file cannot forget what a request asks for itself.
func TestRequestsAreRespectedByAnySet(t *testing.T) {
	for source, want := range map[string][]string{
		"rules: []": {"exclude_listed", "request_filter"},
		"rules: [{name: mine, kind: request_filter}, {kind: exclude_seen}, {kind: cap, by: brand, max: 1}]": {
			"mine", "exclude_seen", "exclude_listed", "cap",
		},
	} {
		set, err := Parse([]byte(source))
		require.NoError(t, err)
		assert.Equal(t, want, set.Names())
	}
}

func TestParseRefuses(t *testing.T) {
	for _, c := range []struct{ source, want string }{
		{"", "line 1: the file holds no rules: write rules: and a list, or rules: [] for none"},
		{"# nothing", "the file holds no rules"},
		{"rules:", "the file holds no rules"},
		{"rules: 3", "this is not what belongs here"},
		{"rules: []\n---\nrules: []", "more than one document"},
		{"rulez: []", `unknown setting "rulez"`},
		{"rules: [", "make it valid YAML"},
		{"rules: [{}]", `line 1: unknown kind "": the kinds are boost, bury, cap, diversify, exclude_listed`},
		{"rules: [~]", `unknown kind ""`},
		{"rules: [{kind: filtr}]", `line 1, column 16: rule "filtr": unknown kind "filtr"`},
		{"rules: [{kind: filter}]", "keep is missing: filter takes keep"},
		{"rules: [{kind: filter, kep: a}]", `unknown setting "kep"`},
		{"rules: [{kind: filter, keep: ''}]", "unexpected token EOF"},
		{"rules: [{kind: filter, keep: item.price}]", "expected bool, but got float64"},
		{
			"rules: [{kind: filter, keep: item.prise > 1}]",
			"column 30: rule \"filter\": keep, line 1, character 6: item has no field",
		},
		{"rules: [{kind: filter, keep: request.regoin == ''}]", "did you mean request.region?"},
		{"rules: [{kind: filter, keep: itm.price > 1}]", `unknown name "itm"`},
		{"rules: [{kind: filter, keep: foo(1)}]", "unknown function foo"},
		{"rules: [{kind: filter, keep: true, max: 3}]", "max has no place in a rule of kind filter: filter takes keep"},
		{"rules: [{kind: exclude_seen, max: 3}]", "exclude_seen takes no settings"},
		{"rules: [{kind: exclude_seen}, {kind: exclude_seen}]", "another rule has the same name"},
		{"rules: [{kind: exclude_seen, name: Seen}]", `"Seen" is no name`},
		{"rules: [{kind: exclude_seen, name: a_failed}]", `is no name`},
		{"rules: [{kind: pin, item: a, position: x}]", `column 40: "x" cannot be read: give a whole number`},
		{"rules: [{kind: pin, item: a, position: 0}]", "position: 0 is out of range: give 1 for the first place"},
		{"rules: [{kind: pin, item: '', position: 1}]", "item is empty"},
		{"rules: [{kind: pin, item: a, position: 1, when: item.available}]", "item cannot be used here"},
		{
			"rules: [{kind: pin, item: a, position: 2}, {name: b, kind: pin, item: b, position: 1}]",
			"position 1 stands behind position 2",
		},
		{"rules: [{kind: pin, item: a, position: 1}, {kind: exclude_seen}]", `filters cannot stand behind rule "pin"`},
		{
			"rules: [{kind: cap, by: category, max: 1, window: 3}, {kind: diversify, by: brand, relevance: 1}]",
			"caps and diversify cannot stand",
		},
		{
			"rules: [{kind: cap, by: brand, max: 1}, {kind: boost, when: 'true', add: 1}]",
			"rules that move scores cannot stand",
		},
		{"rules: [{kind: cap, by: colour, max: 1}]", `by: "colour" is unknown or repeated`},
		{"rules: [{kind: cap, by: [brand, category], max: 1}]", "a cap counts one thing"},
		{"rules: [{kind: cap, by: brand, max: 0}]", "max: 0 is out of range"},
		{"rules: [{kind: cap, by: brand, max: 3, window: 3}]", "caps nothing"},
		{"rules: [{kind: cap, by: {a: b}, max: 3}]", "give a name or a list of names"},
		{"rules: [{kind: diversify, by: [], relevance: 0.5}]", "by is empty"},
		{"rules: [{kind: diversify, by: brand, relevance: 2}]", "relevance: 2 is out of range"},
		{"rules: [{kind: diversify, by: brand, relevance: .nan}]", "relevance: NaN is out of range"},
		{"rules: [{kind: boost, when: 'true'}]", "exactly one of multiply and add is needed"},
		{"rules: [{kind: boost, when: 'true', multiply: 2, add: 1}]", "exactly one of multiply and add is needed"},
		{"rules: [{kind: boost, when: 'true', multiply: 0.5}]", "multiply: 0.5 does not boost"},
		{"rules: [{kind: boost, when: 'true', multiply: .nan}]", "does not boost"},
		{"rules: [{kind: boost, when: 'true', add: .inf}]", "does not boost"},
		{"rules: [{kind: bury, when: 'true', multiply: 2}]", "multiply: 2 does not bury"},
		{"rules: [{kind: bury, when: 'true', multiply: -2}]", "does not bury"},
		{"rules: [{kind: bury, when: 'true', add: 1}]", "add: 1 does not bury"},
		{"rules: [{kind: freshness, half_life: 0s, weight: 1}]", "half_life: 0s is not positive"},
		{"rules: [{kind: freshness, half_life: soon, weight: 1}]", `"soon" cannot be read: give a duration such as 720h`},
		{"rules: [{kind: freshness, half_life: 1h, weight: 0}]", "weight: 0 is not positive"},
		{"rules: [" + strings.Repeat("{kind: exclude_seen},", 201) + "]", "the file holds 201 rules: at most 200"},
		{"rules: []" + strings.Repeat(" ", maxFileBytes), "at most 1048576 are read"},
		{"rules:\n  - kind: filter\n    keep: >-\n      item.available and\n      item.prise > 3", "line 3, column 11"},
		{"rules: [{kind: exclude_seen, name: cap}]", `"cap" is the name of another kind`},
		{"rules: [{kind: filter, keep: " + strings.Repeat("(", maxExpressionBytes+1) + "}]", "at most 65536 are allowed"},
	} {
		_, err := Parse([]byte(c.source))
		require.ErrorContains(t, err, c.want, c.source)
		assert.True(t, IsBadRules(err))
	}
}

func TestEveryKindIsMade(t *testing.T) {
	for name, k := range kinds {
		s := &spec{Kind: setting[string]{value: name, given: true}}
		keeps, moves, err := s.make()
		if err != nil {
			require.NotContains(t, err.Error(), "unknown kind", name)
			continue
		}
		require.Equal(t, k.phase == filtering, keeps != nil, name)
		require.NotEqual(t, keeps == nil, moves == nil, name)
	}
	_, _, err := (&spec{Kind: setting[string]{value: "odd", given: true}}).make()
	require.ErrorContains(t, err, `unknown kind "odd"`)
}

func FuzzParse(f *testing.F) {
	f.Add(defaultSource)
	cases, err := filepath.Glob("testdata/cases/*.txt")
	require.NoError(f, err)
	for _, c := range cases {
		text, err := os.ReadFile(c)
		require.NoError(f, err)
		f.Add([]byte(sections(string(text))["rules"]))
	}
	f.Add([]byte("a: &a [x, x]\nb: &b [*a, *a]\nrules: [*b, *b]"))
	f.Fuzz(func(t *testing.T, source []byte) {
		set, err := Parse(source)
		if err != nil {
			require.True(t, IsBadRules(err), "%T %v", err, err)
			return
		}
		w := newWorld(uint64(len(source)))
		r := w.request()
		conditions := set.Conditions(r)
		require.NotPanics(t, func() { pushdown(set, r) })
		for range 3 {
			it := w.item()
			kept, steps := set.Apply(r, listOf(it))
			require.LessOrEqual(t, len(kept), 1)
			if len(steps) > 0 {
				require.Equal(t, len(kept), int(steps[len(steps)-1].Out))
			}
			if len(kept) == 1 {
				for _, c := range conditions {
					holds, err := c.Condition.Holds(it, now.UnixMilli())
					require.NoError(t, err)
					require.True(t, holds, c.Name)
				}
			}
		}
	})
}

func FuzzCompileFilter(f *testing.F) {
	for _, s := range []string{
		`item.price < 20 and "shoes" in item.categories`, `not (item.brand in ["a", "b"]) or lower(item.title) contains "x"`,
		`any(item.tags, # startsWith "a") && all(item.regions, len(#) < 3)`, `18 % item.min_age == 0`, `item.attributes["k"] != ""`,
		`1 < item.price < 5`, `item.published_at >= 1.5e9`, `-item.price < -0.0`, `len(item.regions) == 0 or "*" in item.regions`,
		`item.title matches "(a+)+$"`, `let x = 1..9; x == x`, `item.brand < upper("ß")`,
	} {
		f.Add(s)
	}
	for seed := range uint64(20) {
		f.Add(newWorld(seed).condition(3, false))
	}
	f.Fuzz(func(t *testing.T, source string) {
		compiled, err := CompileFilter(source)
		if err != nil {
			require.True(t, IsBadFilter(err))
			require.NotContains(t, err.Error(), "goroutine", "a stack trace is no answer to a client")
			return
		}
		w := newWorld(uint64(len(source)))
		r := &Request{Now: now, Filter: compiled}
		e := newEvaluator(r)
		defer e.release()
		oracle := machine(t, source)
		for range 5 {
			it := w.item()
			want, wantErr := oracle(r, it)
			got, gotErr := compiled.expression.root.bind(e).Holds(it, e.nowMillis)
			require.Equal(t, wantErr == nil, gotErr == nil, "%v %v", wantErr, gotErr)
			require.Equal(t, want, got)
			require.Positive(t, compiled.cost.of(it))
		}
	})
}
