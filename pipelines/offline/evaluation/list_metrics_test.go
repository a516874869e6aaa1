package evaluation

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
)

// Worked by hand: item 0 is in category 0, item 1 in 0 and 1, item 2 in 1, item 3 in none.
func TestMiscalibrationByHand(t *testing.T) {
	categories := [][]int32{{0}, {0, 1}, {1}, {}}
	log := math.Log
	for name, c := range map[string]struct {
		history, list []int32
		want          float64
	}{
		"alike":              {[]int32{0, 2}, []int32{1}, 0},
		"all the same":       {[]int32{0}, []int32{0, 0}, 0},
		"nothing in common":  {[]int32{0}, []int32{2}, log(1 / .01)},
		"no list":            {[]int32{0}, nil, log(1 / .01)},
		"half":               {[]int32{0, 0}, []int32{0, 2}, log(1 / (.99*.5 + .01))},
		"three to one":       {[]int32{0, 1}, []int32{2}, .75*log(.75/(.01*.75)) + .25*log(.25/(.99+.01*.25))},
		"without categories": {[]int32{3, 0, 3}, []int32{3, 0}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			var of tastes
			got, defined := of.miscalibration(categories, c.history, c.list)
			require.True(t, defined)
			require.InDelta(t, c.want, got, 1e-12)
		})
	}
	var of tastes
	for _, history := range [][]int32{nil, {3, 3}} {
		_, defined := of.miscalibration(categories, history, []int32{0})
		require.False(t, defined)
	}
}

// naiveMiscalibration goes by the definition, over maps.
func naiveMiscalibration(categories [][]int32, history, list []int32) float64 {
	shares := func(items []int32) map[int32]float64 {
		of, n := map[int32]float64{}, 0.0
		for _, item := range items {
			if len(categories[item]) > 0 {
				n++
			}
		}
		for _, item := range items {
			for _, category := range categories[item] {
				of[category] += 1 / n / float64(len(categories[item]))
			}
		}
		return of
	}
	p, q := shares(history), shares(list)
	sum := 0.0
	for category, share := range p {
		sum += share * math.Log(share/(.99*q[category]+.01*share))
	}
	return sum
}

// The list metrics of random lists, with cases that have no history and items that have no category, against the definitions.
func TestListMetricsEqualNaiveOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 100 {
		items, k := 5+r.IntN(20), 1+r.IntN(4)
		catalogue := Catalogue{Items: items, Counts: make([]int, items), Categories: make([][]int32, items)}
		for i := range items {
			catalogue.Counts[i] = r.IntN(5)
			for c := range int32(6) {
				if r.IntN(3) == 0 {
					catalogue.Categories[i] = append(catalogue.Categories[i], c)
				}
			}
		}
		percentile := func(list []int32) (mean float64) {
			for _, item := range list {
				below := 0.0
				for other, n := range catalogue.Counts {
					if n < catalogue.Counts[item] {
						below++
					} else if n == catalogue.Counts[item] && other != int(item) {
						below += .5
					}
				}
				mean += below / float64(items-1) / float64(len(list))
			}
			return mean
		}
		var cases []dataset.Case
		var scores perCase
		bias, biased, away, calibrated := 0.0, 0, 0.0, 0
		for u := range 1 + r.IntN(20) {
			order := r.Perm(items)
			row := make([]float32, items)
			var list []int32
			for at, item := range order {
				row[item] = float32(items - at)
				if at < k {
					list = append(list, int32(item))
				}
			}
			one := dataset.Case{User: int32(u), Targets: []int32{int32(r.IntN(items))}}
			hasCategory := false
			for range r.IntN(5) {
				item := int32(r.IntN(items))
				one.History = append(one.History, item)
				hasCategory = hasCategory || len(catalogue.Categories[item]) > 0
			}
			cases, scores = append(cases, one), append(scores, row)
			if len(one.History) > 0 {
				bias, biased = bias+percentile(list)-percentile(one.History), biased+1
			}
			if hasCategory {
				away, calibrated = away+naiveMiscalibration(catalogue.Categories, one.History, list), calibrated+1
			}
		}
		report, err := Evaluate(t.Context(), cases, catalogue, []Scorer{scores}, Config{K: k, IncludeSeen: true})
		require.NoError(t, err)
		got := report.Scorers[0]
		if biased == 0 {
			require.Nil(t, got.PopularityBias)
		} else {
			require.InDelta(t, bias/float64(biased), got.PopularityBias.Mean, 1e-9)
		}
		if calibrated == 0 {
			require.Nil(t, got.Miscalibration)
		} else {
			require.InDelta(t, away/float64(calibrated), got.Miscalibration.Mean, 1e-9)
		}
	}
}
