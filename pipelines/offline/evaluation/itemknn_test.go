package evaluation

import (
	"cmp"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
)

// Items 0 and 1 have users {0, 1, 2}, item 2 has {0, 2}, item 3 has {1, 4}, item 4 none.
func TestItemKNNByHand(t *testing.T) {
	s := NewItemKNN(histories, 5, ItemSetting{Neighbours: 10})
	with2, with3 := float32(2/math.Sqrt(6)), float32(1/math.Sqrt(6))
	require.InDeltaSlice(t, []float32{0, 1, with2, with3, 0}, scores(s, 0, 0), 1e-6)
	require.InDeltaSlice(t, []float32{1, 1, 2 * with2, 2 * with3, 0}, scores(s, 0, 1, 0, 1), 1e-6, "each item of the history counts once")
	require.Equal(t, make([]float32, 5), scores(s, 0))
	require.Equal(t, make([]float32, 5), scores(s, 0, 4))

	shrunk := NewItemKNN(histories, 5, ItemSetting{Neighbours: 10, Shrinkage: 2})
	require.InDeltaSlice(t, []float32{0, 3. / 5, float32(2 / (math.Sqrt(6) + 2)), float32(1 / (math.Sqrt(6) + 2)), 0}, scores(shrunk, 0, 0), 1e-6)
}

// The neighbours are the candidate's: item 0 is the nearest of all others, of which it can keep one itself.
func TestItemKNNKeepsTheNeighboursOfCandidates(t *testing.T) {
	rows := [][]int32{{0, 1}, {0, 2}, {0, 3}, {0, 1}}
	s := NewItemKNN(rows, 4, ItemSetting{Neighbours: 1})
	of := scores(s, 0, 0)[:4]
	for candidate := 1; candidate < 4; candidate++ {
		require.Positive(t, of[candidate], "its only neighbour is item 0, whatever the neighbours of item 0 are")
	}
	require.Positive(t, scores(s, 0, 1)[0], "the nearest of item 0 is item 1")
	require.Zero(t, scores(s, 0, 2)[0], "item 2 is farther")
}

// bruteItemKNN compares all pairs and scores each candidate by its k nearest.
func bruteItemKNN(rows [][]int32, items int, s ItemSetting, history []int32) []float64 {
	has := func(row []int32, item int) float64 { return float64(oneIf(slices.Contains(row, int32(item)))) }
	like := func(a, b int) float64 {
		both, one, other := 0., 0., 0.
		for _, row := range rows {
			both, one, other = both+has(row, a)*has(row, b), one+has(row, a), other+has(row, b)
		}
		if both == 0 {
			return 0
		}
		return both / (math.Sqrt(one*other) + s.Shrinkage)
	}
	of := make([]float64, items)
	for candidate := range items {
		var order []int
		for other := range items {
			if other != candidate && like(candidate, other) > 0 {
				order = append(order, other)
			}
		}
		slices.SortFunc(order, func(a, b int) int { // float32 decides, as in the scorer
			return cmp.Or(cmp.Compare(float32(like(candidate, b)), float32(like(candidate, a))), cmp.Compare(a, b))
		})
		for _, other := range order[:min(s.Neighbours, len(order))] {
			of[candidate] += has(history, other) * like(candidate, other)
		}
	}
	return of
}

func TestItemKNNEqualsBruteForce(t *testing.T) {
	r := rand.New(rand.NewPCG(21, 1))
	for range 60 {
		items := 2 + r.IntN(14)
		rows := randomRows(r, r.IntN(25), items, 8)
		s := ItemSetting{Neighbours: 1 + r.IntN(6), Shrinkage: []float64{0, 1, 10}[r.IntN(3)]}
		knn := NewItemKNN(rows, items, s)
		for _, history := range randomRows(r, 4, items, 8) {
			got := make([]float32, items)
			knn.Score(got, 0, history)
			want := bruteItemKNN(rows, items, s, history)
			for i := range want {
				require.InDelta(t, want[i], got[i], 1e-5, "%v, item %d", s, i)
			}
		}
	}
}

// randomRows have up to so many events each, of which some come again; popular items are first.
func randomRows(r *rand.Rand, rows, items, most int) [][]int32 {
	all := make([][]int32, rows)
	for i := range all {
		for range r.IntN(most) {
			all[i] = append(all[i], int32(r.IntN(1+r.IntN(items))))
		}
	}
	return all
}

// publicSplit is a public data set as evaluate parts it.
func publicSplit(t *testing.T, name string) (*Learning, []dataset.Case) {
	t.Helper()
	root := os.Getenv("FRESHET_DATA")
	if root == "" {
		t.Skip("needs a folder of public data sets in FRESHET_DATA")
	}
	dir := filepath.Join(root, name)
	if _, err := os.Stat(dir); err != nil {
		t.Skip("needs " + name)
	}
	format, err := dataset.DetectFormat(dir)
	require.NoError(t, err)
	if format == dataset.MovieLensFormat {
		d, err := dataset.ReadMovieLens(dir)
		require.NoError(t, err)
		held := dataset.NewHoldOut(d, .85, dataset.SkipRepeats)
		validation := dataset.NewHoldOut(held.Told, .85, dataset.SkipRepeats)
		return &Learning{
			Items: len(d.Items), Known: SessionsOf(held.Told), Train: SessionsOf(validation.Told), Validation: validation.Cases, Seed: 1,
		}, held.Cases
	}
	s, err := dataset.ReadFormat(format, dir)
	require.NoError(t, err)
	return &Learning{
		Items: len(s.Items), Known: SessionsInOrder(s.Known, s.InTime), Train: SessionsInOrder(s.Train, s.InTime), Validation: s.Validation,
		IncludeSeen: s.IncludeSeen, Seed: 1,
	}, s.Test
}

// The same in numpy has .0410 and .0433 on ml-1m. RecBole 1.2.1, which keeps the neighbours of candidates too, has .0644 and .0680 on
// ml-100k, where it orders ratings of one second in its own way, and here they are drawn by lot: 372 of 943 cases hang on that. What may
// lie between is the standard error of that many cases.
func TestPublicItemKNN(t *testing.T) {
	for _, c := range []struct {
		data       string
		neighbours int
		ndcg, near float64
	}{{"ml-1m", 20, .0433, 1e-4}, {"ml-1m", 200, .0410, 1e-4}, {"ml-100k", 200, .0644, .0065}, {"ml-100k", 20, .0680, .0065}} {
		l, cases := publicSplit(t, c.data)
		s := NewItemKNN(l.Known.Rows, l.Items, ItemSetting{Neighbours: c.neighbours})
		r := evaluate(t, cases, l.Items, s, Config{K: 10})
		require.InDelta(t, c.ndcg, r.NDCG.Mean, c.near, "%+v", c)
	}
}
