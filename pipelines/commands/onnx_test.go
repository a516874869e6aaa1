package commands_test

import (
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
	own := towertest.Write(t, towertest.Shape{Version: "m1", Dim: 16, Heads: 2}, features)
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
	require.JSONEq(t, want, ok("evaluate", "--data", movieLens, "--bundle", back, "--json"))
}
