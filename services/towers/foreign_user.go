package towers

import (
	"slices"
	"sync"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers/onnxruntime"
)

// foreignUser is the engine of a user tower that was trained elsewhere: a step where there is a state, else an encoder of histories.
type foreignUser struct {
	session        *onnxruntime.Session
	dim, stateSize int
	reads          Inputs
	// kinds are those of reads in the order of the model's rows: the entry at index i is row i + 1.
	kinds []schemas.InteractionType
	// atOnce is how many rows a run takes at the most; events, how many events an encoder takes, 0 meaning as many as there are, up
	// to mostEvents.
	atOnce, events int
	buffers        sync.Pool // *userBuffers
}

// userBuffers hold the values of one run.
type userBuffers struct {
	states, items, nextStates, embeddings []float32
	lengths, kinds, gaps                  []int64
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
	if p, ok := m.find(m.inputs, portState); ok && len(p.Shape) != 2 {
		return 0, 0, refuse(mismatched, m.path, "export the model with a row for each user (PyTorch: state.transpose(0, 1).flatten(1))",
			"its input %s does not fit: state is float32 [N, S], with N free or 1", p)
	}
	if stateSize, err = m.size("a state", 1, portState, portNextState); err != nil {
		return 0, 0, err
	}
	dim, err = m.size("a vector", 1, portItem, portEmbedding)
	return dim, stateSize, err
}

// newForeignUser checks the model's ports and tries it. kinds are those of its rows, in their order.
func newForeignUser(m *model, dim, stateSize int, kinds []schemas.InteractionType) (*foreignUser, error) {
	t := &foreignUser{dim: dim, stateSize: stateSize, kinds: kinds}
	kind, gap, takes := portKind, portGap, "a step takes state, item, and kind and gap where it reads them"
	vector, state, events := axis{"dim", dim}, axis{"S", stateSize}, []axis(nil)
	if stateSize == 0 {
		t.events = m.longest()
		kind, gap, takes = portKinds, portGaps, "an encoder takes items, lengths, and kinds and gaps where it reads them"
		events = []axis{{"L", t.events}}
	}
	var err error
	if t.reads, err = m.reads(kind, gap, kinds); err != nil {
		return nil, err
	}
	float := func(role string, shape ...axis) wants {
		return wants{role, onnxruntime.Float32, append([]axis{rowsAxis}, shape...)}
	}
	integers := func(role string, shape ...axis) wants {
		return wants{role, onnxruntime.Int64, append([]axis{rowsAxis}, shape...)}
	}
	in, out := []wants{float(portState, state), float(portItem, vector)}, []wants{float(portNextState, state), float(portEmbedding, vector)}
	if stateSize == 0 {
		in, out = []wants{float(portItems, events[0], vector), integers(portLengths)}, []wants{float(portEmbedding, vector)}
	}
	if len(kinds) > 0 {
		in = append(in, integers(kind, events...))
	}
	if t.reads.Gaps {
		in = append(in, integers(gap, events...))
	}
	if t.session, t.atOnce, err = m.session(takes, in, out); err != nil {
		return nil, err
	}
	t.buffers.New = func() any { return new(userBuffers) }
	return t, m.trial(t.try())
}

// longest is how many events an encoder takes, 0 where that is free.
func (m *model) longest() int {
	for _, role := range []string{portItems, portKinds, portGaps} {
		axes := 2
		if role == portItems {
			axes = 3
		}
		if p, ok := m.find(m.inputs, role); ok && len(p.Shape) == axes && p.Shape[1] > 0 {
			return int(p.Shape[1])
		}
	}
	return 0
}

// reads is what the model reads of an event beside its item: kinds where it has the port kind, gaps where it has the port gap.
func (m *model) reads(kind, gap string, kinds []schemas.InteractionType) (Inputs, error) {
	in := Inputs{Kinds: slices.Sorted(slices.Values(kinds)), Gaps: m.takes(gap)}
	switch port, takes := m.find(m.inputs, kind); {
	case takes && len(kinds) == 0:
		return in, refuse(mismatched, m.path,
			"list the kinds in the order of their rows (freshet import onnx --event-kinds view,like, or the model's metadata "+EventKindsKey+")",
			"its input %s takes rows of kinds, and nothing says which row is whose", port)
	case !takes && len(kinds) > 0:
		return in, refuse(mismatched, m.path, remedyPorts+", or list no kinds",
			"event_kinds are %v, and it has no input %q for %s to tell them by; its inputs are %s", kinds, m.name(kind), kind, list(m.inputs))
	}
	return in, distinctKinds(kinds)
}

// resized gives a slice of n values, its memory being reused.
func resized[T any](s []T, n int) []T {
	if cap(s) < n {
		return make([]T, n)
	}
	return s[:n]
}

// loadForeignUsers loads a bundle's foreign user tower.
func (m *Manifest) loadForeignUsers(dir string) (*foreignUser, error) {
	model, err := m.loadModel(dir, foreignUserFile)
	if err != nil {
		return nil, err
	}
	if model.recurrent() != (m.StateSize > 0) {
		return nil, refuse(mismatched, model.path, remedyImportAgain, "has inputs %s, while the manifest's state_size is %d",
			list(model.inputs), m.StateSize)
	}
	foreign, err := newForeignUser(model, m.Dim, m.StateSize, m.Features.EventKinds)
	if err != nil {
		return nil, err
	}
	if gaps := foreign.reads.gapRows(); gaps != m.Features.EventGaps {
		return nil, refuse(mismatched, model.path, remedyImportAgain,
			"has inputs %s, which take %d gaps, while the manifest's event_gaps is %d", list(model.inputs), gaps, m.Features.EventGaps)
	}
	return foreign, nil
}

func (t *foreignUser) shape() shape {
	return shape{dim: t.dim, state: t.stateSize, most: t.most(), reads: t.reads}
}

// step has a row for each user.
func (t *foreignUser) step(states, embeddings [][]float32, events []event) error {
	b := t.buffers.Get().(*userBuffers)
	defer t.buffers.Put(b)
	for start := 0; start < len(states); start += t.atOnce {
		n := min(t.atOnce, len(states)-start)
		b.states, b.items = resized(b.states, n*t.stateSize), resized(b.items, n*t.dim)
		b.nextStates, b.embeddings = resized(b.nextStates, n*t.stateSize), resized(b.embeddings, n*t.dim)
		gather(b.states, states[start:start+n])
		gatherItems(b.items, events[start:start+n])
		in := []onnxruntime.Tensor{rows(b.states, n, t.stateSize), rows(b.items, n, t.dim)}
		out := []onnxruntime.Tensor{rows(b.nextStates, n, t.stateSize), rows(b.embeddings, n, t.dim)}
		err := t.session.Run(t.appendRead(in, b, events[start:start+n], int64(n)), out)
		if err != nil {
			return err
		}
		scatter(states[start:start+n], b.nextStates)
		scatter(embeddings[start:start+n], b.embeddings)
	}
	return nil
}

// walk takes a step after the other, or encodes the newest events.
func (t *foreignUser) walk(state, embedding []float32, events []event) error {
	if t.stateSize == 0 {
		events = events[max(0, len(events)-t.most()):]
		return t.encodeWhole(embedding, events, len(events), max(t.events, len(events)))
	}
	for i := range events {
		if err := t.step([][]float32{state}, [][]float32{embedding}, events[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

// most is how many events of a history an encoder gets at the most, 0 for a step, which has no such bound.
func (t *foreignUser) most() int {
	if t.stateSize > 0 || t.events > 0 {
		return t.events
	}
	return mostEvents
}

// encodeWhole runs the encoder on one history in room for a width of that many events. Of the history, length events count.
func (t *foreignUser) encodeWhole(embedding []float32, history []event, length, width int) error {
	b := t.buffers.Get().(*userBuffers)
	defer t.buffers.Put(b)
	b.items, b.lengths = resized(b.items, width*t.dim), append(b.lengths[:0], int64(length))
	gatherItems(b.items, history)
	clear(b.items[len(history)*t.dim:])
	in := []onnxruntime.Tensor{{Shape: []int64{1, int64(width), int64(t.dim)}, Floats: b.items}, {Shape: []int64{1}, Ints: b.lengths}}
	return t.session.Run(t.appendRead(in, b, history, 1, int64(width)), []onnxruntime.Tensor{rows(embedding, 1, t.dim)})
}

// appendRead appends to the inputs of a run what the model reads of events beside their items, in a shape that may have room for more.
func (t *foreignUser) appendRead(in []onnxruntime.Tensor, b *userBuffers, events []event, shape ...int64) []onnxruntime.Tensor {
	n := int(shape[0])
	if len(shape) > 1 {
		n *= int(shape[1])
	}
	if len(t.kinds) > 0 {
		b.kinds = resized(b.kinds, n)
		clear(b.kinds)
		for i := range events {
			b.kinds[i] = int64(slices.Index(t.kinds, events[i].kind) + 1)
		}
		in = append(in, onnxruntime.Tensor{Shape: shape, Ints: b.kinds})
	}
	if t.reads.Gaps {
		b.gaps = resized(b.gaps, n)
		clear(b.gaps)
		for i := range events {
			b.gaps[i] = int64(events[i].gap)
		}
		in = append(in, onnxruntime.Tensor{Shape: shape, Ints: b.gaps})
	}
	return in
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

func gatherItems(dst []float32, events []event) {
	for i := range events {
		dst = dst[copy(dst, events[i].item):]
	}
}

func scatter(dst [][]float32, src []float32) {
	for _, row := range dst {
		src = src[copy(row, src):]
	}
}
