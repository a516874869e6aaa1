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
//
// It has one head or several, towers of one shape that were trained apart. Head k reads the k-th part of an item's vector, keeps
// the k-th part of the state and writes the k-th part of the embedding: the inner product with an item then is the sum of
// the heads' scores, an ensemble in one search.
type UserTower struct {
	version    string
	heads      []*UserWeights
	workspaces sync.Pool // *workspace
	// foreign, where it is set, is the tower; there are no heads then.
	foreign *foreignUser
}

// LoadUserTower reads the user tower of a bundle: the manifest and user_tower.bin, nothing else.
func LoadUserTower(dir string) (*UserTower, error) {
	m, err := LoadManifest(dir)
	if err != nil {
		return nil, err
	}
	if m.Engine == onnxEngine {
		return m.loadForeignUsers(dir)
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
	heads := make([]*UserWeights, max(m.Heads, 1))
	for k := range heads {
		heads[k] = shapeOfUserWeights(m.Dim/len(heads), m.Layers)
	}
	if err := sameShapes(path, got, headTensors(heads)); err != nil {
		return nil, err
	}
	for k := range heads {
		heads[k] = NewUserWeights(heads[k].Dim, m.Layers)
	}
	for i, t := range headTensors(heads) {
		copy(t.data, got[i].data)
	}
	return NewUserTower(m.Version, heads...), nil
}

// NewUserTower serves heads of one shape, in the order in which they share the items' vectors; the caller leaves their weights
// unchanged from then on.
func NewUserTower(version string, heads ...*UserWeights) *UserTower {
	t := &UserTower{version: version, heads: heads}
	t.workspaces.New = func() any { return newWorkspace(heads[0].Dim) }
	return t
}

// Version names the model.
func (t *UserTower) Version() string { return t.version }

// Dim is the length of an embedding and of an item's vector.
func (t *UserTower) Dim() int {
	if t.foreign != nil {
		return t.foreign.dim
	}
	return len(t.heads) * t.heads[0].Dim
}

// StateSize is the length of a state. A state of zeros is that of a user who has done nothing. Of a foreign encoder it is 0: there
// is no state that Advance could move, and every event asks for the history to be encoded anew.
func (t *UserTower) StateSize() int {
	if t.foreign != nil {
		return t.foreign.stateSize
	}
	return t.heads[0].Layers * t.Dim()
}

// Recurrent tells whether the tower has a state, so that Advance and AdvanceBatch may be called.
func (t *UserTower) Recurrent() bool { return t.StateSize() > 0 }

// Heads gives the tower's weights, which must not be changed; none for a foreign tower, whose model has them.
func (t *UserTower) Heads() []*UserWeights { return t.heads }

// Advance moves a user's state by one event on the item with this vector, and overwrites embedding with the user's new one.
// state is StateSize long, embedding and item are Dim long. It does not allocate.
func (t *UserTower) Advance(state, embedding, item []float32) {
	t.checkRow(state, embedding, item)
	if t.foreign != nil {
		t.foreign.mustAdvance([][]float32{state}, [][]float32{embedding}, [][]float32{item})
		return
	}
	ws := t.workspaces.Get().(*workspace)
	for k, head := range t.heads {
		ws.states[0] = head.stateOf(state, k)
		copy(ws.row(ws.x, 0), head.vectorOf(item, k))
		head.run(ws, 1)
		copy(head.vectorOf(embedding, k), ws.row(ws.x, 0))
	}
	t.release(ws)
}

// AdvanceBatch does for many users, each with one event, what Advance does for one, and gives the same bits. The three
// slices are aligned; the states must not overlap.
func (t *UserTower) AdvanceBatch(states, embeddings, items [][]float32) {
	if len(embeddings) != len(states) || len(items) != len(states) {
		panic(fmt.Sprintf("towers: AdvanceBatch of %d states, %d embeddings and %d items",
			len(states), len(embeddings), len(items)))
	}
	if t.foreign != nil {
		for i := range states {
			t.checkRow(states[i], embeddings[i], items[i])
		}
		t.foreign.mustAdvance(states, embeddings, items)
		return
	}
	ws := t.workspaces.Get().(*workspace)
	for start := 0; start < len(states); start += rowsAtOnce {
		n := min(rowsAtOnce, len(states)-start)
		for i := range n {
			t.checkRow(states[start+i], embeddings[start+i], items[start+i])
		}
		for k, head := range t.heads {
			for i := range n {
				ws.states[i] = head.stateOf(states[start+i], k)
				copy(ws.row(ws.x, i), head.vectorOf(items[start+i], k))
			}
			head.run(ws, n)
			for i := range n {
				copy(head.vectorOf(embeddings[start+i], k), ws.row(ws.x, i))
			}
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
	if t.foreign != nil {
		for i := range items {
			t.checkRow(state, embedding, items[i])
		}
		t.foreign.mustEncode(state, embedding, items)
		return
	}
	ws := t.workspaces.Get().(*workspace)
	for start := 0; start < len(items); start += rowsAtOnce {
		n := min(rowsAtOnce, len(items)-start)
		for i := range n {
			t.checkRow(state, embedding, items[start+i])
		}
		for k, head := range t.heads {
			for i := range n {
				// One state for all rows: a layer's recurrence goes through the rows in order, so row i finds what row i-1 left.
				ws.states[i] = head.stateOf(state, k)
				copy(ws.row(ws.x, i), head.vectorOf(items[start+i], k))
			}
			head.run(ws, n)
			copy(head.vectorOf(embedding, k), ws.row(ws.x, n-1))
		}
	}
	t.release(ws)
}

func (t *UserTower) checkRow(state, embedding, item []float32) {
	if len(state) != t.StateSize() || len(embedding) != t.Dim() || len(item) != t.Dim() {
		panic(fmt.Sprintf("towers: a state of %d, an embedding of %d and an item of %d values for a tower of %d, %d and %d",
			len(state), len(embedding), len(item), t.StateSize(), t.Dim(), t.Dim()))
	}
}

// vectorOf is head k's part of a vector that all heads share.
func (w *UserWeights) vectorOf(vector []float32, k int) []float32 {
	return vector[k*w.Dim : (k+1)*w.Dim]
}

// stateOf is head k's part of a state, all its layers.
func (w *UserWeights) stateOf(state []float32, k int) []float32 {
	size := w.Layers * w.Dim
	return state[k*size : (k+1)*size]
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
func (w *UserWeights) run(ws *workspace, n int) {
	d := w.Dim
	ws.normalise(ws.x, &w.Input, n)
	for l := range w.Layer {
		layer := &w.Layer[l]
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
	ws.normalise(ws.x, &w.Output, n)
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
