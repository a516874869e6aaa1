package commands_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/services/towers"
)

// TestTrainKeepsWhatIsInTheFolder: the data folder given as --out is refused before anything is read or trained.
func TestTrainKeepsWhatIsInTheFolder(t *testing.T) {
	configure(t, nowhere, nowhere, nowhere)
	films := writeMovieLens(t)
	require.NoError(t, os.Mkdir(filepath.Join(films, "sub"), 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(films, "sub", "notes.txt"), []byte("keep"), 0o600))
	o := execute(t.Context(), "", "train", "--data", films, "--epochs", "1", "--out", films)
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, `holds files that are no bundle's: ["movies.csv" "ratings.csv" "sub"]; name another folder`)
	require.NotContains(t, o.err, "epoch", "nothing was trained")
	require.NotContains(t, o.err, "MiB of memory")

	t.Chdir(films)
	o = execute(t.Context(), "", "train", "--data", films, "--epochs", "1", "--out", ".")
	require.Equal(t, 1, o.code)
	for _, name := range []string{"movies.csv", "ratings.csv", filepath.Join("sub", "notes.txt")} {
		require.FileExists(t, filepath.Join(films, name))
	}

	model := filepath.Join(t.TempDir(), "user.onnx")
	require.NoError(t, os.WriteFile(model, []byte("no model"), 0o600))
	o = execute(t.Context(), "", "import", "onnx", "--user", model, "--vectors", model, "--out", films)
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "no bundle's", "before a model is tried")
}

func TestTrainKeepsTheBundleBefore(t *testing.T) {
	configure(t, nowhere, nowhere, nowhere)
	films, parent := writeMovieLens(t), t.TempDir()
	link, dated := filepath.Join(parent, "bundle"), filepath.Join(parent, "bundles", "2026-11-30")
	require.NoError(t, os.MkdirAll(dated, 0o755))
	require.NoError(t, os.Symlink(filepath.Join("bundles", "2026-11-30"), link))
	train := func(args ...string) string {
		o := execute(t.Context(), "", append([]string{"train", "--data", films, "--epochs", "1", "--out", link}, args...)...)
		require.Zero(t, o.code, o.err)
		m, err := towers.LoadManifest(link)
		require.NoError(t, err)
		return m.Version
	}
	kept := func() string {
		m, err := towers.LoadManifest(dated + ".previous")
		require.NoError(t, err)
		return m.Version
	}
	first := train("--seed", "1")
	require.NoError(t, os.WriteFile(filepath.Join(dated, "card.md"), []byte("of this model"), 0o600))
	train("--seed", "2")
	require.Equal(t, first, kept())
	train("--seed", "3", "--replace")
	require.Equal(t, first, kept())
	require.FileExists(t, filepath.Join(dated, "card.md"))
	_, err := os.Readlink(link)
	require.NoError(t, err, "the link stays one")
}
