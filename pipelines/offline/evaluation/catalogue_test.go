package evaluation

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
)

// Worked by hand over 20 events.
func TestPopularitiesByHand(t *testing.T) {
	p := newPopularities([]int{2, 8, 0, 5, 5, 0})
	require.InDeltaSlice(t, []float64{.4, 1, .1, .7, .7, .1}, p.percentile, 1e-12)
	require.InDelta(t, -math.Log2(9./26), p.surprise[1], 1e-12)
	require.InDelta(t, -math.Log2(1./26), p.surprise[2], 1e-12)
	// Before item 1 stand 0 events, before 3 stand 8 and before 4 stand 13 of 20, before 0 stand 18.
	require.Equal(t, []int8{tail, head, unseen, head, middle, unseen}, p.part)
	require.Nil(t, newPopularities(nil))
}

func TestGini(t *testing.T) {
	for _, c := range []struct {
		shown []int
		want  float64
	}{
		{[]int{3, 3, 3, 3}, 0},
		{[]int{0, 0, 0, 9}, .75}, // 1 - 1/n
		{[]int{1, 3}, .25},       // |1-3| twice, over 2 n² times the mean: 4 / (2*4*2)
		{[]int{0, 0}, 0},
	} {
		require.InDelta(t, c.want, gini(c.shown), 1e-12)
	}
}

// The definition: half the mean difference of all pairs, over the mean.
func TestGiniEqualsItsDefinition(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		shown := make([]int, 1+r.IntN(20))
		total, apart := 0, 0.0
		for i := range shown {
			shown[i] = r.IntN(10)
			total += shown[i]
		}
		for _, a := range shown {
			for _, b := range shown {
				apart += math.Abs(float64(a - b))
			}
		}
		if total > 0 {
			require.InDelta(t, apart/(2*float64(len(shown))*float64(total)), gini(shown), 1e-9)
		}
	}
}

func TestDiversity(t *testing.T) {
	item := func(categories ...string) schemas.ItemChange { return schemas.ItemChange{Categories: categories} }
	c := NewCatalogue([]schemas.ItemChange{item("a", "b"), item("b", "a", "b"), item("b", "c"), item(), item()}, [][]int32{{0, 2, 0}, {2}})
	require.Equal(t, []int{2, 0, 2, 0, 0}, c.Counts)
	require.InDelta(t, 0, c.diversity([]int32{0, 1}), 1e-12)
	require.InDelta(t, 2./3, c.diversity([]int32{0, 2}), 1e-12)
	require.InDelta(t, 1, c.diversity([]int32{3, 4}), 1e-12)
	require.InDelta(t, (0+2./3+2./3)/3, c.diversity([]int32{0, 1, 2}), 1e-12)
	require.Zero(t, c.diversity([]int32{0}))
	require.Nil(t, NewCatalogue([]schemas.ItemChange{item()}, nil).Categories)
}

// All signs tried one by one.
func TestChanceEqualsAllSigns(t *testing.T) {
	differences := []float64{.5, .25, -.125, 1, .75, 0, -.5, .3, .2, .9}
	o := newOutcomes(len(differences), 1)
	observed := 0.0
	for i, d := range differences {
		o.row(i)[0] = d
		observed += d
	}
	asFar := 0
	for signs := range 1 << len(differences) {
		sum := 0.0
		for i, d := range differences {
			if signs>>i&1 == 0 {
				d = -d
			}
			sum += d
		}
		if math.Abs(sum) >= observed-1e-12 {
			asFar++
		}
	}
	exact := float64(asFar) / float64(int(1)<<len(differences))
	require.InDelta(t, exact, o.chance(0, 100_000, 1), .004)
	require.InDelta(t, 1, newOutcomes(5, 1).chance(0, 100, 1), 0, "no difference at all")
}

func TestSegments(t *testing.T) {
	var cases []dataset.Case
	for i, events := range []int{0, 1, 5, 6, 200, 201} {
		cases = append(cases, dataset.Case{User: int32(i), History: make([]int32, events), Targets: []int32{int32(i%3) + 1}})
	}
	catalogue := Catalogue{Items: 4, Counts: []int{10, 10, 2, 0}}
	r, err := Evaluate(t.Context(), cases, catalogue, []Scorer{fixed{4, 3, 2, 1}}, Config{K: 2, IncludeSeen: true})
	require.NoError(t, err)
	type part struct {
		by, name string
		cases    int
		recall   float64
	}
	var got []part
	for _, s := range r.Scorers[0].Segments {
		got = append(got, part{s.By, s.Name, s.Cases, s.Recall.Mean})
	}
	require.Equal(t, []part{
		{"events before", "0", 1, 1}, {"events before", "1 to 5", 2, 0}, {"events before", "6 to 20", 1, 1},
		{"events before", "51 to 200", 1, 0}, {"events before", "more", 1, 0},
		{"first target", "head", 2, 1}, {"first target", "tail", 2, 0}, {"first target", "without events", 2, 0},
	}, got)
}

// A scorer that is better in every case is so beyond chance; one that is as good is not.
func TestDifferences(t *testing.T) {
	var cases []dataset.Case
	for i := range 60 {
		cases = append(cases, dataset.Case{User: int32(i), Targets: []int32{0}})
	}
	better, worse := fixed{4, 3, 2, 1}, perCase(nil)
	r, err := Evaluate(t.Context(), cases, Catalogue{Items: 4}, []Scorer{better, worse}, Config{K: 1, Resamples: 500, Against: "table"})
	require.NoError(t, err)
	d := r.Scorers[0].Difference
	require.InDelta(t, 1, d.Recall.Mean, 0)
	require.Less(t, d.RecallP, .003)
	require.Nil(t, r.Scorers[1].Difference)
	_, err = Evaluate(t.Context(), cases, Catalogue{Items: 4}, []Scorer{better}, Config{K: 1, Against: "towers"})
	require.ErrorContains(t, err, `no scorer "towers"`)
}
