package training

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/services/towers"
)

// searchShop is a small synthetic shop whose every tenth item training never sees: neither its text nor anybody's event with it.
type searchShop struct {
	items   []towers.ItemFeatures
	vectors [][]float32 // as a bundle's item tower makes them; of the unseen, from content alone
	events  []int
	queries *towers.QueryTower
}

func unseen(item int) bool { return item%10 == 9 }

func newSearchShop(t *testing.T) *searchShop {
	t.Helper()
	world := dataset.DefaultSyntheticConfig()
	world.Users, world.Items, world.Events = 300, 400, 12_000
	d, err := dataset.Synthetic(world)
	require.NoError(t, err)
	in := FromDataset(d)
	in.Kinds, in.Times = nil, nil // they would have to follow the sequences below
	s := &searchShop{items: slices.Clone(in.Items), events: make([]int, len(in.Items))}
	for i := range in.Items {
		if unseen(i) {
			in.Items[i] = towers.ItemFeatures{ItemID: in.Items[i].ItemID}
		}
	}
	for u, seq := range in.Sequences {
		in.Sequences[u] = slices.DeleteFunc(slices.Clone(seq), func(item int32) bool { return unseen(int(item)) })
		for _, item := range in.Sequences[u] {
			s.events[item]++
		}
	}
	cfg := DefaultConfig()
	cfg.Dim, cfg.Epochs, cfg.ValidationUsers = 32, 5, 0
	model, result, err := Train(t.Context(), in, cfg, nil)
	require.NoError(t, err)
	t.Log(result, result.Query.Elapsed)
	dir := t.TempDir() + "/bundle"
	_, err = model.WriteBundle(towers.Place{Dir: dir})
	require.NoError(t, err)
	tower, err := towers.LoadItemTower(dir)
	require.NoError(t, err)
	s.queries, err = towers.LoadQueryTower(dir)
	require.NoError(t, err)
	for i := range s.items {
		v := make([]float32, tower.Dim())
		tower.Encode(v, &s.items[i])
		s.vectors = append(s.vectors, v)
	}
	return s
}

// page is the ten items that a text finds, popular those that most events are of.
func (s *searchShop) page(text string) []int {
	v := make([]float32, s.queries.Dim())
	s.queries.Encode(v, text)
	return s.best(func(i int) float64 { return weighed(v, s.vectors[i]) })
}

func (s *searchShop) popular() []int {
	return s.best(func(i int) float64 { return float64(s.events[i]) })
}

func (s *searchShop) best(score func(int) float64) []int {
	all := make([]int, len(s.items))
	scores := make([]float64, len(s.items))
	for i := range all {
		all[i], scores[i] = i, score(i)
	}
	slices.SortStableFunc(all, func(a, b int) int { return cmp.Compare(scores[b], scores[a]) })
	return all[:10]
}

func (s *searchShop) fits(item int, words []string) bool {
	f := &s.items[item]
	have := towers.QueryWords(strings.Join(slices.Concat([]string{f.Title, f.Brand}, f.Categories, f.Tags), " "))
	return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(have, w) })
}

// searchFigures are shares over many searches.
type searchFigures struct {
	// item: the one that is meant is on the page. fit: of the places that could fit the words, so many do. kind: of all places, so
	// many have the meant item's category.
	item, fit, kind float64
}

// ask asks for items by some of their words, and rates the pages that answer makes of the texts.
func (s *searchShop) ask(of func(int) bool, words int, typo bool, answer func(text string) []int) (f searchFigures) {
	const asked = 400
	rng := rand.New(rand.NewPCG(11, uint64(words)))
	for n := 0; n < asked; {
		item := rng.IntN(len(s.items))
		have := towers.QueryWords(s.items[item].Title)
		rng.Shuffle(len(have), func(i, j int) { have[i], have[j] = have[j], have[i] })
		meant := have[:words]
		if !of(item) || len(meant[0]) < leastLetters+1 { // which a typo leaves readable
			continue
		}
		n++
		said := slices.Clone(meant)
		if typo {
			said[0] = misspell(said[0], rng)
		}
		possible := 0
		for i := range s.items {
			if s.fits(i, meant) {
				possible++
			}
		}
		fitting := 0
		for _, i := range answer(strings.Join(said, " ")) {
			if i == item {
				f.item += 1. / asked
			}
			if s.items[i].Categories[0] == s.items[item].Categories[0] {
				f.kind += 1. / asked / 10
			}
			if s.fits(i, meant) {
				fitting++
			}
		}
		f.fit += float64(fitting) / float64(min(10, possible)) / asked
	}
	return f
}

// TestSearchesFindWhatTheyMean asks for items of the synthetic shop by one or two words of their titles, as written and with a
// typo, and compares with pages of the most popular items. Chance puts the item that is meant on one page in forty.
func TestSearchesFindWhatTheyMean(t *testing.T) {
	s := newSearchShop(t)
	seen := func(item int) bool { return !unseen(item) }
	popular := func(string) []int { return s.popular() }
	for _, c := range []struct {
		name  string
		of    func(int) bool
		words int
		typo  bool
		least searchFigures
	}{
		{"one word", seen, 1, false, searchFigures{.4, .6, .4}},
		{"one word with a typo", seen, 1, true, searchFigures{.3, .4, .3}},
		{"two words", seen, 2, false, searchFigures{.7, .7, .6}},
		{"two words, one with a typo", seen, 2, true, searchFigures{.6, .6, .5}},
		// Its vector is of its content alone, shorter than those of its neighbours, which come before it.
		{"two words of an item that training never saw", unseen, 2, false, searchFigures{0, .15, .6}},
	} {
		got, beside := s.ask(c.of, c.words, c.typo, s.page), s.ask(c.of, c.words, c.typo, popular)
		t.Logf("%-50s %.2f, popularity %.2f", c.name, got, beside)
		require.GreaterOrEqual(t, got.item, c.least.item, "%s: the item that is meant", c.name)
		require.Greater(t, got.fit, max(c.least.fit, 4*beside.fit), "%s: items that have the words", c.name)
		require.Greater(t, got.kind, max(c.least.kind, 4*beside.kind), "%s: items of the kind", c.name)
		if c.least.item > 0 {
			require.Greater(t, got.item, 4*beside.item, c.name)
		}
	}
	t.Run("categories", func(t *testing.T) { askForCategories(t, s) })
}

// askForCategories asks by the names of categories, as written and with a typo: what is popular there comes first.
func askForCategories(t *testing.T, s *searchShop) {
	rng := rand.New(rand.NewPCG(12, 1))
	right, wrong, places, popularity, average, n := 0, 0, 0, 0.0, 0.0, 0.0
	for _, f := range s.items[:60] {
		name := f.Categories[0]
		words := strings.Fields(strings.ToLower(name))
		last := len(words) - 1
		words[last] = misspell(words[last], rng)
		for _, i := range s.page(strings.Join(words, " ")) {
			if s.items[i].Categories[0] != name {
				wrong++
			}
		}
		for _, i := range s.page(name) {
			places++
			if s.items[i].Categories[0] == name {
				right++
				popularity += float64(s.events[i]) / 600
			}
		}
		mean, of := 0.0, 0.0
		for i := range s.items {
			if s.items[i].Categories[0] == name {
				mean, of = mean+float64(s.events[i]), of+1
			}
		}
		average, n = average+mean/of, n+1
	}
	t.Logf("%d of %d places of the category, %d with a typo; %.1f events an item on the page, %.1f in the category", right, places,
		places-wrong, popularity, average/n)
	require.Greater(t, right, places*9/10)
	require.Less(t, wrong, places/4)
	require.Greater(t, popularity, 1.2*average/n, "what is popular in the category comes first")
}
