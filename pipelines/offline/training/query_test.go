package training

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/services/towers"
)

// texted is a catalogue of two brands and three kinds with a random vector for each item, popular ones first.
func texted(cfg *Config, searches []Search) (*queryTrainer, *queryTexts) {
	rng := rand.New(rand.NewPCG(1, 7))
	var items []towers.ItemFeatures
	var candidates []int32
	events := make([]int, 24)
	for i := range 24 {
		items = append(items, towers.ItemFeatures{
			ItemID: fmt.Sprint(i), Title: fmt.Sprint([]string{"Silent ", "Amber "}[i%2], []string{"Harbour", "Meadow"}[i/2%2], " lamp ", i),
			Categories: []string{[]string{"Board games", "Wine", "Toys"}[i%3]},
		})
		candidates = append(candidates, int32(i))
		events[i] = 24 - i
	}
	has := func(int32) bool { return true }
	x := newQueryTexts(&cfg.Query, items, searches, events, has)
	return newQueryTrainer(cfg, x, normals(rng, 24*cfg.Dim, 1), candidates, events), x
}

func queryTestConfig() Config {
	cfg := smallConfig()
	cfg.Workers = 3
	return cfg
}

// TestQueryGradient holds the gradient of embeddings and scores against finite differences, with all items as candidates and
// with a sample of them.
func TestQueryGradient(t *testing.T) {
	for name, full := range map[string]int{"full softmax": 1000, "sampled softmax": 0} {
		t.Run(name, func(t *testing.T) {
			cfg := queryTestConfig()
			cfg.FullSoftmaxMaxItems, cfg.Negatives = full, 8
			tr, x := texted(&cfg, []Search{{"reading light", 3}, {"reading light", 5}})
			require.Equal(t, full == 0, tr.sampler != nil)
			rng := rand.New(rand.NewPCG(3, 3))
			for i := range tr.score {
				tr.score[i] += float32(rng.NormFloat64() * 0.3)
			}
			tr.ask(x.sources, rng)
			loss := func() float64 { return tr.learn() }
			require.InDelta(t, naiveQueryLoss(tr), loss(), 1e-4)
			embedding, score := slices.Clone(tr.gradient.embedding), slices.Clone(tr.gradient.score)
			checkGradient(t, "embeddings", tr.w.Embedding, embedding, loss)
			checkGradient(t, "scores", tr.score, score, loss)
		})
	}
}

// naiveQueryLoss is the mean loss from its definition.
func naiveQueryLoss(t *queryTrainer) float64 {
	total, telling := 0.0, 0
	for i := range t.batch {
		a := &t.batch[i]
		if len(a.features) == 0 {
			continue
		}
		telling++
		q, sum := make([]float64, t.dim), 0.0
		for _, f := range a.features {
			weight := math.Exp(float64(t.score[f]))
			sum += weight
			for j, v := range t.row(f) {
				q[j] += weight * float64(v)
			}
		}
		score := func(item int32) (s float64) {
			for j, v := range t.vector(item) {
				s += q[j] / sum * float64(v)
			}
			return s
		}
		own := a.items
		if t.sampler != nil {
			own = own[:min(len(own), mostAsked)]
		}
		below, shares := 0.0, 0.0
		for k, item := range own {
			below += math.Exp(score(item))
			shares += float64(a.shares[k])
		}
		for c, item := range t.columns[:t.count] {
			if !slices.Contains(a.items, item) {
				raise := float32(0)
				if t.sampler != nil {
					raise = t.raise[c]
				}
				below += math.Exp(score(item) + float64(raise))
			}
		}
		for k, item := range own {
			total += float64(a.shares[k]) / shares * (math.Log(below) - score(item))
		}
	}
	return total / float64(telling)
}

func TestQueryTrainingIsDeterministic(t *testing.T) {
	train := func(workers int, seed uint64) *towers.QueryWeights {
		cfg := queryTestConfig()
		cfg.Workers = workers
		tr, x := texted(&cfg, nil)
		rng := rand.New(rand.NewPCG(seed, 3))
		for range 5 {
			tr.step(x.sources, rng, 0.1)
		}
		return tr.weights(1)
	}
	again := train(3, 1)
	require.Equal(t, train(3, 1), again)
	require.Equal(t, train(3, 1), train(1, 1), "whatever the number of workers")
	require.NotEqual(t, train(3, 1), train(3, 2))
}

// TestQuestionsAskForAllThatFit: an item that has every word is asked for as well as the one that the words were picked from.
func TestQuestionsAskForAllThatFit(t *testing.T) {
	cfg := queryTestConfig()
	cfg.Query.Typos, cfg.Query.Prefixes = 0, 0
	_, x := texted(&cfg, []Search{{"Reading light!", 3}, {"reading LIGHT", 5}, {"reading light", 3}, {"?!", 1}})
	require.Len(t, x.searches, 1, "one text, however it is written; one without a word is none")
	rng := rand.New(rand.NewPCG(1, 1))
	var q question
	lengths := map[int]bool{}
	for n := range 2000 {
		source := x.sources[n%len(x.sources)]
		x.ask(&q, source, rng)
		total := float32(0)
		for _, s := range q.shares {
			total += s
		}
		require.InDelta(t, 1, total, 1e-5)
		if source < 0 {
			require.Equal(t, "reading light", q.text)
			require.Equal(t, []int32{3, 5}, q.items)
			require.InDeltaSlice(t, []float32{2. / 3, 1. / 3}, q.shares, 1e-6)
			continue
		}
		require.Contains(t, q.items, source)
		lengths[len(q.items)] = true
		for item := range int32(24) {
			fits := true
			for w := range strings.FieldsSeq(q.text) {
				fits = fits && slices.ContainsFunc(x.items[item].all, func(id int32) bool { return x.words[id] == w })
			}
			require.Equal(t, fits, slices.Contains(q.items, item), "item %d for %q", item, q.text)
		}
		for i := range q.items[1:] {
			require.Greater(t, q.shares[i], q.shares[i+1], "the more popular item has the larger share")
		}
	}
	for _, n := range []int{1, 6, 8, 12, 24} {
		require.Contains(t, lengths, n)
	}
}

func TestMisspell(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 1))
	changed := map[int]bool{} // by what it did to the length
	for range 500 {
		got := misspell("lantern", rng)
		changed[len(got)] = true
		require.LessOrEqual(t, distance("lantern", got), 2, got)
		cut := cutShort("lantern", rng)
		require.GreaterOrEqual(t, len(cut), 3)
		require.Equal(t, "lantern"[:len(cut)], cut)
	}
	require.Equal(t, map[int]bool{6: true, 7: true}, changed)
	require.Equal(t, "art", misspell("art", rng))
	require.Equal(t, "art", cutShort("art", rng))
	require.LessOrEqual(t, len([]rune(misspell("日本語辞典", rng))), 5)
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		last := row[0]
		row[0] = i + 1
		for j := range b {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func TestTrainMakesAQueryTower(t *testing.T) {
	cfg := quickConfig()
	cfg.Epochs = 2
	in := cycles(100)
	in.Searches = []Search{{"turn left", 3}}
	lines := 0
	model, result, err := Train(t.Context(), in, cfg, func(p Progress) {
		if p.Query != "" && p.Last {
			lines++
			require.Contains(t, p.String(), "query tower  step ")
		}
	})
	require.NoError(t, err)
	require.Equal(t, 1, lines)
	require.Empty(t, result.Query.None)
	require.Equal(t, 40, result.Query.Items)
	require.Equal(t, 1, result.Query.Searches)
	require.Contains(t, result.String(), "from the texts of 40 items and 1 searches")

	dir := t.TempDir() + "/bundle"
	_, err = model.WriteBundle(towers.Place{Dir: dir})
	require.NoError(t, err)
	tower, err := towers.LoadQueryTower(dir)
	require.NoError(t, err)
	loaded, trained := make([]float32, cfg.Dim), make([]float32, cfg.Dim)
	require.True(t, tower.Encode(loaded, "ring2"))
	require.True(t, model.QueryTower().Encode(trained, "ring2"))
	require.Equal(t, trained, loaded)
	require.InDelta(t, model.typicalLength(in.Sequences), math.Sqrt(weighed(loaded, loaded)), 1e-3)
	require.Equal(t, int32(2), nearest(model, tower, "ring2")/10)
	require.Equal(t, int32(3), nearest(model, tower, "turn left"), "a search is learnt from")
}

func nearest(m *Model, tower *towers.QueryTower, text string) (best int32) {
	v, most := make([]float32, m.Dim()), -1e30
	tower.Encode(v, text)
	for i := range int32(len(m.vectors) / m.Dim()) {
		if s := weighed(v, m.Vector(i)); s > most {
			best, most = i, s
		}
	}
	return best
}

func TestTrainSaysWhyThereIsNoQueryTower(t *testing.T) {
	cfg := quickConfig()
	cfg.Epochs = 1
	in := cycles(50)
	cfg.Query.Enabled = false
	model, result, err := Train(t.Context(), in, cfg, nil)
	require.NoError(t, err)
	require.Nil(t, model.QueryTower())
	require.Contains(t, result.String(), "no query tower: query.enabled is false")

	cfg.Query.Enabled = true
	for i := range in.Items {
		in.Items[i] = towers.ItemFeatures{ItemID: in.Items[i].ItemID}
	}
	model, result, err = Train(t.Context(), in, cfg, nil)
	require.NoError(t, err)
	require.Nil(t, model.QueryTower())
	require.Contains(t, result.String(), "no query tower: no item has a title")
	dir := t.TempDir() + "/bundle"
	_, err = model.WriteBundle(towers.Place{Dir: dir})
	require.NoError(t, err)
	_, err = towers.LoadQueryTower(dir)
	require.True(t, towers.IsAbsent(err))

	in.Searches = []Search{{"tea", 40}}
	_, _, err = Train(t.Context(), in, cfg, nil)
	require.ErrorContains(t, err, "search 0 names item 40")
}

// Ctrl-C during the query tower keeps the towers and what the query tower has learnt so far.
func TestTrainStopsWithinTheQueryTower(t *testing.T) {
	cfg := quickConfig()
	cfg.Epochs, cfg.Query.Epochs, cfg.Query.MaxSteps = 1, 1_000_000, 1_000_000
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	model, result, err := Train(ctx, cycles(50), cfg, func(p Progress) {
		if p.Query != "" {
			cancel()
		}
	})
	require.NoError(t, err)
	require.NotNil(t, model.QueryTower())
	require.Less(t, result.Query.Steps, 1_000_000)
}

func TestQueryConfigRefuses(t *testing.T) {
	require.NoError(t, DefaultQueryConfig().Validate())
	for field, spoil := range map[string]func(*QueryConfig){
		"epochs":        func(c *QueryConfig) { c.Epochs = 0 },
		"max_steps":     func(c *QueryConfig) { c.MaxSteps = 0 },
		"batch":         func(c *QueryConfig) { c.Batch = -1 },
		"learning_rate": func(c *QueryConfig) { c.LearningRate = 0 },
		"max_buckets":   func(c *QueryConfig) { c.MaxBuckets = 1000 },
		"typos":         func(c *QueryConfig) { c.Typos = 1.1 },
		"prefixes":      func(c *QueryConfig) { c.Prefixes = -1 },
		"popularity":    func(c *QueryConfig) { c.Popularity = 3 },
	} {
		c := DefaultConfig()
		spoil(&c.Query)
		require.ErrorContains(t, c.Validate(), "query."+field+" is ")
	}
}
