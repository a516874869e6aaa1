package evaluation

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
)

func ms(date string) int64 {
	t, err := time.Parse(time.DateOnly, date)
	if err != nil {
		panic(err)
	}
	return t.UnixMilli()
}

func TestSegmentsOfWhatTheDataHas(t *testing.T) {
	cases := []dataset.Case{
		{User: 0, Targets: []int32{0}, At: ms("2026-03-01"), Type: schemas.View},     // a Sunday
		{User: 1, Targets: []int32{1}, At: ms("2026-03-02"), Type: schemas.Purchase}, // a Monday
		{User: 2, Targets: []int32{2}, At: ms("2026-03-08"), Type: schemas.View},
		{User: 9, Targets: []int32{0}, At: ms("2026-03-09"), Type: schemas.Hide},
	}
	catalogue := Catalogue{Items: 3, Learnt: NewLearnt([][]int32{{0, 1}, {0}, {}}, 3)}
	r, err := Evaluate(t.Context(), cases, catalogue, []Scorer{fixed{3, 2, 1}}, Config{K: 1, Resamples: 20})
	require.NoError(t, err)
	type part struct {
		by, name string
		cases    int
		recall   float64
	}
	var got []part
	for _, s := range r.Scorers[0].Segments {
		got = append(got, part{s.By, s.Name, s.Cases, s.Recall.Mean})
		require.LessOrEqual(t, s.Recall.Low, s.Recall.Mean)
		require.GreaterOrEqual(t, s.Recall.High, s.Recall.Mean)
	}
	require.Equal(t, []part{
		{"user", "known", 2, .5}, {"user", "new", 2, .5},
		{"item", "known", 3, 2. / 3}, {"item", "new", 1, 0},
		{"interaction", "view", 2, .5}, {"interaction", "purchase", 1, 0}, {"interaction", "hide", 1, 1},
		{"week of", "2026-02-23", 1, 1}, {"week of", "2026-03-02", 2, 0}, {"week of", "2026-03-09", 1, 1},
	}, got)

	for i := range cases {
		cases[i].At, cases[i].Type = 0, schemas.UnknownInteraction
	}
	r, err = Evaluate(t.Context(), cases, Catalogue{Items: 3}, []Scorer{fixed{3, 2, 1}}, Config{K: 1})
	require.NoError(t, err)
	require.Empty(t, r.Scorers[0].Segments, "nothing is known by which these cases differ")
}

func TestLongTimesArePartedByLongerPeriods(t *testing.T) {
	by := func(step time.Duration, n int) (string, int) {
		var cases []dataset.Case
		for i := range n {
			cases = append(cases, dataset.Case{At: ms("2020-01-06") + int64(i)*step.Milliseconds()})
		}
		s := byTime(cases)
		return s.by, s.parts(cases)
	}
	const day = 24 * time.Hour
	for _, c := range []struct {
		step  time.Duration
		n     int
		by    string
		parts int
	}{
		{7 * day, mostPeriods, "week of", mostPeriods}, {7 * day, mostPeriods + 1, "month", 7}, {366 * day, 30, "year", 30},
	} {
		name, parts := by(c.step, c.n)
		require.Equal(t, c.by, name)
		require.Equal(t, c.parts, parts)
	}
}
