package towers

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// The recurrence's forget gates start at memories of evenly spaced (in log) lengths between these, in events.
const (
	shortestMemory = 1.5
	longestMemory  = 200
)

// FeedForward is how many times wider than Dim the inside of the feed-forward is.
const FeedForward = 4

// contentDeviation is the deviation of fresh content embeddings as a share of that of id embeddings.
const contentDeviation = 0.3

// Norm is a layer normalisation's gain and bias, Dim long each.
type Norm struct{ Gain, Bias []float32 }

// Linear is y = x W + b with W as In x Out, row-major.
type Linear struct {
	In, Out int
	W, B    []float32
}

// Layer is one recurrence and its feed-forward. Gates gives the forget gate's, the candidate's and the output gate's
// pre-activations side by side; Kinds and Gaps, empty where the tower does not read them, have a row of the same length for
// each kind of event and each gap, which is added.
type Layer struct {
	GateNorm  Norm
	Gates     Linear // Dim -> 3 Dim
	Kinds     []float32
	Gaps      []float32
	StateNorm Norm
	Out       Linear // Dim -> Dim
	WideNorm  Norm
	Up        Linear // Dim -> 4 Dim
	Down      Linear // 4 Dim -> Dim
}

// UserWeights is the user tower's weights: views into one slice, so that an optimiser, a sum over workers and a file see one
// vector. The same type holds a gradient.
type UserWeights struct {
	Dim, Layers int
	Reads       Inputs
	Input       Norm
	Layer       []Layer
	Output      Norm
	Flat        []float32
}

// tensor is a named matrix of a weights file; a vector has one row.
type tensor struct {
	name       string
	rows, cols int
	data       []float32
}

// NewUserWeights makes weights of zero, of a tower that reads items alone.
func NewUserWeights(dim, layers int) *UserWeights { return NewEventWeights(dim, layers, Inputs{}) }

// NewEventWeights makes weights of zero, of a tower that reads these inputs beside the items.
func NewEventWeights(dim, layers int, reads Inputs) *UserWeights {
	w := shapeOfUserWeights(dim, layers, reads)
	total := 0
	w.visit(func(_ string, rows, cols int, _ *[]float32) { total += rows * cols })
	w.Flat = make([]float32, total)
	rest := w.Flat
	w.visit(func(_ string, rows, cols int, view *[]float32) {
		n := rows * cols
		*view, rest = rest[:n:n], rest[n:]
	})
	return w
}

// shapeOfUserWeights has all the shapes and no memory: what a file is held against before anything is allocated for it.
func shapeOfUserWeights(dim, layers int, reads Inputs) *UserWeights {
	return &UserWeights{Dim: dim, Layers: layers, Reads: reads, Layer: make([]Layer, layers)}
}

// visit names every tensor in the order in which Flat holds them.
func (w *UserWeights) visit(do func(name string, rows, cols int, view *[]float32)) {
	norm := func(name string, n *Norm) {
		do(name+".gain", 1, w.Dim, &n.Gain)
		do(name+".bias", 1, w.Dim, &n.Bias)
	}
	linear := func(name string, l *Linear, in, out int) {
		l.In, l.Out = in, out
		do(name+".weight", in, out, &l.W)
		do(name+".bias", 1, out, &l.B)
	}
	table := func(name string, rows int, view *[]float32) {
		if rows > 0 {
			do(name, rows, 3*w.Dim, view)
		}
	}
	norm("input", &w.Input)
	for i := range w.Layer {
		l, at := &w.Layer[i], fmt.Sprintf("layer%d.", i)
		norm(at+"gate_norm", &l.GateNorm)
		linear(at+"gates", &l.Gates, w.Dim, 3*w.Dim)
		table(at+"kinds", w.Reads.kindRows(), &l.Kinds)
		table(at+"gaps", w.Reads.gapRows(), &l.Gaps)
		norm(at+"state_norm", &l.StateNorm)
		linear(at+"out", &l.Out, w.Dim, w.Dim)
		norm(at+"wide_norm", &l.WideNorm)
		linear(at+"up", &l.Up, w.Dim, FeedForward*w.Dim)
		linear(at+"down", &l.Down, FeedForward*w.Dim, w.Dim)
	}
	norm("output", &w.Output)
}

// tensors lists the weights by name, for a file.
func (w *UserWeights) tensors() []tensor {
	var ts []tensor
	w.visit(func(name string, rows, cols int, view *[]float32) {
		ts = append(ts, tensor{name, rows, cols, *view})
	})
	return ts
}

// headTensors lists the weights of all heads; a single head's names are its own.
func headTensors(heads []*UserWeights) []tensor {
	if len(heads) == 1 {
		return heads[0].tensors()
	}
	var ts []tensor
	for k, head := range heads {
		for _, t := range head.tensors() {
			t.name = fmt.Sprintf("head%d.%s", k, t.name)
			ts = append(ts, t)
		}
	}
	return ts
}

// Randomise sets the weights of an untrained tower: gains 1, matrices uniform within 1/sqrt(in), biases 0 but for the forget
// gates', which start at log(tau - 1) so that the dimensions remember from 1.5 to 200 events. Kinds and gaps start at zero, as if
// the tower did not read them.
func (w *UserWeights) Randomise(rng *rand.Rand) {
	clear(w.Flat)
	for _, n := range w.norms() {
		fill(n.Gain, 1)
	}
	for i := range w.Layer {
		l := &w.Layer[i]
		for _, lin := range []*Linear{&l.Gates, &l.Out, &l.Up, &l.Down} {
			bound := 1 / math.Sqrt(float64(lin.In))
			for j := range lin.W {
				lin.W[j] = float32((2*rng.Float64() - 1) * bound)
			}
		}
		for j := range w.Dim {
			at := float64(j) / float64(max(w.Dim-1, 1))
			tau := shortestMemory * math.Pow(longestMemory/shortestMemory, at)
			l.Gates.B[j] = float32(math.Log(tau - 1))
		}
	}
}

func (w *UserWeights) norms() []*Norm {
	ns := []*Norm{&w.Input, &w.Output}
	for i := range w.Layer {
		l := &w.Layer[i]
		ns = append(ns, &l.GateNorm, &l.StateNorm, &l.WideNorm)
	}
	return ns
}

// ItemWeights is the item tower's weights.
type ItemWeights struct {
	Dim int
	// IDs are the items that have an id embedding, row i of ID being that of IDs[i].
	IDs []string
	ID  []float32
	// Tokens are the content tokens, row i of Content being that of Tokens[i].
	Tokens  []string
	Content []float32
}

// NewItemWeights makes weights of zero.
func NewItemWeights(dim int, ids, tokens []string) *ItemWeights {
	return &ItemWeights{
		Dim: dim, IDs: ids, Tokens: tokens,
		ID:      make([]float32, len(ids)*dim),
		Content: make([]float32, len(tokens)*dim),
	}
}

// Randomise draws ids from N(0, 1/Dim) and content with 0.3 of that deviation.
func (w *ItemWeights) Randomise(rng *rand.Rand) {
	deviation := 1 / math.Sqrt(float64(w.Dim))
	for i := range w.ID {
		w.ID[i] = float32(rng.NormFloat64() * deviation)
	}
	for i := range w.Content {
		w.Content[i] = float32(rng.NormFloat64() * deviation * contentDeviation)
	}
}

func (w *ItemWeights) tensors() []tensor {
	return []tensor{{"ids", len(w.IDs), w.Dim, w.ID}, {"content", len(w.Tokens), w.Dim, w.Content}}
}

func fill(x []float32, v float32) {
	for i := range x {
		x[i] = v
	}
}
