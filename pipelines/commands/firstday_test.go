package commands_test

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/servertest"
)

// TestBeforeTopicsCreate: whoever has not made the topics yet hears it once, with the command that makes them.
func TestBeforeTopicsCreate(t *testing.T) {
	servers := install(t)
	items, interactions := jsonLines(t, writeMovieLens(t))
	folder := t.TempDir()
	for name, c := range map[string]struct {
		in, topic string
		args      []string
	}{
		"publish items":        {items, "items", []string{"publish", "items"}},
		"publish interactions": {interactions, "interactions", []string{"publish", "interactions"}},
		"recommend":            {"", "requests", []string{"recommend", "u1"}},
		"deadletters list":     {"", "items", []string{"deadletters", "list", "items"}},
		"deadletters redrive":  {"", "interactions", []string{"deadletters", "redrive", "interactions"}},
		"rebuild candidates":   {"", "items", []string{"rebuild", "candidates"}},
		"rebuild profiles":     {"", "interactions", []string{"rebuild", "profiles"}},
		"train":                {"", "items", []string{"train", "--from-topics", "-o", filepath.Join(folder, "bundle")}},
		"export":               {"", "interactions", []string{"export", "interactions", "-o", filepath.Join(folder, "export")}},
		"inspect recall":       {"", "recall", []string{"inspect", "recall"}},
	} {
		t.Run(name, func(t *testing.T) {
			o := execute(t.Context(), c.in, c.args...)
			require.Equal(t, 1, o.code)
			require.Empty(t, o.out)
			require.Equal(t, 1, strings.Count(o.err, "\n"), "one line: %s", o.err)
			require.Contains(t, o.err, servers.topic(c.topic))
			require.Contains(t, o.err, "run `freshet topics create`")
		})
	}
}

// TestPublishOtherForms: a file in another form is one error, which says what it is, what is due and who reads such a file.
func TestPublishOtherForms(t *testing.T) {
	install(t)
	require.Zero(t, execute(t.Context(), "", "topics", "create").code)
	const csv = "event_id,user_id,item_id,type,occurred_at\n"
	row := strings.Repeat("e1,u1,i1,click,2026-01-01T00:00:00Z\n", 1000)
	for name, c := range map[string]struct {
		file, text string
		want       []string
	}{
		"a table to read":    {"", csv + row, []string{`"standard input"`, "table", `"event_id", "user_id"`, "must be a file"}},
		"tabs":               {"", "user_id\titem_id\nu\ti\n", []string{"table"}},
		"CSV of no field":    {"shop.csv", "colour,size\nv,s\n", []string{"shop.csv: there is no column user_id", `"colour", "size"`, "--columns"}},
		"Parquet to read":    {"", "PAR1\x00\x01\n\n", []string{"Parquet", "must be a file"}},
		"no Parquet":         {"e.parquet", "PAR1\x00\x01\n\n", []string{"e.parquet", "no Parquet file"}},
		"an array":           {"e.json", "[\n{\"event_id\":\"e\"},\n{\"event_id\":\"f\"}]\n", []string{"JSON array", "without brackets"}},
		"gzip to read":       {"", "\x1f\x8b\x08\x00\n\x00", []string{"compressed", "unpack"}},
		"UTF-16":             {"e.jsonl", "\xff\xfe{\x00\n", []string{"UTF-16"}},
		"a row that is none": {"e.csv", csv + row + "e2,u1,i1,click,2099-01-01T00:00:00Z\n", []string{"e.csv:1002: column occurred_at"}},
	} {
		t.Run(name, func(t *testing.T) {
			args, in := []string{"publish", "interactions"}, c.text
			if c.file != "" {
				path := filepath.Join(t.TempDir(), c.file)
				require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
				args, in = append(args, path), ""
			}
			o := execute(t.Context(), in, args...)
			require.Equal(t, 1, o.code)
			require.Equal(t, 1, strings.Count(o.err, "freshet:"), "one error: %s", o.err)
			require.Contains(t, []string{"", "0 published, 0 refused\n"}, o.out)
			for _, want := range c.want {
				require.Contains(t, o.err, want)
			}
		})
	}
	line := fmt.Sprintf(`{"event_id":"e","user_id":"u","item_id":"i","type":"view","occurred_at":%q}`, time.Now().UTC().Format(time.RFC3339))
	require.Equal(t, outcome{out: "1 published, 0 refused\n"}, execute(t.Context(), "\xef\xbb\xbf"+line, "publish", "interactions"),
		"what some editors write before the first line")
}

// TestTrainOnNoData: a folder without data says what was looked for.
func TestTrainOnNoData(t *testing.T) {
	configure(t, nowhere, nowhere, nowhere)
	folder := t.TempDir()
	o := execute(t.Context(), "", "train", "--data", folder)
	require.Equal(t, 1, o.code)
	for _, want := range []string{"tables called interactions and items", "ratings.csv (movielens)", "--from-topics", "retailrocket"} {
		require.Contains(t, o.err, want)
	}
}

// TestRecommendWithoutTheRegistry: the roles write by a registry's ids, and whoever asks was not told of it.
func TestRecommendWithoutTheRegistry(t *testing.T) {
	install(t)
	require.Zero(t, execute(t.Context(), "", "topics", "create").code)
	require.Zero(t, execute(t.Context(), "", "train", "--data", writeMovieLens(t), "--epochs", "1").code)
	t.Setenv("FRESHET_REGISTRY_URL", servertest.Registry(t))
	log, stop := background(t, "run", "recommendations", "catalogue")
	awaitReady(t, log)
	require.NoError(t, os.Unsetenv("FRESHET_REGISTRY_URL"))
	o := execute(t.Context(), "", "recommend", "u1", "--timeout", "20s")
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "set registry.url")
	require.NotContains(t, o.err, "embedded registry")
	require.Zero(t, stop().code)
}

// TestPublishWhileTheTopicGoes: begun → the topic is deleted → the lines that follow fail all alike, and end the run with one error.
func TestPublishWhileTheTopicGoes(t *testing.T) {
	servers := install(t)
	t.Setenv("FRESHET_WRITER_DELIVERY_TIMEOUT", "2s")
	require.Zero(t, execute(t.Context(), "", "topics", "create").code)
	in, lines := io.Pipe()
	ended := make(chan outcome, 1)
	go func() {
		ended <- executeFrom(t.Context(), in, "publish", "interactions")
		_ = in.Close() // whoever still writes is told
	}()
	const line = `{"event_id":"e%d","user_id":"u","item_id":"i","type":"view","occurred_at":"2026-01-01T00:00:00Z"}` + "\n"
	_, err := fmt.Fprintf(lines, line, 0)
	require.NoError(t, err)
	require.NoError(t, servers.Kafka.DeleteTopic(servers.topic("interactions")))
	for n := 1; err == nil; n++ {
		_, err = fmt.Fprintf(lines, line, n)
	}
	o := <-ended
	require.Equal(t, 1, o.code)
	var said []string
	for line := range strings.Lines(o.err) {
		if !strings.Contains(line, "level=WARN") { // the writer tried again, for as long as it could
			said = append(said, line)
		}
	}
	require.Len(t, said, 1, o.err)
	require.Regexp(t, `stopped at line \d+: .*(there is no topic .*freshet topics create|giving up after 2s).*from this one on again`, o.err)
	require.Regexp(t, `^\d+ published, 0 refused\n$`, o.out)
}
