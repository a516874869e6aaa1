package interchange

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/onnx"
)

// The files that Export writes.
const (
	ItemFile       = "item_tower.onnx"
	UserFile       = "user_tower.onnx"
	HistoryFile    = "user_history.onnx"
	VocabularyFile = "vocabulary.json"
)

// Vocabulary tells which row of the item tower's tables is whose: the entry at index i is row i + 1.
type Vocabulary struct {
	Version string   `json:"version"`
	IDs     []string `json:"ids"`
	Tokens  []string `json:"tokens"`
	// Rules and Data are those of the bundle's manifest; a vocabulary made elsewhere may leave them out.
	Rules towers.VocabularyConfig `json:"rules,omitzero"`
	Data  towers.DataRange        `json:"data,omitzero"`
}

// Written is a file that Export wrote.
type Written struct {
	Path  string
	Bytes int
}

// Export writes the towers of a bundle into the folder out, which is made where it does not exist. Files of an earlier export are
// replaced, each of them whole or not at all.
func Export(bundle, out, release string) ([]Written, error) {
	m, err := towers.LoadManifest(bundle)
	if err != nil {
		return nil, err
	}
	items, err := towers.LoadItemTower(bundle)
	if err != nil {
		return nil, err
	}
	users, err := towers.LoadUserTower(bundle)
	if err != nil {
		return nil, err
	}
	if m.Engine != "" {
		return nil, fmt.Errorf("exporting %s: its towers are ONNX models already (engine %q); they are the .onnx files in it", bundle, m.Engine)
	}
	files, err := Encode(&m, items, users, release)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return nil, fmt.Errorf("making the folder to export to: %w", err)
	}
	var written []Written
	for _, name := range []string{ItemFile, UserFile, HistoryFile, VocabularyFile} {
		path := filepath.Join(out, name)
		if err := replaceFile(path, files[name]); err != nil {
			return nil, fmt.Errorf("writing %s: %w", path, err)
		}
		written = append(written, Written{path, len(files[name])})
	}
	return written, nil
}

// Encode gives the content of each file that Export writes. release is the program's version, which the models carry.
func Encode(m *towers.Manifest, items *towers.ItemTower, users *towers.UserTower, release string) (map[string][]byte, error) {
	w, heads := items.Weights(), users.Heads()
	metadata := map[string]string{
		"freshet.model_version": m.Version,
		"freshet.dim":           strconv.Itoa(users.Dim()),
		"freshet.heads":         strconv.Itoa(len(heads)),
		"freshet.layers":        strconv.Itoa(heads[0].Layers),
		"freshet.state_size":    strconv.Itoa(users.StateSize()),
		"freshet.items":         strconv.Itoa(len(w.IDs)),
		"freshet.tokens":        strconv.Itoa(len(w.Tokens)),
		"freshet.opset":         strconv.Itoa(onnx.Opset),
	}
	if kinds := users.Inputs().Kinds; len(kinds) > 0 {
		metadata[towers.EventKindsKey] = kindNames(kinds)
	}
	graphs := newUserGraphs(users)
	models := map[string]*onnx.Model{
		ItemFile:    {Graph: itemGraph(w), Doc: "Items to vectors. vocabulary.json tells the rows of ids and tokens."},
		UserFile:    {Graph: graphs.step(), Doc: "One event: the users' states and what they did to new states and embeddings."},
		HistoryFile: {Graph: graphs.history(), Doc: "Whole histories to states and embeddings."},
	}
	files := map[string][]byte{}
	for name, model := range models {
		model.Producer, model.ProducerVersion, model.Metadata = "freshet", release, metadata
		content, err := model.Marshal()
		if err != nil {
			return nil, fmt.Errorf("exporting %s: %w", name, err)
		}
		files[name] = content
	}
	vocabulary, err := json.MarshalIndent(Vocabulary{m.Version, w.IDs, w.Tokens, m.Features.Vocabulary, m.Data}, "", " ")
	if err != nil {
		return nil, fmt.Errorf("exporting the vocabulary: %w", err)
	}
	files[VocabularyFile] = append(vocabulary, '\n')
	return files, nil
}

// kindNames lists kinds of events by their names, in the order of the tables' rows.
func kindNames(kinds []schemas.InteractionType) string {
	names := make([]string, len(kinds))
	for i, kind := range kinds {
		names[i] = kind.String()
	}
	return strings.Join(names, ",")
}

// replaceFile gives the file its name only once its content is there.
func replaceFile(path string, content []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, content, 0o644); err != nil { //nolint:gosec // other tools read what this one wrote
		return err
	}
	return os.Rename(tmp, path)
}
