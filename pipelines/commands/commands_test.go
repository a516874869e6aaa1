package commands_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

// TestCommands is the life of a small installation, command by command: topics, a model, roles, a catalogue, events,
// recommendations, dead letters.
func TestCommands(t *testing.T) {
	servers := install(t)
	bundle := servers.bundle
	movieLens := writeMovieLens(t)
	items, interactions := jsonLines(t, movieLens)
	run := func(in string, args ...string) outcome { return execute(t.Context(), in, args...) }
	ok := func(t *testing.T, in string, args ...string) string {
		t.Helper()
		o := run(in, args...)
		require.Zero(t, o.code, "%v: %s", args, o.err)
		return o.out
	}

	t.Run("topics", func(t *testing.T) {
		require.Contains(t, ok(t, "", "topics", "describe"), "missing: run `freshet topics create`")
		created := ok(t, "", "topics", "create")
		require.Equal(t, 8, strings.Count(created, "created "+servers.Kafka.Name("freshet.")), "%s", created)
		require.Equal(t, "all topics are as configured\n", ok(t, "", "topics", "create"))
		described := ok(t, "", "topics", "describe")
		require.Regexp(t, `freshet\.items +│ +1 │.* compact +│ last of each key`, described)
		require.Regexp(t, `freshet\.requests\.dlt .* delete +│ 720h0m0s`, described)

		t.Setenv("FRESHET_TOPICS_ITEMS_PARTITIONS", "3")
		require.Contains(t, ok(t, "", "topics", "create"), "differs:")
	})

	t.Run("train", func(t *testing.T) {
		require.Contains(t, ok(t, "", "train", "--data", movieLens, "--epochs", "1"), "written to "+bundle)
		other := filepath.Join(t.TempDir(), "other")
		require.Contains(t, ok(t, "", "train", "--data", movieLens, "--epochs", "1", "--seed", "7", "-o", other), other)
		require.FileExists(t, filepath.Join(other, "manifest.json"))
		require.NoFileExists(t, other+".checkpoint")
	})

	t.Run("train beside a checkpoint", func(t *testing.T) {
		kept := filepath.Join(t.TempDir(), "kept")
		require.NoError(t, os.WriteFile(kept, []byte("no checkpoint"), 0o600))
		arguments := []string{"train", "--data", movieLens, "--epochs", "1", "--checkpoint", kept}
		o := run("", arguments...)
		require.Equal(t, 1, o.code)
		require.Contains(t, o.err, "give --restart")
		o = run("", append(arguments, "--restart")...)
		require.Equal(t, 1, o.code, "another file is not taken away for a new checkpoint")
		require.Contains(t, o.err, "kept is no checkpoint")
		require.FileExists(t, kept)

		require.NoError(t, os.WriteFile(kept, []byte("freshetC and then damage"), 0o600))
		ok(t, "", append(arguments, "--restart")...)
		require.NoFileExists(t, kept, "training has come to its end")
	})

	t.Run("evaluate", func(t *testing.T) {
		table := ok(t, "", "evaluate", "--data", movieLens, "--k", "5")
		require.Contains(t, table, "popularity")
		text := ok(t, "", "evaluate", "--data", movieLens, "--bundle", bundle, "--json")
		require.Empty(t, otherKeys(t, text), "snake_case alone")
	})
	t.Run("evaluate in all forms", func(t *testing.T) { evaluateInAllForms(t, movieLens, ok, run) })

	log, stop := background(t, "run")
	awaitReady(t, log)

	t.Run("publish", func(t *testing.T) {
		require.Equal(t, fmt.Sprintf("%d published, 0 refused\n", films), ok(t, items, "publish", "items"))
		file := filepath.Join(t.TempDir(), "events.jsonl")
		require.NoError(t, os.WriteFile(file, []byte(interactions), 0o600))
		want := fmt.Sprintf("%d published, 0 refused\n", strings.Count(interactions, "\n"))
		require.Equal(t, want, ok(t, "", "publish", "interactions", file))
	})

	t.Run("publish bad lines", func(t *testing.T) {
		const good = `{"event_id":"e%d","user_id":"1","item_id":"3","type":"view","occurred_at":"2026-01-01T00:00:00Z"}`
		lines := []string{
			fmt.Sprintf(good, 1),
			`{"event_id":"e2","user_id":"","item_id":"3","type":"view","occurred_at":"2026-01-01T00:00:00Z"}`,
			``,
			`{"event_id":"e3","user_id":"1","item_id":"3","type":"glance","occurred_at":"2026-01-01T00:00:00Z"}`,
			`{"event_id":"e4","user":"1"}`,
			`no JSON`,
			fmt.Sprintf(good, 5),
		}
		o := run(strings.Join(lines, "\n"), "publish", "interactions")
		require.Equal(t, 1, o.code)
		require.Equal(t, "2 published, 4 refused\n", o.out)
		refused := strings.Split(strings.TrimSpace(o.err), "\n")
		require.Len(t, refused, 5, "a line for each bad record, and one for all: %s", o.err)
		for i, want := range []string{
			`line 2: .*user_id.*""`, `line 4: .*type.*"glance".*view`, `line 5: .*user.*there is no such field`, `line 6: .*JSON`,
			`freshet: 4 lines were not published`,
		} {
			require.Regexp(t, want, refused[i])
		}
	})

	t.Run("inspect", func(t *testing.T) {
		require.Eventually(t, func() bool {
			o := run("", "inspect", "user", "1")
			return o.code == 0 && strings.Contains(o.out, "12 rating") && strings.Contains(o.out, "2 view")
		}, patience, time.Millisecond)
		user := ok(t, "", "inspect", "user", "1")
		require.Regexp(t, `watermark +│ partition \d offset \d+`, user)
		require.Regexp(t, `embedding +│ 8 values, length`, user)
		require.Regexp(t, `2026-01-01 00:00:00 │ view +│ 3 `, user)
		require.Eventually(t, func() bool {
			return strings.Contains(ok(t, "", "inspect", "item", "3"), "candidate vector")
		}, patience, time.Millisecond)
		item := ok(t, "", "inspect", "item", "3")
		require.Contains(t, item, `"title": "Film 3"`)
		require.Contains(t, item, `categories ["Comedy"]`)

		for _, kind := range []string{"user", "item"} {
			o := run("", "inspect", kind, "nobody")
			require.Equal(t, 1, o.code)
			require.Contains(t, o.err, `"nobody"`)
		}
	})

	t.Run("recommend", func(t *testing.T) { recommend(t, run) })

	t.Run("deadletters", func(t *testing.T) { deadLetters(t, servers, run) })

	ended := stop()
	require.Zero(t, ended.code, "%s", ended.err)
}

// recommend asks in every way that the flags allow.
func recommend(t *testing.T, run func(in string, args ...string) outcome) {
	ask := func(flags ...string) schemas.RecommendationReply {
		t.Helper()
		o := run("", append([]string{"recommend", "1", "--json", "--timeout", "20s"}, flags...)...)
		require.Zero(t, o.code, "%v: %s", flags, o.err)
		require.Empty(t, otherKeys(t, o.out), "snake_case alone")
		var reply schemas.RecommendationReply
		require.NoError(t, json.Unmarshal([]byte(o.out), &reply))
		return reply
	}
	ids := func(r schemas.RecommendationReply) (ids []string) {
		for _, it := range r.Items {
			ids = append(ids, it.ItemID)
		}
		return ids
	}
	plain := ask()
	require.Len(t, plain.Items, 10)
	require.Equal(t, schemas.StatusOK, plain.Status)
	require.NotNil(t, plain.Freshness.Profile)
	require.Len(t, ask("--count", "3").Items, 3)
	require.Len(t, ask("-n", "4").Items, 4)
	require.Equal(t, "r-1", ask("--request-id", "r-1").RequestID)
	for _, id := range ids(ask("--filter", `"Horror" in item.categories`)) {
		require.Regexp(t, `[02468]$`, id)
	}
	first, second := plain.Items[0].ItemID, plain.Items[1].ItemID
	excluded := ids(ask("--exclude", first+","+second))
	require.NotContains(t, excluded, first)
	require.NotContains(t, excluded, second)
	require.NotContains(t, ids(ask("-n", "60")), "3", "it is seen")
	require.Contains(t, ids(ask("-n", "60", "--include-seen")), "3")
	require.NotContains(t, ids(ask("--similar", "4", "-n", "60")), "4")
	require.NotContains(t, ids(ask("-n", "60", "--recent", "like:"+first, "--recent", "view:"+second)), first)
	explained := ask("--explain", "--region", "SE", "--age", "30", "--surface", "home", "--variant", "a")
	require.NotEmpty(t, explained.Waterfall)
	require.NotEmpty(t, explained.Timings)
	at := ask().Freshness.Profile
	waited := ask("--seen-through", fmt.Sprintf("%d:%d", at.Partition, at.Offset))
	require.True(t, *waited.Freshness.SeenThroughSatisfied)

	table := run("", "recommend", "1", "--explain")
	require.Zero(t, table.code, "%s", table.err)
	require.Regexp(t, `1 │ \d+ +│ Film \d+`, table.out)
	require.Contains(t, table.out, "stage or rule")
	require.Regexp(t, `status ok, model \w+, profile at partition \d offset \d+`, table.out)

	refused := run("", "recommend", "1", "--filter", "item.prize < 2", "--json")
	require.Equal(t, 1, refused.code)
	require.Contains(t, refused.err, "prize")
	require.Contains(t, refused.out, `"status": "invalid_request"`)
	tooMany := run("", "recommend", "1", "--count", "5000")
	require.Equal(t, 2, tooMany.code)
	require.Contains(t, tooMany.err, "count 5000")
	stranger := run("", "recommend", "a-stranger")
	require.Zero(t, stranger.code, "%s", stranger.err)
	require.Contains(t, stranger.out, "no profile")
}

// deadLetters lists a poison event and publishes it again.
func deadLetters(t *testing.T, servers installation, run func(in string, args ...string) outcome) {
	none := run("", "deadletters", "list", "interactions")
	require.Equal(t, outcome{out: "no dead letters\n"}, none)

	cfg := kafkaio.DefaultConfig()
	cfg.Brokers = []string{servers.Kafka.Addr()}
	w := kafkaio.NewWriter(cfg, kafkaio.DefaultWriterConfig(), discard())
	_, err := w.Write(t.Context(), kafkaio.Message{
		Topic: servers.topic("interactions"), Partition: kafkaio.AnyPartition, Key: []byte("poisoner"), Value: []byte("poison"),
	})
	require.NoError(t, err)
	_, err = w.Write(t.Context(), kafkaio.Message{
		Topic: servers.topic("interactions"), Partition: kafkaio.AnyPartition, Key: []byte("who-leaves"),
	})
	require.NoError(t, err)
	require.NoError(t, w.Close(t.Context()))
	require.Eventually(t, func() bool {
		o := run("", "inspect", "user", "who-leaves")
		return o.code == 0 && strings.Contains(o.out, `user "who-leaves" was erased at 20`) && !strings.Contains(o.out, "0001-")
	}, patience, time.Millisecond)

	count := func(args ...string) int {
		o := run("", append([]string{"deadletters", "list", "interactions"}, args...)...)
		require.Zero(t, o.code, "%s", o.err)
		return strings.Count(o.out, `"poisoner"`)
	}
	require.Eventually(t, func() bool { return count() == 1 }, patience, time.Millisecond)
	require.Equal(t, 1, count("--pending"))
	require.Zero(t, count("--contains", "no such reason"))
	decoded := run("", "deadletters", "list", "interactions", "--decode")
	require.Zero(t, decoded.code, decoded.err)
	require.Contains(t, decoded.out, `"key": "poisoner",
  "value": null,
  "undecoded": "the value is 6 bytes (706f69736f6e), of no kind that is known here`)

	const once = "1 published again, 0 left alone because they cannot be used\n"
	require.Equal(t, outcome{out: once}, run("", "deadletters", "redrive", "interactions"))
	require.Eventually(t, func() bool { return count() == 2 }, patience, time.Millisecond, "it is as bad as it was")
	require.Equal(t, 1, count("--pending"), "the first was redriven")
	require.Equal(t, outcome{out: "0 of 1 letters matched\n"}, run("", "deadletters", "redrive", "interactions", "--contains", "nothing like it"))
	require.Equal(t, 1, count("--limit", "1"))
	require.Equal(t, outcome{out: once}, run("", "deadletters", "redrive", "interactions", "--all", "--limit", "1"))

	registry, err := schemas.NewRegistry(schemas.RegistryConfig{}, discard())
	require.NoError(t, err)
	serde, err := schemas.NewSerde[schemas.Interaction](t.Context(), registry, servers.topic("interactions"))
	require.NoError(t, err)
	w = kafkaio.NewWriter(cfg, kafkaio.DefaultWriterConfig(), discard())
	_, err = w.Write(t.Context(), kafkaio.Message{
		Topic: servers.topic("interactions"), Partition: kafkaio.AnyPartition, Key: []byte("who-is-early"),
		Value: serde.Append(nil, &schemas.Interaction{
			EventID: "e1", UserID: "another-user", ItemID: "1", Type: schemas.Like, OccurredAt: time.Date(2099, 1, 31, 12, 0, 0, 805e6, time.UTC),
		}),
	})
	require.NoError(t, err)
	require.NoError(t, w.Close(t.Context()))
	require.Eventually(t, func() bool {
		decoded = run("", "deadletters", "list", "interactions", "--decode", "--contains", "occurred_at")
		return strings.Contains(decoded.out, `"item_id": "1"`)
	}, patience, time.Millisecond, "%+v", decoded)
	require.Regexp(t, `"key": "who-is-early",
  "value": \{
    "event_id": "e1",
    "user_id": "another-user",
    "item_id": "1",
    "type": "like",
    "value": null,
    "occurred_at": "2099-01-31T12:00:00.805Z",`, decoded.out)
	require.NotContains(t, decoded.out, "undecoded")
}

var snakeCase = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// otherKeys lists the keys of a JSON text that are not in snake_case.
func otherKeys(t *testing.T, text string) (other []string) {
	t.Helper()
	var root any
	require.NoError(t, json.Unmarshal([]byte(text), &root), "%s", text)
	var walk func(any)
	walk = func(node any) {
		switch n := node.(type) {
		case map[string]any:
			for key, value := range n {
				if !snakeCase.MatchString(key) {
					other = append(other, key)
				}
				walk(value)
			}
		case []any:
			for _, value := range n {
				walk(value)
			}
		}
	}
	walk(root)
	return other
}

func TestRunEmbedded(t *testing.T) {
	configure(t, freeAddress(t), freeAddress(t), freeAddress(t))
	require.Zero(t, execute(t.Context(), "", "train", "--data", writeMovieLens(t), "--epochs", "1").code)
	log, stop := background(t, "run", "--embedded")
	awaitReady(t, log)
	require.Equal(t, outcome{out: "all topics are as configured\n"}, execute(t.Context(), "", "topics", "create"))
	ended := stop()
	require.Zero(t, ended.code, "%s", ended.err)
}

func TestRunWithoutItsNeeds(t *testing.T) {
	install(t)
	o := execute(t.Context(), "", "run")
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "run `freshet topics create`")
	require.Zero(t, execute(t.Context(), "", "topics", "create").code)
	o = execute(t.Context(), "", "run", "interactions")
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "train one with `freshet train`")
}

// TestPublishStops: nothing comes on standard input, as at a terminal, and the command is to stop all the same.
func TestPublishStops(t *testing.T) {
	install(t)
	require.Zero(t, execute(t.Context(), "", "topics", "create").code)
	silent, writing, err := os.Pipe()
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	o := make(chan outcome, 1)
	go func() { o <- executeFrom(ctx, silent, "publish", "interactions") }()
	_, err = writing.WriteString("\n")
	require.NoError(t, err)
	cancel()
	require.Equal(t, 1, (<-o).code)
	require.NoError(t, writing.Close())
}

// evaluateInAllForms keeps two runs, writes each form of the second, and compares both.
func evaluateInAllForms(t *testing.T, movieLens string, ok func(t *testing.T, in string, args ...string) string, run func(in string, args ...string) outcome) {
	folder := t.TempDir()
	runs, file := filepath.Join(folder, "runs"), func(name string) string { return filepath.Join(folder, name) }
	ok(t, "", "evaluate", "--data", movieLens, "--runs", runs)
	table := ok(t, "", "evaluate", "bundle", "--data", movieLens, "--runs", runs, "--against-run", "latest", "--against", "popularity",
		"--parquet", file("figures.parquet"), "--per-case", file("cases.parquet"), "--html", file("report.html"))
	require.Contains(t, table, "against popularity")
	require.Contains(t, table, "The difference is not resolved: NDCG@10 by +0.0000")
	require.Contains(t, table, "session popularity is left out")
	require.Regexp(t, `(?m)^EASE: lambda \d+ \(best of 4 settings on \d+ validation cases`, table)
	require.Regexp(t, `(?m)^item-kNN: k \d+, shrinkage \d+ \(best of 9 settings.*; the neighbours are those of each candidate item`, table)
	require.Regexp(t, `(?m)^V-SKNN: \d+ neighbours .*; the neighbours are other sessions`, table)
	require.Contains(t, table, "NDCG: sum of 1 / log2(rank + 1)")
	for name, want := range map[string]string{"figures.parquet": "PAR1", "cases.parquet": "PAR1", "report.html": "Over 2 runs"} {
		text, err := os.ReadFile(file(name))
		require.NoError(t, err)
		require.Contains(t, string(text), want)
	}
	require.Regexp(t, `(?m)^towers \w+,ndcg,10,,,\d+,`, ok(t, "", "evaluate", "--data", movieLens, "--csv"))

	kept, err := os.ReadDir(runs)
	require.NoError(t, err)
	require.Len(t, kept, 2)
	first := filepath.Join(runs, kept[0].Name())
	compared := ok(t, "", "evaluate", "compare", first, "latest", "--runs", runs, "--scorer", "towers", "--scorer-b", "popularity", "--k", "5")
	require.Contains(t, compared, "B: popularity of ")
	require.Contains(t, compared, "ndcg@5")
	require.Empty(t, otherKeys(t, ok(t, "", "evaluate", "compare", first, "latest", "--runs", runs, "--json")), "snake_case alone")

	exported := ok(t, "", "evaluate", "export", "trec", "--runs", runs, "--out", file("trec"), "--depth", "10")
	require.Contains(t, exported, "qrels.txt and towers-")
	require.Contains(t, exported, "popularity.run")
	require.FileExists(t, filepath.Join(file("trec"), "EASE.run"))
	o := run("", "evaluate", "export", "trec", first, "--out", file("trec"))
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "is there already: give another folder")

	simple := ok(t, "", "evaluate", "--data", movieLens, "--baselines", "simple")
	require.Contains(t, simple, "transitions")
	require.NotContains(t, simple, "kNN")
	require.NotContains(t, ok(t, "", "evaluate", "--data", movieLens, "--baselines", "none"), "transitions")
	require.Contains(t, ok(t, "", "evaluate", "--data", movieLens, "--ease-items", "3"), "EASE is left out: there are")

	timed := file("timed")
	ok(t, "", "train", "--data", movieLens, "--epochs", "1", "--split", "time", "-o", timed)
	byTime := []string{"evaluate", "--data", movieLens, "--split", "time", "--targets", "all", "--bundle", timed, "--runs", runs}
	require.Contains(t, ok(t, "", byTime...), "precision@10", "some are asked for several items")
	o = run("", "evaluate", "compare", first, "latest", "--runs", runs)
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "different questions")
	o = run("", "evaluate", "--data", movieLens, "--bundle", timed)
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "train it with the same --split and --past")
}
