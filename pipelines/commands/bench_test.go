package commands_test

import (
	"bytes"
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/commands"
)

func benchmark(t *testing.T, args ...string) outcome {
	t.Helper()
	var table commands.Table
	var out, errs bytes.Buffer
	code := commands.Execute(t.Context(), &table, &table.Global, append([]string{"bench"}, args...),
		commands.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	return outcome{code, out.String(), errs.String()}
}

func TestBenchPrintsForPeopleAndForPrograms(t *testing.T) {
	small := []string{"ingest", "--embedded", "--users", "30", "--items", "200", "--events", "300", "--repeats", "1", "--warmup", "0"}
	profile := filepath.Join(t.TempDir(), "cpu.prof")
	o := benchmark(t, append(small, "--json", "--profile", profile)...)
	require.Zero(t, o.code, o.err)
	var report struct {
		Bench string `json:"bench"`
		Rows  []struct {
			Goal *struct {
				Is string `json:"is"`
			} `json:"goal"`
		} `json:"rows"`
	}
	require.NoError(t, json.Unmarshal([]byte(o.out), &report), "nothing but the report goes to the output")
	require.Equal(t, "ingest", report.Bench)
	require.Equal(t, ">=", report.Rows[0].Goal.Is)
	require.Empty(t, otherKeys(t, o.out), "snake_case alone")
	require.Contains(t, o.err, "repeat 1 of 1", "progress goes beside it")
	require.FileExists(t, profile)

	o = benchmark(t, small...)
	require.Zero(t, o.code, o.err)
	require.Contains(t, o.out, "ours / floor")
}

func TestBenchRefusals(t *testing.T) {
	configure(t, nowhere, nowhere, nowhere)
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"ingest", "--repeats", "0"}, 2, "repeats is 0: give 1 or more"},
		{[]string{"memory", "--sizes", "10k,x"}, 2, `--sizes has "x"`},
		{[]string{"memory", "--sizes", "101M"}, 2, `--sizes has "101M"`},
		{[]string{"memory", "--sizes", "10k,1k"}, 1, "sizes has 1000: give growing numbers"},
		{[]string{"memory", "--embedded"}, 1, "run this bench on real servers"},
		{[]string{"serve"}, 1, "start it, point the configuration at one that runs, or use --embedded"},
	} {
		o := benchmark(t, c.args...)
		require.Equal(t, c.code, o.code, "%v: %s", c.args, o.err)
		require.Contains(t, o.err, c.want)
	}
}
