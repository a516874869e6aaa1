package training_test

import (
	"context"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/training"
)

// publicData is a folder below FRESHET_DATA.
func publicData(t *testing.T, name string) string {
	t.Helper()
	root := os.Getenv("FRESHET_DATA")
	if root == "" {
		t.Skip("needs a folder of public data sets in FRESHET_DATA")
	}
	if testing.Short() {
		t.Skip("takes minutes")
	}
	dir := filepath.Join(root, name)
	if _, err := os.Stat(dir); err != nil {
		t.Skip(err)
	}
	return dir
}

// tuned is the default configuration with what TRAINING_… says, so that a recipe can be tried without an edit.
func tuned(t *testing.T) training.Config {
	t.Helper()
	cfg := training.DefaultConfig()
	require.NoError(t, env.ParseWithOptions(&cfg, env.Options{Prefix: "TRAINING_"}))
	return cfg
}

// rate ranks the first target of each case among all items but those of the history, ties against the scorer.
func rate(cases []dataset.Case, items int, score func(history []int32, scores []float32)) (recall10, ndcg10 float64) {
	scores := make([]float32, items)
	for _, c := range cases {
		score(c.History, scores)
		target := scores[c.Targets[0]]
		for _, item := range append(slices.Clip(c.History), c.Targets[0]) {
			scores[item] = float32(math.Inf(-1))
		}
		rank := 1
		for _, s := range scores {
			if s >= target {
				rank++
			}
		}
		if rank <= 10 {
			recall10 += 1 / float64(len(cases))
			ndcg10 += 1 / math.Log2(float64(rank+1)) / float64(len(cases))
		}
	}
	return recall10, ndcg10
}

func popularity(sequences [][]int32, items int) func([]int32, []float32) {
	counts := make([]float32, items)
	for _, seq := range sequences {
		for _, item := range seq {
			counts[item]++
		}
	}
	return func(_ []int32, scores []float32) { copy(scores, counts) }
}

// train trains and prints both figures beside popularity's.
func train(t *testing.T, in training.Input, cfg training.Config, cases []dataset.Case) (recall10, ndcg10, popular float64) {
	t.Helper()
	model, result, err := training.Train(context.Background(), in, cfg, training.NewPrinter(os.Stderr).Print)
	require.NoError(t, err)
	recall10, ndcg10 = rate(cases, len(in.Items), model.Score)
	popular, popularNDCG := rate(cases, len(in.Items), popularity(in.Sequences, len(in.Items)))
	fmt.Fprintf(os.Stderr, "%v\n%v, test on %d: recall@10 %.4f NDCG@10 %.4f, popularity %.4f %.4f\n", result,
		result.Elapsed.Round(time.Millisecond), len(cases), recall10, ndcg10, popular, popularNDCG)
	return recall10, ndcg10, popular
}

func TestPublicMovieLensSmall(t *testing.T) {
	d, err := dataset.ReadMovieLens(publicData(t, "ml-latest-small"))
	require.NoError(t, err)
	past, cases := dataset.LeaveLastOut(d)
	cfg := tuned(t)
	if cfg.TimeBudget == 0 {
		cfg.TimeBudget = 20 * time.Second
	}
	recall, _, popular := train(t, training.FromDataset(past), cfg, cases)
	require.Greater(t, recall, 1.3*popular)
}

func TestSyntheticWorld(t *testing.T) {
	if testing.Short() || os.Getenv("FRESHET_DATA") == "" {
		t.Skip("takes a minute; runs with the public data sets")
	}
	d, err := dataset.Synthetic(dataset.DefaultSyntheticConfig())
	require.NoError(t, err)
	past, cases := dataset.LeaveLastOut(d)
	cfg := tuned(t)
	if cfg.TimeBudget == 0 {
		cfg.TimeBudget = 20 * time.Second
	}
	recall, _, popular := train(t, training.FromDataset(past), cfg, cases)
	require.Greater(t, recall, 1.3*popular)
}

func TestPublicMovieLensMillion(t *testing.T) {
	s, err := dataset.ReadSASRecSplit(publicData(t, "ml-1m"))
	require.NoError(t, err)
	cfg := tuned(t)
	if cfg.TimeBudget == 0 {
		cfg.TimeBudget = 4 * time.Minute
	}
	recall, _, _ := train(t, training.FromSequences(s), cfg, s.Test)
	require.Greater(t, recall, 0.25)
}
