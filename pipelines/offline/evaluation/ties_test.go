package evaluation

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
)

func TestTiesByHand(t *testing.T) {
	falling := fixed{6, 5, 4, 3, 2, 1}
	at2 := 1 / math.Log2(3)
	for name, c := range map[string]struct {
		c           dataset.Case
		includeSeen bool
		want        *TieSpan
	}{
		"no tie": {dataset.Case{Targets: []int32{1}}, false, nil},
		"others behind": {
			dataset.Case{Targets: []int32{1}, Tied: []int32{0, 5}}, false, &TieSpan{Span{0, 1}, Span{0, 1}},
		},
		"others better":     {dataset.Case{Targets: []int32{1}, Tied: []int32{0}}, false, &TieSpan{Span{1, 1}, Span{at2, 1}}},
		"the target itself": {dataset.Case{Targets: []int32{1}, Tied: []int32{1}}, false, nil},
		// In the other order, 0 would have been asked for and 3 been seen.
		"one in the history": {dataset.Case{History: []int32{0}, Targets: []int32{3}, Tied: []int32{0}}, false, &TieSpan{Span{0, 1}, Span{0, 1}}},
		"one in the history, seen ones ranked": {
			dataset.Case{History: []int32{4}, Targets: []int32{0}, Tied: []int32{4}}, true, &TieSpan{Span{0, 1}, Span{0, 1}},
		},
		"too little to tell": {dataset.Case{Targets: []int32{4}, Tied: []int32{5}}, false, nil},
		"several targets": {
			dataset.Case{Targets: []int32{5, 0}, Tied: []int32{0, 1}}, false,
			&TieSpan{Span{.5, 1}, Span{1 / (1 + at2), 1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := Evaluate(t.Context(), []dataset.Case{c.c}, Catalogue{Items: 6}, []Scorer{falling}, Config{K: 2, IncludeSeen: c.includeSeen})
			require.NoError(t, err)
			if c.want == nil {
				require.Nil(t, r.Scorers[0].TieSpan)
				return
			}
			require.Equal(t, &Ties{Cases: 1}, r.Ties)
			got := r.Scorers[0].TieSpan
			require.InDeltaSlice(t, []float64{c.want.Recall.Worst, c.want.Recall.Best, c.want.NDCG.Worst, c.want.NDCG.Best},
				[]float64{got.Recall.Worst, got.Recall.Best, got.NDCG.Worst, got.NDCG.Best}, 1e-12)
		})
	}
}

// The history's order is another one too, which a scorer that reads it must see.
func TestOtherOrdersChangeTheHistory(t *testing.T) {
	c := dataset.Case{
		History: []int32{7, 8, 9, 8}, Targets: []int32{3, 4}, Tied: []int32{8}, At: 50, Type: schemas.Purchase,
		Timeline: []dataset.Event{{At: 10, Item: 8, Type: schemas.View}, {At: 50, Item: 9}, {At: 50, Item: 8, Type: schemas.View}},
	}
	before := c
	other := inOrder(&c, 8)
	require.Equal(t, []int32{7, 8, 9, 3}, other.History)
	require.Equal(t, []int32{8, 4}, other.Targets)
	require.Equal(t, dataset.Event{At: 50, Item: 3, Type: schemas.Purchase}, other.Timeline[2])
	require.Equal(t, c.Timeline[:2], other.Timeline[:2])
	require.Equal(t, before, c, "the case itself stays")
	require.Equal(t, []int32{7, 8, 9, 8}, c.History)

	last := perCase{{0, 1, 2, 3}} // any scorer that reads the history
	r, err := Evaluate(t.Context(), []dataset.Case{{History: []int32{1, 0}, Targets: []int32{2}, Tied: []int32{0}}}, Catalogue{Items: 4},
		[]Scorer{follows{}, last}, Config{K: 1})
	require.NoError(t, err)
	require.Equal(t, &TieSpan{Span{0, 1}, Span{0, 1}}, r.Scorers[0].TieSpan, "2 does not follow 0, but 0 follows 2")
	require.Nil(t, r.Scorers[1].TieSpan)
}

// follows gives the item that stands two below the history's last one, in a circle, the only score.
type follows struct{}

func (follows) Name() string { return "follows" }

func (follows) Score(scores []float32, _ int32, history []int32) {
	clear(scores)
	scores[0] = float32(oneIf(history[len(history)-1] == 2))
}

func TestTiesAreCapped(t *testing.T) {
	var many []int32
	for item := range int32(40) {
		many = append(many, item, item)
	}
	few := make([]float32, 40)
	few[39] = 1 // the best, which is behind the cap
	cases := []dataset.Case{{Targets: []int32{0}, Tied: many}, {Targets: []int32{0}, Tied: []int32{1}}}
	others, capped := alternativesOf(&cases[0])
	require.Len(t, others, MostAlternatives-1)
	require.True(t, capped)
	_, capped = alternativesOf(&dataset.Case{Targets: []int32{0}, Tied: many[:2*MostAlternatives]})
	require.False(t, capped, "the target is one of them")
	r, err := Evaluate(t.Context(), cases, Catalogue{Items: 40}, []Scorer{fixed(few)}, Config{K: 1})
	require.NoError(t, err)
	require.Equal(t, &Ties{Cases: 2, Capped: 1}, r.Ties)
	var b bytes.Buffer
	require.NoError(t, r.WriteTable(&b))
	require.Contains(t, b.String(), "ties: 2 of 2 cases ask for one of several items of one moment (1 of them for one of more than 32, of which only so many "+
		"were tried); the order makes less than 1 % of recall and NDCG")
}

// Each order tried as a case of its own, whatever the number of workers.
func TestSpansEqualEachOrder(t *testing.T) {
	r := rand.New(rand.NewPCG(17, 3))
	for range 40 {
		items, n := 8+r.IntN(30), 1+r.IntN(80)
		c := Config{K: 1 + r.IntN(6), IncludeSeen: r.IntN(2) == 0, Workers: 1 + r.IntN(3)}
		var cases []dataset.Case
		var scores perCase
		want := make([]float64, spans)
		for u := range n {
			row := make([]float32, items)
			for i := range row {
				row[i] = float32(r.IntN(9))
			}
			order := r.Perm(items)
			one := dataset.Case{User: int32(u), Targets: []int32{int32(order[0])}}
			for _, item := range order[1 : 1+r.IntN(4)] {
				one.Tied = append(one.Tied, int32(item))
			}
			for _, item := range order[2 : 2+r.IntN(5)] { // some of the tied ones came before
				one.History = append(one.History, int32(item))
			}
			cases, scores = append(cases, one), append(scores, row)
			worst, best := [2]float64{2, 2}, [2]float64{}
			for _, target := range append([]int32{one.Targets[0]}, one.Tied...) {
				other := dataset.Case{Targets: []int32{target}}
				for _, item := range one.History {
					if item == target {
						item = one.Targets[0]
					}
					other.History = append(other.History, item)
				}
				of := naive(row, other, c.K, c.IncludeSeen)
				for j, v := range []float64{of[recall], of[ndcg]} {
					worst[j], best[j] = min(worst[j], v), max(best[j], v)
				}
			}
			for j, v := range []float64{worst[0], best[0], worst[1], best[1]} {
				want[j] += v / float64(n)
			}
		}
		report, err := Evaluate(t.Context(), cases, Catalogue{Items: items}, []Scorer{scores}, c)
		require.NoError(t, err)
		got := report.Scorers[0]
		if got.TieSpan == nil {
			require.LessOrEqual(t, want[1]-want[0], wide*got.Recall.Mean+1e-12)
			require.LessOrEqual(t, want[3]-want[2], wide*got.NDCG.Mean+1e-12)
			continue
		}
		require.InDeltaSlice(t, want, []float64{got.TieSpan.Recall.Worst, got.TieSpan.Recall.Best, got.TieSpan.NDCG.Worst, got.TieSpan.NDCG.Best}, 1e-9)
		require.LessOrEqual(t, got.TieSpan.NDCG.Worst, got.NDCG.Mean+1e-12)
		require.GreaterOrEqual(t, got.TieSpan.NDCG.Best, got.NDCG.Mean-1e-12)
		var b bytes.Buffer
		require.NoError(t, report.WriteTable(&b))
		require.Contains(t, b.String(), got.TieSpan.NDCG.String())
		require.Contains(t, b.String(), "ask for one of several items of one moment")
	}
}

func TestWholeCatalogue(t *testing.T) {
	cases := []dataset.Case{{Targets: []int32{1}, History: []int32{0, 0, 2}}, {Targets: []int32{1}}}
	c := Config{K: 2, At: []int{1, 3, 4, 5}}
	r, err := Evaluate(t.Context(), cases, Catalogue{Items: 5}, []Scorer{Random{}}, c)
	require.NoError(t, err)
	require.Equal(t, []WholeCatalogue{{3, 1}, {4, 1}, {5, 2}}, r.WholeCatalogue)
	for _, at := range r.Scorers[0].At {
		if at.K == 5 {
			require.InDelta(t, 1, at.Recall.Mean, 0)
		}
	}
	var b bytes.Buffer
	require.NoError(t, r.WriteTable(&b))
	require.Contains(t, b.String(), "k 3 reaches the end of the catalogue in 1 of 2 cases: there, any list holds all that can be recommended")
	c.IncludeSeen = true
	r, err = Evaluate(t.Context(), cases, Catalogue{Items: 5}, []Scorer{Random{}}, c)
	require.NoError(t, err)
	require.Equal(t, []WholeCatalogue{{5, 2}}, r.WholeCatalogue)
	require.Equal(t, "all items, including those in the case's history", r.Definitions.Ranked)
}
