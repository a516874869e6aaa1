package towers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"
)

// Bundle is a model about to be written.
type Bundle struct {
	// Version may be empty; it is then made of Created and the weights' checksum.
	Version    string
	Created    time.Time
	Vocabulary VocabularyConfig
	Data       DataRange
	Metrics    map[string]float64
	Commit     string
	From       string
	Recipe     json.RawMessage
	Items      *ItemWeights
	Users      []*UserWeights // the heads
	// Queries is optional: nil where there was no text to learn from.
	Queries *QueryWeights
}

// WriteBundle writes the bundle as the folder dir, and keeps the one that is there already as the one before: see Place.
func WriteBundle(dir string, b *Bundle) (Manifest, error) { return Place{Dir: dir}.WriteBundle(b) }

// WriteBundle writes the bundle, whole or not at all.
func (p Place) WriteBundle(b *Bundle) (Manifest, error) {
	m, files, err := b.encode()
	if err != nil {
		return Manifest{}, fmt.Errorf("encoding the bundle: %w", err)
	}
	return m, p.write(files)
}

// encode gives the manifest and the content of every file.
func (b *Bundle) encode() (Manifest, map[string][]byte, error) {
	dim := 0
	for _, head := range b.Users {
		dim += head.Dim
		if first := b.Users[0]; head.Dim != first.Dim || head.Layers != first.Layers {
			return Manifest{}, nil, fmt.Errorf("a head has %d dimensions in %d layers, another %d in %d: train heads of one shape",
				first.Dim, first.Layers, head.Dim, head.Layers)
		} else if !head.Reads.equal(first.Reads) {
			return Manifest{}, nil, fmt.Errorf("a head reads %s %v, another %s %v: train heads of the same inputs",
				first.Reads, first.Reads.Kinds, head.Reads, head.Reads.Kinds)
		}
	}
	if dim == 0 || b.Items.Dim != dim {
		return Manifest{}, nil, fmt.Errorf("the item tower has %d dimensions and the user tower %d: train both together",
			b.Items.Dim, dim)
	}
	files := map[string][]byte{
		itemFile:       encodeTensors(b.Items.tensors()),
		userFile:       encodeTensors(headTensors(b.Users)),
		vocabularyFile: encodeLists(b.Items.IDs, b.Items.Tokens),
	}
	if err := b.encodeQueries(files); err != nil {
		return Manifest{}, nil, err
	}
	reads := b.Users[0].Reads
	m := Manifest{
		Format: bundleFormat, FormatVersion: bundleVersion,
		Version: b.Version, Created: b.Created.UTC().Truncate(time.Second),
		Dim: dim, Layers: b.Users[0].Layers, Heads: len(b.Users),
		Features: Features{
			Items: len(b.Items.IDs), Tokens: len(b.Items.Tokens), Vocabulary: b.Vocabulary,
			EventKinds: reads.Kinds, EventGaps: reads.gapRows(),
		},
		Data: b.Data, Metrics: b.Metrics,
		Commit: b.Commit, From: b.From, Recipe: b.Recipe,
	}
	return m, files, m.seal(files)
}

// seal completes the manifest with the files' checksums and a version, and adds it to them.
func (m *Manifest) seal(files map[string][]byte) error {
	m.Checksums = map[string]Checksum{}
	var sums []byte
	for _, name := range slices.Sorted(maps.Keys(files)) {
		m.Checksums[name] = checksumOf(files[name])
		sums = append(sums, m.Checksums[name].SHA256...)
	}
	if m.Version == "" {
		m.Version = m.Created.Format("20060102t150405") + "_" + checksumOf(sums).SHA256[:8]
	}
	if err := m.check(manifestFile); err != nil {
		return err
	}
	manifest, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	files[manifestFile] = append(manifest, '\n')
	return nil
}

func (b *Bundle) encodeQueries(files map[string][]byte) error {
	if b.Queries == nil {
		return nil
	}
	if b.Queries.Dim != b.Items.Dim {
		return fmt.Errorf("the item tower has %d dimensions and the query tower %d: train them together", b.Items.Dim, b.Queries.Dim)
	}
	files[queryFile] = encodeTensors(b.Queries.tensors())
	return nil
}

// writeSynced makes sure that the bytes are on the disk before the folder gets its name: otherwise a power cut could leave
// a folder of the right name with empty files.
func writeSynced(path string, content []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // as for the folder
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	return errors.Join(err, f.Sync(), f.Close())
}

func readLimited(r io.Reader, limit int64) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, limit))
}

func wrapReading(err error) error { return fmt.Errorf("reading the bundle: %w", err) }
