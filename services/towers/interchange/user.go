package interchange

import (
	"fmt"
	"math"

	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/onnx"
)

// userGraphs writes the recurrence of services/towers (see its package comment) down as operations.
type userGraphs struct {
	heads       []*towers.UserWeights
	reads       towers.Inputs
	dim, states int
}

func newUserGraphs(t *towers.UserTower) userGraphs {
	return userGraphs{heads: t.Heads(), reads: t.Inputs(), dim: t.Dim(), states: t.StateSize()}
}

// step is the model of one event.
func (g userGraphs) step() *onnx.Graph {
	b := onnx.NewBuilder("user_tower")
	state := b.Input(g.statePort("state", "The users' states before the event; zeros where there was none."))
	item := b.Input(g.vectorPort("item", "The vector of the item that each user chose."))
	e := event{item: item}
	if len(g.reads.Kinds) > 0 {
		e.kind = b.Input(rowsPort("kind", kindDoc, onnx.Free("N")))
	}
	if g.reads.Gaps {
		e.gap = b.Input(rowsPort("gap", gapDoc, onnx.Free("N")))
	}
	next, embedding := g.advance(b, state, e)
	b.Output(g.statePort("next_state", "The states after the event."), next)
	b.Output(g.vectorPort("embedding", "The users' embeddings; their inner products with item vectors are the scores."), embedding)
	return &b.Graph
}

// history is the model of whole histories: a Scan of the step over the events, in which a user whose history has ended stays.
func (g userGraphs) history() *onnx.Graph {
	b := onnx.NewBuilder("user_history")
	rows, events := onnx.Free("N"), onnx.Free("L")
	items := b.Input(onnx.Port{Name: "items", Type: onnx.Float, Shape: []onnx.Axis{rows, events, onnx.Fixed(g.dim)},
		Doc: "The vectors of the items that each user chose, oldest first; anything beyond the user's length. L is 1 or more."})
	lengths := b.Input(rowsPort("lengths", "How many events each user has.", rows))
	var inputs []string
	if len(g.reads.Kinds) > 0 {
		inputs = append(inputs, b.Input(rowsPort("kinds", kindDoc, rows, events)))
	}
	if g.reads.Gaps {
		inputs = append(inputs, b.Input(rowsPort("gaps", gapDoc, rows, events)))
	}

	shape := b.Op("Shape", []string{items})
	count := b.Op("Gather", []string{shape, b.Integer("axis_of_events", 1)})
	times := b.Op("Range", []string{b.Integer("first_event", 0), count, b.Integer("next_event", 1)})
	// Scan could go along the second axis by itself, but then ONNX Runtime 1.24 ends the whole process where L is 0; like this it
	// refuses.
	byTime := []string{b.Op("Transpose", []string{items}, onnx.Ints("perm", 1, 0, 2))}
	for _, input := range inputs {
		byTime = append(byTime, b.Op("Transpose", []string{input}, onnx.Ints("perm", 1, 0)))
	}
	byTime = append(byTime, times)
	before := []string{g.zeros(b, shape, "state", g.states), g.zeros(b, shape, "embedding", g.dim)}
	scan := b.Ops("Scan", 2, append(before, byTime...),
		onnx.Body("body", g.place(b, lengths)), onnx.Int("num_scan_inputs", int64(len(byTime))))
	b.Output(g.statePort("state", "The states after the last event."), scan[0])
	b.Output(g.vectorPort("embedding", "The users' embeddings; zero for an empty history."), scan[1])
	return &b.Graph
}

// place is the Scan's body: all users' events at one place of their histories.
func (g userGraphs) place(outer *onnx.Builder, lengths string) *onnx.Graph {
	b := outer.Body("event")
	state := b.Input(g.statePort("state_before", ""))
	embedding := b.Input(g.vectorPort("embedding_before", ""))
	e := event{item: b.Input(g.vectorPort("item", ""))}
	if len(g.reads.Kinds) > 0 {
		e.kind = b.Input(rowsPort("kind", "", onnx.Free("N")))
	}
	if g.reads.Gaps {
		e.gap = b.Input(rowsPort("gap", "", onnx.Free("N")))
	}
	time := b.Input(onnx.Port{Name: "time", Type: onnx.Int64})
	next, fresh := g.advance(b, state, e)
	lives := b.Op("Unsqueeze", []string{b.Op("Less", []string{time, lengths}), b.Ints("last_axis", 1)})
	b.Output(g.statePort("state_after", ""), b.Op("Where", []string{lives, next, state}))
	b.Output(g.vectorPort("embedding_after", ""), b.Op("Where", []string{lives, fresh, embedding}))
	return &b.Graph
}

// zeros makes N rows of zeros, N being the first axis of shape.
func (g userGraphs) zeros(b *onnx.Builder, shape, of string, size int) string {
	rows := b.Op("Gather", []string{shape, b.Ints("axis_of_rows", 0)})
	full := b.Op("Concat", []string{rows, b.Ints("size_of_"+of, int64(size))}, onnx.Int("axis", 0))
	return b.Op("ConstantOfShape", []string{full}, onnx.Constant("value", onnx.Tensor{Name: "zero", Shape: []int{1}, Floats: []float32{0}}))
}

func (g userGraphs) statePort(name, doc string) onnx.Port {
	return onnx.Port{Name: name, Type: onnx.Float, Shape: []onnx.Axis{onnx.Free("N"), onnx.Fixed(g.states)}, Doc: doc}
}

func (g userGraphs) vectorPort(name, doc string) onnx.Port {
	return onnx.Port{Name: name, Type: onnx.Float, Shape: []onnx.Axis{onnx.Free("N"), onnx.Fixed(g.dim)}, Doc: doc}
}

// The documentation of what an event has beside its item.
const (
	kindDoc = "What the user did, as a row of the metadata's freshet.event_kinds: 0 for anything that is not in it, 1 for its first."
	gapDoc  = "The time since the user's event before: 0 where there is none, 1 below a second, then k from 2^(k-2) seconds on, 26 at most."
)

// rowsPort takes integers.
func rowsPort(name, doc string, shape ...onnx.Axis) onnx.Port {
	return onnx.Port{Name: name, Type: onnx.Int64, Shape: shape, Doc: doc}
}

// event names the values that are read of an event of each user; kind and gap are empty where the tower does not read them.
type event struct{ item, kind, gap string }

// advance takes all heads through one event, each with its parts of state and vector, and all of the event's kind and gap.
func (g userGraphs) advance(b *onnx.Builder, state string, e event) (next, embedding string) {
	layers, dim := g.heads[0].Layers, g.heads[0].Dim
	states := split(b, state, len(g.heads)*layers, dim)
	items := split(b, e.item, len(g.heads), dim)
	var nexts, embeddings []string
	for k, w := range g.heads {
		h := head{Builder: b, w: w, name: fmt.Sprintf("head%d.", k)}
		after, made := h.advance(states[k*layers:(k+1)*layers], event{items[k], e.kind, e.gap})
		nexts, embeddings = append(nexts, after...), append(embeddings, made)
	}
	return join(b, nexts), join(b, embeddings)
}

// split cuts the second axis into parts of one size.
func split(b *onnx.Builder, value string, parts, size int) []string {
	if parts == 1 {
		return []string{value}
	}
	sizes := make([]int64, parts)
	for i := range sizes {
		sizes[i] = int64(size)
	}
	return b.Ops("Split", parts, []string{value, b.Ints(fmt.Sprintf("%d_parts_of_%d", parts, size), sizes...)}, onnx.Int("axis", 1))
}

func join(b *onnx.Builder, parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return b.Op("Concat", parts, onnx.Int("axis", 1))
}

// head writes one head's recurrence.
type head struct {
	*onnx.Builder
	w    *towers.UserWeights
	name string
}

// advance gives each layer's state after the event, and the head's part of the embedding.
func (h head) advance(states []string, e event) (next []string, embedding string) {
	x := h.norm("input", &h.w.Input, e.item)
	for i := range h.w.Layer {
		l, at := &h.w.Layer[i], fmt.Sprintf("layer%d.", i)
		gates := split(h.Builder, h.gates(at, l, x, e), 3, h.w.Dim)
		forget, candidate, out := h.Op("Sigmoid", gates[:1]), gates[1], gates[2]
		moved := h.Op("Mul", []string{forget, h.Op("Sub", []string{states[i], candidate})})
		state := h.Op("Add", []string{candidate, moved})
		next = append(next, state)
		silu := h.Op("Mul", []string{out, h.Op("Sigmoid", []string{out})})
		mix := h.Op("Mul", []string{h.norm(at+"state_norm", &l.StateNorm, state), silu})
		x = h.Op("Add", []string{x, h.linear(at+"out", &l.Out, mix)})
		wide := h.gelu(h.linear(at+"up", &l.Up, h.norm(at+"wide_norm", &l.WideNorm, x)))
		x = h.Op("Add", []string{x, h.linear(at+"down", &l.Down, wide)})
	}
	return next, h.norm("output", &h.w.Output, x)
}

// gates is where everything that bears upon remembering comes together, before it is cut into the three gates.
func (h head) gates(at string, l *towers.Layer, x string, e event) string {
	gates := h.linear(at+"gates", &l.Gates, h.norm(at+"gate_norm", &l.GateNorm, x))
	gates = h.addRows(gates, at+"kinds", l.Kinds, e.kind)
	return h.addRows(gates, at+"gaps", l.Gaps, e.gap)
}

// addRows adds to the gates, for each user, a row of a table that is as wide.
func (h head) addRows(gates, name string, table []float32, rows string) string {
	if len(table) == 0 {
		return gates
	}
	width := 3 * h.w.Dim
	weights := h.Floats(h.name+name, table, len(table)/width, width)
	return h.Op("Add", []string{gates, h.Op("Gather", []string{weights, rows})})
}

func (h head) norm(name string, n *towers.Norm, x string) string {
	gain := h.Floats(h.name+name+".gain", n.Gain, len(n.Gain))
	bias := h.Floats(h.name+name+".bias", n.Bias, len(n.Bias))
	return h.Op("LayerNormalization", []string{x, gain, bias}, onnx.Real("epsilon", towers.NormEpsilon))
}

func (h head) linear(name string, l *towers.Linear, x string) string {
	weight := h.Floats(h.name+name+".weight", l.W, l.In, l.Out)
	return h.Op("Gemm", []string{x, weight, h.Floats(h.name+name+".bias", l.B, l.Out)})
}

// gelu is x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))): an operator of its own came to ONNX with opset 20 only.
func (h head) gelu(x string) string {
	cube := h.Op("Mul", []string{x, h.Op("Mul", []string{x, x})})
	inner := h.Op("Add", []string{x, h.Op("Mul", []string{cube, h.Scalar("gelu_cubic", 0.044715)})})
	bend := h.Op("Tanh", []string{h.Op("Mul", []string{inner, h.Scalar("gelu_scale", float32(math.Sqrt(2/math.Pi)))})})
	half := h.Op("Mul", []string{x, h.Scalar("half", 0.5)})
	return h.Op("Mul", []string{half, h.Op("Add", []string{bend, h.Scalar("one", 1)})})
}
