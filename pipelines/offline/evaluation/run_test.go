package evaluation

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/parquet-go/parquet-go"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
)

// asked is a small evaluation of random scorers with the given seeds, over cases with several targets.
func asked(t testing.TB, seeds ...uint64) (*Report, []dataset.Case, *Catalogue) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 1))
	catalogue := &Catalogue{Items: 30, Counts: make([]int, 30), Categories: make([][]int32, 30), IDs: make([]string, 30), Titles: make([]string, 30)}
	for i := range 30 {
		catalogue.Counts[i], catalogue.Categories[i] = r.IntN(9), []int32{int32(r.IntN(4))}
		catalogue.IDs[i], catalogue.Titles[i] = "i"+string(rune('a'+i)), "Item <"+string(rune('a'+i))+">"
	}
	var cases []dataset.Case
	for u := range 80 {
		order := r.Perm(30)
		one := dataset.Case{User: int32(u)}
		for at, item := range order[:1+r.IntN(8)] {
			if at < 3 {
				one.Targets = append(one.Targets, int32(item))
			} else {
				one.History = append(one.History, int32(item))
			}
		}
		if u%2 == 0 {
			one.At, one.Type = ms("2026-03-01"), schemas.Purchase
		}
		cases = append(cases, one)
	}
	var scorers []Scorer
	for _, seed := range seeds {
		scorers = append(scorers, seeded{Random{Seed: seed}})
	}
	c := Config{K: 5, At: []int{1, 10}, Resamples: 200, Seed: 1, Samples: 4}
	report, err := Evaluate(t.Context(), cases, *catalogue, scorers, c)
	require.NoError(t, err)
	report.Subject = &Subject{At: time.UnixMilli(1_800_000_000_123).UTC(), Model: "m/1", Data: "made up", Split: "none"}
	return report, cases, catalogue
}

// seeded has a name of its own.
type seeded struct{ Random }

func (s seeded) Name() string { return "random " + string(rune('0'+s.Seed)) }

func TestRunsAreKept(t *testing.T) {
	report, _, _ := asked(t, 1, 2)
	runs := Runs{Dir: filepath.Join(t.TempDir(), "runs")}
	names, err := runs.Names()
	require.NoError(t, err)
	require.Empty(t, names)
	_, _, err = runs.Load(Latest)
	require.ErrorContains(t, err, "has no runs")

	name, err := runs.Save(report.Run())
	require.NoError(t, err)
	require.Equal(t, "20270115t080000.123z_m-1", name)
	_, err = runs.Save(report.Run())
	require.ErrorIs(t, err, os.ErrExist, "no run is written over another")

	report.Subject.At = report.Subject.At.Add(time.Hour)
	later, err := runs.Save(report.Run())
	require.NoError(t, err)
	names, err = runs.Names()
	require.NoError(t, err)
	require.Equal(t, []string{name, later}, names)
	for given, want := range map[string]string{
		Latest: later, name: name, "t09": later, filepath.Join(runs.Dir, name+runSuffix): name,
	} {
		got, whole, err := runs.Load(given)
		require.NoError(t, err)
		require.Equal(t, want, whole)
		require.Equal(t, report.run.Outcomes[1].Ranks, got.Outcomes[1].Ranks)
		require.Equal(t, report.Scorers[1], got.Report.Scorers[1])
	}
	_, _, err = runs.Load("2027")
	require.ErrorContains(t, err, "fits 2 of the 2 runs")
	files, err := os.ReadDir(runs.Dir)
	require.NoError(t, err)
	require.Len(t, files, 2, "nothing half written is left")

	past, err := runs.Past(report.Checksum, 1)
	require.NoError(t, err)
	require.Equal(t, []Past{{Name: later, At: report.Subject.At, Model: "m/1", K: 5, Of: report.Scorers[0].At}}, past)
	past, err = runs.Past("another", 9)
	require.NoError(t, err)
	require.Empty(t, past)

	report.Subject = nil
	_, err = runs.Save(report.Run())
	require.ErrorContains(t, err, "what was measured")
}

// A comparison of two runs says what comparing the two scorers within one run says.
func TestCompareEqualsTheDifferenceWithinARun(t *testing.T) {
	both, cases, catalogue := asked(t, 1, 2)
	first, _, _ := asked(t, 1)
	second, _, _ := asked(t, 2)
	c := Config{K: 5, At: []int{1, 10}, Resamples: 200, Seed: 1, Against: "random 1"}
	within, err := Evaluate(t.Context(), cases, *catalogue, []Scorer{seeded{Random{Seed: 1}}, seeded{Random{Seed: 2}}}, c)
	require.NoError(t, err)
	across, err := Compare("a", first.Run(), "b", second.Run(), Comparing{Resamples: 200, Seed: 1})
	require.NoError(t, err)
	d := within.Scorers[1].Difference
	for name, want := range map[string]struct {
		Metric
		p float64
	}{"recall": {d.Recall, d.RecallP}, "ndcg": {d.NDCG, d.NDCGP}} {
		got := across.figure(name)
		require.InDelta(t, want.Mean, got.Difference.Mean, 1e-12)
		require.InDelta(t, want.Low, got.Difference.Low, 1e-12)
		require.InDelta(t, want.High, got.Difference.High, 1e-12)
		require.InDelta(t, want.p, got.P, 1e-12)
	}
	for _, m := range both.Scorers[1].named() {
		require.InDelta(t, m.Mean, across.figure(m.name).B, 1e-12, m.name)
	}
	require.InDelta(t, both.Scorers[0].Miscalibration.Mean, across.figure("miscalibration").A, 1e-4)
	require.InDelta(t, both.Scorers[0].PopularityBias.Mean, across.figure("popularity_bias").A, 1e-4)
	require.Len(t, across.Figures, metrics+listMetrics)

	at10, err := Compare("a", both.Run(), "b", both.Run(), Comparing{ScorerB: "random 2", K: 10})
	require.NoError(t, err)
	require.Len(t, at10.Figures, metrics, "lists of another length are not there")
	require.InDelta(t, both.Scorers[1].At[2].MAP.Mean, at10.figure("map").B, 1e-12)
}

func TestCompareRefuses(t *testing.T) {
	report, cases, catalogue := asked(t, 1, 2)
	run := report.Run()
	other, err := Evaluate(t.Context(), cases[1:], *catalogue, []Scorer{Random{}}, Config{K: 5})
	require.NoError(t, err)
	_, err = Compare("a", run, "b", other.Run(), Comparing{})
	require.ErrorContains(t, err, "different questions")
	_, err = Compare("a", run, "b", run, Comparing{ScorerA: "rand"})
	require.ErrorContains(t, err, `a: scorer "rand" fits 2`)
	_, err = Compare("a", run, "b", run, Comparing{ScorerB: "towers"})
	require.ErrorContains(t, err, "choose one of random 1, random 2")
	_, err = Compare("a", run, "b", run, Comparing{K: -1})
	require.ErrorContains(t, err, "k is -1")

	seen, err := Evaluate(t.Context(), cases, *catalogue, []Scorer{Random{}}, Config{K: 5, IncludeSeen: true})
	require.NoError(t, err)
	require.NotEqual(t, report.Checksum, seen.Checksum)
	changed := append([]dataset.Case{}, cases...)
	changed[3].History, changed[3].Targets = append(changed[3].History, changed[3].Targets[0]), changed[3].Targets[1:]
	require.NotEqual(t, report.Checksum, checksum(changed, 30, false), "an item from one list into the other")
}

func TestHeadlines(t *testing.T) {
	figures := func(recall, ndcg float64, p float64) *Comparison {
		return &Comparison{Cases: 9, Figures: []Compared{
			{Name: "recall", K: 5, Difference: exactly(recall), P: .01, Ranking: true},
			{Name: "ndcg", K: 5, Difference: exactly(ndcg), P: p, Ranking: true},
		}}
	}
	require.Equal(t, "B is better: NDCG@5 by +0.1000, p 0.0100.", figures(.1, .1, .01).Headline())
	require.Equal(t, "A is better: NDCG@5 by -0.1000, p 0.0100.", figures(-.1, -.1, .01).Headline())
	require.Contains(t, figures(.1, -.1, .01).Headline(), "A better: NDCG@5 by -0.1000, p 0.0100; but recall@5 says the opposite.")
	require.Contains(t, figures(.1, .1, .05).Headline(), "not resolved: NDCG@5 by +0.1000, p 0.0500; 9 cases cannot tell")
	require.Equal(t, "A more", (&Compared{Difference: exactly(-1), P: .01}).Verdict())
	require.Equal(t, "not resolved", (&Compared{Difference: exactly(-1), P: .5, Ranking: true}).Verdict())

	same, _, _ := asked(t, 3)
	c, err := Compare("x", same.Run(), "y", same.Run(), Comparing{Resamples: 100})
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, c.WriteTable(&out))
	require.Contains(t, out.String(), "A: random 3 of x\nB: random 3 of y\n")
	require.Contains(t, out.String(), "The difference is not resolved: NDCG@5 by +0.0000, p 1.0000; 80 cases cannot tell A and B apart.")
}

func TestReadRunRefusesWhatDoesNotFit(t *testing.T) {
	for want, spoil := range map[string]func(*Run){
		"no report":                      func(r *Run) { r.Report = nil },
		"its k is 0":                     func(r *Run) { r.Report.K = 0 },
		"targets of 79 cases":            func(r *Run) { r.Targets = r.Targets[1:] },
		"outcomes of 1 scorers":          func(r *Run) { r.Outcomes = r.Outcomes[:1] },
		`is of scorer "x"`:               func(r *Run) { r.Outcomes[1].Scorer = "x" },
		"ranks of 79 cases":              func(r *Run) { r.Outcomes[0].Ranks = r.Outcomes[0].Ranks[1:] },
		"ranks [0]":                      func(r *Run) { r.Outcomes[0].Ranks[0] = []int32{0} },
		"ranks [4 4]":                    func(r *Run) { r.Outcomes[0].Ranks[0], r.Targets[0] = []int32{4, 4}, 2 },
		"ranks [1 2 3 4]":                func(r *Run) { r.Outcomes[0].Ranks[0] = []int32{1, 2, 3, 4} },
		"popularity has 79 values":       func(r *Run) { r.Outcomes[0].Lists[0].Values = r.Outcomes[0].Lists[0].Values[1:] },
		"names cases that there are not": func(r *Run) { r.Outcomes[0].Lists[1].Cases = []int32{80} },
	} {
		report, _, _ := asked(t, 1, 2)
		run := report.Run()
		run.Targets = append([]int32{}, run.Targets...)
		spoil(run)
		require.ErrorContains(t, run.Validate(), want)
		_, err := readRun(packed(t, runFile{runFormat, runVersion, run}), 1<<20)
		require.ErrorContains(t, err, want)
	}
	_, err := readRun(packed(t, runFile{Format: "other", Version: 1}), 1<<20)
	require.ErrorContains(t, err, `its format is "other" version 1`)
	report, _, _ := asked(t, 1)
	_, err = readRun(packed(t, runFile{runFormat, runVersion, report.Run()}), 1000)
	require.ErrorContains(t, err, "unpacks to more than 1000 bytes")
}

// What builds up to November 2026 kept stays comparable.
func TestRunsOfVersion1(t *testing.T) {
	run, err := readRun(packed(t, json.RawMessage(`{"format":"freshet-evaluation-run","version":1,`+
		`"report":{"k":10,"cases":2,"scorers":[{"name":"a"}]},"targets":[2,1],"outcomes":[{"scorer":"a","places":[[1,4],[]]}]}`)), 1<<20)
	require.NoError(t, err)
	require.Equal(t, [][]int32{{1, 4}, {}}, run.Outcomes[0].Ranks)
	_, err = readRun(packed(t, json.RawMessage(`{"format":"freshet-evaluation-run","version":3}`)), 1<<20)
	require.ErrorContains(t, err, "version 3, not")
}

func packed(t testing.TB, v any) io.Reader {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	require.NoError(t, json.NewEncoder(w).Encode(v))
	require.NoError(t, w.Close())
	return &b
}

// Whatever a file holds, it is refused or can be compared with itself. The bytes are packed by the test, for a fuzzer does not find checksums.
func FuzzReadRun(f *testing.F) {
	report, _, _ := asked(f, 1)
	whole, err := json.Marshal(runFile{runFormat, runVersion, report.Run()})
	require.NoError(f, err)
	f.Add(whole)
	f.Add([]byte(`{"format":"freshet-evaluation-run","version":1,"report":{"k":1,"cases":1,"scorers":[{"name":"a"}]},"targets":[1],` +
		`"outcomes":[{"scorer":"a","ranks":[[1]],"lists":[{"name":"novelty","cases":[0],"values":[1]}]}]}`))
	f.Add([]byte(`{"format":"freshet-evaluation-run","version":1,"report":{"k":1,"cases":1,"scorers":[{"name":"a"}]},"targets":[1],` +
		`"outcomes":[{"scorer":"a","places":[[1]]}]}`))
	f.Add([]byte(`{"format":"freshet-evaluation-run","version":1}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		_, err := w.Write(text)
		require.NoError(t, err)
		require.NoError(t, w.Close())
		run, err := readRun(&b, 1<<20)
		if err != nil {
			return
		}
		c, err := Compare("a", run, "b", run, Comparing{Seed: 1})
		require.NoError(t, err)
		require.NoError(t, c.WriteTable(io.Discard))
	})
}

func TestParquetHoldsTheFigures(t *testing.T) {
	report, cases, catalogue := asked(t, 1, 2)
	var b bytes.Buffer
	require.NoError(t, report.WriteParquet(&b))
	rows, err := parquet.Read[figure](bytes.NewReader(b.Bytes()), int64(b.Len()))
	require.NoError(t, err)
	require.Equal(t, report.figures(), rows)

	b.Reset()
	require.NoError(t, report.WriteCases(&b, cases, catalogue))
	of, err := parquet.Read[caseRow](bytes.NewReader(b.Bytes()), int64(b.Len()))
	require.NoError(t, err)
	require.Len(t, of, 2*len(cases))
	sum := 0.0
	for i, row := range of[len(cases):] {
		require.Equal(t, "random 2", row.Scorer)
		require.EqualValues(t, i, row.Case)
		require.Len(t, row.Targets, len(cases[i].Targets))
		require.Equal(t, catalogue.IDs[cases[i].Targets[0]], row.Targets[0])
		if i%2 == 0 {
			require.Equal(t, cases[i].At, row.At.UnixMilli())
			require.Equal(t, "purchase", *row.Interaction)
		} else {
			require.Nil(t, row.At)
			require.Nil(t, row.Interaction)
		}
		sum += row.NDCG / float64(len(cases))
	}
	require.InDelta(t, report.Scorers[1].NDCG.Mean, sum, 1e-12)
	require.ErrorContains(t, report.WriteCases(&b, cases[1:], catalogue), "there are 79")
}

func TestSamples(t *testing.T) {
	report, cases, _ := asked(t, 1, 2)
	require.Len(t, report.Samples, 4)
	for i, s := range report.Samples {
		require.Equal(t, nameOf(nil, cases[i*20].User), s.User, "evenly spread")
		require.Len(t, s.Targets, len(cases[i*20].Targets))
		require.Len(t, s.List, 5)
		hits := 0
		for _, l := range s.List {
			require.NotContains(t, s.History, l.Item)
			if l.Hit {
				require.Contains(t, s.Targets, l.Item)
				hits++
			}
		}
		within := 0
		for _, place := range report.run.Outcomes[0].Ranks[i*20] {
			if place <= 5 {
				within++
			}
		}
		require.Equal(t, within, hits)
		require.Equal(t, within > 0, s.Rank > 0 && s.Rank <= 5)
	}
	long := make([]int32, 25)
	long[24] = 2
	r, err := Evaluate(t.Context(), []dataset.Case{{History: long, Targets: []int32{1}}}, Catalogue{Items: 3}, []Scorer{fixed{3, 2, 1}}, Config{K: 2, Samples: 9})
	require.NoError(t, err)
	require.Len(t, r.Samples, 1)
	require.Equal(t, 15, r.Samples[0].Earlier)
	require.Equal(t, "#3", r.Samples[0].History[9])
}
