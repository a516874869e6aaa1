package towers

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers/onnxruntime"
)

// The files of towers that were trained elsewhere, and the engine that the manifest names for them.
const (
	foreignItemFile = "item_tower.onnx"
	foreignUserFile = "user_tower.onnx"
	onnxEngine      = "onnx"
)

// The ports of foreign towers, by what goes through them. A model may call them otherwise: see Foreign.Ports.
const (
	portID        = "id"
	portTokens    = "tokens"
	portVector    = "vector"
	portState     = "state"
	portItem      = "item"
	portNextState = "next_state"
	portItems     = "items"
	portLengths   = "lengths"
	portEmbedding = "embedding"
	portKind      = "kind"
	portGap       = "gap"
	portKinds     = "kinds"
	portGaps      = "gaps"
)

// EventKindsKey is the metadata by which a model tells the kinds of events that its rows of kinds stand for: their names in the
// order of the rows, parted by commas.
const EventKindsKey = "freshet.event_kinds"

// roles lists them.
var roles = []string{
	portID, portTokens, portVector, portState, portItem, portKind, portGap, portNextState, portItems, portLengths, portKinds, portGaps,
	portEmbedding,
}

// Foreign is towers that were trained elsewhere, as ONNX models, on their way into a bundle. N rows go through a model at once;
// each of its axes N is free, or 1. All values are float32 but rows, lengths, kinds and gaps, which are int64.
//
// The item tower takes id [N], tokens [N, T], or both, as rows of the vocabulary: the entry at index i is row i + 1, and row 0
// means none; where T is fixed, an item's first T tokens count. It gives vector [N, dim]. An item of which neither id nor tokens
// are known gets the zero vector without it.
//
// The user tower is one of two kinds. A step takes state [N, S] and item [N, dim] and gives next_state [N, S] and embedding
// [N, dim]; a state of zeros is that of a user who has done nothing. An encoder takes items [N, L, dim], oldest first, and
// lengths [N], and gives embedding [N, dim]; what lies beyond a length must not count, and where L is fixed, the newest L events
// do, else the newest 256. With an encoder every event costs the encoding of the history anew.
//
// Either may read more of an event than its item, and reads items alone where it has no such inputs. A step takes kind [N], gap
// [N], or both; an encoder kinds [N, L], gaps [N, L], or both, which beyond a length are 0. A kind is a row of EventKinds; the
// events that move the tower are those by which users chose items (CountsForTaste) and, of the kinds by which they turned one
// down, those that are among EventKinds (Inputs.Reads). A gap is a Gap, from 0 to Gaps-1.
type Foreign struct {
	// Version may be empty; it is then made of Created and the models' checksum.
	Version string
	Created time.Time
	Data    DataRange
	// Rules says how the vocabulary came about, where that is known.
	Rules VocabularyConfig
	// IDs and Tokens are the vocabulary.
	IDs, Tokens []string
	// ItemModel is an ONNX model; where there is none, Vectors is the table of the items' vectors, a row for each of IDs.
	ItemModel []byte
	Vectors   []float32
	UserModel []byte
	// EventKinds tells the rows of kind or kinds, in whatever order the model learnt them: the entry at index i is row i + 1, and
	// row 0 stands for all other kinds. They are given where, and only where, the user tower has such an input.
	EventKinds []schemas.InteractionType
	// Ports gives the models' own names of ports that are not called as above, such as state: h0.
	Ports map[string]string
}

// WriteForeign writes the bundle of foreign towers to its place, whole or not at all. Before that it loads and tries them: what does not
// fit is refused by the name of the port, its shape and what is expected.
func (p Place) WriteForeign(f *Foreign) (Manifest, error) {
	m, files, err := f.encode()
	if err != nil {
		return Manifest{}, err
	}
	return m, p.write(files)
}

func (f *Foreign) encode() (Manifest, map[string][]byte, error) {
	for role := range f.Ports {
		if !slices.Contains(roles, role) {
			return Manifest{}, nil, invalidSetting("port", role, "name one of "+strings.Join(roles, ", "))
		}
	}
	m := Manifest{
		Format: bundleFormat, FormatVersion: bundleVersion, Engine: onnxEngine,
		Version: f.Version, Created: f.Created.UTC().Truncate(time.Second), Data: f.Data, Ports: f.Ports,
		Features: Features{Items: len(f.IDs), Tokens: len(f.Tokens), Vocabulary: f.Rules, EventKinds: f.EventKinds},
	}
	files := map[string][]byte{vocabularyFile: encodeLists(f.IDs, f.Tokens), foreignUserFile: f.UserModel}
	user, err := openModel(foreignUserFile, f.UserModel, f.Ports)
	if err != nil {
		return Manifest{}, nil, err
	}
	if m.Dim, m.StateSize, err = user.userSizes(); err != nil {
		return Manifest{}, nil, err
	}
	tower, err := newForeignUser(user, m.Dim, m.StateSize, f.EventKinds)
	if err != nil {
		return Manifest{}, nil, err
	}
	m.Features.EventGaps, m.MostEvents = tower.reads.gapRows(), tower.most()
	if f.ItemModel == nil {
		w := &ItemWeights{Dim: m.Dim, IDs: f.IDs, ID: f.Vectors}
		if len(f.Vectors) != len(f.IDs)*m.Dim {
			return Manifest{}, nil, refuse(mismatched, "vectors", "give each item as many numbers as the user tower takes",
				"%d items have %d numbers, the user tower takes items of %d", len(f.IDs), len(f.Vectors), m.Dim)
		}
		files[itemFile] = encodeTensors(w.tensors())
	} else {
		files[foreignItemFile] = f.ItemModel
		item, err := openModel(foreignItemFile, f.ItemModel, f.Ports)
		if err != nil {
			return Manifest{}, nil, err
		}
		tower, err := newForeignItem(item, m.Dim, len(f.IDs), len(f.Tokens))
		if err != nil {
			return Manifest{}, nil, err
		}
		m.MostTokens = tower.width
	}
	return m, files, m.seal(files)
}

// model is an ONNX model with its ports.
type model struct {
	path            string
	content         []byte
	inputs, outputs []onnxruntime.Port
	names           map[string]string
}

func openModel(path string, content []byte, names map[string]string) (*model, error) {
	in, out, err := onnxruntime.Inspect(content)
	if err != nil {
		return nil, fmt.Errorf("loading %s: %w", path, err)
	}
	return &model{path, content, in, out, names}, nil
}

// loadModel reads a model of a bundle.
func (m *Manifest) loadModel(dir, name string) (*model, error) {
	content, err := m.readVerified(dir, name)
	if err != nil {
		return nil, err
	}
	return openModel(filepath.Join(dir, name), content, m.Ports)
}

func (m *model) name(role string) string {
	if name := m.names[role]; name != "" {
		return name
	}
	return role
}

func (m *model) find(ports []onnxruntime.Port, role string) (onnxruntime.Port, bool) {
	at := slices.IndexFunc(ports, func(p onnxruntime.Port) bool { return p.Name == m.name(role) })
	if at < 0 {
		return onnxruntime.Port{}, false
	}
	return ports[at], true
}

func (m *model) takes(role string) bool { _, ok := m.find(m.inputs, role); return ok }
func (m *model) gives(role string) bool { _, ok := m.find(m.outputs, role); return ok }

// axis is what an axis of a port is held against: its name in messages and its size, 0 where any does.
type axis struct {
	name string
	size int
}

// rowsAxis is the first axis of each port.
var rowsAxis = axis{name: "N"}

// wants is what is expected of a port.
type wants struct {
	role  string
	kind  string
	shape []axis
}

func (w *wants) String() string {
	axes := make([]string, len(w.shape))
	for i, a := range w.shape {
		axes[i] = a.name
		if a.size > 0 {
			axes[i] = fmt.Sprintf("%s = %d", a.name, a.size)
		}
	}
	return fmt.Sprintf("%s [%s]", w.kind, strings.Join(axes, ", "))
}

// remedyPorts is what to do about ports that do not fit.
const remedyPorts = "export the model with such a port, or name the one that is (freshet import onnx --port ROLE=NAME)"

// remedyImportAgain is what to do about a bundle whose parts do not belong together.
const remedyImportAgain = "write the bundle again (freshet import onnx) or copy it anew"

// port finds a port and holds it against what is expected of it. An axis that the model leaves free fits every size.
func (m *model) port(side string, ports []onnxruntime.Port, w wants) (onnxruntime.Port, error) {
	p, ok := m.find(ports, w.role)
	if !ok {
		return p, refuse(mismatched, m.path, remedyPorts, "has no %s %q for %s, %s; its %ss are %s",
			side, m.name(w.role), w.role, &w, side, list(ports))
	}
	fits := p.Type == w.kind && len(p.Shape) == len(w.shape)
	for i := 0; fits && i < len(w.shape); i++ {
		size, want := p.Shape[i], w.shape[i]
		switch {
		case size < 0:
		case want == rowsAxis:
			fits = size == 1
		case want.size > 0:
			fits = size == int64(want.size)
		default:
			fits = size > 0
		}
	}
	if !fits {
		remedy := remedyPorts
		if len(p.Shape) == len(w.shape) && p.Shape[0] > 1 {
			remedy = "leave its first axis free (PyTorch: dynamic_shapes, or dynamic_axes where dynamo=False)"
		}
		return p, refuse(mismatched, m.path, remedy, "its %s %s does not fit: %s is %s, with N free or 1", side, p, w.role, &w)
	}
	return p, nil
}

func list(ports []onnxruntime.Port) string {
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = p.String()
	}
	return strings.Join(names, "; ")
}

// session checks the ports and readies the model to run with them, in this order. takes says which inputs there may be; atOnce is
// how many rows go through at once.
func (m *model) session(takes string, inputs, outputs []wants) (s *onnxruntime.Session, atOnce int, err error) {
	var in, out []string
	atOnce = rowsAtOnce
	for _, side := range []struct {
		called string
		ports  []onnxruntime.Port
		wants  []wants
		names  *[]string
	}{{"input", m.inputs, inputs, &in}, {"output", m.outputs, outputs, &out}} {
		for _, w := range side.wants {
			p, err := m.port(side.called, side.ports, w)
			if err != nil {
				return nil, 0, err
			}
			if p.Shape[0] == 1 {
				atOnce = 1
			}
			*side.names = append(*side.names, p.Name)
		}
	}
	for _, p := range m.inputs {
		if !slices.Contains(in, p.Name) {
			return nil, 0, refuse(mismatched, m.path, "export the model without it, or name what it is (freshet import onnx --port ROLE=NAME)",
				"its input %s is none that Freshet can fill: %s", p, takes)
		}
	}
	if s, err = onnxruntime.Open(m.content, in, out); err != nil {
		return nil, 0, fmt.Errorf("loading %s: %w", m.path, err)
	}
	return s, atOnce, nil
}

// fixed is the first fixed length of an axis among ports that must share it, 0 where each of them leaves it free.
func (m *model) fixed(at int, ports ...string) int {
	for _, role := range ports {
		for _, side := range [][]onnxruntime.Port{m.inputs, m.outputs} {
			if p, ok := m.find(side, role); ok && len(p.Shape) > at && p.Shape[at] > 0 {
				return int(p.Shape[at])
			}
		}
	}
	return 0
}

// size is such a length where there must be one.
func (m *model) size(what string, at int, ports ...string) (int, error) {
	if size := m.fixed(at, ports...); size > 0 {
		return size, nil
	}
	return 0, refuse(mismatched, m.path, "export it with that axis fixed",
		"none of %s says how long %s is; its inputs are %s, its outputs %s",
		strings.Join(ports, ", "), what, list(m.inputs), list(m.outputs))
}

// trial turns a failed trial run into a refusal.
func (m *model) trial(err error) error {
	if err == nil {
		return nil
	}
	return refuse(mismatched, m.path, "mend the model and export it again", "does not do what is expected of it: %v", err)
}
