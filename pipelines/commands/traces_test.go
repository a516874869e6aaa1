package commands_test

import (
	"context"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"

	"github.com/freshet/freshet/pipelines/commands"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/services/telemetry"
)

// TestTraces sends two traces: one that is printed when it is complete, and one that is printed when the command ends.
func TestTraces(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var table commands.Table
	var out, errs buffer
	ended := make(chan int, 1)
	go func() {
		ended <- commands.Execute(ctx, &table, &table.Global, []string{"traces", "--listen", "127.0.0.1:0", "--quiet", "100ms"},
			commands.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	}()
	waits := regexp.MustCompile(`msg="waiting for spans" address=(\S+)`)
	require.Eventually(t, func() bool { return waits.MatchString(errs.String()) }, patience, time.Millisecond)

	c := settings.Default().Telemetry
	c.Traces = telemetry.TracesConfig{Exporter: telemetry.ExporterOTLP, SampleRatio: 1}
	c.OTLP.Endpoint = waits.FindStringSubmatch(errs.String())[1]
	send := func(name string) {
		seen, err := telemetry.Setup(t.Context(), c, telemetry.Options{Log: discard()})
		require.NoError(t, err)
		inside, span := otel.Tracer("test").Start(t.Context(), name)
		_, child := otel.Tracer("test").Start(inside, name+" child")
		child.End()
		span.End()
		require.NoError(t, seen.Shutdown(t.Context()))
	}
	send("first")
	require.Eventually(t, func() bool { return strings.Contains(out.String(), "└─ first child") }, patience, time.Millisecond)
	send("second")
	cancel()
	require.Zero(t, <-ended, "%s", &errs)
	require.Contains(t, out.String(), "└─ second child")
	require.Equal(t, 2, strings.Count(out.String(), ", 2 spans\n"))
}

func TestTracesRefuses(t *testing.T) {
	require.Equal(t, 2, execute(t.Context(), "", "traces", "--quiet", "0s").code)
	o := execute(t.Context(), "", "traces", "--listen", "nowhere")
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "give another address with --listen")
}

// TestRunNamesAnAdminAddressThatIsTaken before it connects to anything.
func TestRunNamesAnAdminAddressThatIsTaken(t *testing.T) {
	configure(t, nowhere, nowhere, nowhere)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	t.Setenv("FRESHET_ADMIN_ADDRESS", taken.Addr().String())
	o := execute(t.Context(), "", "run")
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, `listening on admin.address "`+taken.Addr().String())
	require.Contains(t, o.err, "give another port, or off (FRESHET_ADMIN_ADDRESS)")
}

// TestSpansWithoutACollector is what a laptop has; what a command prints for other programs stays whole.
func TestSpansWithoutACollector(t *testing.T) {
	servers := install(t)
	require.Zero(t, execute(t.Context(), "", "topics", "create").code)
	t.Setenv("FRESHET_TELEMETRY_TRACES_EXPORTER", "stdout")
	t.Setenv("FRESHET_TELEMETRY_TRACES_SAMPLE_RATIO", "1")
	const event = `{"event_id":"e","user_id":"u","item_id":"i","type":"view","occurred_at":"2026-01-01T00:00:00Z"}`
	o := execute(t.Context(), event, "publish", "interactions")
	require.Zero(t, o.code, "%s", o.err)
	require.Contains(t, o.err, `"Name":"send `+servers.topic("interactions")+`"`)
	require.Equal(t, "1 published, 0 refused\n", o.out)
}
