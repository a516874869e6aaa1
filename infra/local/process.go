package local

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// process is a started server as its record in the folder remembers it.
type process struct {
	PID int `json:"pid"`
	// Birth is when the process started, as the system counts it. A record whose process has died may name an id that another
	// process bears by now; the birth tells them apart.
	Birth   string    `json:"birth"`
	Command []string  `json:"command"`
	Started time.Time `json:"started"`
}

// command is how to start a server.
type command struct {
	args []string
	env  []string
	dir  string
}

// condition is what the system says of a process.
type condition int

const (
	gone condition = iota
	running
	paused
)

func (c condition) String() string { return [...]string{"down", "running", "paused"}[c] }

func (s *Servers) recordPath(name string) string { return filepath.Join(s.dir, "run", name+".json") }

func (s *Servers) logPath(name string) string { return filepath.Join(s.dir, name, "server.log") }

// find returns the live process of a server. A record of a dead one is as good as none.
func (s *Servers) find(name string) (process, condition, error) {
	var p process
	text, err := os.ReadFile(s.recordPath(name))
	if errors.Is(err, fs.ErrNotExist) {
		return p, gone, nil
	}
	if err != nil {
		return p, gone, fmt.Errorf("reading the record of %s: %w", name, err)
	}
	if err := json.Unmarshal(text, &p); err != nil {
		// Records are renamed into place, so that no crash leaves half of one; this one is somebody's edit.
		return p, gone, fmt.Errorf("reading %s: %w; delete it once its process is gone", s.recordPath(name), err)
	}
	return p, look(p), nil
}

// spawn starts a server in a session of its own, so that it outlives this process and its terminal, and records it.
func (s *Servers) spawn(name string, c command) (process, error) {
	var p process
	log, err := os.OpenFile(s.logPath(name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return p, fmt.Errorf("opening the log of %s: %w", name, err)
	}
	defer log.Close()
	//nolint:gosec,noctx // the servers' own command lines, made here; they outlive any context
	cmd := exec.Command(c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = c.dir, append(baseEnvironment(), c.env...), log, log
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return p, fmt.Errorf("starting %s: %w", name, err)
	}
	p = process{PID: cmd.Process.Pid, Command: c.args, Started: time.Now().UTC()}
	if p.Birth, err = birth(p.PID); err == nil {
		err = writeJSON(s.recordPath(name), p)
	}
	if err != nil {
		return p, errors.Join(fmt.Errorf("recording the process of %s: %w", name, err), cmd.Process.Kill(), cmd.Wait())
	}
	return p, cmd.Process.Release()
}

// baseEnvironment is what servers see of the caller's environment: enough to find programs and files, no settings.
func baseEnvironment() []string {
	var kept []string
	for _, name := range []string{"PATH", "HOME", "LANG", "TMPDIR", "JAVA_HOME"} {
		if value, found := os.LookupEnv(name); found {
			kept = append(kept, name+"="+value)
		}
	}
	return kept
}

// awaitEnd waits until a process is gone and says whether it is.
func awaitEnd(p process, patience time.Duration) bool {
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		if look(p) == gone {
			return true
		}
		if time.Now().After(deadline) {
			return false
		}
	}
}

// writeJSON replaces a file at once, readable by its owner alone.
func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(path, append(text, '\n'))
}

func writeFile(path string, text []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*") // CreateTemp makes it 0600
	if err != nil {
		return err
	}
	_, err = file.Write(text)
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(file.Name()))
	}
	return nil
}
