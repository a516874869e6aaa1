package towers

import (
	"fmt"
	"path/filepath"
	"sync"

	"github.com/freshet/freshet/services/towers/matrix"
)

// rowsAtOnce bounds a workspace: longer batches and histories go through in pieces of this many rows.
const rowsAtOnce = 64

// UserTower moves users' states and makes their embeddings.
type UserTower struct {
	version    string
	w          *UserWeights
	workspaces sync.Pool // *workspace
}

// LoadUserTower reads the user tower of a bundle: the manifest and user_tower.bin, nothing else.
func LoadUserTower(dir string) (*UserTower, error) {
	m, err := LoadManifest(dir)
	if err != nil {
		return nil, err
	}
	raw, err := m.readVerified(dir, userFile)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(dir, userFile)
	got, err := decodeTensors(path, raw)
	if err != nil {
		return nil, err
	}
	w := shapeOfUserWeights(m.Dim, m.Layers)
	if err := sameShapes(path, got, w.tensors()); err != nil {
		return nil, err
	}
	w = NewUserWeights(m.Dim, m.Layers)
	for i, t := range w.tensors() {
		copy(t.data, got[i].data)
	}
	return NewUserTower(m.Version, w), nil
}

// NewUserTower serves weights that are in memory; the caller leaves them unchanged from then on.
func NewUserTower(version string, w *UserWeights) *UserTower {
	t := &UserTower{version: version, w: w}
	t.workspaces.New = func() any { return newWorkspace(w.Dim) }
	return t
}

// Version names the model.
func (t *UserTower) Version() string { return t.version }

// Dim is the length of an embedding and of an item's vector.
func (t *UserTower) Dim() int { return t.w.Dim }

// StateSize is the length of a state. A state of zeros is that of a user who has done nothing.
func (t *UserTower) StateSize() int { return t.w.Layers * t.w.Dim }

// Advance moves a user's state by one event on the item with this vector, and overwrites embedding with the user's new one.
// state is StateSize long, embedding and item are Dim long. It does not allocate.
func (t *UserTower) Advance(state, embedding, item []float32) {
	t.checkRow(state, embedding, item)
	ws := t.workspaces.Get().(*workspace)
	ws.states[0] = state
	copy(ws.row(ws.x, 0), item)
	t.run(ws, 1)
	copy(embedding, ws.row(ws.x, 0))
	t.release(ws)
}

// AdvanceBatch does for many users, each with one event, what Advance does for one, and gives the same bits. The three
// slices are aligned; the states must not overlap.
func (t *UserTower) AdvanceBatch(states, embeddings, items [][]float32) {
	if len(embeddings) != len(states) || len(items) != len(states) {
		panic(fmt.Sprintf("towers: AdvanceBatch of %d states, %d embeddings and %d items",
			len(states), len(embeddings), len(items)))
	}
	ws := t.workspaces.Get().(*workspace)
	for start := 0; start < len(states); start += rowsAtOnce {
		n := min(rowsAtOnce, len(states)-start)
		for i := range n {
			t.checkRow(states[start+i], embeddings[start+i], items[start+i])
			ws.states[i] = states[start+i]
			copy(ws.row(ws.x, i), items[start+i])
		}
		t.run(ws, n)
		for i := range n {
			copy(embeddings[start+i], ws.row(ws.x, i))
		}
	}
	t.release(ws)
}

// Encode makes state and embedding anew from a history of item vectors, oldest first: the same bits as Advance over them
// from a state of zeros. The embedding of an empty history is zero, which scores every item 0.
func (t *UserTower) Encode(state, embedding []float32, items [][]float32) {
	t.checkRow(state, embedding, embedding)
	clear(state)
	clear(embedding)
	ws := t.workspaces.Get().(*workspace)
	for start := 0; start < len(items); start += rowsAtOnce {
		n := min(rowsAtOnce, len(items)-start)
		for i := range n {
			t.checkRow(state, embedding, items[start+i])
			// One state for all rows: a layer's recurrence goes through the rows in order, so row i finds what row i-1 left.
			ws.states[i] = state
			copy(ws.row(ws.x, i), items[start+i])
		}
		t.run(ws, n)
		copy(embedding, ws.row(ws.x, n-1))
	}
	t.release(ws)
}

func (t *UserTower) checkRow(state, embedding, item []float32) {
	if len(state) != t.StateSize() || len(embedding) != t.w.Dim || len(item) != t.w.Dim {
		panic(fmt.Sprintf("towers: a state of %d, an embedding of %d and an item of %d values for a tower of %d, %d and %d",
			len(state), len(embedding), len(item), t.StateSize(), t.w.Dim, t.w.Dim))
	}
}

// workspace holds the activations of up to rowsAtOnce rows.
type workspace struct {
	dim                       int
	x, norm, gates, mix, wide []float32
	states                    [][]float32
}

func newWorkspace(dim int) *workspace {
	buf := make([]float32, rowsAtOnce*dim*(1+1+3+1+FeedForward))
	cut := func(width int) []float32 {
		n := rowsAtOnce * dim * width
		part := buf[:n:n]
		buf = buf[n:]
		return part
	}
	return &workspace{
		dim: dim, x: cut(1), norm: cut(1), gates: cut(3), mix: cut(1), wide: cut(FeedForward),
		states: make([][]float32, rowsAtOnce),
	}
}

func (ws *workspace) row(x []float32, i int) []float32 { return x[i*ws.dim : (i+1)*ws.dim] }

// release forgets the callers' states, which a pool must not keep alive.
func (t *UserTower) release(ws *workspace) {
	clear(ws.states)
	t.workspaces.Put(ws)
}

// run takes n item vectors in ws.x through the tower, row i moving ws.states[i], and leaves the embeddings in ws.x.
func (t *UserTower) run(ws *workspace, n int) {
	d := t.w.Dim
	ws.normalise(ws.x, &t.w.Input, n)
	for l := range t.w.Layer {
		layer := &t.w.Layer[l]
		ws.normalise(ws.norm, &layer.GateNorm, n)
		layer.Gates.apply(ws.gates, ws.norm, n)
		for i := range n {
			layer.recur(ws.states[i][l*d:(l+1)*d], ws.gates[3*i*d:3*(i+1)*d], ws.row(ws.mix, i), ws.row(ws.norm, i))
		}
		layer.Out.add(ws.x, ws.mix, n)
		ws.normalise(ws.norm, &layer.WideNorm, n)
		layer.Up.apply(ws.wide, ws.norm, n)
		wide := ws.wide[:n*FeedForward*d]
		matrix.GELU(wide, wide)
		layer.Down.add(ws.x, wide, n)
	}
	ws.normalise(ws.x, &t.w.Output, n)
}

func (ws *workspace) normalise(dst []float32, norm *Norm, n int) {
	for i := range n {
		norm.Apply(ws.row(dst, i), ws.row(ws.x, i))
	}
}

// recur moves one state by one row of gate pre-activations, which it overwrites, and writes what the layer mixes in.
func (l *Layer) recur(state, gates, mix, scratch []float32) {
	d := len(state)
	forget, candidate, out := gates[:d], gates[d:2*d], gates[2*d:3*d]
	matrix.Sigmoid(forget, forget)
	for j, c := range candidate {
		state[j] = c + forget[j]*(state[j]-c)
	}
	matrix.SiLU(scratch, out)
	l.StateNorm.Apply(mix, state)
	for j, s := range scratch {
		mix[j] *= s
	}
}

// apply computes dst = x W + b for n rows.
func (l *Linear) apply(dst, x []float32, n int) {
	for i := range n {
		copy(dst[i*l.Out:(i+1)*l.Out], l.B)
	}
	matrix.Gemm(false, false, n, l.Out, l.In, 1, x, l.In, l.W, l.Out, 1, dst, l.Out)
}

// add computes dst += x W + b for n rows.
func (l *Linear) add(dst, x []float32, n int) {
	for i := range n {
		matrix.Axpy(1, l.B, dst[i*l.Out:(i+1)*l.Out])
	}
	matrix.Gemm(false, false, n, l.Out, l.In, 1, x, l.In, l.W, l.Out, 1, dst, l.Out)
}
