package evaluation

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A run is a file of gzipped JSON, named by when it was made and by the model, so that names sort by time.
const (
	runSuffix  = ".run.json.gz"
	runFormat  = "freshet-evaluation-run"
	runVersion = 2 // 1 is read as well
	runTime    = "20060102t150405.000z"
	// mostRunBytes bounds what a file may unpack to: a run of a million cases and ten scorers stays below it.
	mostRunBytes = 1 << 30
)

// runFile is the outermost object of the file.
type runFile struct {
	Format  string `json:"format"`
	Version int    `json:"version"`
	*Run
}

// Runs is a folder of runs.
type Runs struct{ Dir string }

// Latest names the newest run in Load.
const Latest = "latest"

// Save writes the run as a new file and returns its name, which Load takes. The run's report needs a subject.
func (f Runs) Save(r *Run) (name string, err error) {
	if name, err = f.save(r); err != nil {
		return "", fmt.Errorf("keeping the run: %w", err)
	}
	return name, nil
}

func (f Runs) save(r *Run) (string, error) {
	if r.Report == nil || r.Report.Subject == nil {
		return "", errors.New("it does not say what was measured")
	}
	if err := r.Validate(); err != nil {
		return "", err
	}
	if err := os.MkdirAll(f.Dir, 0o755); err != nil {
		return "", err
	}
	name := r.Report.Subject.At.UTC().Format(runTime) + "_" + safe(r.Report.Subject.Model)
	part, err := os.CreateTemp(f.Dir, ".part-*")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.Remove(part.Name()) }()
	packed := gzip.NewWriter(part)
	err = errors.Join(part.Chmod(0o644), json.NewEncoder(packed).Encode(runFile{runFormat, runVersion, r}), packed.Close(), part.Close())
	if err != nil {
		return "", err
	}
	return name, os.Link(part.Name(), filepath.Join(f.Dir, name+runSuffix)) // unlike a rename, never over an earlier run
}

// safe keeps what is harmless in a file's name.
func safe(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '_' || r == '-' {
			return r
		}
		return '-'
	}, s[:min(len(s), 64)])
}

// Names are the runs' names, the oldest first; a folder that does not exist has none.
func (f Runs) Names() ([]string, error) {
	entries, err := os.ReadDir(f.Dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("listing runs: %w", err)
	}
	var names []string
	for _, e := range entries {
		if name, is := strings.CutSuffix(e.Name(), runSuffix); is {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// Load reads a run by its name, by a part of it that no other name has, by Latest, or by the path of its file; it returns the whole name.
func (f Runs) Load(name string) (*Run, string, error) {
	path, whole := name, strings.TrimSuffix(filepath.Base(name), runSuffix)
	if _, err := os.Stat(name); err != nil || !strings.HasSuffix(name, runSuffix) {
		var err error
		if whole, err = f.find(name); err != nil {
			return nil, "", fmt.Errorf("reading a run: %w", err)
		}
		path = filepath.Join(f.Dir, whole+runSuffix)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, "", fmt.Errorf("reading a run: %w", err)
	}
	defer file.Close()
	r, err := readRun(file, mostRunBytes)
	if err != nil {
		return nil, "", fmt.Errorf("reading run %s: %w", path, err)
	}
	return r, whole, nil
}

func (f Runs) find(name string) (string, error) {
	names, err := f.Names()
	if err != nil {
		return "", err
	}
	if len(names) == 0 {
		return "", fmt.Errorf("%q is no file, and %s has no runs: keep some with freshet evaluate --runs", name, f.Dir)
	}
	if name == Latest {
		return names[len(names)-1], nil
	}
	if slices.Contains(names, name) {
		return name, nil
	}
	fit := slices.DeleteFunc(slices.Clone(names), func(n string) bool { return !strings.Contains(n, name) })
	if len(fit) == 1 {
		return fit[0], nil
	}
	return "", fmt.Errorf("%q is no file, and fits %d of the %d runs in %s: give the name of one, such as %s, or %s",
		name, len(fit), len(names), f.Dir, names[len(names)-1], Latest)
}

// readRun decodes and checks a run that unpacks to at most so many bytes.
func readRun(r io.Reader, most int64) (*Run, error) {
	unpacked, err := gzip.NewReader(r)
	if err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: unpacked, N: most}
	var file runFile
	if err := json.NewDecoder(limited).Decode(&file); err != nil {
		if limited.N <= 0 {
			return nil, fmt.Errorf("it unpacks to more than %d bytes", most)
		}
		return nil, err
	}
	if file.Format != runFormat || file.Version < 1 || file.Version > runVersion {
		return nil, fmt.Errorf("its format is %q version %d, not %q version 1 to %d", file.Format, file.Version, runFormat, runVersion)
	}
	if file.Run == nil {
		return nil, errors.New("it has no report")
	}
	if err := file.Validate(); err != nil {
		return nil, err
	}
	return file.Run, nil
}

// Past are summaries of the newest runs, at most so many, of the protocol with the checksum, oldest first; damaged files are an error.
func (f Runs) Past(checksum string, most int) ([]Past, error) {
	names, err := f.Names()
	if err != nil {
		return nil, err
	}
	var past []Past
	for _, name := range slices.Backward(names) {
		if len(past) == most {
			break
		}
		r, _, err := f.Load(filepath.Join(f.Dir, name+runSuffix))
		if err != nil {
			return nil, err
		}
		if s := r.Report.Subject; r.Report.Checksum == checksum && s != nil {
			past = append(past, Past{Name: name, At: s.At, Model: s.Model, K: r.Report.K, Of: r.Report.Scorers[0].At})
		}
	}
	slices.Reverse(past)
	return past, nil
}

// Past is how the first scorer of an earlier run did.
type Past struct {
	Name  string
	At    time.Time
	Model string
	K     int
	Of    []AtK
}
