package onnx

import (
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// mostBytes is the limit of protobuf's own implementations.
const mostBytes = math.MaxInt32

// message is an encoded protobuf message in pieces. A message inside another is only listed, not copied.
type message struct {
	parts [][]byte
	size  int
}

func (m *message) append(part []byte) {
	m.parts = append(m.parts, part)
	m.size += len(part)
}

func (m *message) uint(field protowire.Number, v uint64) {
	m.append(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.VarintType), v))
}

func (m *message) float(field protowire.Number, v float32) {
	m.append(protowire.AppendFixed32(protowire.AppendTag(nil, field, protowire.Fixed32Type), math.Float32bits(v)))
}

func (m *message) bytes(field protowire.Number, b []byte) {
	m.append(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.BytesType), uint64(len(b))))
	m.append(b)
}

// text leaves out an empty string, which a reader takes a missing one for.
func (m *message) text(field protowire.Number, s string) {
	if s != "" {
		m.bytes(field, []byte(s))
	}
}

func (m *message) message(field protowire.Number, inner message) {
	m.append(protowire.AppendVarint(protowire.AppendTag(nil, field, protowire.BytesType), uint64(inner.size)))
	m.parts = append(m.parts, inner.parts...)
	m.size += inner.size
}

// Marshal gives the content of an .onnx file.
func (m *Model) Marshal() ([]byte, error) {
	whole := m.encode()
	if whole.size > mostBytes {
		return nil, fmt.Errorf("writing the ONNX model %s: it has %d bytes, and no reader of the format takes more than %d",
			m.Graph.Name, whole.size, mostBytes)
	}
	return slices.Concat(whole.parts...), nil
}

func (m *Model) encode() message { // ModelProto
	var out, opset message
	out.uint(1, IRVersion)
	out.text(2, m.Producer)
	out.text(3, m.ProducerVersion)
	out.text(6, m.Doc)
	out.message(7, m.Graph.encode())
	opset.uint(2, Opset) // OperatorSetIdProto; the domain of ONNX's own operators is the empty string
	out.message(8, opset)
	for _, key := range slices.Sorted(maps.Keys(m.Metadata)) {
		var entry message // StringStringEntryProto
		entry.text(1, key)
		entry.text(2, m.Metadata[key])
		out.message(14, entry)
	}
	return out
}

func (g *Graph) encode() message { // GraphProto
	var out message
	for i := range g.Nodes {
		out.message(1, g.Nodes[i].encode())
	}
	out.text(2, g.Name)
	for i := range g.Constants {
		out.message(5, g.Constants[i].encode())
	}
	for i := range g.Inputs {
		out.message(11, g.Inputs[i].encode())
	}
	for i := range g.Outputs {
		out.message(12, g.Outputs[i].encode())
	}
	return out
}

func (n *Node) encode() message { // NodeProto
	var out message
	for _, input := range n.Inputs {
		out.bytes(1, []byte(input)) // an empty name stands for an optional input that is left out
	}
	for _, output := range n.Outputs {
		out.bytes(2, []byte(output))
	}
	if len(n.Outputs) > 0 {
		out.text(3, n.Outputs[0]) // unique already, and what error messages of runtimes name
	}
	out.text(4, n.Op)
	for i := range n.Attributes {
		out.message(5, n.Attributes[i].encode())
	}
	return out
}

func (a *Attribute) encode() message { // AttributeProto
	var out message
	out.text(1, a.name)
	switch a.kind {
	case floatAttribute:
		out.float(2, a.float)
	case intAttribute:
		out.uint(3, uint64(a.integers[0]))
	case tensorAttribute:
		out.message(5, a.constant.encode())
	case graphAttribute:
		out.message(6, a.graph.encode())
	case intsAttribute:
		for _, v := range a.integers {
			out.uint(8, uint64(v))
		}
	}
	out.uint(20, uint64(a.kind))
	return out
}

func (t *Tensor) encode() message { // TensorProto
	var out message
	for _, size := range t.Shape {
		out.uint(1, uint64(size))
	}
	if t.Ints != nil {
		raw := make([]byte, 0, 8*len(t.Ints))
		for _, v := range t.Ints {
			raw = binary.LittleEndian.AppendUint64(raw, uint64(v))
		}
		out.uint(2, uint64(Int64))
		out.text(8, t.Name)
		out.bytes(9, raw)
		return out
	}
	raw := make([]byte, 0, 4*len(t.Floats))
	for _, v := range t.Floats {
		raw = binary.LittleEndian.AppendUint32(raw, math.Float32bits(v))
	}
	out.uint(2, uint64(Float))
	out.text(8, t.Name)
	out.bytes(9, raw)
	return out
}

func (p *Port) encode() message { // ValueInfoProto
	var shape, tensor, kind, out message
	for _, axis := range p.Shape {
		var dimension message // TensorShapeProto.Dimension
		if axis.Size > 0 {
			dimension.uint(1, uint64(axis.Size))
		} else {
			dimension.text(2, axis.Name)
		}
		shape.message(1, dimension)
	}
	tensor.uint(1, uint64(p.Type))
	tensor.message(2, shape)
	kind.message(1, tensor)
	out.text(1, p.Name)
	out.message(2, kind)
	out.text(3, p.Doc)
	return out
}
