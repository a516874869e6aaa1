package evaluation

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
)

func TestSessionKNNByHand(t *testing.T) {
	sessions := SessionsInOrder([][]int32{{0, 1}, {1, 2, 1}, {0, 3}, {}, {4}}, true)
	score := func(s SessionSetting, history ...int32) []float32 {
		return scores(NewSessionKNN(sessions, 5, s), 0, history...)
	}
	all := SessionSetting{Neighbours: 10, Sample: 10, Last: 10}
	// Of 0, 1, the latter weighs 1, the former 1/2: session 0 is 1.5 alike, session 1 is 1, session 2 is 1/2, by the older item.
	require.InDeltaSlice(t, []float32{1.5 + .25, 2.5, 1, .25, 0}, score(all, 0, 1), 1e-6)
	// Of 1, 0, 1, 1, the last weighs 1, item 0 stands second and weighs 1/2.
	require.InDeltaSlice(t, []float32{1.5 + .25, 2.5, 1, .25, 0}, score(all, 1, 0, 1, 1), 1e-6, "repeats count where they stand last")
	require.Equal(t, make([]float32, 5), score(all))
	nearest, newest, last := all, all, all
	nearest.Neighbours, newest.Sample, last.Last = 1, 1, 1
	require.InDeltaSlice(t, []float32{1.5, 1.5, 0, 0, 0}, score(nearest, 0, 1), 1e-6, "session 0 alone")
	require.InDeltaSlice(t, []float32{.25, 0, 0, .25, 0}, score(newest, 0, 1), 1e-6, "session 2 alone")
	require.InDeltaSlice(t, []float32{1, 2, 1, 0, 0}, score(last, 0, 1), 1e-6, "item 1 alone")
	rare := all
	rare.IDF = true
	w := float32(math.Log(4. / 2)) // four sessions have something, two of them each of the items
	require.InDeltaSlice(t, []float32{1.75 * w, 2.5 * w, w, .25 * w, 0}, score(rare, 0, 1), 1e-6)
}

// naiveSessionKNN goes by the definition, over all sessions.
func naiveSessionKNN(sessions Sessions, items int, s SessionSetting, history []int32) []float64 {
	order := sessions.newestLast()
	question := history[max(0, len(history)-s.Last):]
	weight := map[int32]float64{}
	for at, item := range question {
		weight[item] = float64(at+1) / float64(len(question))
	}
	filled, with := 0., make([]float64, items)
	for _, row := range sessions.Rows {
		filled += float64(oneIf(len(row) > 0))
		for item := range items {
			with[item] += float64(oneIf(slices.Contains(row, int32(item))))
		}
	}
	type found struct {
		row          []int32
		age          int
		like, newest float64
	}
	var all []found
	for age, at := range slices.Backward(order) {
		f := found{row: sessions.Rows[at], age: -age}
		for item, w := range weight {
			if slices.Contains(f.row, item) {
				more := w
				if s.IDF {
					more *= math.Log(filled / with[item])
				}
				f.like, f.newest = f.like+more, max(f.newest, w)
			}
		}
		if f.newest > 0 && len(all) < s.Sample {
			all = append(all, f)
		}
	}
	slices.SortStableFunc(all, func(a, b found) int {
		if math.Abs(a.like-b.like) < 1e-5 { // as single precision may see it
			return cmp.Compare(a.age, b.age)
		}
		return cmp.Compare(b.like, a.like)
	})
	of := make([]float64, items)
	for _, f := range all[:min(s.Neighbours, len(all))] {
		for item := range items {
			of[item] += f.like * f.newest * float64(oneIf(slices.Contains(f.row, int32(item))))
		}
	}
	return of
}

func TestSessionKNNEqualsNaiveOne(t *testing.T) {
	r := rand.New(rand.NewPCG(31, 7))
	for range 300 {
		items := 2 + r.IntN(10)
		sessions := Sessions{Rows: randomRows(r, 1+r.IntN(40), items, 6)}
		if r.IntN(3) > 0 {
			for range sessions.Rows {
				sessions.Ends = append(sessions.Ends, int64(r.IntN(20)))
			}
		}
		// Powers of two keep sums of weights exact, so that both see the same equals.
		s := SessionSetting{Neighbours: 1 + r.IntN(10), Sample: 1 + r.IntN(20), Last: []int{1, 2, 4}[r.IntN(3)], IDF: r.IntN(2) == 0}
		knn := &SessionKNN{newSessionIndex(sessions, items, s.Sample+r.IntN(5)), s}
		for range 3 {
			history := make([]int32, 4+r.IntN(4))
			for i := range history {
				history[i] = int32(r.IntN(items))
			}
			got := make([]float32, items)
			knn.Score(got, 0, history)
			want := naiveSessionKNN(sessions, items, s, history)
			for i := range want {
				require.InDelta(t, want[i], got[i], 1e-4, "%+v, item %d of %v", s, i, history)
			}
		}
	}
}

func TestSessionsOfADataset(t *testing.T) {
	d := &dataset.Dataset{Items: make([]schemas.ItemChange, 3), Users: make([]dataset.User, 3), Events: []dataset.Event{
		{At: 10, User: 1, Item: 0, Type: schemas.Click}, {At: 20, User: 0, Item: 2, Type: schemas.Click},
		{At: 30, User: 1, Item: 1, Type: schemas.Impression},
	}}
	s := SessionsOf(d)
	require.Equal(t, [][]int32{{2}, {0}, {}}, s.Rows)
	require.Equal(t, []int64{20, 10, 0}, s.Ends)
	require.Equal(t, []int32{2, 1, 0}, s.newestLast())
	unknown := SessionsInOrder(make([][]int32, 50), false)
	require.Nil(t, unknown.Ends)
	known := SessionsInOrder(unknown.Rows, true)
	require.NotEqual(t, known.newestLast(), unknown.newestLast(), "by lot")
	again := SessionsInOrder(make([][]int32, 50), false)
	require.Equal(t, again.newestLast(), unknown.newestLast(), "the same lot")
}
