package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestCommands(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("FRESHET_SERVERS_DIR", dir)
	for _, c := range []struct {
		line, out, progress string
		err                 string
	}{
		{"", "", "usage: ", "usage"},
		{"fly", "", "usage: ", "usage"},
		{"kill", "", "usage: ", "usage"},
		{"kill mysql", "", "", `server "mysql" is not known`},
		{"kill kafka", "", "", ""},
		{"down", "", "", ""},
		{"pause redis", "", "", "redis does not run"},
		{"env", "export FRESHET_KAFKA_BROKERS='127.0.0.1:29092'\n", "", ""},
		{"env --tests", "export FRESHET_TEST_SERVERS='" + dir + "'\n", "", ""},
		{"status", "redis-cluster-3  127.0.0.1:26403  0  down\n", "", ""},
	} {
		t.Run(c.line, func(t *testing.T) {
			var out, progress bytes.Buffer
			err := run(t.Context(), strings.Fields(c.line), &out, &progress)
			if c.err == "" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, c.err)
			}
			require.Contains(t, out.String(), c.out)
			require.Contains(t, progress.String(), c.progress)
		})
	}
}

// TestTaskfileCallsWhatThereIs holds the tasks servers:* against the usage.
func TestTaskfileCallsWhatThereIs(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "..", "..", "Taskfile.yml"))
	require.NoError(t, err)
	var file struct{ Tasks map[string]any }
	require.NoError(t, yaml.Unmarshal(text, &file))
	calls := regexp.MustCompile(`go run \./infra/local/cmd (\w+)`).FindAllStringSubmatch(string(text), -1)
	require.GreaterOrEqual(t, len(calls), 5)
	for _, call := range calls {
		require.Regexp(t, `(?m)^  `+call[1]+` `, usage)
	}
	for _, name := range []string{"servers:up", "servers:down", "servers:status", "servers:kill"} {
		require.Contains(t, file.Tasks, name)
	}
}
