package commands_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
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
		"--model-version", "m1", "--out", back), "a step with a state of 32, reading items alone\nmodel m1 of dim 16,")
	want := ok("evaluate", "--data", movieLens, "--bundle", own, "--json")
	require.Contains(t, want, "towers m1")
	require.Equal(t, figures(t, want), figures(t, ok("evaluate", "--data", movieLens, "--bundle", back, "--json")))
}

// writeKinds writes tables whose events are of several kinds.
func writeKinds(t *testing.T) (dir, columns string) {
	t.Helper()
	dir, columns = writeTables(t)
	path := filepath.Join(dir, "interactions.csv")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	lines := strings.Split(string(content), "\n")
	for i := range lines {
		lines[i] = strings.Replace(lines[i], ",rating", ","+[]string{"view", "purchase", "like", "dislike"}[i%4], 1)
	}
	require.NoError(t, os.WriteFile(path, []byte(strings.Join(lines, "\n")), 0o600))
	return dir, columns
}

// TestTrainedTowersOfKindsAndGapsComeBack: towers that learnt from purchases, dislikes and times read the same events to the same
// embeddings by either model.
func TestTrainedTowersOfKindsAndGapsComeBack(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	configure(t, nowhere, nowhere, nowhere)
	for key, value := range map[string]string{
		"DIM": "16", "HEADS": "2", "LAYERS": "2", "EVENT_KINDS": "always", "EVENT_GAPS": "always", "QUERY_ENABLED": "false",
	} {
		t.Setenv("FRESHET_TRAINING_"+key, value)
	}
	folder := t.TempDir()
	own, models := filepath.Join(folder, "own"), filepath.Join(folder, "models")
	ok := func(args ...string) string {
		o := execute(t.Context(), "", args...)
		require.Zero(t, o.code, "%v: %s", args, o.err)
		return o.out
	}
	dir, columns := writeKinds(t)
	ok("train", "--data", dir, "--columns", columns, "--epochs", "3", "-o", own)
	ok("export", "onnx", "--bundle", own, "--out", models)
	want, err := towers.LoadUserTower(own)
	require.NoError(t, err)
	require.Equal(t, "items, kinds and gaps", want.Inputs().String())
	require.True(t, want.Reads(schemas.Dislike))
	items, err := towers.LoadItemTower(own)
	require.NoError(t, err)
	ids := items.Weights().IDs

	for _, file := range []string{"user_tower.onnx", "user_history.onnx"} {
		back := filepath.Join(folder, "back_"+file)
		require.Contains(t, ok("import", "onnx", "--user", filepath.Join(models, file), "--item", filepath.Join(models, "item_tower.onnx"),
			"--vocabulary", filepath.Join(models, "vocabulary.json"), "--out", back), ", reading items, kinds and gaps")
		got, err := towers.LoadUserTower(back)
		require.NoError(t, err)
		require.Equal(t, want.Inputs(), got.Inputs())
		theirs, err := towers.LoadItemTower(back)
		require.NoError(t, err)

		lots := rand.New(rand.NewPCG(1, 2))
		var ours, events []towertest.Event
		state, embedding := make([]float32, want.StateSize()), make([]float32, want.Dim())
		gotState, gotEmbedding := make([]float32, got.StateSize()), make([]float32, got.Dim())
		for range 40 {
			f := towers.ItemFeatures{ItemID: ids[lots.IntN(len(ids))]}
			e := towertest.Event{Item: make([]float32, want.Dim()), Kind: schemas.View, Gap: towers.Gap(lots.IntN(towers.Gaps))}
			for e.Kind = 0; !want.Reads(e.Kind); {
				e.Kind = schemas.InteractionType(lots.IntN(int(schemas.Hide) + 1))
			}
			items.Encode(e.Item, &f)
			ours = append(ours, e)
			towertest.Advance(want, state, embedding, e)
			e.Item = make([]float32, want.Dim())
			theirs.Encode(e.Item, &f)
			events = append(events, e)
			if got.StateSize() > 0 {
				towertest.Advance(got, gotState, gotEmbedding, e)
				require.InDeltaSlice(t, state, gotState, 1e-5, "after %d events", len(events))
				require.InDeltaSlice(t, embedding, gotEmbedding, 1e-5, "after %d events", len(events))
			}
			towertest.Encode(want, state, embedding, ours)
			towertest.Encode(got, gotState, gotEmbedding, events)
			require.InDeltaSlice(t, embedding, gotEmbedding, 1e-5, "of %d events", len(events))
		}
	}
}

// pytorch holds models that PyTorch exported, and what it makes of items and histories by them: see infra/interop/README.md.
const pytorch = "../../services/towers/interchange/testdata/pytorch"

// TestTowersOfPyTorch are imported as PyTorch's exporters left them, and serve what PyTorch computes.
func TestTowersOfPyTorch(t *testing.T) {
	towertest.NeedsONNXRuntime(t)
	content, err := os.ReadFile(filepath.Join(pytorch, "expected.json"))
	require.NoError(t, err)
	var want struct {
		Items []struct {
			ItemID string    `json:"item_id"`
			Title  string    `json:"title"`
			Vector []float32 `json:"vector"`
		} `json:"items"`
		Histories [][]struct {
			Kind schemas.InteractionType `json:"kind"`
			Gap  towers.Gap              `json:"gap"`
		} `json:"histories"`
		Towers map[string][]struct {
			Embeddings [][]float32 `json:"embeddings"`
		} `json:"towers"`
	}
	require.NoError(t, json.Unmarshal(content, &want))
	kinds := []string{"--event-kinds", "purchase,view,hide"}
	deep := []string{"--port", "state=serving/h.0;item=serving/x:0;next_state=h::1;embedding=StatefulPartitionedCall:0"}
	for _, exporter := range []string{"classic", "dynamo"} {
		for tower, c := range map[string]struct {
			args []string
			says string
		}{
			"user":        {kinds, "user tower: a step with a state of 12, reading items, kinds and gaps\n"},
			"deep":        {deep, "user tower: a step with a state of 24, reading items alone\n"},
			"gru":         {nil, "user tower: an encoder of the newest 256 events, reading items alone;"},
			"transformer": {kinds, "user tower: an encoder of the newest 12 events, reading items, kinds and gaps;"},
		} {
			t.Run(exporter+" "+tower, func(t *testing.T) {
				bundle := filepath.Join(t.TempDir(), "bundle")
				o := execute(t.Context(), "", append([]string{"import", "onnx", "--user", filepath.Join(pytorch, exporter, tower+".onnx"),
					"--item", filepath.Join(pytorch, exporter, "items.onnx"), "--vocabulary", filepath.Join(pytorch, "vocabulary.json"),
					"--out", bundle}, c.args...)...)
				require.Zero(t, o.code, o.err)
				require.Contains(t, o.out, c.says)

				items, err := towers.LoadItemTower(bundle)
				require.NoError(t, err)
				users, err := towers.LoadUserTower(bundle)
				require.NoError(t, err)
				vector := make([]float32, items.Dim())
				id := want.Items[1] // has no brand, and one category
				items.Encode(vector, &towers.ItemFeatures{ItemID: id.ItemID, Title: id.Title, Categories: []string{"Coffee"}})
				require.InDeltaSlice(t, id.Vector, vector, 1e-5)
				first := want.Histories[0]
				require.Len(t, first, 1, "an event with this item")
				state, embedding := make([]float32, users.StateSize()), make([]float32, users.Dim())
				towertest.Encode(users, state, embedding, []towertest.Event{{Item: vector, Kind: first[0].Kind, Gap: first[0].Gap}})
				require.InDeltaSlice(t, want.Towers[tower][0].Embeddings[0], embedding, 1e-5)
			})
		}
	}
}

// TestAPyTorchModelWithoutItsWeights was copied without the file beside it.
func TestAPyTorchModelWithoutItsWeights(t *testing.T) {
	model, err := os.ReadFile(filepath.Join(pytorch, "dynamo", "user.onnx"))
	require.NoError(t, err)
	folder := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(folder, "user.onnx"), model, 0o600))
	o := execute(t.Context(), "", "import", "onnx", "--user", filepath.Join(folder, "user.onnx"), "--out", filepath.Join(folder, "bundle"),
		"--item", filepath.Join(pytorch, "dynamo", "items.onnx"), "--vocabulary", filepath.Join(pytorch, "vocabulary.json"))
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "there is no user.onnx.data beside the model: copy it there, or export the model with its values inside")
}

// TestTheDocumentsPyTorch is the code that made the models of these tests.
func TestTheDocumentsPyTorch(t *testing.T) {
	script, err := os.ReadFile("../../infra/interop/pytorch_towers.py")
	require.NoError(t, err)
	_, example, found := strings.Cut(string(script), "# --- the document's example begins\n")
	require.True(t, found)
	example, _, found = strings.Cut(example, "# --- the document's example ends\n")
	require.True(t, found)
	document, err := os.ReadFile("../../docs/onnx.md")
	require.NoError(t, err)
	require.Contains(t, string(document), strings.TrimSpace(example))
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
