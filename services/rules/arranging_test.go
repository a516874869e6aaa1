package rules

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/ranking"
)

func (w world) ranked(n int) []ranking.Candidate {
	list := make([]ranking.Candidate, n)
	for i := range list {
		it := w.item()
		it.ItemID, it.Op = fmt.Sprintf("item-%02d", i), schemas.UpsertItem
		list[i] = ranking.Candidate{Item: it, Score: float32(w.NormFloat64())}
	}
	ranking.Sort(list)
	return list
}

// greedy is the plain telling of a windowed cap: each place goes to the best item that fits.
func greedy(by aspect, most, window, places int, list []ranking.Candidate) []ranking.Candidate {
	rest := slices.Clone(list)
	var page []ranking.Candidate
	for len(page) < places {
		best := slices.IndexFunc(rest, func(c ranking.Candidate) bool {
			counts := map[string]int{}
			for _, p := range page[max(0, len(page)-window+1):] {
				for _, k := range by.kinds(nil, p.Item) {
					counts[k]++
				}
			}
			return !slices.ContainsFunc(by.kinds(nil, c.Item), func(k string) bool { return counts[k] >= most })
		})
		if best < 0 {
			return page
		}
		page = append(page, rest[best])
		rest = slices.Delete(rest, best, best+1)
	}
	return append(page, rest...)
}

func TestWindowIsGreedy(t *testing.T) {
	for seed := range uint64(300) {
		w := newWorld(seed)
		list := w.ranked(w.IntN(40))
		most := 1 + w.IntN(3)
		window := &windowRule{by: pick(w, byCategory, byBrand), most: most, window: most + 1 + w.IntN(6)}
		r := &Request{Now: now, Count: pick(w, 0, 1, 5, 10, 100)}
		places := len(list)
		if r.Count > 0 {
			places = min(places, r.Count)
		}
		want := greedy(window.by, window.most, window.window, places, list)
		got, _ := (&Set{rules: []rule{window}}).Apply(r, list)
		require.Equal(t, pageOf(want), pageOf(got), "seed %d", seed)
	}
}

// TestArrangementsKeepWhatTheyDoNotDrop applies random arranging rules and pins: nothing comes twice, nothing comes from nowhere,
// diversify loses nothing, pinned items stand where they should, and the waterfall is a chain.
func TestArrangementsKeepWhatTheyDoNotDrop(t *testing.T) {
	for seed := range uint64(500) {
		w := newWorld(seed)
		list := w.ranked(1 + w.IntN(40))
		before := pageOf(list)
		pin := &pinRule{named: "pin", item: pick(w, before...), position: 1 + w.IntN(5)}
		diversify := &diversifyRule{named: "diversify", lambda: w.Float64(), by: []aspect{byCategory, byBrand}}
		most := 1 + w.IntN(3)
		rules := []rule{diversify}
		if w.IntN(2) == 0 {
			rules = append(rules, &capRule{named: "cap", by: byCategory, most: most})
		}
		if w.IntN(2) == 0 {
			rules = append(rules, &windowRule{named: "window", by: byBrand, most: most, window: most + 3})
		}
		set := &Set{rules: append(rules, pin), pins: []*pinRule{pin}}
		page, steps := set.Apply(&Request{Now: now, Count: w.IntN(12)}, list)
		got := pageOf(page)
		require.Subset(t, before, got)
		require.Len(t, slices.Compact(slices.Sorted(slices.Values(got))), len(got), "an item came twice")
		require.Equal(t, pin.item, got[min(pin.position, len(got))-1], "seed %d: %v", seed, got)
		require.Equal(t, schemas.WaterfallStep{Stage: "diversify", In: int32(len(before)), Out: int32(len(before))}, steps[0])
		for i, s := range steps[1:] {
			require.Equal(t, steps[i].Out, s.In)
		}
		require.Equal(t, len(got), int(steps[len(steps)-1].Out))
	}
}

// TestRemovedBy holds the step that it names against sets that end one rule earlier each: what the first k rules keep and k + 1 do
// not, was removed by rule k + 1.
func TestRemovedBy(t *testing.T) {
	named := map[string]int{}
	for seed := range uint64(300) {
		w := newWorld(seed)
		list := w.ranked(2 + w.IntN(30))
		list[0].Item.Op = schemas.DeleteItem
		bad, err := compile("10 % item.min_age < 50", ruleScope) // which fails for those for everybody, and keeps the others
		require.NoError(t, err)
		pin := &pinRule{named: "pin", item: pick(w, pageOf(list)...), position: 1 + w.IntN(5)}
		set := &Set{
			filters: []keeper{&excludeSeenRule{"seen"}, &excludeListedRule{"listed"}}, pins: []*pinRule{pin},
			rules: []rule{
				&capRule{named: "brands", by: byBrand, most: 1 + w.IntN(4)}, &capRule{named: "kinds", by: byCategory, most: 1 + w.IntN(4)},
				&windowRule{named: "window", by: byCategory, most: 1, window: 2 + w.IntN(4)}, pin,
			},
		}
		if w.IntN(3) == 0 {
			set.filters = append(set.filters, &filterRule{"age", bad})
		}
		r := &Request{
			Now: now, Count: w.IntN(12), Exclude: map[string]struct{}{pick(w, pageOf(list)...): {}},
			Seen: func(id string) bool { return id[len(id)-1] == '7' },
		}
		for _, id := range append(pageOf(list), "who") {
			want, before := "", slices.Contains(pageOf(list), id)
			lose := func(stage string, part *Set) {
				got, steps := part.Apply(r, slices.Clone(list))
				if after := slices.Contains(pageOf(got), id); before && !after {
					want, before = stage, false
					if last := steps[len(steps)-1].Stage; last == stage+failedSuffix {
						want = last // all that this filter drops, it fails for
					}
				}
			}
			lose(stepDeleted, &Set{})
			for k, f := range set.filters {
				lose(f.name(), &Set{filters: set.filters[:k+1]})
			}
			for k, rule := range set.rules {
				lose(rule.name(), &Set{filters: set.filters, rules: set.rules[:k+1], pins: set.pins})
			}
			got := set.RemovedBy(r, slices.Clone(list), id)
			require.Equal(t, want, got, "seed %d: %s", seed, id)
			named[got]++
		}
	}
	for _, stage := range []string{"", stepDeleted, "seen", "listed", "age_failed", "brands", "kinds", "window"} {
		require.Positive(t, named[stage], "nothing was lost to %q: %v", stage, named)
	}
	require.NotContains(t, named, "pin", "it removes nothing")
}

func TestDiversifyByScoreAlone(t *testing.T) {
	w := newWorld(1)
	list := w.ranked(80)
	want := pageOf(list)
	byScore := &diversifyRule{lambda: 1, by: []aspect{byCategory}}
	got, _ := (&Set{rules: []rule{byScore}}).Apply(&Request{Now: now, Count: 10}, list)
	assert.Equal(t, want, pageOf(got))
}

// TestSetIsShared applies one set and one filter from several goroutines: what they share must not change.
func TestSetIsShared(t *testing.T) {
	f, err := CompileFilter(
		`lower(item.title) != "zzz" and item.brand in ["b", "a", "", "c"] and any(item.categories, # in ["c", "a"])`)
	require.NoError(t, err)
	w := newWorld(5)
	list := w.ranked(60)
	r := &Request{Region: "eu", Now: now, Filter: f, Count: 10}
	wantPage, wantSteps := Default().Apply(r, slices.Clone(list))
	wantPush := pushdown(Default(), r)
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 20 {
				page, steps := Default().Apply(r, slices.Clone(list))
				assert.Equal(t, pageOf(wantPage), pageOf(page))
				assert.Equal(t, wantSteps, steps)
				assert.Equal(t, wantPush, pushdown(Default(), r))
			}
		})
	}
	group.Wait()
}
