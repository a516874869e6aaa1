package training

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/services/towers"
)

func TestDropoutKeepsTheMean(t *testing.T) {
	d := newDropout(0.2)
	d.seed(1, 2)
	x, mask := make([]float32, 100_003), make([]byte, 100_003)
	for i := range x {
		x[i] = 1
	}
	d.apply(x, mask)
	zeros, sum := 0, 0.0
	for _, v := range x {
		if v == 0 {
			zeros++
		}
		sum += float64(v)
	}
	require.InDelta(t, 0.2, float64(zeros)/float64(len(x)), 0.01)
	require.InDelta(t, 1, sum/float64(len(x)), 0.01)

	again := make([]float32, len(x))
	for i := range again {
		again[i] = 1
	}
	d.repeat(again, mask)
	require.Equal(t, x, again)
}

// TestAdamFollowsThePaper holds the folded bias corrections against the algorithm as published.
func TestAdamFollowsThePaper(t *testing.T) {
	a, w := newAdam(2), []float32{1, -2}
	m, v, want := [2]float64{}, [2]float64{}, [2]float64{1, -2}
	for step := 1; step <= 20; step++ {
		g := []float32{float32(math.Sin(float64(step))), 0.01 * float32(step)}
		a.update(w, g, 0, newPace(0.1, step))
		for i := range want {
			gi := float64(g[i])
			m[i] = 0.9*m[i] + 0.1*gi
			v[i] = 0.98*v[i] + 0.02*gi*gi
			mHat, vHat := m[i]/(1-math.Pow(0.9, float64(step))), v[i]/(1-math.Pow(0.98, float64(step)))
			want[i] -= 0.1 * mHat / (math.Sqrt(vHat) + 1e-8)
			require.InDelta(t, want[i], w[i], 1e-4)
		}
	}
}

func TestLearningRate(t *testing.T) {
	require.InDelta(t, 0.1, learningRate(0, 10, 0), 1e-9)
	require.InDelta(t, 1, learningRate(9, 10, 0), 1e-9)
	require.InDelta(t, 0.51, learningRate(50, 10, 0.5), 1e-9)
	require.InDelta(t, 0.02, learningRate(100, 10, 1), 1e-9)
}

func TestRankOf(t *testing.T) {
	cases := map[string]struct {
		scores  []float32
		c       heldOut
		repeats bool
		want    int
	}{
		"first":              {[]float32{3, 2, 1}, heldOut{target: 0}, false, 1},
		"last":               {[]float32{3, 2, 1}, heldOut{target: 2}, false, 3},
		"history left out":   {[]float32{3, 2, 1}, heldOut{target: 2, history: sequence(0, 1)}, false, 1},
		"history ranked":     {[]float32{3, 2, 1}, heldOut{target: 2, history: sequence(0, 1)}, true, 3},
		"ties count against": {[]float32{1, 1, 1}, heldOut{target: 0}, false, 3},
		"no number":          {[]float32{1, float32(math.NaN()), 1}, heldOut{target: 1}, false, 3},
		"others no numbers":  {[]float32{1, float32(math.NaN()), 0}, heldOut{target: 0}, false, 2},
		"target seen before": {[]float32{3, 2, 1}, heldOut{target: 1, history: sequence(1)}, false, 2},
		"target repeated":    {[]float32{3, 2, 1}, heldOut{target: 1, history: sequence(1)}, true, 2},
	}
	for name, c := range cases {
		require.Equal(t, c.want, rankOf(c.scores, c.c, c.repeats), name)
	}
}

func TestItemTable(t *testing.T) {
	items := []towers.ItemFeatures{
		{ItemID: "often", Categories: []string{"a"}},
		{ItemID: "once", Categories: []string{"a"}},
		{ItemID: "never", Categories: []string{"a", "b"}},
		{ItemID: "bare"},
		{ItemID: "other", Categories: []string{"b"}},
	}
	cfg := smallConfig()
	cfg.MinItemEvents = 2
	sequences := [][]event{sequence(0, 1, 3), sequence(0, 4), sequence(0, 4, 2, 1)}
	sequences[2][2].aside, sequences[2][3].aside = true, true
	table := newItemTable(items, sequences, &cfg)
	require.Equal(t, []string{"often", "other"}, table.w.IDs)
	require.Equal(t, []string{"category:a"}, table.w.Tokens, "the second item of category b has no events")
	require.Equal(t, []int32{0, -1, -1, -1, 1}, table.idRow)
	require.Equal(t, []int32{0, 1, 4}, table.trained())
	require.Equal(t, []int{3, 1, 0, 1, 2}, table.events, "what was turned down is no choice")
	sequences[2] = append(sequences[2][:2:2], sequences[2][3])
	require.Equal(t, [][]event{sequence(0, 1), sequence(0, 4), sequences[2]}, table.known(sequences))
	require.Equal(t, 0, table.rowOf(0, false))
	require.Equal(t, -1, table.rowOf(0, true))
	require.Equal(t, 1, table.rowOf(4, true), "without content the id stays")
}
