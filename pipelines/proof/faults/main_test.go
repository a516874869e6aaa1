package faults

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/local"
)

func TestMain(m *testing.M) {
	flag.Parse()
	if os.Getenv("FRESHET_TEST_FAULTS") == "" {
		os.Exit(0)
	}
	os.Exit(run(m))
}

// run brings the servers up, builds freshet, and writes the report.
func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "freshet-faults")
	if err != nil {
		return failed(err)
	}
	defer os.RemoveAll(dir)
	program = filepath.Join(dir, "freshet")
	build := exec.Command("go", "build", "-o", program, "github.com/freshet/freshet")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return failed(err)
	}
	if servers, err = local.Open(""); err != nil {
		return failed(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	if err := servers.Up(ctx, local.Kafka, local.Redis, local.RedisCluster, local.Milvus); err != nil {
		return failed(err)
	}
	code := m.Run()
	_, _ = fmt.Fprint(os.Stdout, report.text())
	return code
}

func failed(err error) int {
	_, _ = fmt.Fprintln(os.Stderr, "faults:", err)
	return 1
}

// rows are the verdicts of all cases, in the order in which they ended.
type rows []verdict

var report rows

// enter writes the report anew, so that there is one of a suite that was broken off too.
func (v *verdict) enter(t *testing.T) {
	report = append(report, *v)
	path := cmp.Or(os.Getenv("FRESHET_TEST_FAULTS_REPORT"), filepath.Join("..", "..", ".cache", "freshet-faults.md"))
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(report.text()), 0o644))
}

func (list rows) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, `# Freshet under faults

Real Kafka, Redis (appendonly yes, appendfsync everysec) and Milvus on one machine; each role a process of its own. Steady load:
%d events, %d item changes and %d requests a second; a request's deadline is %v. Replies are those of all requests that were due
from the fault to the recovery and that the brokers took before their deadline. "Recovered" counts from the end of the fault
until %d replies in a row are whole and the consumers keep up.

| fault | recovered, s | ok | degraded | late | lost | not taken by Kafka in time | events lost / doubled | of events, item changes |
|---|---|---|---|---|---|---|---|---|
`, eventRate, changeRate, requestRate, deadline, requestRate/2)
	for _, v := range list {
		fmt.Fprintf(&b, "| %s | %.1f | %d | %d | %d | %d | %d | %d / %d | %d, %d |\n", v.fault, v.recovered.Seconds(), v.ok, v.degraded,
			v.late, v.lost, v.untaken, v.eventsLost, v.eventsDoubled, v.events, v.changes)
	}
	b.WriteString("\nWhat degraded replies said:\n\n")
	for _, v := range list {
		for reason, n := range v.reasons {
			fmt.Fprintf(&b, "- %s: %d × %s\n", v.fault, n, reason)
		}
	}
	return b.String()
}

func deleteTopics(ctx context.Context, client *kafka.Client, names ...string) {
	_, _ = client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: names})
}
