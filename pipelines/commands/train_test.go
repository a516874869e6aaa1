package commands_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/services/towers"
)

func TestTrainFromAnEarlierBundle(t *testing.T) {
	bundle := configure(t, nowhere, nowhere, nowhere)
	films := writeMovieLens(t)
	earlier := filepath.Join(t.TempDir(), "earlier")
	o := execute(t.Context(), "", "train", "--data", films, "--past", "0.6", "-o", earlier)
	require.Zero(t, o.code, o.err)
	require.Contains(t, o.err, "MiB of memory beside the data")

	o = execute(t.Context(), "", "train", "--data", films, "--from", earlier, "--compare", "--epochs", "3")
	require.Zero(t, o.code, o.err)
	require.Contains(t, o.err, "before the first epoch")
	require.Regexp(t, `trained on from it +│ 3 +│`, o.out)
	require.Regexp(t, `trained anew +│ 3 +│`, o.out)
	require.Contains(t, o.out, "all later than")
	was, err := towers.LoadManifest(earlier)
	require.NoError(t, err)
	now, err := towers.LoadManifest(bundle)
	require.NoError(t, err)
	require.Equal(t, was.Version, now.From)
	require.Contains(t, string(now.Recipe), `"dim": 8`)

	t.Setenv("FRESHET_TRAINING_DIM", "16")
	o = execute(t.Context(), "", "train", "--data", films, "--from", earlier)
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "has 1 heads of dim 8 in 1 layers")
	require.Equal(t, 2, execute(t.Context(), "", "train", "--compare").code)
}

func TestTune(t *testing.T) {
	configure(t, nowhere, nowhere, nowhere)
	films, folder := writeMovieLens(t), filepath.Join(t.TempDir(), "tuned")
	space := filepath.Join(t.TempDir(), "space.yaml")
	require.NoError(t, os.WriteFile(space, []byte("learning_rate: {min: 0.003, max: 0.03, log: true}\ndim: {values: [4, 8]}\n"), 0o600))
	arguments := []string{"tune", "--data", films, "--trials", "4", "--epochs", "6", "--space", space, "-o", folder}
	first := execute(t.Context(), "", arguments...)
	require.Zero(t, first.code, first.err)
	require.Contains(t, first.err, "rung 2/2")
	require.Contains(t, first.out, "best.yaml")
	for _, name := range []string{"trials.jsonl", "trials.csv", "trials.svg", "best.yaml"} {
		require.FileExists(t, filepath.Join(folder, name))
	}
	again := execute(t.Context(), "", arguments...)
	require.Equal(t, first.out, again.out, "all is done already")

	best := filepath.Join(folder, "best.yaml")
	o := execute(t.Context(), "", "train", "--data", films, "--config", best, "-o", filepath.Join(t.TempDir(), "bundle"))
	require.Zero(t, o.code, o.err)

	require.NoError(t, os.WriteFile(space, []byte("speed: {values: [4]}\n"), 0o600))
	o = execute(t.Context(), "", arguments...)
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "speed is no setting of training")
}
