package commands_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/description"
	"github.com/freshet/freshet/services/towers"
)

func TestDescribe(t *testing.T) {
	configure(t, nowhere, nowhere, nowhere)
	dir := writeMovieLens(t)
	page := filepath.Join(t.TempDir(), "page.html")
	o := execute(t.Context(), "", "describe", "--data", dir, "--html", page)
	require.Zero(t, o.code, o.err)
	for _, want := range []string{"training", "test targets", "rating", "a choice", "categories"} {
		require.Contains(t, o.out, want)
	}
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(text), "A first look at "+filepath.Base(dir))
	require.NotContains(t, string(text), "http://")

	o = execute(t.Context(), "", "describe", "--json")
	require.Zero(t, o.code, o.err)
	var d description.Description
	require.NoError(t, json.Unmarshal([]byte(o.out), &d))
	require.Positive(t, d.Events)
	require.Positive(t, d.Cases)
}

// TestRedDataIsNotTrainedOn: describe marks it, train refuses it and says so, and the manifest keeps how the tables were read.
func TestRedDataIsNotTrainedOn(t *testing.T) {
	configure(t, nowhere, nowhere, nowhere)
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "bundle")
	write := func(robot int) {
		events := "USER_ID,sku,ts,colour\n"
		for u := range 30 {
			for n := range 10 {
				events += fmt.Sprintf("u%d,i%d,%d,red\n", u, (3*u+n)%20, 1769860800+86400*n+u)
			}
		}
		for n := range robot {
			events += fmt.Sprintf("robot,i%d,%d,red\n", n%20, 1769860800+n)
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "interactions.csv"), []byte(events), 0o600))
	}
	write(2000)
	o := execute(t.Context(), "", "describe", "--data", dir)
	require.Zero(t, o.code)
	require.Contains(t, o.out, "RED: one user has 87 % of the events\n  remedy: leave that user out")
	train := []string{"train", "--data", dir, "--epochs", "1", "--out", out}
	o = execute(t.Context(), "", train...)
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "looking at the data: one user has 87 % of the events (remedy: leave that user out")
	require.NoDirExists(t, out)
	require.Zero(t, execute(t.Context(), "", append(train, "--despite-marks")...).code)

	write(0)
	o = execute(t.Context(), "", train...)
	require.Zero(t, o.code, o.err)
	manifest, err := towers.LoadManifest(out)
	require.NoError(t, err)
	require.Contains(t, strings.Join(strings.Fields(string(manifest.Data.Binding)), ""), `{"field":"user_id","column":"USER_ID"`)
	require.Contains(t, string(manifest.Data.Binding), "colour")

	evaluate := []string{"evaluate", "--data", dir, "--bundle", out, "--baselines", "none"}
	o = execute(t.Context(), "", evaluate...)
	require.Zero(t, o.code, o.err)
	require.NotContains(t, o.err, "read otherwise")
	o = execute(t.Context(), "", append(evaluate, "--columns", "surface=colour")...)
	require.Zero(t, o.code, o.err)
	require.Contains(t, o.err, "was trained on tables that were read otherwise:\n  interactions.surface: no column then, \"colour\" now\n")
}

// TestOldNamesAreTold: what has another name now goes on working, and is told once.
func TestOldNamesAreTold(t *testing.T) {
	configure(t, nowhere, nowhere, nowhere)
	t.Setenv("FRESHET_EVALUATION_SAMPLE_SHARE", "0.25")
	o := execute(t.Context(), "", "config")
	require.Zero(t, o.code, o.err)
	require.Contains(t, o.out, "sample_share: 0.25")
	require.Equal(t, 1, strings.Count(o.err, "FRESHET_EVALUATION_SAMPLE_SHARE is called FRESHET_RECALL_SAMPLE_SHARE now"), o.err)

	o = execute(t.Context(), "", "run", "evaluation") // which finds no Kafka
	require.NotZero(t, o.code)
	require.Contains(t, o.err, "role evaluation is called recall now")
	require.NotContains(t, o.err, "unknown")
}
