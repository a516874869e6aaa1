package training

import (
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/matrix"
)

// pack is some windows, one after the other: window w takes the rows from offsets[w] to offsets[w+1], and at row r the item
// in slot inputs[r] came last, by an event of kinds[r] and gaps[r]. After row rows[i] comes the item in slot targets[i]; rows
// that are not learnt from are not in rows. Slots are rows of the step's item vectors.
type pack struct {
	offsets, inputs []int32
	kinds           []schemas.InteractionType
	gaps            []towers.Gap
	rows, targets   []int32
}

func (p *pack) reset() {
	p.offsets = append(p.offsets[:0], 0)
	p.inputs, p.kinds, p.gaps = p.inputs[:0], p.kinds[:0], p.gaps[:0]
	p.rows, p.targets = p.rows[:0], p.targets[:0]
}

// add appends a window; slot maps items to rows.
func (p *pack) add(window []event, slot []int32) {
	last := len(window) - 1
	for i, next := range window[1:] {
		if !next.aside {
			p.rows = append(p.rows, int32(len(p.inputs)+i))
			p.targets = append(p.targets, slot[next.item])
		}
	}
	p.read(window[:last], func(item int32) int32 { return slot[item] })
}

// read appends a window of inputs alone. Its first event has no gap, whatever was before: so it is where a history that has lost
// its oldest events is encoded.
func (p *pack) read(window []event, slot func(item int32) int32) {
	for i, e := range window {
		if i == 0 {
			e.gap = 0
		}
		p.inputs, p.kinds, p.gaps = append(p.inputs, slot(e.item)), append(p.kinds, e.kind), append(p.gaps, e.gap)
	}
	p.offsets = append(p.offsets, int32(len(p.inputs)))
}

// body is the user tower in training: a forward pass over a pack that remembers what its backward pass needs.
type body struct {
	w    *towers.UserWeights
	drop dropout
	rows int
	off  []int32
	// kinds are rows of the tower's tables, as gaps are.
	kinds []uint8
	gaps  []towers.Gap

	x     []float32 // the residual stream, at the end the embeddings
	input normTape
	mask  []byte
	layer []layerTape
	out   normTape

	// Scratch of the backward pass.
	branch, state, dGates, dWide []float32
	carry                        []float32
}

// layerTape is what one layer's backward pass needs.
type layerTape struct {
	gateNorm  normTape
	gateIn    []float32 // what goes into the gates
	gates     []float32 // f, c and the pre-activation of the output gate
	h         []float32
	stateNorm normTape
	state     []float32 // the normalised h
	open      []float32 // silu of the output gate
	mix       []float32 // state * open
	mixMask   []byte
	wideNorm  normTape
	wideIn    []float32
	up        []float32 // before the GELU
	wide      []float32 // after it and its dropout
	wideMask  []byte
	downMask  []byte
}

func newBody(w *towers.UserWeights, drop dropout) *body {
	return &body{w: w, drop: drop, layer: make([]layerTape, w.Layers), carry: make([]float32, w.Dim)}
}

func resize[T any](x *[]T, n int) {
	if cap(*x) < n {
		*x = make([]T, n)
	}
	*x = (*x)[:n]
}

func (t *normTape) resize(n, d int) {
	resize(&t.hat, n*d)
	resize(&t.inverse, n)
}

func (b *body) resize(n int) {
	d := b.w.Dim
	b.rows = n
	b.input.resize(n, d)
	b.out.resize(n, d)
	resize(&b.mask, n*d)
	for _, x := range []*[]float32{&b.x, &b.branch, &b.state} {
		resize(x, n*d)
	}
	resize(&b.dGates, 3*n*d)
	resize(&b.dWide, towers.FeedForward*n*d)
	for i := range b.layer {
		t := &b.layer[i]
		for _, norm := range []*normTape{&t.gateNorm, &t.stateNorm, &t.wideNorm} {
			norm.resize(n, d)
		}
		for _, x := range []*[]float32{&t.gateIn, &t.h, &t.state, &t.open, &t.mix, &t.wideIn} {
			resize(x, n*d)
		}
		resize(&t.gates, 3*n*d)
		resize(&t.up, towers.FeedForward*n*d)
		resize(&t.wide, towers.FeedForward*n*d)
		resize(&t.mixMask, n*d)
		resize(&t.wideMask, towers.FeedForward*n*d)
		resize(&t.downMask, n*d)
	}
}

// forward takes the pack through the tower and returns the embedding of every row; vectors are the item vectors by slot.
func (b *body) forward(p *pack, vectors []float32) []float32 {
	d := b.w.Dim
	b.resize(len(p.inputs))
	b.off, b.gaps = p.offsets, p.gaps
	resize(&b.kinds, len(p.kinds))
	for r, kind := range p.kinds {
		b.kinds[r] = b.w.Reads.Row(kind)
	}
	for r, slot := range p.inputs {
		copy(b.x[r*d:(r+1)*d], vectors[int(slot)*d:int(slot+1)*d])
	}
	b.input.forward(b.x, b.x, &b.w.Input)
	b.drop.apply(b.x, b.mask)
	for i := range b.layer {
		b.recurrence(&b.layer[i], &b.w.Layer[i])
		b.feedForward(&b.layer[i], &b.w.Layer[i])
	}
	b.out.forward(b.x, b.x, &b.w.Output)
	return b.x
}

func (b *body) recurrence(t *layerTape, l *towers.Layer) {
	d := b.w.Dim
	t.gateNorm.forward(t.gateIn, b.x, &l.GateNorm)
	linearForward(t.gates, t.gateIn, &l.Gates, b.rows)
	for r := range b.rows {
		l.AddInputs(t.gates[3*r*d:3*(r+1)*d], b.kinds[r], b.gaps[r])
	}
	scanForward(t.h, t.gates, b.off, d)
	t.stateNorm.forward(t.state, t.h, &l.StateNorm)
	for r := range b.rows {
		open, mix, state := t.open[r*d:(r+1)*d], t.mix[r*d:(r+1)*d], t.state[r*d:(r+1)*d]
		matrix.SiLU(open, t.gates[(3*r+2)*d:(3*r+3)*d])
		for j, s := range open {
			mix[j] = s * state[j]
		}
	}
	linearForward(b.branch, t.mix, &l.Out, b.rows)
	b.drop.apply(b.branch, t.mixMask)
	matrix.Axpy(1, b.branch, b.x)
}

func (b *body) feedForward(t *layerTape, l *towers.Layer) {
	t.wideNorm.forward(t.wideIn, b.x, &l.WideNorm)
	linearForward(t.up, t.wideIn, &l.Up, b.rows)
	matrix.GELU(t.wide, t.up)
	b.drop.apply(t.wide, t.wideMask)
	linearForward(b.branch, t.wide, &l.Down, b.rows)
	b.drop.apply(b.branch, t.downMask)
	matrix.Axpy(1, b.branch, b.x)
}

// backward takes the gradient at the embeddings back to the rows' item vectors, in place, and adds to the weights'.
func (b *body) backward(dx []float32, grad *towers.UserWeights) {
	b.out.backward(dx, &b.w.Output, &grad.Output)
	for i := len(b.layer) - 1; i >= 0; i-- {
		b.feedForwardBackward(dx, &b.layer[i], &b.w.Layer[i], &grad.Layer[i])
		b.recurrenceBackward(dx, &b.layer[i], &b.w.Layer[i], &grad.Layer[i])
	}
	b.drop.repeat(dx, b.mask)
	b.input.backward(dx, &b.w.Input, &grad.Input)
}

func (b *body) feedForwardBackward(dx []float32, t *layerTape, l, grad *towers.Layer) {
	copy(b.branch, dx)
	b.drop.repeat(b.branch, t.downMask)
	linearBackward(b.dWide, b.branch, t.wide, &l.Down, &grad.Down, b.rows)
	b.drop.repeat(b.dWide, t.wideMask)
	matrix.GELUGrad(b.dWide, t.up, b.dWide)
	linearBackward(b.branch, b.dWide, t.wideIn, &l.Up, &grad.Up, b.rows)
	t.wideNorm.backward(b.branch, &l.WideNorm, &grad.WideNorm)
	matrix.Axpy(1, b.branch, dx)
}

func (b *body) recurrenceBackward(dx []float32, t *layerTape, l, grad *towers.Layer) {
	d := b.w.Dim
	copy(b.branch, dx)
	b.drop.repeat(b.branch, t.mixMask)
	linearBackward(b.state, b.branch, t.mix, &l.Out, &grad.Out, b.rows)
	for r := range b.rows {
		dMix, open, state := b.state[r*d:(r+1)*d], t.open[r*d:(r+1)*d], t.state[r*d:(r+1)*d]
		dOpen := b.dGates[(3*r+2)*d : (3*r+3)*d]
		for j, g := range dMix {
			dOpen[j] = g * state[j]
			dMix[j] = g * open[j]
		}
		matrix.SiLUGrad(dOpen, t.gates[(3*r+2)*d:(3*r+3)*d], dOpen)
	}
	t.stateNorm.backward(b.state, &l.StateNorm, &grad.StateNorm)
	scanBackward(b.dGates, b.state, t.h, t.gates, b.off, b.carry)
	for r := range b.rows {
		addInputGradient(grad, b.dGates[3*r*d:3*(r+1)*d], b.kinds[r], b.gaps[r])
	}
	linearBackward(b.branch, b.dGates, t.gateIn, &l.Gates, &grad.Gates, b.rows)
	t.gateNorm.backward(b.branch, &l.GateNorm, &grad.GateNorm)
	matrix.Axpy(1, b.branch, dx)
}

// addInputGradient adds a row of the gradient at the gate pre-activations to that of the tables' rows (see Layer.AddInputs).
func addInputGradient(grad *towers.Layer, dGates []float32, kind uint8, gap towers.Gap) {
	width := len(dGates)
	if len(grad.Kinds) > 0 {
		matrix.Axpy(1, dGates, grad.Kinds[int(kind)*width:int(kind+1)*width])
	}
	if len(grad.Gaps) > 0 {
		matrix.Axpy(1, dGates, grad.Gaps[int(gap)*width:int(gap+1)*width])
	}
}
