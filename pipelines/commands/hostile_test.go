package commands_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/producers/kafkaio"
)

// hostile is what a terminal would obey: it clears the screen, turns the direction round, begins a line and moves to a column.
const hostile = "\x1b[2J\u202e\n\t\u009b"

// asShown is the same for people.
const asShown = `\x1b[2J\u202e\n\t\u009b`

// TestNothingOfOthersReachesTheTerminalRaw has each command that shows what others wrote show what a terminal would obey.
func TestNothingOfOthersReachesTheTerminalRaw(t *testing.T) {
	servers := install(t)
	run := func(args ...string) outcome {
		t.Helper()
		o := execute(t.Context(), "", args...)
		for name, text := range map[string]string{"output": o.out, "errors": o.err} {
			for at, r := range text {
				require.True(t, r == '\n' || unicode.IsGraphic(r), "%v: the %s have %q at %d: %q", args, name, r, at, text)
			}
		}
		return o
	}
	movieLens := writeMovieLens(t)
	items, interactions := jsonLines(t, movieLens)
	require.Zero(t, run("topics", "create").code)
	require.Zero(t, run("train", "--data", movieLens, "--epochs", "1").code)
	require.Zero(t, execute(t.Context(), items, "publish", "items").code)
	require.Zero(t, execute(t.Context(), interactions, "publish", "interactions").code)
	titled := fmt.Sprintf(`{"item_id":"3","op":"upsert","version":9,"occurred_at":"2026-01-31T12:00:00Z","title":%s,"categories":[%[1]s]}`,
		quoted(t, "Evil "+hostile))
	require.Zero(t, execute(t.Context(), titled, "publish", "items").code)
	writer := servers.letter(t, hostile)
	log, stop := background(t, "run")
	awaitReady(t, log)

	require.Eventually(t, func() bool {
		return strings.Contains(run("inspect", "item", "3").out, "Evil")
	}, patience, 10*time.Millisecond)
	item := run("inspect", "item", "3").out
	require.Contains(t, item, `"title": "Evil \u001b[2J\u202e\n\t\u009b"`, "JSON stays JSON")
	require.Eventually(t, func() bool { return strings.Contains(run("inspect", "user", "1").out, "rating") }, patience, 10*time.Millisecond)
	page := run("recommend", "nobody", "-n", "60", "--include-seen", "--explain", "--timeout", "20s")
	require.Zero(t, page.code, page.err)
	require.Contains(t, page.out, "Evil "+asShown)
	require.Zero(t, run("recommend", "nobody", "--json", "--timeout", "20s").code)

	var letters outcome
	require.Eventually(t, func() bool {
		letters = run("deadletters", "list", "items")
		return strings.Contains(letters.out, "reason") && strings.Count(letters.out, "[2J") >= 1
	}, patience, 50*time.Millisecond, "the record with the key and value %q is a letter", hostile)
	require.Contains(t, letters.out, `\x1b[2J`)
	require.Zero(t, run("deadletters", "redrive", "items").code)
	require.NoError(t, writer.Close(t.Context()))

	for name, args := range map[string][]string{
		"an id":               {"inspect", "user", hostile},
		"another":             {"inspect", "item", hostile},
		"a filter":            {"recommend", "1", "--filter", "item.title == '" + hostile},
		"an event":            {"recommend", "1", "--recent", hostile},
		"a text to look for":  {"deadletters", "list", "items", "--contains", hostile},
		"an unknown argument": {"inspect", hostile},
		"a bundle":            {"evaluate", "--data", movieLens, "--bundle", movieLens},
		"a folder":            {"train", "--data", hostileFolder(t)},
	} {
		t.Run(name, func(*testing.T) { run(args...) })
	}
	o := execute(t.Context(), `{"event_id":`+quoted(t, hostile)+`,"user_id":"u","item_id":"i","type":"`+"\u202e"+`"}`, "publish", "interactions")
	require.Contains(t, o.err, "line 1:")
	require.NotContains(t, o.err, "\u202e")

	ended := stop()
	require.Zero(t, ended.code)
	for _, r := range ended.err {
		require.True(t, r == '\n' || unicode.IsGraphic(r), "the log has %q: %q", r, ended.err)
	}
}

// quoted is a string of JSON.
func quoted(t *testing.T, s string) string {
	t.Helper()
	var b strings.Builder
	encode(t, &b, s)
	return strings.TrimSpace(b.String())
}

// hostileFolder is one whose name and files a terminal would obey.
func hostileFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "\x1b[2J\u202e")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "\u202e.jsonl"), nil, 0o600))
	return dir
}

// letter writes what becomes a dead letter: an item whose key is text, and whose value is no record.
func (i installation) letter(t *testing.T, text string) *kafkaio.Writer {
	t.Helper()
	s := kafkaio.DefaultConfig()
	s.Brokers = []string{i.Kafka.Addr()}
	writer := kafkaio.NewWriter(s, kafkaio.DefaultWriterConfig(), discard())
	_, err := writer.Write(t.Context(), kafkaio.Message{
		Topic: i.topic("items"), Partition: kafkaio.AnyPartition, Key: []byte(text), Value: []byte(text),
		Headers: []kafkaio.Header{{Key: text, Value: []byte(text)}},
	})
	require.NoError(t, err)
	return writer
}
