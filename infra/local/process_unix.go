//go:build unix

package local

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
)

// The signals that servers are treated with.
const (
	terminate = syscall.SIGTERM
	kill      = syscall.SIGKILL
	suspend   = syscall.SIGSTOP
	resume    = syscall.SIGCONT
)

func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} }

// send signals a process; one that is gone by now is no error.
func send(p process, signal syscall.Signal) error {
	if look(p) == gone {
		return nil
	}
	if err := syscall.Kill(p.PID, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("sending %s to process %d: %w", signal, p.PID, err)
	}
	return nil
}

// look says what became of a process. One that has ended and waits for its parent to ask is gone; if the parent is this
// process, it asks here, since spawn does not wait. A killed process may look ended while other threads of it still hold its
// ports: it is gone when they are.
func look(p process) condition {
	born, state, err := inspect(p.PID)
	switch {
	case err != nil || born != p.Birth:
		return gone
	case (state == 'Z' || state == 'X') && threads(p.PID) > 1:
		return running
	case state == 'Z' || state == 'X':
		_, _ = syscall.Wait4(p.PID, nil, syscall.WNOHANG, nil) // fails when the parent is another
		return gone
	case state == 'T':
		return paused
	}
	return running
}

// threads counts a process's threads where there is a /proc.
func threads(pid int) int {
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return 0
	}
	return len(tasks)
}

func birth(pid int) (string, error) {
	born, _, err := inspect(pid)
	return born, err
}

// inspect returns when a process started and its state letter: from /proc where there is one (proc(5): fields 3 and 22, after
// the name in parentheses, which may hold anything), else from ps.
func inspect(pid int) (born string, state byte, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err == nil {
		fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(fields) < 20 {
			return "", 0, fmt.Errorf("reading the state of process %d: %q has too few fields", pid, text)
		}
		return fields[19], fields[0][0], nil
	}
	if _, proc := os.Stat("/proc/self/stat"); proc == nil {
		return "", 0, err
	}
	//nolint:gosec,noctx // a number for an argument, and ps ends at once
	out, err := exec.Command("ps", "-o", "state=,lstart=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return "", 0, fmt.Errorf("looking for process %d: %w", pid, err)
	}
	letter, since, found := strings.Cut(strings.TrimSpace(string(out)), " ")
	if !found {
		return "", 0, fmt.Errorf("looking for process %d: ps answers %q", pid, out)
	}
	return strings.TrimSpace(since), letter[0], nil
}
