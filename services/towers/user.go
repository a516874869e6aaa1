package towers

import (
	"fmt"
	"path/filepath"
	"sync"

	"github.com/freshet/freshet/schemas"
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
		heads[k] = shapeOfUserWeights(m.Dim/len(heads), m.Layers, m.Features.Inputs())
	}
	if err := sameShapes(path, got, headTensors(heads)); err != nil {
		return nil, err
	}
	for k := range heads {
		heads[k] = NewEventWeights(heads[k].Dim, m.Layers, heads[k].Reads)
	}
	for i, t := range headTensors(heads) {
		copy(t.data, got[i].data)
	}
	return NewUserTower(m.Version, heads...), nil
}

// NewUserTower serves heads of one shape and the same inputs, in the order in which they share the items' vectors; the caller
// leaves their weights unchanged from then on.
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

// Inputs is what the tower reads of an event beside the item; the caller must not change it.
func (t *UserTower) Inputs() Inputs {
	if t.foreign != nil {
		return t.foreign.reads
	}
	return t.heads[0].Reads
}

// Reads says whether events of this kind move the tower (see Inputs.Reads); the caller leaves the others out.
func (t *UserTower) Reads(kind schemas.InteractionType) bool {
	return t.Inputs().Reads(kind)
}

// Advance moves a user's state by one event, and overwrites embedding with the user's new one. state is StateSize long,
// embedding and the event's Item are Dim long. It does not allocate.
func (t *UserTower) Advance(state, embedding []float32, e Event) {
	t.checkRow(state, embedding)
	if t.foreign != nil {
		t.checkEvent(&e)
		t.foreign.mustAdvance([][]float32{state}, [][]float32{embedding}, []Event{e})
		return
	}
	ws := t.workspaces.Get().(*workspace)
	t.read(ws, 0, &e)
	for k, head := range t.heads {
		ws.states[0] = head.stateOf(state, k)
		copy(ws.row(ws.x, 0), head.vectorOf(e.Item, k))
		head.run(ws, 1)
		copy(head.vectorOf(embedding, k), ws.row(ws.x, 0))
	}
	t.release(ws)
}

// AdvanceBatch does for many users, each with one event, what Advance does for one, and gives the same bits. The three
// slices are aligned; the states must not overlap.
func (t *UserTower) AdvanceBatch(states, embeddings [][]float32, events []Event) {
	if len(embeddings) != len(states) || len(events) != len(states) {
		panic(fmt.Sprintf("towers: AdvanceBatch of %d states, %d embeddings and %d events",
			len(states), len(embeddings), len(events)))
	}
	if t.foreign != nil {
		for i := range states {
			t.checkRow(states[i], embeddings[i])
			t.checkEvent(&events[i])
		}
		t.foreign.mustAdvance(states, embeddings, events)
		return
	}
	ws := t.workspaces.Get().(*workspace)
	for start := 0; start < len(states); start += rowsAtOnce {
		n := min(rowsAtOnce, len(states)-start)
		for i := range n {
			t.checkRow(states[start+i], embeddings[start+i])
			t.read(ws, i, &events[start+i])
		}
		for k, head := range t.heads {
			for i := range n {
				ws.states[i] = head.stateOf(states[start+i], k)
				copy(ws.row(ws.x, i), head.vectorOf(events[start+i].Item, k))
			}
			head.run(ws, n)
			for i := range n {
				copy(head.vectorOf(embeddings[start+i], k), ws.row(ws.x, i))
			}
		}
	}
	t.release(ws)
}

// Encode makes state and embedding anew from a history, oldest event first: the same bits as Advance over its events from a
// state of zeros. The embedding of an empty history is zero, which scores every item 0.
func (t *UserTower) Encode(state, embedding []float32, history []Event) {
	t.checkRow(state, embedding)
	clear(state)
	clear(embedding)
	if t.foreign != nil {
		for i := range history {
			t.checkEvent(&history[i])
		}
		t.foreign.mustEncode(state, embedding, history)
		return
	}
	ws := t.workspaces.Get().(*workspace)
	for start := 0; start < len(history); start += rowsAtOnce {
		n := min(rowsAtOnce, len(history)-start)
		for i := range n {
			t.read(ws, i, &history[start+i])
		}
		for k, head := range t.heads {
			for i := range n {
				// One state for all rows: a layer's recurrence goes through the rows in order, so row i finds what row i-1 left.
				ws.states[i] = head.stateOf(state, k)
				copy(ws.row(ws.x, i), head.vectorOf(history[start+i].Item, k))
			}
			head.run(ws, n)
			copy(head.vectorOf(embedding, k), ws.row(ws.x, n-1))
		}
	}
	t.release(ws)
}

func (t *UserTower) checkRow(state, embedding []float32) {
	if len(state) != t.StateSize() || len(embedding) != t.Dim() {
		panic(fmt.Sprintf("towers: a state of %d and an embedding of %d values for a tower of %d and %d",
			len(state), len(embedding), t.StateSize(), t.Dim()))
	}
}

func (t *UserTower) checkEvent(e *Event) {
	if len(e.Item) != t.Dim() || e.Gap >= Gaps {
		panic(fmt.Sprintf("towers: an event of %d values and gap %d for a tower of %d values and gaps below %d",
			len(e.Item), e.Gap, t.Dim(), Gaps))
	}
}

// read checks an event and notes, for row i of the workspace, the rows of the tables that it asks for.
func (t *UserTower) read(ws *workspace, i int, e *Event) {
	t.checkEvent(e)
	ws.kinds[i], ws.gaps[i] = t.heads[0].Reads.Row(e.Kind), e.Gap
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
	kinds                     [rowsAtOnce]uint8 // rows of the tables
	gaps                      [rowsAtOnce]Gap
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
			layer.AddInputs(ws.gates[3*i*d:3*(i+1)*d], ws.kinds[i], ws.gaps[i])
		}
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

// AddInputs adds to a row of gate pre-activations what the tables say of an event: kind is its row by Inputs.Row. Where the tower
// does not read the one or the other, nothing is added.
func (l *Layer) AddInputs(gates []float32, kind uint8, gap Gap) {
	if len(l.Kinds) > 0 {
		matrix.Axpy(1, tableRow(l.Kinds, len(gates), int(kind)), gates)
	}
	if len(l.Gaps) > 0 {
		matrix.Axpy(1, tableRow(l.Gaps, len(gates), int(gap)), gates)
	}
}

// AddInputGradient adds a row of the gradient at the gate pre-activations to that of the tables' rows, where l holds a gradient.
func (l *Layer) AddInputGradient(dGates []float32, kind uint8, gap Gap) {
	if len(l.Kinds) > 0 {
		matrix.Axpy(1, dGates, tableRow(l.Kinds, len(dGates), int(kind)))
	}
	if len(l.Gaps) > 0 {
		matrix.Axpy(1, dGates, tableRow(l.Gaps, len(dGates), int(gap)))
	}
}

func tableRow(table []float32, width, row int) []float32 { return table[row*width : (row+1)*width] }

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
