package evaluation

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// trecRuns reads a folder as trec_eval does: each query's documents by score, equal ones by document, both descending.
func trecRuns(t *testing.T, dir string, names []string) (relevant map[string]map[string]bool, runs []map[string][]string) {
	t.Helper()
	fields := func(name string, want int) (rows [][]string) {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			rows = append(rows, strings.Fields(line))
			require.Len(t, rows[len(rows)-1], want)
		}
		return rows
	}
	relevant = map[string]map[string]bool{}
	for _, f := range fields(TRECQrels, 4) {
		if relevant[f[0]] == nil {
			relevant[f[0]] = map[string]bool{}
		}
		require.Equal(t, "1", f[3])
		require.False(t, relevant[f[0]][f[2]], "a document once")
		relevant[f[0]][f[2]] = true
	}
	for _, name := range names {
		type scored struct {
			document string
			score    float64
		}
		lists := map[string][]scored{}
		for _, f := range fields(name, 6) {
			var score float64
			_, err := fmt.Sscan(f[4], &score)
			require.NoError(t, err)
			lists[f[0]] = append(lists[f[0]], scored{f[2], score})
			require.Equal(t, strings.TrimSuffix(name, trecRun), f[5])
		}
		run := map[string][]string{}
		for query, list := range lists {
			slices.SortFunc(list, func(a, b scored) int {
				return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.document, a.document))
			})
			for _, s := range list {
				run[query] = append(run[query], s.document)
			}
		}
		runs = append(runs, run)
	}
	return relevant, runs
}

// What the files say, by the definitions of trec_eval, are the figures of the report.
func TestTRECFilesHaveTheSameFigures(t *testing.T) {
	report, cases, _ := asked(t, 1, 2, 3)
	dir := filepath.Join(t.TempDir(), "trec")
	names, err := report.Run().WriteTREC(dir, 10)
	require.NoError(t, err)
	require.Equal(t, []string{"random-1.run", "random-2.run", "random-3.run"}, names)
	relevant, runs := trecRuns(t, dir, names)
	require.Len(t, relevant, len(cases))
	for i, run := range runs {
		require.Len(t, run, len(cases), "a query without lines would not count")
		for _, at := range report.Scorers[i].At {
			var of [metrics]float64
			for query, targets := range relevant {
				hits, dcg, ideal := 0., 0., 0.
				for place, document := range run[query][:min(at.K, len(run[query]))] {
					if targets[document] {
						hits++
						dcg += 1 / math.Log2(float64(place)+2)
						of[averagePrecisionAll] += hits / float64(place+1) / float64(len(targets)) / float64(len(cases))
						if hits == 1 {
							of[mrr] += 1 / float64(place+1) / float64(len(cases))
						}
					}
				}
				for place := range min(at.K, len(targets)) {
					ideal += 1 / math.Log2(float64(place)+2)
				}
				of[recall] += hits / float64(len(targets)) / float64(len(cases))
				of[precision] += hits / float64(at.K) / float64(len(cases))
				of[hitRate] += min(hits, 1) / float64(len(cases))
				of[ndcg] += dcg / ideal / float64(len(cases))
			}
			want := means(&at.Metrics)
			want[averagePrecision], of[averagePrecision] = 0, 0 // which these tools do not have
			require.InDeltaSlice(t, want, of[:], 1e-12, "%s at %d", names[i], at.K)
		}
	}
}

func TestWriteTRECRefuses(t *testing.T) {
	report, _, _ := asked(t, 1, 1)
	run, dir := report.Run(), t.TempDir()
	for _, depth := range []int{0, mostK + 1} {
		_, err := run.WriteTREC(dir, depth)
		require.ErrorContains(t, err, fmt.Sprintf("writing a run for trec_eval: the depth is %d: give 1 to 10000", depth))
	}
	names, err := run.WriteTREC(dir, 5)
	require.NoError(t, err)
	require.Equal(t, []string{"random-1.run", "random-1-2.run"}, names, "scorers of one name have files of their own")
	_, err = run.WriteTREC(dir, 5)
	require.ErrorContains(t, err, "qrels.txt is there already: give another folder")
}
