package commands_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/dataset"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

// TestTowersKeepTheirFiguresAsONNX: a bundle that went out as ONNX models and came back ranks as it did, to the last figure.
func TestTowersKeepTheirFiguresAsONNX(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	movieLens := writeMovieLens(t)
	data, err := dataset.ReadMovieLens(movieLens)
	require.NoError(t, err)
	features := make([]towers.ItemFeatures, len(data.Items))
	for i := range data.Items {
		features[i] = towers.FeaturesOf(&data.Items[i])
	}
	own := towertest.Write(t, towertest.Shape{Version: "m1", Dim: 16, Heads: 2, Queries: true}, features)
	models, back := filepath.Join(t.TempDir(), "models"), filepath.Join(t.TempDir(), "back")

	ok := func(args ...string) string {
		o := execute(t.Context(), "", args...)
		require.Zero(t, o.code, "%v: %s", args, o.err)
		return o.out
	}
	require.Contains(t, ok("export", "onnx", "--bundle", own, "--out", models), "user_history.onnx")
	require.Contains(t, ok("import", "onnx", "--user", filepath.Join(models, "user_tower.onnx"),
		"--item", filepath.Join(models, "item_tower.onnx"), "--vocabulary", filepath.Join(models, "vocabulary.json"),
		"--model-version", "m1", "--out", back), "a step with a state of 32\nmodel m1 of dim 16,")
	want := ok("evaluate", "--data", movieLens, "--bundle", own, "--json")
	require.Contains(t, want, "towers m1")
	require.Equal(t, figures(t, want), figures(t, ok("evaluate", "--data", movieLens, "--bundle", back, "--json")))
}

// TestImportedTowersAreNotTrainedFurther since their weights are not at hand, nor is their query tower.
func TestImportedTowersAreNotTrainedFurther(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	imported := filepath.Join(t.TempDir(), "imported")
	vectors := filepath.Join(t.TempDir(), "vectors.jsonl")
	require.NoError(t, os.WriteFile(vectors, []byte(`{"item_id": "p", "vector": [1, 2]}`), 0o600))
	model := filepath.Join(t.TempDir(), "mean.onnx")
	require.NoError(t, os.WriteFile(model, towertest.EncoderModel(t, 2, 0), 0o600))
	o := execute(t.Context(), "", "import", "onnx", "--user", model, "--vectors", vectors, "--out", imported)
	require.Zero(t, o.code, o.err)

	o = execute(t.Context(), "", "train", "--data", writeMovieLens(t), "--from", imported, "--out", filepath.Join(t.TempDir(), "further"))
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, imported+`: its engine is "onnx"`)
	require.Contains(t, o.err, "name a bundle that freshet train wrote")

	_, err := towers.ReadWeights(imported)
	require.True(t, towers.IsUnsupported(err), "%v", err)
	_, err = towers.LoadQueryTower(imported)
	require.True(t, towers.IsAbsent(err), "%v", err)
	require.ErrorContains(t, err, "search by text takes a bundle that freshet train wrote")
}
