package commands_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// process is a command in a process of its own.
type process struct {
	t    testing.TB
	errs *buffer
	stop func() error
	// used is the processor time of the process, once it has stopped.
	used time.Duration
}

// start runs a command in a process of its own, with variables of the form NAME=value beside those of the test.
func start(t testing.TB, variables []string, args ...string) *process {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	p := &process{t: t, errs: &buffer{}}
	cmd := exec.Command(self, args...)
	cmd.Env = append(append(os.Environ(), asCommand+"=1"), variables...)
	cmd.Stdout, cmd.Stderr = &bytes.Buffer{}, p.errs
	require.NoError(t, cmd.Start())
	p.stop = sync.OnceValue(func() error {
		_ = cmd.Process.Signal(os.Interrupt)
		end := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
		defer end.Stop()
		err := cmd.Wait()
		p.used = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		return err
	})
	t.Cleanup(func() { _ = p.stop() })
	return p
}

var listens = regexp.MustCompile(`msg="admin server listens" address=(\S+)`)

// admin is the address of the process's admin server.
func (p *process) admin() string {
	p.t.Helper()
	var found []string
	require.Eventually(p.t, func() bool {
		found = listens.FindStringSubmatch(p.errs.String())
		return found != nil
	}, patience, time.Millisecond, "the admin server listens: %s", p.errs)
	return found[1]
}

// get reads a page of the process's admin server.
func (p *process) get(page string) (code int, body string) {
	p.t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := client.Get("http://" + p.admin() + page)
	require.NoError(p.t, err, "%s", p.errs)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(p.t, err)
	return response.StatusCode, string(text)
}

// awaitReady asks the process until it says that nothing is missing.
func (p *process) awaitReady() {
	p.t.Helper()
	var body string
	require.Eventually(p.t, func() bool {
		var code int
		code, body = p.get("/readyz")
		return code == http.StatusOK
	}, patience, 10*time.Millisecond, "ready: %s", p.errs)
	require.JSONEq(p.t, `{"status":"ready"}`, body)
}

// awaitMetric reads /metrics until it has what is looked for.
func (p *process) awaitMetric(look func(page string) bool) (page string) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		_, page = p.get("/metrics")
		return look(page)
	}, patience, 20*time.Millisecond)
	return page
}

// lines are those of a text that begin with a prefix.
func lines(text, prefix string) (found []string) {
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, prefix) {
			found = append(found, strings.TrimSpace(line))
		}
	}
	return found
}
