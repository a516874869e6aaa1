package interchange

import (
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/onnx"
)

// itemGraph is vector = ids[id] + mean of content[token] over the tokens that are not 0.
func itemGraph(w *towers.ItemWeights) *onnx.Graph {
	b := onnx.NewBuilder("item_tower")
	rows := onnx.Free("N")
	id := b.Input(onnx.Port{Name: "id", Type: onnx.Int64, Shape: []onnx.Axis{rows},
		Doc: "Row of the item's id: 1 + its index in ids, 0 for an item that is not there."})
	tokens := b.Input(onnx.Port{Name: "tokens", Type: onnx.Int64, Shape: []onnx.Axis{rows, onnx.Free("T")},
		Doc: "Rows of the item's tokens, each once: 1 + its index in tokens, 0 behind the last one."})

	known := b.Op("Gather", []string{b.Floats("ids", withEmptyRow(w.ID, w.Dim), len(w.IDs)+1, w.Dim), id})
	content := b.Op("Gather", []string{b.Floats("content", withEmptyRow(w.Content, w.Dim), len(w.Tokens)+1, w.Dim), tokens})
	along := b.Ints("axis_of_tokens", 1)
	sum := b.Op("ReduceSum", []string{content, along}, onnx.Int("keepdims", 0))
	counted := b.Op("Cast", []string{b.Op("Min", []string{tokens, b.Integer("one_token", 1)})}, onnx.Int("to", int64(onnx.Float)))
	count := b.Op("ReduceSum", []string{counted, along}, onnx.Int("keepdims", 1))
	mean := b.Op("Div", []string{sum, b.Op("Max", []string{count, b.Scalar("at_least_one", 1)})})
	b.Output(onnx.Port{Name: "vector", Type: onnx.Float, Shape: []onnx.Axis{rows, onnx.Fixed(w.Dim)},
		Doc: "What the index holds of the item, and what moves a user who chose it."}, b.Op("Add", []string{known, mean}))
	return &b.Graph
}

// withEmptyRow puts a row of zeros before a table, for "none".
func withEmptyRow(table []float32, dim int) []float32 {
	return append(make([]float32, dim, dim+len(table)), table...)
}
