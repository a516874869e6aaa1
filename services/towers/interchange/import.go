package interchange

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/onnx"
)

// Sources names the files of towers trained elsewhere.
type Sources struct {
	// Users is the user tower's model.
	Users string
	// Items is the item tower's model and Vocabulary tells its rows; or Vectors is a table of vectors in their stead.
	Items, Vocabulary, Vectors string
	// Version names the model; empty makes one of the files.
	Version string
	// EventKinds names the kinds of events in the order of the user tower's rows; a model that says so itself, by its metadata
	// (towers.EventKindsKey), needs none.
	EventKinds []string
	// Ports gives the models' own names of ports, by role.
	Ports map[string]string
}

// Import loads and tries towers, and writes them as the bundle of that folder: see Sources.Import.
func Import(s Sources, bundle string, created time.Time) (towers.Manifest, error) {
	return s.Import(towers.Place{Dir: bundle}, created)
}

// Import loads and tries towers, and writes them as a bundle. created is the time that the bundle says it was made.
func (s Sources) Import(bundle towers.Place, created time.Time) (towers.Manifest, error) {
	f := &towers.Foreign{Version: s.Version, Created: created, Ports: s.Ports}
	var err error
	if f.UserModel, err = readModel(s.Users); err != nil {
		return towers.Manifest{}, fmt.Errorf("reading the user tower: %w", err)
	}
	if f.EventKinds, err = eventKinds(s.EventKinds, f.UserModel); err != nil {
		return towers.Manifest{}, fmt.Errorf("reading the user tower %s: %w", s.Users, err)
	}
	if s.Vectors != "" {
		err = readVectors(s.Vectors, f)
	} else {
		err = readItems(s, f)
	}
	if err != nil {
		return towers.Manifest{}, err
	}
	return bundle.WriteForeign(f)
}

// readModel reads a model and makes good what exporters do to it: a bundle holds its models whole.
func readModel(path string) ([]byte, error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	folder, err := os.OpenRoot(filepath.Dir(path))
	if err != nil {
		return nil, err
	}
	defer func() { _ = folder.Close() }()
	if content, err = onnx.Inline(content, folder.FS()); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if content, err = onnx.Mend(content); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	unread, err := onnx.Unread(content)
	if err == nil && len(unread) > 0 {
		err = fmt.Errorf("nothing in it reads its input %s: export it without, or give each input an example of its own, since PyTorch takes "+
			"inputs that are given the same tensor for one", strings.Join(unread, ", "))
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return content, nil
}

// eventKinds takes the names of kinds that were given, or those of the model's metadata. Where there are both, one may be wrong, and
// nothing would ever show it.
func eventKinds(given []string, model []byte) ([]schemas.InteractionType, error) {
	metadata, err := onnx.Metadata(model)
	if err != nil {
		return nil, err
	}
	names := given
	if said := metadata[towers.EventKindsKey]; said != "" {
		names = strings.Split(said, ",")
		if given != nil && !slices.Equal(given, names) {
			return nil, fmt.Errorf("event_kinds are %s, and the model's metadata %s says %s: leave the former out, or export the model anew",
				strings.Join(given, ","), towers.EventKindsKey, said)
		}
	}
	kinds := make([]schemas.InteractionType, len(names))
	for i, name := range names {
		if kinds[i], err = schemas.ParseInteractionType(strings.TrimSpace(name)); err != nil {
			return nil, fmt.Errorf("event_kinds[%d]: %w", i, err)
		}
	}
	return kinds, nil
}

func readItems(s Sources, f *towers.Foreign) error {
	var err error
	if f.ItemModel, err = readModel(s.Items); err != nil {
		return fmt.Errorf("reading the item tower: %w", err)
	}
	content, err := os.ReadFile(s.Vocabulary)
	if err != nil {
		return fmt.Errorf("reading the vocabulary: %w", err)
	}
	v, err := decodeVocabulary(content)
	if err != nil {
		return fmt.Errorf("reading the vocabulary %s: %w", s.Vocabulary, err)
	}
	f.IDs, f.Tokens, f.Rules, f.Data = v.IDs, v.Tokens, v.Rules, v.Data
	return nil
}

// decodeVocabulary is strict: a mistyped key would leave a tower without its tokens, which shows much later.
func decodeVocabulary(content []byte) (Vocabulary, error) {
	var v Vocabulary
	d := json.NewDecoder(bytes.NewReader(content))
	d.DisallowUnknownFields()
	if err := d.Decode(&v); err != nil {
		return v, fmt.Errorf(`it is no object of "ids" and "tokens": %w`, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return v, errors.New("something follows the object: give one")
	}
	if len(v.IDs)+len(v.Tokens) == 0 {
		return v, errors.New("ids and tokens are empty: list what the rows of the item tower stand for, row 1 first")
	}
	return v, errors.Join(distinct("ids", v.IDs), distinct("tokens", v.Tokens))
}

func distinct(field string, values []string) error {
	rows := make(map[string]int, len(values))
	for i, value := range values {
		if value == "" {
			return fmt.Errorf("%s[%d] is empty: name what row %d stands for", field, i, i+1)
		}
		if first, again := rows[value]; again {
			return fmt.Errorf("%s[%d] is %q, as is %s[%d]: list each once", field, i, value, field, first)
		}
		rows[value] = i
	}
	return nil
}

// vectorLine is a line of a table of vectors.
type vectorLine struct {
	ItemID string    `json:"item_id"`
	Vector []float32 `json:"vector"`
}

func readVectors(path string, f *towers.Foreign) error {
	file, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("reading the vectors: %w", err)
	}
	defer file.Close()
	if f.IDs, f.Vectors, err = decodeVectors(file); err != nil {
		return fmt.Errorf("reading the vectors %s: %w", path, err)
	}
	f.Data.Items = len(f.IDs)
	return nil
}

// decodeVectors reads one JSON object a line: item_id and vector, all of one length.
func decodeVectors(r io.Reader) (ids []string, vectors []float32, err error) {
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	dim := 0
	for {
		var line vectorLine
		switch err := d.Decode(&line); {
		case errors.Is(err, io.EOF) && len(ids) == 0:
			return nil, nil, errors.New(`it has no item: write a line {"item_id": "…", "vector": […]} for each`)
		case errors.Is(err, io.EOF):
			return ids, vectors, distinct("item_id", ids)
		case err != nil:
			return nil, nil, fmt.Errorf(`item %d is no {"item_id": "…", "vector": […]}: %w`, len(ids)+1, err)
		}
		if dim == 0 {
			dim = len(line.Vector)
		}
		if len(line.Vector) != dim || dim == 0 {
			return nil, nil, fmt.Errorf("item %d (%q) has %d numbers, the first one %d: give each item as many, at least one",
				len(ids)+1, line.ItemID, len(line.Vector), dim)
		}
		ids, vectors = append(ids, line.ItemID), append(vectors, line.Vector...)
	}
}
