package onnx

import (
	"encoding/binary"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"
)

// fields takes a message apart: the values of each field, in turn. It is protobuf's definition and knows nothing of the writer.
func fields(t *testing.T, b []byte) map[protowire.Number][][]byte {
	t.Helper()
	all := map[protowire.Number][][]byte{}
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		require.NoError(t, protowire.ParseError(n))
		b = b[n:]
		n = protowire.ConsumeFieldValue(number, kind, b)
		require.NoError(t, protowire.ParseError(n))
		value := b[:n]
		if kind == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(value)
		}
		all[number] = append(all[number], value)
		b = b[n:]
	}
	return all
}

func number(t *testing.T, b []byte) int64 {
	t.Helper()
	v, n := protowire.ConsumeVarint(b)
	require.Equal(t, len(b), n)
	return int64(v)
}

func testModel() *Model {
	b := NewBuilder("double")
	x := b.Input(Port{Name: "x", Type: Float, Shape: []Axis{Free("N"), Fixed(2)}, Doc: "in"})
	sum := b.Op("Add", []string{x, b.Floats("weights", []float32{1, -2.5}, 1, 2)}, Int("i", -3), Real("f", 0.5), Ints("s", 4, -5))
	body := b.Body("body")
	body.Output(Port{Name: "z", Type: Int64}, body.Op("Neg", []string{body.Ints("inner", 7)}))
	both := b.Ops("Loop", 2, []string{"", sum}, Body("body", &body.Graph), Constant("value", Tensor{Name: "c", Shape: []int{1}, Ints: []int64{-9}}))
	b.Output(Port{Name: "y", Type: Float, Shape: []Axis{Free("N"), Fixed(2)}}, both[1])
	return &Model{Graph: &b.Graph, Producer: "freshet", ProducerVersion: "1", Doc: "doc", Metadata: map[string]string{"b": "2", "a": "1"}}
}

func TestModelIsWrittenAsTheSchemaSays(t *testing.T) {
	content, err := testModel().Marshal()
	require.NoError(t, err)
	model := fields(t, content)
	require.EqualValues(t, 8, number(t, model[1][0]))
	require.Equal(t, "freshet", string(model[2][0]))
	require.EqualValues(t, 17, number(t, fields(t, model[8][0])[2][0]))
	require.Equal(t, "a", string(fields(t, model[14][0])[1][0]), "metadata in the order of its keys")
	require.Equal(t, "2", string(fields(t, model[14][1])[2][0]))

	graph := fields(t, model[7][0])
	require.Equal(t, "double", string(graph[2][0]))
	var ops []string
	for _, node := range graph[1] {
		ops = append(ops, string(fields(t, node)[4][0]))
	}
	require.Equal(t, []string{"Add", "Loop", "Identity"}, ops)

	add := fields(t, graph[1][0])
	require.Equal(t, [][]byte{[]byte("x"), []byte("weights")}, add[1])
	negative := fields(t, add[5][0])
	require.EqualValues(t, -3, number(t, negative[3][0]))
	require.EqualValues(t, 2, number(t, negative[20][0]))
	require.Equal(t, math.Float32bits(0.5), binary.LittleEndian.Uint32(fields(t, add[5][1])[2][0]))
	several := fields(t, add[5][2])
	require.Len(t, several[8], 2)
	require.EqualValues(t, -5, number(t, several[8][1]))

	loop := fields(t, graph[1][1])
	require.Empty(t, loop[1][0], "an optional input that is left out keeps its place")
	require.Len(t, loop[2], 2)
	inner := fields(t, fields(t, loop[5][0])[6][0])
	require.Equal(t, "body", string(inner[2][0]))
	require.Empty(t, inner[5], "a body's constants lie in the outermost graph")
	require.NotEqual(t, string(loop[2][0]), string(fields(t, inner[1][0])[2][0]), "names are given once in all graphs")

	require.Len(t, graph[5], 2)
	weights := fields(t, graph[5][0])
	require.Equal(t, "weights", string(weights[8][0]))
	require.EqualValues(t, 1, number(t, weights[1][0]))
	require.EqualValues(t, 2, number(t, weights[1][1]))
	require.Equal(t, math.Float32bits(-2.5), binary.LittleEndian.Uint32(weights[9][0][4:]))
}

func TestPortsSayTypeAndShape(t *testing.T) {
	content, err := testModel().Marshal()
	require.NoError(t, err)
	input := fields(t, fields(t, fields(t, content)[7][0])[11][0])
	require.Equal(t, "x", string(input[1][0]))
	require.Equal(t, "in", string(input[3][0]))
	tensor := fields(t, fields(t, input[2][0])[1][0])
	require.EqualValues(t, Float, number(t, tensor[1][0]))
	axes := fields(t, tensor[2][0])[1]
	require.Equal(t, "N", string(fields(t, axes[0])[2][0]))
	require.EqualValues(t, 2, number(t, fields(t, axes[1])[1][0]))
}

func TestConstantsOfOneNameAreWrittenOnce(t *testing.T) {
	b := NewBuilder("g")
	require.Equal(t, b.Scalar("half", 0.5), b.Body("inner").Scalar("half", 0.5))
	require.Len(t, b.Constants, 1)
}

func TestEqualModelsAreEqualBytes(t *testing.T) {
	first, err := testModel().Marshal()
	require.NoError(t, err)
	for range 20 { // maps are walked in another order each time
		again, err := testModel().Marshal()
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
}
