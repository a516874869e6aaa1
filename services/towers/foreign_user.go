package towers

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/freshet/freshet/services/towers/onnxruntime"
)

// foreignUser runs a user tower that was trained elsewhere: a step where stateSize is above 0, else an encoder.
//
// A run cannot fail for what it is given, as shapes were checked and tried on load. When one fails nevertheless (no memory) the
// methods panic, as Go itself does then; consumers survive a panic of a handler.
type foreignUser struct {
	session        *onnxruntime.Session
	dim, stateSize int
	// atOnce is how many rows a run takes at the most; events, how many events an encoder takes, 0 meaning as many as there are.
	atOnce, events int
	buffers        sync.Pool // *userBuffers
}

// userBuffers hold the values of one run.
type userBuffers struct {
	states, items, nextStates, embeddings []float32
	lengths                               []int64
}

// recurrent tells a step from an encoder.
func (m *model) recurrent() bool { return m.takes(portState) || m.gives(portNextState) }

// userSizes finds the sizes that the model fixes: its vectors' and its states', 0 for an encoder.
func (m *model) userSizes() (dim, stateSize int, err error) {
	if !m.recurrent() {
		if !m.takes(portItems) {
			return 0, 0, refuse(mismatched, m.path, remedyPorts,
				"is neither a step (inputs state [N, S], item [N, dim]) nor an encoder (inputs items [N, L, dim], lengths [N]); its inputs are %s",
				list(m.inputs))
		}
		if dim, err = m.size("a vector", 2, portItems); err != nil {
			dim, err = m.size("a vector", 1, portEmbedding)
		}
		return dim, 0, err
	}
	if stateSize, err = m.size("a state", 1, portState, portNextState); err != nil {
		return 0, 0, err
	}
	dim, err = m.size("a vector", 1, portItem, portEmbedding)
	return dim, stateSize, err
}

// newForeignUser checks the model's ports and tries it.
func newForeignUser(m *model, dim, stateSize int) (*foreignUser, error) {
	vector, state := axis{"dim", dim}, axis{"S", stateSize}
	float := func(role string, shape ...axis) wants {
		return wants{role, onnxruntime.Float32, append([]axis{rowsAxis}, shape...)}
	}
	t := &foreignUser{dim: dim, stateSize: stateSize}
	var err error
	if stateSize > 0 {
		t.session, t.atOnce, err = m.session(
			[]wants{float(portState, state), float(portItem, vector)}, []wants{float(portNextState, state), float(portEmbedding, vector)})
	} else {
		lengths := wants{portLengths, onnxruntime.Int64, []axis{rowsAxis}}
		t.session, t.atOnce, err = m.session([]wants{float(portItems, axis{name: "L"}, vector), lengths}, []wants{float(portEmbedding, vector)})
		if p, ok := m.find(m.inputs, portItems); err == nil && ok {
			t.events = int(max(p.Shape[1], 0))
		}
	}
	if err != nil {
		return nil, err
	}
	t.buffers.New = func() any { return new(userBuffers) }
	return t, m.trial(t.try())
}

// resized gives a slice of n values, its memory being reused.
func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// loadForeignUsers loads a bundle's foreign user tower.
func (m *Manifest) loadForeignUsers(dir string) (*UserTower, error) {
	model, err := m.loadModel(dir, foreignUserFile)
	if err != nil {
		return nil, err
	}
	if model.recurrent() != (m.StateSize > 0) {
		return nil, refuse(mismatched, model.path, remedyImportAgain, "has inputs %s, while the manifest's state_size is %d",
			list(model.inputs), m.StateSize)
	}
	foreign, err := newForeignUser(model, m.Dim, m.StateSize)
	if err != nil {
		return nil, err
	}
	return &UserTower{version: m.Version, foreign: foreign}, nil
}

func (t *foreignUser) mustAdvance(states, embeddings [][]float32, events []Event) {
	if err := t.advance(states, embeddings, events); err != nil {
		panic(fmt.Sprintf("towers: moving %d states: %v", len(states), err))
	}
}

func (t *foreignUser) mustEncode(state, embedding []float32, history []Event) {
	if err := t.encode(state, embedding, history); err != nil {
		panic(fmt.Sprintf("towers: encoding %d events: %v", len(history), err))
	}
}

// advance moves users' states by one event each.
func (t *foreignUser) advance(states, embeddings [][]float32, events []Event) error {
	if t.stateSize == 0 {
		return errors.New("this user tower is an encoder of whole histories: it has no state that an event could move")
	}
	b := t.buffers.Get().(*userBuffers)
	defer t.buffers.Put(b)
	for start := 0; start < len(states); start += t.atOnce {
		n := min(t.atOnce, len(states)-start)
		b.states, b.items = resized(b.states, n*t.stateSize), resized(b.items, n*t.dim)
		b.nextStates, b.embeddings = resized(b.nextStates, n*t.stateSize), resized(b.embeddings, n*t.dim)
		gather(b.states, states[start:start+n])
		gatherItems(b.items, events[start:start+n])
		err := t.session.Run(
			[]onnxruntime.Tensor{rows(b.states, n, t.stateSize), rows(b.items, n, t.dim)},
			[]onnxruntime.Tensor{rows(b.nextStates, n, t.stateSize), rows(b.embeddings, n, t.dim)})
		if err != nil {
			return err
		}
		scatter(states[start:start+n], b.nextStates)
		scatter(embeddings[start:start+n], b.embeddings)
	}
	return nil
}

// encode makes state and embedding from a history, both being zero at first.
func (t *foreignUser) encode(state, embedding []float32, history []Event) error {
	if t.stateSize > 0 {
		for i := range history {
			if err := t.advance([][]float32{state}, [][]float32{embedding}, history[i:i+1]); err != nil {
				return err
			}
		}
		return nil
	}
	if len(history) == 0 {
		return nil
	}
	if t.events > 0 {
		history = history[max(0, len(history)-t.events):]
	}
	return t.encodeWhole(embedding, history, max(t.events, len(history)))
}

// encodeWhole runs the encoder on one history, padded to a width of that many events.
func (t *foreignUser) encodeWhole(embedding []float32, history []Event, width int) error {
	b := t.buffers.Get().(*userBuffers)
	defer t.buffers.Put(b)
	b.items, b.lengths = resized(b.items, width*t.dim), append(b.lengths[:0], int64(len(history)))
	gatherItems(b.items, history)
	clear(b.items[len(history)*t.dim:])
	return t.session.Run(
		[]onnxruntime.Tensor{{Shape: []int64{1, int64(width), int64(t.dim)}, Floats: b.items}, {Shape: []int64{1}, Ints: b.lengths}},
		[]onnxruntime.Tensor{rows(embedding, 1, t.dim)})
}

// try runs the tower as serving will, to find what shapes do not tell: a model that mixes the rows of a batch, one that reads beyond
// a history's end, and one that gives no numbers.
func (t *foreignUser) try() error {
	events := make([]Event, 3)
	for i := range events {
		events[i].Item = make([]float32, t.dim)
		for j := range events[i].Item {
			events[i].Item[j] = float32(math.Sin(float64(1 + i*t.dim + j)))
		}
	}
	if t.stateSize > 0 {
		return t.tryStep(events)
	}
	alone, padded := make([]float32, t.dim), make([]float32, t.dim)
	if err := t.encodeWhole(alone, events[:1], max(t.events, 1)); err != nil {
		return err
	}
	if t.events == 0 {
		if err := t.encodeWhole(padded, events[:1], 3); err != nil {
			return err
		}
		if err := same(alone, padded); err != nil {
			return fmt.Errorf("the embedding of one event and the same with padding behind it differ: %w", err)
		}
	}
	return finite(alone)
}

func (t *foreignUser) tryStep(events []Event) error {
	states, embeddings := matrixOf(3, t.stateSize), matrixOf(3, t.dim)
	if err := t.advance(states, embeddings, events); err != nil {
		return err
	}
	for i := range events {
		state, embedding := matrixOf(1, t.stateSize), matrixOf(1, t.dim)
		if err := t.advance(state, embedding, events[i:i+1]); err != nil {
			return err
		}
		if err := errors.Join(same(embedding[0], embeddings[i]), same(state[0], states[i])); err != nil {
			return fmt.Errorf("one of three users in a batch and the same user alone differ (batch normalisation in training mode?): %w", err)
		}
		if err := errors.Join(finite(embedding[0]), finite(state[0])); err != nil {
			return err
		}
	}
	return nil
}

func rows(values []float32, n, size int) onnxruntime.Tensor {
	return onnxruntime.Tensor{Shape: []int64{int64(n), int64(size)}, Floats: values}
}

func matrixOf(n, size int) [][]float32 {
	m := make([][]float32, n)
	for i := range m {
		m[i] = make([]float32, size)
	}
	return m
}

func gather(dst []float32, src [][]float32) {
	for _, row := range src {
		dst = dst[copy(dst, row):]
	}
}

func gatherItems(dst []float32, events []Event) {
	for i := range events {
		dst = dst[copy(dst, events[i].Item):]
	}
}

func scatter(dst [][]float32, src []float32) {
	for _, row := range dst {
		src = src[copy(row, src):]
	}
}

// same allows for what another order of additions does.
func same(a, b []float32) error {
	for i := range a {
		if diff := math.Abs(float64(a[i] - b[i])); diff > 1e-3*max(1, math.Abs(float64(a[i]))) {
			return fmt.Errorf("%v and %v at %d", a[i], b[i], i)
		}
	}
	return nil
}

func finite(values []float32) error {
	for i, v := range values {
		if v-v != 0 {
			return fmt.Errorf("it gives %v at %d", v, i)
		}
	}
	return nil
}
