package evaluation

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/pipelines/offline/dataset"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fixed scores every case the same.
type fixed []float32

func (fixed) Name() string { return "fixed" }

func (f fixed) Score(scores []float32, _ int32, _ []int32) { copy(scores, f) }

func evaluate(t *testing.T, cases []dataset.Case, items int, s Scorer, c Config) Result {
	t.Helper()
	r, err := Evaluate(t.Context(), cases, Catalogue{Items: items}, []Scorer{s}, c)
	require.NoError(t, err)
	return r.Scorers[0]
}

// Worked by hand: items 0 to 5, lists of three.
func TestMetricsByHand(t *testing.T) {
	nan := float32(math.NaN())
	at2, at3 := 1/math.Log2(3), 1/math.Log2(4)
	falling := fixed{6, 5, 4, 3, 2, 1}
	items := func(of ...int32) []int32 { return of }
	type want struct{ recall, hit, precision, ndcg, mrr, ap float64 }
	for name, c := range map[string]struct {
		scores           fixed
		history, targets []int32
		includeSeen      bool
		want             want
	}{
		"first":               {falling, nil, items(0), false, want{1, 1, 1. / 3, 1, 1, 1}},
		"third":               {falling, nil, items(2), false, want{1, 1, 1. / 3, at3, 1. / 3, 1. / 3}},
		"fourth":              {falling, nil, items(3), false, want{}},
		"fourth without seen": {falling, items(0, 1, 0), items(3), false, want{1, 1, 1. / 3, at2, .5, .5}},
		"fourth with seen":    {falling, items(0, 1), items(3), true, want{}},
		"seen itself":         {falling, items(0), items(0), false, want{}},
		"tie with one":        {fixed{6, 6, 4, 3, 2, 1}, nil, items(0), false, want{1, 1, 1. / 3, at2, .5, .5}},
		"all equal":           {fixed{6, 6, 6, 6, 6, 6}, nil, items(0), false, want{}},
		"no number":           {fixed{nan, 5, 4, 3, 2, 1}, nil, items(0), false, want{}},
		"others no numbers":   {fixed{nan, nan, nan, 3, 2, 1}, nil, items(5), false, want{1, 1, 1. / 3, at3, 1. / 3, 1. / 3}},
		"two of two":          {falling, nil, items(2, 0), false, want{1, 1, 2. / 3, (1 + at3) / (1 + at2), 1, (1 + 2./3) / 2}},
		"one of two":          {falling, nil, items(5, 1), false, want{.5, 1, 1. / 3, at2 / (1 + at2), .5, .25}},
		"three of four":       {falling, nil, items(0, 1, 2, 3), false, want{.75, 1, 1, 1, 1, 1}},
		"equal targets":       {fixed{6, 6, 4, 3, 2, 1}, nil, items(0, 1), false, want{1, 1, 2. / 3, 1, 1, 1}},
		"equal, tied by one":  {fixed{6, 6, 6, 3, 2, 1}, nil, items(0, 1), false, want{1, 1, 2. / 3, (at2 + at3) / (1 + at2), .5, (.5 + 2./3) / 2}},
	} {
		t.Run(name, func(t *testing.T) {
			cases := []dataset.Case{{History: c.history, Targets: c.targets}}
			r := evaluate(t, cases, 6, c.scores, Config{K: 3, IncludeSeen: c.includeSeen})
			want := []float64{c.want.recall, c.want.hit, c.want.precision, c.want.ndcg, c.want.mrr, c.want.ap}
			want = append(want, c.want.ap*float64(min(3, len(c.targets)))/float64(len(c.targets)))
			require.InDeltaSlice(t, want, means(&r.Metrics), 1e-12)
			require.InDelta(t, .5, r.Coverage, 0)
		})
	}
}

func means(m *Metrics) []float64 {
	return []float64{m.Recall.Mean, m.HitRate.Mean, m.Precision.Mean, m.NDCG.Mean, m.MRR.Mean, m.MAP.Mean, m.MAPAll.Mean}
}

// naive sorts the whole catalogue, targets last among their equals, and reads the metrics off the list.
func naive(scores []float32, c dataset.Case, k int, includeSeen bool) [metrics]float64 {
	var order []int32
	for i := range scores {
		if includeSeen || !slices.Contains(c.History, int32(i)) {
			order = append(order, int32(i))
		}
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		if scores[a] != scores[b] {
			return map[bool]int{true: -1, false: 1}[scores[a] > scores[b]]
		}
		return map[bool]int{true: 1}[slices.Contains(c.Targets, a)] - map[bool]int{true: 1}[slices.Contains(c.Targets, b)]
	})
	var o [metrics]float64
	hits, dcg, ideal := 0.0, 0.0, 0.0
	for i, item := range order[:min(k, len(order))] {
		if slices.Contains(c.Targets, item) {
			o[recall] += 1 / float64(len(c.Targets))
			o[hitRate] = 1
			o[precision] += 1 / float64(k)
			hits++
			o[averagePrecision] += hits / float64(i+1) / float64(min(k, len(c.Targets)))
			o[averagePrecisionAll] += hits / float64(i+1) / float64(len(c.Targets))
			dcg += 1 / math.Log2(float64(i)+2)
			if o[mrr] == 0 {
				o[mrr] = 1 / float64(i+1)
			}
		}
	}
	for i := range min(k, len(c.Targets)) {
		ideal += 1 / math.Log2(float64(i)+2)
	}
	o[ndcg] = dcg / ideal
	return o
}

// perCase scores by a table with a row for each user.
type perCase [][]float32

func (perCase) Name() string { return "table" }

// Score of no table finds nothing.
func (p perCase) Score(scores []float32, user int32, _ []int32) {
	clear(scores)
	if p != nil {
		copy(scores, p[user])
	}
}

func TestMetricsEqualNaiveOnes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		items, k := 2+r.IntN(40), 1+r.IntN(12)
		c := Config{K: k, At: []int{1, k, k + 3}, IncludeSeen: r.IntN(2) == 0, Workers: 1 + r.IntN(3)}
		var cases []dataset.Case
		var scores perCase
		want := map[int]*[metrics]float64{}
		for _, at := range c.At {
			want[at] = new([metrics]float64)
		}
		n := 1 + r.IntN(70)
		for u := range n {
			row := make([]float32, items)
			for i := range row {
				row[i] = float32(r.IntN(6)) // many ties
			}
			mixed := r.Perm(items)
			targets, seen := 1+r.IntN(min(4, items)), r.IntN(items)
			one := dataset.Case{User: int32(u)}
			for _, i := range mixed[:targets] {
				one.Targets = append(one.Targets, int32(i))
			}
			for _, i := range mixed[min(targets, len(mixed)-1):][:min(seen, items-targets)] {
				one.History = append(one.History, int32(i))
			}
			cases, scores = append(cases, one), append(scores, row)
			for at, sum := range want {
				for j, v := range naive(row, one, at, c.IncludeSeen) {
					sum[j] += v / float64(n)
				}
			}
		}
		got := evaluate(t, cases, items, scores, c)
		require.Len(t, got.At, len(want))
		for _, at := range got.At {
			require.InDeltaSlice(t, want[at.K][:], means(&at.Metrics), 1e-9)
		}
		require.InDeltaSlice(t, want[k][:], means(&got.Metrics), 1e-9)
	}
}

// small is a world in which a sequential model has something to learn.
func small(t *testing.T) (items int, train [][]int32, cases []dataset.Case) {
	t.Helper()
	c := dataset.DefaultSyntheticConfig()
	c.Users, c.Items, c.Events = 600, 400, 30_000
	d, err := dataset.Synthetic(c)
	require.NoError(t, err)
	rest, cases := dataset.LeaveLastOut(d)
	return len(d.Items), rest.Histories(), cases
}

func TestReportDoesNotDependOnWorkers(t *testing.T) {
	items, train, cases := small(t)
	scorers := []Scorer{NewTransitions(train, items), NewPopularity(train, items), Random{Seed: 1}}
	var reports []*Report
	for _, workers := range []int{0, 1, 7} {
		c := DefaultConfig()
		c.Workers, c.Resamples = workers, 200
		r, err := Evaluate(t.Context(), cases, Catalogue{Items: items}, scorers, c)
		require.NoError(t, err)
		reports = append(reports, r)
	}
	require.Equal(t, reports[0], reports[1])
	require.Equal(t, reports[0], reports[2])
}

// Ranks 1 and 3, whose gains are exact on every processor.
func TestReportGolden(t *testing.T) {
	var cases []dataset.Case
	for i := range 40 {
		cases = append(cases, dataset.Case{Targets: []int32{int32(i%5) * 2}, History: []int32{9}[:i/20]})
	}
	catalogue := Catalogue{
		Items: 10, Counts: []int{8, 4, 2, 1, 1, 0, 0, 0, 0, 0},
		Categories: [][]int32{{0}, {0, 1}, {2}, {}, {}, {}, {}, {}, {}, {}},
	}
	r, err := Evaluate(t.Context(), cases, catalogue, []Scorer{fixed{9, 8, 7, 6, 5, 4, 3, 2, 1}, perCase(nil)}, Config{K: 3, At: []int{1}, Resamples: 100, Against: "table"})
	require.NoError(t, err)
	golden(t, r)
}

// golden compares all forms of a report with what is on file.
func golden(t *testing.T, r *Report) {
	t.Helper()
	var asTable bytes.Buffer
	require.NoError(t, r.WriteTable(&asTable))
	asJSON, err := json.MarshalIndent(r, "", "  ")
	require.NoError(t, err)
	var asCSV bytes.Buffer
	require.NoError(t, r.WriteCSV(&asCSV))
	for name, got := range map[string][]byte{
		"report.txt": asTable.Bytes(), "report.json": append(asJSON, '\n'), "report.csv": asCSV.Bytes(),
	} {
		path := filepath.Join("testdata", name)
		if *update {
			require.NoError(t, os.MkdirAll("testdata", 0o755))
			require.NoError(t, os.WriteFile(path, got, 0o644))
		}
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "run with -update when this is meant")
	}
}

func TestSyntheticWorldCanBeLearnt(t *testing.T) {
	items, train, cases := small(t)
	scorers := []Scorer{NewTransitions(train, items), NewPopularity(train, items), Random{}}
	r, err := Evaluate(t.Context(), cases, Catalogue{Items: items}, scorers, DefaultConfig())
	require.NoError(t, err)
	transitions, popularity, random := r.Scorers[0], r.Scorers[1], r.Scorers[2]
	require.Greater(t, transitions.NDCG.Low, 3*popularity.NDCG.High)
	require.Greater(t, popularity.NDCG.Mean, random.NDCG.Mean)
	require.InDelta(t, 10./float64(items), random.Recall.Mean, .02)
}

func TestIntervalsHoldTheMean(t *testing.T) {
	// Of 400 cases, 100 hit: the standard error is sqrt(.25 * .75 / 400) = .0217.
	var cases []dataset.Case
	for i := range 400 {
		cases = append(cases, dataset.Case{Targets: []int32{int32(i % 4)}})
	}
	r := evaluate(t, cases, 4, fixed{4, 3, 2, 1}, Config{K: 1, Resamples: 2000, Seed: 5})
	require.InDelta(t, .25, r.Recall.Mean, 0)
	require.InDelta(t, .25-1.96*.0217, r.Recall.Low, .006)
	require.InDelta(t, .25+1.96*.0217, r.Recall.High, .006)
	require.Equal(t, "0.2500", evaluate(t, cases, 4, fixed{4, 3, 2, 1}, Config{K: 1}).Recall.String())
}

func TestEvaluateRefuses(t *testing.T) {
	good := []dataset.Case{{Targets: []int32{1}}}
	for want, run := range map[string]func() error{
		"k is 0": func() error { _, err := Evaluate(t.Context(), good, Catalogue{Items: 2}, nil, Config{}); return err },
		"workers is -1": func() error {
			_, err := Evaluate(t.Context(), good, Catalogue{Items: 2}, nil, Config{K: 1, Workers: -1})
			return err
		},
		"resamples is -1": func() error {
			_, err := Evaluate(t.Context(), good, Catalogue{Items: 2}, nil, Config{K: 1, Resamples: -1})
			return err
		},
		"there are no cases": func() error {
			_, err := Evaluate(t.Context(), nil, Catalogue{Items: 2}, nil, DefaultConfig())
			return err
		},
		"case 0 has no target": func() error {
			_, err := Evaluate(t.Context(), []dataset.Case{{}}, Catalogue{Items: 2}, nil, DefaultConfig())
			return err
		},
		"case 0 has item 1, but there are 1 items": func() error {
			_, err := Evaluate(t.Context(), good, Catalogue{Items: 1}, nil, DefaultConfig())
			return err
		},
	} {
		require.ErrorContains(t, run(), want)
	}
}

func TestEvaluateCanBeStopped(t *testing.T) {
	items, train, cases := small(t)
	ctx, cancel := context.WithCancel(t.Context())
	c := DefaultConfig()
	told := 0
	c.Progress = func(done, of int) {
		require.Equal(t, len(cases), of)
		told = done
		cancel()
	}
	_, err := Evaluate(ctx, cases, Catalogue{Items: items}, []Scorer{NewPopularity(train, items)}, c)
	require.ErrorIs(t, err, context.Canceled)
	require.Positive(t, told)
	require.Less(t, told, len(cases))
}

func TestProgressEnds(t *testing.T) {
	items, train, cases := small(t)
	c := Config{K: 5}
	last := 0
	c.Progress = func(done, _ int) {
		require.Greater(t, done, last)
		last = done
	}
	_, err := Evaluate(t.Context(), cases, Catalogue{Items: items}, []Scorer{NewPopularity(train, items), Random{}}, c)
	require.NoError(t, err)
	require.Equal(t, 2*len(cases), last)
}

// The published protocol on ml-1m; popularity stands in tables everywhere at .0369 and .0180.
func TestPublicBaselines(t *testing.T) {
	root := os.Getenv("FRESHET_DATA")
	if root == "" {
		t.Skip("needs a folder of public data sets in FRESHET_DATA")
	}
	s, err := dataset.ReadSASRecSplit(filepath.Join(root, "ml-1m"))
	require.NoError(t, err)
	items := len(s.Items)
	scorers := []Scorer{NewTransitions(s.Train, items), NewPopularity(s.Train, items), Random{}}
	r, err := Evaluate(t.Context(), s.Test, NewCatalogue(s.Items, s.Train), scorers, DefaultConfig())
	require.NoError(t, err)
	require.NoError(t, r.WriteTable(t.Output()))
	require.InDelta(t, .0369, r.Scorers[1].HitRate.Mean, 5e-5)
	require.InDelta(t, .0180, r.Scorers[1].NDCG.Mean, 5e-5)
	require.InDelta(t, .2757, r.Scorers[0].HitRate.Mean, 5e-5)
	require.InDelta(t, .1647, r.Scorers[0].NDCG.Mean, 5e-5)
	require.InDelta(t, 10./float64(items), r.Scorers[2].HitRate.Mean, 2e-3)
}
