package commands_test

import (
	"encoding/json"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/freshet/freshet/pipelines/commands"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/build"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestExitCodes(t *testing.T) {
	folder := t.TempDir()
	bad := filepath.Join(folder, "bad.yaml")
	require.NoError(t, os.WriteFile(bad, []byte("kafka:\n  brokres: []\n"), 0o600))
	published := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(published, "shop.train.txt"), nil, 0o600))
	configure(t, nowhere, nowhere, nowhere)
	const remedy = nowhere + ": connect: connection refused; remedy: start Kafka there, or correct kafka.brokers (FRESHET_KAFKA_BROKERS)"
	for _, c := range []struct {
		name string
		args []string
		code int
		want string // in what is said on standard error
	}{
		{"no command", nil, 2, "expected one of"},
		{"unknown command", []string{"recomend", "1"}, 2, "recomend"},
		{"unknown flag", []string{"version", "--colour"}, 2, "--colour"},
		{"missing argument", []string{"recommend"}, 2, "<user>"},
		{"no number", []string{"recommend", "1", "--count", "many"}, 2, "--count"},
		{"bad log level", []string{"config", "--log-level", "loud"}, 2, "--log-level"},
		{"unknown role", []string{"run", "cleaner"}, 2, `role "cleaner" is unknown`},
		{"unknown topic", []string{"deadletters", "list", "replies"}, 2, "interactions"},
		{"bad recent event", []string{"recommend", "1", "--recent", "like"}, 2, "--recent"},
		{"bad kind of recent event", []string{"recommend", "1", "--recent", "glance:3"}, 2, "--recent"},
		{"bad position", []string{"recommend", "1", "--seen-through", "3"}, 2, "--seen-through"},
		{"bad timeout", []string{"recommend", "1", "--timeout", "0s"}, 2, "--timeout"},
		{"bad share", []string{"train", "--past", "1.5"}, 2, "--past"},
		{"a format without data", []string{"train", "--format", "s3rec"}, 2, "--data"},
		{"no such folder", []string{"train", "--data", filepath.Join(folder, "nowhere")}, 2, "nowhere"},
		{"no such file", []string{"publish", "items", filepath.Join(folder, "nowhere")}, 2, "nowhere"},
		{"no data set", []string{"train", "--data", folder}, 1, folder},
		{"no bundle", []string{"evaluate"}, 1, "bundle"},
		{"all targets of one", []string{"evaluate", "--targets", "all"}, 2, "--split time"},
		{"unknown split", []string{"train", "--split", "random"}, 2, "--split"},
		{"a published split anew", []string{"evaluate", "--data", published, "--split", "time"}, 2, "sessions is published with a split of its own"},
		{"no runs", []string{"evaluate", "compare", "a", "b", "--runs", folder}, 1, "has no runs"},
		{"no items for EASE", []string{"evaluate", "--ease-items=-1"}, 2, "--ease-items is -1"},
		{"no run to export", []string{"evaluate", "export", "trec", "--runs", folder, "--out", folder}, 1, "has no runs"},
		{"one run", []string{"evaluate", "compare", "a"}, 2, "<b>"},
		{"no folder to export to", []string{"export", "onnx"}, 2, "--out"},
		{"no user tower to import", []string{"import", "onnx"}, 2, "--user"},
		{"no item tower to import", []string{"import", "onnx", "--user", bad}, 2, "--vectors"},
		{"an item tower without its vocabulary", []string{"import", "onnx", "--user", bad, "--item", bad}, 2, "--vocabulary"},
		{"no bundle to export", []string{"export", "onnx", "--out", folder}, 1, "bundle"},
		{"no configuration", []string{"config", "--config", filepath.Join(folder, "nowhere.yaml")}, 1, "nowhere.yaml"},
		{"bad configuration", []string{"config", "-c", bad}, 1, "brokres"},
		{"no Kafka for topics", []string{"topics", "create"}, 1, remedy},
		{"no Kafka for dead letters", []string{"deadletters", "list", "items"}, 1, remedy},
		{"no Kafka for recall", []string{"inspect", "recall"}, 1, remedy},
		{"no Kafka for a request", []string{"recommend", "1", "--timeout", "2s"}, 1, remedy},
		{"no Kafka for roles", []string{"run"}, 1, nowhere},
		{"no Redis", []string{"inspect", "user", "1"}, 1, nowhere},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := execute(t.Context(), "", c.args...)
			require.Equal(t, c.code, o.code, "%s", o.err)
			require.Contains(t, o.err, c.want)
			require.Regexp(t, `(?m)^freshet: `, o.err)
			require.Empty(t, o.out)
		})
	}
}

// TestPublishHelpShowsLinesThatWork decodes and checks the examples of the help texts.
func TestPublishHelpShowsLinesThatWork(t *testing.T) {
	limits := schemas.DefaultLimits()
	event, err := schemas.DecodeInteractionJSON(exampleLine(t, new(commands.PublishInteractions).Help()))
	require.NoError(t, err)
	require.NoError(t, limits.Interaction(&event, time.Now()))
	change, err := schemas.DecodeItemChangeJSON(exampleLine(t, new(commands.PublishItems).Help()))
	require.NoError(t, err)
	require.NoError(t, limits.ItemChange(&change, time.Now()))
}

func exampleLine(t *testing.T, help string) []byte {
	t.Helper()
	_, line, found := strings.Cut(help, "\n\n  ")
	require.True(t, found)
	return []byte(line)
}

func TestConfigMasksSecrets(t *testing.T) {
	t.Setenv("FRESHET_REDIS_PASSWORD", "hunter2")
	t.Setenv("FRESHET_KAFKA_BROKERS", "a:1,b:2")
	o := execute(t.Context(), "", "config")
	require.Zero(t, o.code, "%s", o.err)
	require.NotContains(t, o.out, "hunter2")
	require.Contains(t, o.out, "password: '********'")
	require.Contains(t, o.out, "- a:1\n")

	require.NoError(t, os.Unsetenv("FRESHET_KAFKA_BROKERS"))
	path := filepath.Join(t.TempDir(), "printed.yaml")
	require.NoError(t, os.WriteFile(path, []byte(o.out), 0o600))
	again := execute(t.Context(), "", "config", "-c", path)
	require.Equal(t, o, again, "what is printed is a configuration file")
}

func TestVersion(t *testing.T) {
	o := execute(t.Context(), "", "version")
	require.Zero(t, o.code)
	require.Regexp(t, `^freshet \d+\.\d+\.\d+\S*(, commit \S+( of \S+)?)?, go1\.\S+ \w+/\w+ with(out)? cgo\n$`, o.out)

	o = execute(t.Context(), "", "version", "--json")
	require.Zero(t, o.code)
	var got build.Info
	require.NoError(t, json.Unmarshal([]byte(o.out), &got))
	require.Equal(t, build.Read(), got)
}

// TestAReleaseKnowsWhatItIs: by the very flags of .goreleaser.yaml, as the binaries have them, and of the Dockerfile, as the image does.
func TestAReleaseKnowsWhatItIs(t *testing.T) {
	var release struct {
		Builds []struct{ Ldflags []string }
	}
	text, err := os.ReadFile("../../.goreleaser.yaml")
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(text, &release))
	require.Len(t, release.Builds, 1)
	text, err = os.ReadFile("../../infra/compose/Dockerfile")
	require.NoError(t, err)
	image := regexp.MustCompile(`-ldflags="([^"]*)"`).FindStringSubmatch(string(text))
	require.NotNil(t, image)
	said := strings.NewReplacer("\\\n", "", "{{ .Version }}", "9.8.7",
		"$VERSION", "9.8.7", "$COMMIT", "c0ffee", "$DATE", "2026-12-01T00:00:00Z")
	want := build.Read()
	want.Version, want.Modified = "9.8.7", false
	for name, flags := range map[string]string{"binaries": strings.Join(release.Builds[0].Ldflags, " "), "image": image[1]} {
		program := filepath.Join(t.TempDir(), "freshet")
		made := exec.CommandContext(t.Context(), "go", "build", "-buildvcs=false", "-ldflags", said.Replace(flags), "-o", program, "../..")
		out, err := made.CombinedOutput()
		require.NoError(t, err, string(out))
		out, err = exec.CommandContext(t.Context(), program, "version", "--json").Output()
		require.NoError(t, err, name)
		var got build.Info
		require.NoError(t, json.Unmarshal(out, &got))
		if name == "image" { // which is built without git
			want.Commit, want.Date = "c0ffee", "2026-12-01T00:00:00Z"
		} else {
			want.Commit, want.Date = "", ""
		}
		require.Equal(t, want, got, name)
	}
}
