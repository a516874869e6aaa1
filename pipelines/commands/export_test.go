package commands_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/dataset/tables"
	"github.com/freshet/freshet/schemas"
)

// writeTables writes the data set of writeMovieLens as CSV with names of its own, and the flag that tells them.
func writeTables(t *testing.T) (dir, columns string) {
	t.Helper()
	data, err := dataset.ReadMovieLens(writeMovieLens(t))
	require.NoError(t, err)
	var items, events strings.Builder
	items.WriteString("sku,name,categories\n")
	for _, i := range data.Items {
		fmt.Fprintf(&items, "%s,%s,%s\n", i.ItemID, i.Title, strings.Join(i.Categories, "|"))
	}
	events.WriteString("visitor,sku,ts,type\n")
	for i := range data.Events {
		e := data.Interaction(i)
		fmt.Fprintf(&events, "%s,%s,%s,%s\n", e.UserID, e.ItemID, e.OccurredAt.Format(time.RFC3339), e.Type)
	}
	dir = t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "items.csv"), []byte(items.String()), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "interactions.csv"), []byte(events.String()), 0o600))
	return dir, "user_id=visitor,item_id=sku,occurred_at=ts,title=name"
}

// TestTables trains and measures on CSV, and on the Parquet and the Avro that it is converted to.
func TestTables(t *testing.T) {
	bundle := configure(t, nowhere, nowhere, nowhere)
	dir, columns := writeTables(t)
	ok := func(args ...string) outcome {
		t.Helper()
		o := execute(t.Context(), "", args...)
		require.Zero(t, o.code, "%v: %s", args, o.err)
		return o
	}
	require.Contains(t, ok("train", "--data", dir, "--format", "events", "--columns", columns, "--epochs", "1").out, "written to "+bundle)
	fromCSV := ok("evaluate", "--data", dir, "--columns", columns, "--k", "5", "--json")

	converted := filepath.Join(t.TempDir(), "parquet")
	o := ok("export", "all", "--data", dir, "--columns", columns, "--out", converted)
	require.Equal(t, fmt.Sprintf("%d items and %d interactions written to %s\n", films, 12*viewers, converted), o.out)
	fromParquet := ok("evaluate", "--data", converted, "--k", "5", "--json")
	require.Equal(t, figures(t, fromCSV.out), figures(t, fromParquet.out), "the same data gives the same report")

	avro := filepath.Join(t.TempDir(), "avro")
	ok("export", "all", "--data", converted, "--as", "avro", "--out", avro)
	require.FileExists(t, filepath.Join(avro, "interactions.avro"))
	require.Equal(t, figures(t, fromCSV.out), figures(t, ok("evaluate", "--data", avro, "--k", "5", "--json").out), "and so does Avro")

	only := filepath.Join(t.TempDir(), "items")
	require.Contains(t, ok("export", "items", "--data", writeMovieLens(t), "--out", only).out, fmt.Sprintf("%d items written", films))
	require.NoFileExists(t, filepath.Join(only, "interactions.parquet"))

	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"train", "--data", dir, "--columns", "user=visitor"}, 2, `"user" is no field`},
		{[]string{"train", "--data", dir, "--columns", "item_id="}, 2, "which cannot be left out"},
		{[]string{"train", "--data", dir, "--columns", "item_id=what"}, 1, `there is no column "what" for item_id`},
		{[]string{"train", "--data", dir, "--map", "addtocart=view"}, 2, "give FIELD.VALUE=MEANING"},
		{[]string{"train", "--data", dir, "--times", "occurred_at=days"}, 2, `"days" is no form of times`},
		{[]string{"train", "--data", dir, "--zone", "Mars"}, 2, `zone is "Mars"`},
		{[]string{"train", "--data", dir, "--format", "otto"}, 1, "has no file otto-recsys-train.jsonl"},
		{[]string{"train", "--columns", "user_id=u"}, 2, "--zone say how tables are written"},
		{[]string{"train", "--data", dir, "--from-topics"}, 2, "--from-topics"},
		{[]string{"train", "--since", "720h"}, 2, "give --from-topics, too"},
		{[]string{"train", "--from-topics", "--since", "soon"}, 2, `--since is "soon": give a time such as`},
		{[]string{"train", "--from-topics", "--since", "2026-02-01", "--until", "2026-01-01"}, 2, "is not before until"},
		{[]string{"train", "--from-topics", "--cold", "0.1"}, 2, "--cold"},
		{[]string{"train", "--from-topics"}, 1, nowhere},
		{[]string{"export", "all", "--out", only}, 1, nowhere},
		{[]string{"export", "all"}, 2, "--out"},
		{[]string{"export", "all", "--out", only, "--as", "orc"}, 2, `--as must be one of "parquet","avro"`},
		{[]string{"export", "all", "--out", avro, "--data", dir, "--columns", columns}, 1, "items.avro is there already"},
		{[]string{"export", "all", "--out", only, "--format", "events"}, 2, "give it with --data"},
		{[]string{"export", "all", "--out", only, "--data", dir, "--since", "1h"}, 2, "--since and --until part the events of the topics"},
		{[]string{"export", "all", "--out", dir, "--data", dir, "--columns", columns}, 1, "items.csv is there already"},
	} {
		o := execute(t.Context(), "", c.args...)
		require.Equal(t, c.code, o.code, "%v: %s", c.args, o.err)
		require.Contains(t, o.err, c.want, "%v", c.args)
	}
}

// TestFromTopics trains on what was published, and writes it for others to train on.
func TestFromTopics(t *testing.T) {
	i := install(t)
	ok := func(in string, args ...string) outcome {
		t.Helper()
		o := execute(t.Context(), in, args...)
		require.Zero(t, o.code, "%v: %s", args, o.err)
		return o
	}
	items, interactions := jsonLines(t, writeMovieLens(t))
	ok("", "topics", "create")
	ok(items, "publish", "items")
	ok(interactions, "publish", "interactions")
	ok(interactions, "publish", "interactions") // all of it twice

	trained := ok("", "train", "--from-topics", "--epochs", "1")
	require.Contains(t, trained.out, "written to "+i.bundle)
	require.Contains(t, trained.err, fmt.Sprintf("interactions: %d records, %d events; %d repeated, 0 of erased users", 24*viewers, 12*viewers, 12*viewers))
	report := ok("", "evaluate", "--from-topics", "--k", "5", "--json").out

	out := filepath.Join(t.TempDir(), "out")
	require.Contains(t, ok("", "export", "all", "--out", out).out, fmt.Sprintf("%d items and %d interactions", films, 12*viewers))
	require.Equal(t, figures(t, report), figures(t, ok("", "evaluate", "--data", out, "--k", "5", "--json").out), "what is exported is what the topics hold")

	folder, err := tables.Open(out, tables.Options{}, schemas.DefaultLimits())
	require.NoError(t, err)
	want := map[string]schemas.Interaction{}
	for line := range strings.Lines(interactions) {
		var e schemas.Interaction
		require.NoError(t, json.Unmarshal([]byte(line), &e))
		want[e.EventID] = e
	}
	require.NoError(t, folder.EachInteraction(t.Context(), func(e *schemas.Interaction, _ int64) error {
		require.Equal(t, want[e.EventID], *e)
		delete(want, e.EventID)
		return nil
	}))
	require.Empty(t, want)

	o := execute(t.Context(), "", "train", "--from-topics", "--until", "1999-01-01")
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "there are no interactions")
	require.Contains(t, o.err, "outside the time asked for")
}

// figures are a report without when and on what it was made.
func figures(t *testing.T, report string) map[string]any {
	t.Helper()
	var all map[string]any
	require.NoError(t, json.Unmarshal([]byte(report), &all))
	require.Contains(t, all, "scorers")
	delete(all, "subject")
	return all
}

// TestTheShopIsMeasuredByItsOwnSplit trains on data with dislikes, which are learnt from and never asked for.
func TestTheShopIsMeasuredByItsOwnSplit(t *testing.T) {
	bundle := filepath.Join(t.TempDir(), "bundle")
	configure(t, freeAddress(t), freeAddress(t), freeAddress(t))
	t.Setenv("FRESHET_TRAINING_DIM", "8")
	t.Setenv("FRESHET_TRAINING_LAYERS", "1")
	t.Setenv("FRESHET_TRAINING_QUERY_ENABLED", "false")
	o := execute(t.Context(), "", "train", "--epochs", "1", "-o", bundle)
	require.Zero(t, o.code, o.err)
	o = execute(t.Context(), "", "evaluate", "--bundle", bundle, "--k", "5")
	require.Zero(t, o.code, o.err)
	require.Contains(t, o.out, "transitions")
}
