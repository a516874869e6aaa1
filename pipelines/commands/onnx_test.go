package commands_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/dataset"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

func featuresOf(t *testing.T, movieLens string) []towers.ItemFeatures {
	t.Helper()
	data, err := dataset.ReadMovieLens(movieLens)
	require.NoError(t, err)
	features := make([]towers.ItemFeatures, len(data.Items))
	for i := range data.Items {
		features[i] = towers.FeaturesOf(&data.Items[i])
	}
	return features
}

// TestTowersKeepTheirFiguresAsONNX: a bundle that went out as ONNX models and came back ranks as it did, to the last figure.
func TestTowersKeepTheirFiguresAsONNX(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	movieLens := writeMovieLens(t)
	features := featuresOf(t, movieLens)
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

// TestABundleIsMeasuredOnItsOwnCatalogue: another number of items is another catalogue. A bundle of towers that were trained elsewhere
// may not know the number, and is believed; one of our own always does. The manifest alone decides, before any tower is loaded, so that
// the models of the engine onnx need not be there.
func TestABundleIsMeasuredOnItsOwnCatalogue(t *testing.T) {
	configure(t, nowhere, nowhere, nowhere)
	movieLens := writeMovieLens(t)
	features := featuresOf(t, movieLens)
	const believed = "has no checksum of user_tower.onnx"
	refused := func(trained int) string {
		return fmt.Sprintf("was trained on a catalogue of %d items, this data set has %d: name the one it was trained on", trained, films)
	}
	for name, c := range map[string]struct {
		engine  string
		trained int
		want    string // of the error; "" where it is measured
	}{
		"our own":                            {"", films, ""},
		"our own, of more":                   {"", films + 1, refused(films + 1)},
		"our own, of fewer":                  {"", films - 1, refused(films - 1)},
		"our own, of none":                   {"", 0, refused(0)},
		"imported, of as many":               {"onnx", films, believed},
		"imported, of nobody knows how many": {"onnx", 0, believed},
		"imported, of more":                  {"onnx", films + 1, refused(films + 1)},
		"imported, of one":                   {"onnx", 1, refused(1)},
	} {
		t.Run(name, func(t *testing.T) {
			bundle := towertest.Write(t, towertest.Shape{Version: "m1", Dim: 8}, features)
			path := filepath.Join(bundle, "manifest.json")
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			var m towers.Manifest
			require.NoError(t, json.Unmarshal(text, &m))
			m.Engine, m.Data.Items = c.engine, c.trained
			text, err = json.Marshal(m)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, text, 0o600))

			o := execute(t.Context(), "", "evaluate", "--data", movieLens, "--bundle", bundle, "--k", "5")
			if c.want == "" {
				require.Zero(t, o.code, "%s", o.err)
				require.Contains(t, o.out, "towers m1")
				return
			}
			require.Equal(t, 1, o.code)
			require.Contains(t, o.err, c.want)
			require.Empty(t, o.out)
		})
	}
}

// TestImportedTowersThatDoNotKnowTheirCatalogueAreMeasured, as those of a vocabulary without data do not. A table of vectors does: it is
// the catalogue.
func TestImportedTowersThatDoNotKnowTheirCatalogueAreMeasured(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	configure(t, nowhere, nowhere, nowhere)
	movieLens, folder := writeMovieLens(t), t.TempDir()
	file := func(name string) string { return filepath.Join(folder, name) }
	ok := func(args ...string) string {
		t.Helper()
		o := execute(t.Context(), "", args...)
		require.Zero(t, o.code, "%v: %s", args, o.err)
		return o.out
	}
	ok("export", "onnx", "--bundle", towertest.Write(t, towertest.Shape{Version: "m1", Dim: 8}, featuresOf(t, movieLens)), "--out", folder)
	text, err := os.ReadFile(file("vocabulary.json"))
	require.NoError(t, err)
	var vocabulary map[string]any
	require.NoError(t, json.Unmarshal(text, &vocabulary))
	require.Contains(t, vocabulary, "data")
	delete(vocabulary, "data")
	text, err = json.Marshal(vocabulary)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file("vocabulary.json"), text, 0o600))
	ok("import", "onnx", "--user", file("user_tower.onnx"), "--item", file("item_tower.onnx"), "--vocabulary", file("vocabulary.json"),
		"--model-version", "elsewhere", "--out", file("imported"))
	require.Contains(t, ok("evaluate", "--data", movieLens, "--bundle", file("imported"), "--k", "5"), "towers elsewhere")

	require.NoError(t, os.WriteFile(file("mean.onnx"), towertest.EncoderModel(t, 2, 0), 0o600))
	require.NoError(t, os.WriteFile(file("vectors.jsonl"), []byte(`{"item_id": "1", "vector": [1, 2]}`), 0o600))
	ok("import", "onnx", "--user", file("mean.onnx"), "--vectors", file("vectors.jsonl"), "--out", file("table"))
	o := execute(t.Context(), "", "evaluate", "--data", movieLens, "--bundle", file("table"), "--k", "5")
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "was trained on a catalogue of 1 items")
}
