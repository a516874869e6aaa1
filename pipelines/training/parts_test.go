package training

import (
	"math"
	"math/rand/v2"
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

func TestSamplerIsUnbiased(t *testing.T) {
	items, events := make([]int32, 50), make([]int, 50)
	for i := range items {
		items[i], events[i] = int32(i), 1+i*i
	}
	s := newSampler(items, events, 20)
	want := 0.0
	for i, p := range s.probability {
		require.Greater(t, p, 0.0)
		require.LessOrEqual(t, p, 1.0)
		require.InDelta(t, -math.Log(p), s.raise[i], 1e-6)
		want += p
	}
	require.InDelta(t, 20, want, 1e-9)
	rng := rand.New(rand.NewPCG(1, 1))
	counts := make([]float64, 50)
	const draws = 4000
	for range draws {
		drawn, raise := s.draw(nil, nil, rng)
		require.Len(t, raise, len(drawn))
		for _, item := range drawn {
			counts[item] += 1.0 / draws
		}
	}
	for i, p := range s.probability {
		require.InDelta(t, p, counts[i], 0.04)
	}
}

func TestSamplerOfAsManyAsThereAre(t *testing.T) {
	s := newSampler([]int32{0, 1, 2}, []int{5, 1, 2}, 10)
	require.Equal(t, []float64{1, 1, 1}, s.probability)
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
