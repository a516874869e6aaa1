package towers

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/freshet/freshet/schemas"
)

// The files of a bundle.
const (
	manifestFile   = "manifest.json"
	itemFile       = "item_tower.bin"
	userFile       = "user_tower.bin"
	vocabularyFile = "vocabulary.bin"
	queryFile      = "query_tower.bin" // optional
)

const (
	bundleFormat  = "freshet-towers"
	bundleVersion = 1
	// maxWidth and maxDepth are far beyond any useful tower; a manifest beyond them is damaged.
	maxWidth = 4096
	maxDepth = 64
	// maxManifestBytes bounds what is read before anything is verified.
	maxManifestBytes = 1 << 20
)

// versionShape is what may stand in a Redis hash field and in a Milvus collection name.
var versionShape = regexp.MustCompile(`^[a-z0-9_]{1,64}$`)

// Manifest describes a bundle.
type Manifest struct {
	Format        string `json:"format"`
	FormatVersion int    `json:"format_version"`
	// Version names the model: [a-z0-9_]+, so that it can be a Redis field and a part of a collection's name.
	Version string    `json:"version"`
	Created time.Time `json:"created"`
	// Engine is what runs the towers: empty for this package's own arithmetic, "onnx" for ONNX Runtime.
	Engine string `json:"engine,omitempty"`
	// Dim is the length of a vector, all Heads together; no Heads means one.
	Dim    int `json:"dim"`
	Layers int `json:"layers,omitempty"`
	Heads  int `json:"heads,omitempty"`
	// StateSize and Ports belong to the engine onnx: see Foreign. An encoder's state has no size.
	StateSize int               `json:"state_size,omitempty"`
	Ports     map[string]string `json:"ports,omitempty"`
	// MostTokens and MostEvents are for people, who may have fixed by oversight how many tokens of an item, the first ones, and how
	// many events of a history, the newest ones, the models of a foreign item tower and of an encoder take. 0 means all.
	MostTokens int                 `json:"most_tokens,omitempty"`
	MostEvents int                 `json:"most_events,omitempty"`
	Features   Features            `json:"features"`
	Data       DataRange           `json:"data"`
	Metrics    map[string]float64  `json:"metrics,omitempty"`
	Checksums  map[string]Checksum `json:"checksums"`
	// Commit is that of the source which trained the towers, where its build knew it; From the version of the bundle that
	// training began with, empty for chance; Recipe the trainer's configuration, by the names that it has in a file.
	Commit string          `json:"commit,omitempty"`
	From   string          `json:"from,omitempty"`
	Recipe json.RawMessage `json:"recipe,omitempty"`
}

// Features is the feature spec: how the towers read items and events.
type Features struct {
	// Items and Tokens count the id and the content embeddings.
	Items      int              `json:"items"`
	Tokens     int              `json:"tokens"`
	Vocabulary VocabularyConfig `json:"vocabulary"`
	// EventKinds are the kinds of events that the user tower tells apart, in the order of its table's rows, and EventGaps
	// counts the gaps between events that it does. Without them it reads items alone. Only a foreign tower's order is its own.
	EventKinds []schemas.InteractionType `json:"event_kinds,omitempty"`
	EventGaps  int                       `json:"event_gaps,omitempty"`
}

// Inputs is what the user tower reads of an event beside its item. A foreign tower's kinds are in the order of its rows.
func (f *Features) Inputs() Inputs { return Inputs{Kinds: f.EventKinds, Gaps: f.EventGaps > 0} }

// DataRange is what the towers were trained on.
type DataRange struct {
	From   time.Time `json:"from,omitzero"`
	To     time.Time `json:"to,omitzero"`
	Users  int       `json:"users"`
	Items  int       `json:"items"`
	Events int       `json:"events"`
	// Binding says how the tables were read that the data comes from: which column became which field, and what was left out.
	Binding json.RawMessage `json:"binding,omitempty"`
	// Repeats says whether what was held back may be an item that the user had before: ask, skip, or nothing where a protocol
	// settles it. TieSeed drew the order of events of one moment; 0 where it was not drawn.
	Repeats string `json:"repeats,omitempty"`
	TieSeed uint64 `json:"tie_seed,omitempty"`
}

// Checksum is a file's size and SHA-256 in hexadecimal digits.
type Checksum struct {
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

func checksumOf(b []byte) Checksum {
	sum := sha256.Sum256(b)
	return Checksum{Bytes: int64(len(b)), SHA256: hex.EncodeToString(sum[:])}
}

// LoadManifest reads and checks a bundle's manifest; the weights are verified when a tower is loaded.
func LoadManifest(dir string) (Manifest, error) {
	path := filepath.Join(dir, manifestFile)
	b, err := readFile(path, maxManifestBytes)
	if IsMissing(err) && saysBundle(filepath.Clean(dir)+previousSuffix) {
		return Manifest{}, refuse(missing, path, "give it this name again, or name a folder that freshet train wrote",
			"does not exist; %s holds an earlier one", filepath.Clean(dir)+previousSuffix)
	}
	if err != nil {
		return Manifest{}, err
	}
	var m Manifest
	if err := json.Unmarshal(b, &m); err != nil {
		return Manifest{}, refuse(corrupted, path, remedyTrainAgain, "is no manifest: %v", err)
	}
	if err := m.check(path); err != nil {
		return Manifest{}, err
	}
	return m, nil
}

func (m *Manifest) check(path string) error {
	switch {
	case m.Format != bundleFormat:
		return refuse(unsupported, path, remedySameBuild, "format is %q instead of %q", m.Format, bundleFormat)
	case m.FormatVersion != bundleVersion:
		return refuse(unsupported, path, remedySameBuild, "format_version is %d, this build reads %d",
			m.FormatVersion, bundleVersion)
	case !versionShape.MatchString(m.Version):
		return refuse(corrupted, path, remedyTrainAgain, "version %q is not made of 1 to 64 of a-z, 0-9 and _", m.Version)
	case m.Dim < 1 || m.Dim > maxWidth:
		return refuse(corrupted, path, remedyTrainAgain, "dim %d is not between 1 and %d", m.Dim, maxWidth)
	case m.Heads < 0 || m.Heads > m.Dim || m.Dim%max(m.Heads, 1) != 0:
		return refuse(corrupted, path, remedyTrainAgain, "%d heads cannot share dim %d", m.Heads, m.Dim)
	case m.Engine != "" && m.Engine != onnxEngine:
		return refuse(unsupported, path, remedySameBuild, "engine is %q; this build knows its own, and %q", m.Engine, onnxEngine)
	case m.StateSize < 0 || m.StateSize > maxWidth*maxDepth:
		return refuse(corrupted, path, remedyTrainAgain, "state_size %d is not between 0 and %d", m.StateSize, maxWidth*maxDepth)
	case m.Engine == "" && (m.Layers < 1 || m.Layers > maxDepth):
		return refuse(corrupted, path, remedyTrainAgain, "layers %d is not between 1 and %d", m.Layers, maxDepth)
	case m.Features.EventGaps != 0 && m.Features.EventGaps != Gaps:
		return refuse(unsupported, path, remedySameBuild, "event_gaps is %d, this build tells %d apart", m.Features.EventGaps, Gaps)
	}
	return m.checkKinds(path)
}

// checkKinds holds the kinds of Freshet's own towers against the order of their tables. A foreign tower has an order of its own.
func (m *Manifest) checkKinds(path string) error {
	if m.Engine == onnxEngine {
		if err := distinctKinds(m.Features.EventKinds); err != nil {
			return refuse(corrupted, path, remedyImportAgain, "%v", err)
		}
		return nil
	}
	if err := m.Features.Inputs().check(); err != nil {
		return refuse(corrupted, path, remedyTrainAgain, "event_kinds: %v", err)
	}
	return nil
}

// readVerified reads one of the manifest's files and holds it against its checksum.
func (m *Manifest) readVerified(dir, name string) ([]byte, error) {
	path := filepath.Join(dir, name)
	want, ok := m.Checksums[name]
	if !ok {
		return nil, refuse(corrupted, filepath.Join(dir, manifestFile), remedyTrainAgain, "has no checksum of %s", name)
	}
	b, err := readFile(path, want.Bytes+1)
	if err != nil {
		return nil, err
	}
	switch got := checksumOf(b); {
	case got.Bytes < want.Bytes:
		return nil, refuse(truncated, path, remedyTrainAgain, "has %d of the manifest's %d bytes", got.Bytes, want.Bytes)
	case got != want:
		return nil, refuse(corrupted, path, remedyTrainAgain,
			"is not the file that the manifest lists (it is damaged, or belongs to another bundle)")
	}
	return b, nil
}

// readFile reads at most limit bytes.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		r := refuse(missing, path, "name a folder that freshet train wrote", "does not exist")
		r.cause = err
		return nil, r
	}
	if err != nil {
		return nil, wrapReading(err)
	}
	defer f.Close()
	b, err := readLimited(f, limit)
	if err != nil {
		return nil, wrapReading(err)
	}
	return b, nil
}
