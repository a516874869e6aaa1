package tuning

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/freshet/freshet/pipelines/offline/training"
)

// logFile holds JSON lines: what the search is of, then the trials that are done.
const logFile = "trials.jsonl"

// maxLogBytes is far beyond what a search writes.
const maxLogBytes = 64 << 20

// trialLog is the trials that are done, on the disk and in memory.
type trialLog struct {
	file  *os.File
	known []Trial
}

type logHead struct {
	Fingerprint training.Fingerprint `json:"fingerprint"`
}

// openLog opens or begins the log of a folder, and refuses that of another search.
func openLog(folder string, now training.Fingerprint) (*trialLog, error) {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return nil, fmt.Errorf("making the search's folder: %w", err)
	}
	path := filepath.Join(folder, logFile)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644) //nolint:gosec // no secret
	if err != nil {
		return nil, fmt.Errorf("opening the trials: %w", err)
	}
	l := &trialLog{file: f}
	if err := l.begin(now); err != nil {
		return nil, fmt.Errorf("reading %s: %w; name another --out, or remove the file", path, errors.Join(err, f.Close()))
	}
	return l, nil
}

func (l *trialLog) begin(now training.Fingerprint) error {
	text, err := io.ReadAll(io.LimitReader(l.file, maxLogBytes+1))
	if err != nil {
		return err
	}
	head, known, whole, err := parseLog(text)
	if err != nil {
		return err
	}
	if begins := []byte(`{"fingerprint"`); whole == 0 && !bytes.HasPrefix(text, begins[:min(len(begins), len(text))]) {
		return errors.New("it is no search's")
	}
	// A line without an end is one whose writer was killed: the trial is done again.
	if err := l.file.Truncate(int64(whole)); err != nil {
		return err
	}
	if _, err := l.file.Seek(int64(whole), io.SeekStart); err != nil {
		return err
	}
	if whole == 0 {
		return l.write(logHead{now})
	}
	if differ := now.Differences(head.Fingerprint); len(differ) > 0 {
		return fmt.Errorf("it is of another search (%s)", strings.Join(differ, "; "))
	}
	l.known = known
	return nil
}

// parseLog reads the lines that have an end, and says how many bytes those are.
func parseLog(text []byte) (head logHead, trials []Trial, whole int, err error) {
	if len(text) > maxLogBytes {
		return head, nil, 0, fmt.Errorf("it has more than %d bytes", maxLogBytes)
	}
	for number := 1; ; number++ {
		end := bytes.IndexByte(text[whole:], '\n')
		if end < 0 {
			return head, trials, whole, nil
		}
		d := json.NewDecoder(bytes.NewReader(text[whole : whole+end]))
		d.DisallowUnknownFields()
		if number == 1 {
			err = d.Decode(&head)
		} else {
			var t Trial
			err = d.Decode(&t)
			trials = append(trials, t)
		}
		if err == nil && d.More() {
			err = errors.New("holds more than one value")
		}
		if err != nil {
			return head, nil, 0, fmt.Errorf("line %d: %w", number, err)
		}
		whole += end + 1
	}
}

func (l *trialLog) find(number, epochs int) (*Trial, bool) {
	for i := range l.known {
		if t := &l.known[i]; t.Number == number && t.Epochs == epochs {
			return t, true
		}
	}
	return nil, false
}

func (l *trialLog) add(t *Trial) error { return l.write(t) }

func (l *trialLog) write(line any) error {
	text, err := json.Marshal(line)
	if err == nil {
		_, err = l.file.Write(append(text, '\n'))
	}
	if err = errors.Join(err, l.file.Sync()); err != nil {
		return fmt.Errorf("keeping the trial: %w", err)
	}
	return nil
}

func (l *trialLog) close() { _ = l.file.Close() } // each line has been synced
