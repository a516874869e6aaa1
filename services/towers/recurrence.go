package towers

import (
	"sync"

	"github.com/freshet/freshet/services/towers/matrix"
)

// rowsAtOnce bounds a workspace: longer batches and histories go through in pieces of this many rows.
const rowsAtOnce = 64

// recurrence is the engine of doc.go's gated linear recurrence.
//
// It has one head or several, towers of one shape that were trained apart. Head k reads the k-th part of an item's vector, keeps
// the k-th part of the state and writes the k-th part of the embedding: the inner product with an item then is the sum of
// the heads' scores, an ensemble in one search.
type recurrence struct {
	heads      []*UserWeights
	workspaces sync.Pool // *workspace
}

func newRecurrence(heads []*UserWeights) *recurrence {
	r := &recurrence{heads: heads}
	r.workspaces.New = func() any { return newWorkspace(heads[0].Dim) }
	return r
}

func (r *recurrence) shape() shape {
	head := r.heads[0]
	dim := len(r.heads) * head.Dim
	return shape{dim: dim, state: head.Layers * dim, reads: head.Reads}
}

// step has a row for each user.
func (r *recurrence) step(states, embeddings [][]float32, events []event) error {
	ws := r.workspaces.Get().(*workspace)
	for start := 0; start < len(states); start += rowsAtOnce {
		n := min(rowsAtOnce, len(states)-start)
		r.read(ws, events[start:start+n])
		for k, head := range r.heads {
			for i := range n {
				ws.states[i] = head.stateOf(states[start+i], k)
				copy(ws.row(ws.x, i), head.vectorOf(events[start+i].item, k))
			}
			head.run(ws, n)
			for i := range n {
				copy(head.vectorOf(embeddings[start+i], k), ws.row(ws.x, i))
			}
		}
	}
	r.release(ws)
	return nil
}

// walk has a row for each event of the one user.
func (r *recurrence) walk(state, embedding []float32, events []event) error {
	ws := r.workspaces.Get().(*workspace)
	for start := 0; start < len(events); start += rowsAtOnce {
		n := min(rowsAtOnce, len(events)-start)
		r.read(ws, events[start:start+n])
		for k, head := range r.heads {
			for i := range n {
				// One state for all rows: a layer's recurrence goes through the rows in order, so row i finds what row i-1 left.
				ws.states[i] = head.stateOf(state, k)
				copy(ws.row(ws.x, i), head.vectorOf(events[start+i].item, k))
			}
			head.run(ws, n)
			copy(head.vectorOf(embedding, k), ws.row(ws.x, n-1))
		}
	}
	r.release(ws)
	return nil
}

// read notes, for each row of the workspace, the rows of the tables that its event asks for.
func (r *recurrence) read(ws *workspace, events []event) {
	for i := range events {
		ws.kinds[i], ws.gaps[i] = r.heads[0].Reads.Row(events[i].kind), events[i].gap
	}
}

// release forgets the callers' states, which a pool must not keep alive.
func (r *recurrence) release(ws *workspace) {
	clear(ws.states)
	r.workspaces.Put(ws)
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
