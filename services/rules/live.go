package rules

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// Live is a set of rules that follows a file.
//
// It reads the file every interval and compares the bytes. Watching for file system events would be quicker and would miss
// changes: a Kubernetes ConfigMap swaps a symbolic link two directories up, editors replace the file, network file systems
// send nothing. Sizes and times are no better guide, since a change within one tick of the clock keeps both.
type Live struct {
	path    string
	log     *slog.Logger
	current atomic.Pointer[Set]

	mu        sync.Mutex // one reload at a time; guards what follows
	source    []byte     // the bytes that were read last, good or bad
	badSource error      // what is wrong with source
	lastErr   error

	once sync.Once
	stop chan struct{}
	done chan struct{}
}

// OpenLive reads the rules of a file and follows it until Close. An empty path means the default rules, which never change.
// A bad file is an error here, since there is nothing yet to keep.
func OpenLive(path string, interval time.Duration, log *slog.Logger) (*Live, error) {
	l := &Live{path: path, log: log, stop: make(chan struct{}), done: make(chan struct{})}
	if path == "" {
		l.current.Store(Default())
		close(l.done)
		return l, nil
	}
	if interval <= 0 {
		return nil, fmt.Errorf("rules interval: %s is not positive: give a duration such as 2s", interval)
	}
	if _, err := l.Reload(); err != nil {
		return nil, err
	}
	go l.follow(interval)
	return l, nil
}

// Current is the set that serves now.
func (l *Live) Current() *Set { return l.current.Load() }

// LastError is why the file as it is now is not what serves; nil where it is.
func (l *Live) LastError() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lastErr
}

// Reload reads the file now and tells whether its rules serve from here on for the first time. When the file cannot be read
// or is bad, the old set stays and the error says why.
//
// An editor that truncates and then writes: a reload in between sees a file without rules, keeps the old set, and the next
// one sees the whole file.
func (l *Live) Reload() (changed bool, err error) {
	if l.path == "" {
		return false, nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	source, err := os.ReadFile(l.path)
	if err != nil {
		return false, l.refuse(fmt.Errorf("reading rules: %w", err))
	}
	if l.source != nil && bytes.Equal(source, l.source) {
		l.lastErr = l.badSource // the file may have been unreadable meanwhile
		return false, l.badSource
	}
	set, err := Parse(source)
	l.source, l.badSource = source, nil
	if err != nil {
		l.badSource = fmt.Errorf("reading rules %s: %w", l.path, err)
		return false, l.refuse(l.badSource)
	}
	l.lastErr = nil
	l.current.Store(set)
	l.log.Info("rules loaded", "path", l.path, "rules", set.Names())
	return true, nil
}

// refuse remembers why, and logs it once for each new reason: the file is read again every interval.
func (l *Live) refuse(err error) error {
	if l.current.Load() != nil && (l.lastErr == nil || l.lastErr.Error() != err.Error()) {
		l.log.Error("rules not loaded, the old ones stay", "path", l.path, "error", err)
	}
	l.lastErr = err
	return err
}

func (l *Live) follow(interval time.Duration) {
	defer close(l.done)
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-l.stop:
			return
		case <-ticker.C:
			_, _ = l.Reload() // LastError keeps it, the log told it
		}
	}
}

// Close stops following the file. The current set goes on serving.
func (l *Live) Close() {
	l.once.Do(func() { close(l.stop) })
	<-l.done
}
