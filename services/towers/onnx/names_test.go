package onnx

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// namedModel is a model of these nodes: what each reads, and what it gives.
func namedModel(t *testing.T, inputs, outputs []string, nodes ...Node) []byte {
	t.Helper()
	g := &Graph{Name: "named", Nodes: nodes, Constants: []Tensor{{Name: "weights", Shape: []int{1}, Floats: []float32{1}}}}
	for _, name := range inputs {
		g.Inputs = append(g.Inputs, Port{Name: name, Type: Float, Shape: []Axis{Free("N")}})
	}
	for _, name := range outputs {
		g.Outputs = append(g.Outputs, Port{Name: name, Type: Float, Shape: []Axis{Free("N")}})
	}
	content, err := (&Model{Graph: g}).Marshal()
	require.NoError(t, err)
	return content
}

func node(op string, reads []string, gives ...string) Node {
	return Node{Op: op, Inputs: reads, Outputs: gives}
}

// with adds a body to a node.
func (n Node) with(body *Graph) Node {
	n.Attributes = append(n.Attributes, Body("body", body))
	return n
}

func flow(t *testing.T, model []byte) (all [][]string) {
	t.Helper()
	n, err := namesOf(model)
	require.NoError(t, err)
	for _, node := range n.nodes {
		all = append(all, append(append(append([]string{}, node.reads...), "->"), node.gives...))
	}
	return all
}

func TestOutputsNamedTwiceAreMended(t *testing.T) {
	x, embedding := []string{"x"}, []string{"embedding"}
	body := &Graph{Name: "body", Nodes: []Node{node("Neg", embedding, "inner")}, Outputs: []Port{{Name: "inner"}}}
	model := namedModel(t, x, embedding,
		node("Gather", []string{"weights", "x"}, "embedding", ""), node("Add", []string{"x", "embedding"}, "sum"),
		node("If", []string{"sum"}, "embedding_before").with(body), node("Mul", []string{"embedding_before", "embedding"}, "embedding"),
		node("Neg", []string{"sum"}, "unused"))
	mended, err := Mend(model)
	require.NoError(t, err)
	require.Equal(t, [][]string{
		{"weights", "x", "->", "embedding_before_", ""}, {"x", "embedding_before_", "->", "sum"},
		{"sum", "inner", "embedding_before_", "->", "embedding_before"},
		{"embedding_before", "embedding_before_", "->", "embedding"}, {"sum", "->", "unused"},
	}, flow(t, mended))
	again, err := Mend(mended)
	require.NoError(t, err)
	require.Equal(t, mended, again)

	model, err = testModel().Marshal()
	require.NoError(t, err)
	again, err = Mend(model)
	require.NoError(t, err)
	require.Equal(t, model, again, "what has nothing twice stays as it is")
}

func TestNamesThatCanMeanEitherAreRefused(t *testing.T) {
	x, y := []string{"x"}, []string{"y"}
	body := &Graph{Name: "body", Nodes: []Node{node("Neg", x, "y")}, Outputs: []Port{{Name: "y"}}}
	for name, model := range map[string][]byte{
		"read after both":             namedModel(t, x, y, node("Neg", x, "y"), node("Abs", x, "y"), node("Abs", y, "z")),
		"given by one node":           namedModel(t, x, y, node("Split", x, "y", "y")),
		"three of them":               namedModel(t, x, y, node("Neg", x, "y"), node("Neg", y, "y"), node("Neg", y, "y")),
		"no output":                   namedModel(t, x, []string{"z"}, node("Neg", x, "y"), node("Neg", y, "y"), node("Neg", x, "z")),
		"an output like an input":     namedModel(t, y, y, node("Neg", y, "y")),
		"a body's own":                namedModel(t, x, y, node("Neg", x, "y"), node("If", y, "z").with(body), node("Neg", y, "y")),
		"an output like some weights": namedModel(t, x, y, node("Neg", x, "weights"), node("Neg", x, "y")),
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Mend(model)
			require.ErrorContains(t, err, "two of its values are called ")
			require.ErrorContains(t, err, "export it with other names (PyTorch: output_names=[…])")
		})
	}
}

func TestInputsThatNothingReads(t *testing.T) {
	ins := []string{"kind", "gap", "weights", "state", "item"}
	body := &Graph{Name: "body", Nodes: []Node{node("Neg", []string{"gap"}, "inner")}, Outputs: []Port{{Name: "inner"}}}
	unread, err := Unread(namedModel(t, ins, []string{"y", "state"}, node("If", []string{"item"}, "y").with(body)))
	require.NoError(t, err)
	require.Equal(t, []string{"kind"}, unread, "one in a body, an output at once and a weight that is listed are read")
	_, err = Unread([]byte("text"))
	require.ErrorContains(t, err, "it is no ONNX model")
}

// FuzzMend holds that names are given once in what comes out.
func FuzzMend(f *testing.F) {
	model, err := testModel().Marshal()
	require.NoError(f, err)
	f.Add(model)
	g := &Graph{Name: "g", Inputs: []Port{{Name: "x"}}, Outputs: []Port{{Name: "y"}}}
	g.Nodes = []Node{node("Neg", []string{"x"}, "y"), node("Neg", []string{"y"}, "y")}
	model, err = (&Model{Graph: g}).Marshal()
	require.NoError(f, err)
	f.Add(model)
	f.Fuzz(func(t *testing.T, content []byte) {
		mended, err := Mend(content)
		if err != nil {
			return
		}
		again, err := Mend(mended)
		require.NoError(t, err)
		require.Equal(t, mended, again)
		_, err = Unread(mended)
		require.NoError(t, err)
	})
}
