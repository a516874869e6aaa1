package grafana

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func promtool(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not installed: Debian's package prometheus has it")
	}
	out, err := exec.CommandContext(t.Context(), path, args...).CombinedOutput()
	require.NoError(t, err, "promtool %s:\n%s", strings.Join(args, " "), out)
	return string(out)
}

func TestPromtoolChecksAndTestsTheRules(t *testing.T) {
	rules, err := rulesOf(files)
	require.NoError(t, err)
	require.Contains(t, promtool(t, "check", "rules", "alerts.yaml"), fmt.Sprintf("%d rules found", len(rules)))
	var tests string
	for _, file := range []string{"alerts_test.yaml", "alerts_recall_test.yaml"} {
		require.Contains(t, promtool(t, "test", "rules", file), "SUCCESS")
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		tests += string(text)
	}
	for _, r := range rules {
		require.Contains(t, tests, "alertname: "+r.Alert, "each alert has a test")
	}
}

// The language of the panels is Prometheus's own, not only what Parse takes for it.
func TestPromtoolReadsThePanels(t *testing.T) {
	expressions, err := Expressions()
	require.NoError(t, err)
	var rules strings.Builder
	rules.WriteString("groups:\n- name: panels\n  rules:\n")
	for i, e := range expressions {
		fmt.Fprintf(&rules, "  - record: panel%d\n    expr: %q\n", i, variables.Replace(e.Text))
	}
	file := filepath.Join(t.TempDir(), "panels.yaml")
	require.NoError(t, os.WriteFile(file, []byte(rules.String()), 0o600))
	promtool(t, "check", "rules", file)
}
