package onnx

import "fmt"

// Builder assembles a graph, naming values as it goes.
type Builder struct {
	Graph
	outer *Builder
	named int
}

// NewBuilder begins a graph.
func NewBuilder(name string) *Builder { return &Builder{Graph: Graph{Name: name}} }

// Body begins the body of a loop. Its constants go to the outermost graph, which bodies may read from, so that they are in the
// file once.
func (b *Builder) Body(name string) *Builder { return &Builder{Graph: Graph{Name: name}, outer: b} }

func (b *Builder) outermost() *Builder {
	for b.outer != nil {
		b = b.outer
	}
	return b
}

// Input declares an input and gives its name.
func (b *Builder) Input(p Port) string {
	b.Inputs = append(b.Inputs, p)
	return p.Name
}

// Output declares that value is an output, under the port's name.
func (b *Builder) Output(p Port, value string) {
	b.Outputs = append(b.Outputs, p)
	b.Nodes = append(b.Nodes, Node{Op: "Identity", Inputs: []string{value}, Outputs: []string{p.Name}})
}

// Floats adds a constant, whose values are shared and not copied.
func (b *Builder) Floats(name string, values []float32, shape ...int) string {
	return b.constant(Tensor{Name: name, Shape: shape, Floats: values})
}

// Scalar adds a constant of one value and no axes.
func (b *Builder) Scalar(name string, value float32) string {
	return b.constant(Tensor{Name: name, Floats: []float32{value}})
}

// Ints adds a constant of one axis.
func (b *Builder) Ints(name string, values ...int64) string {
	return b.constant(Tensor{Name: name, Shape: []int{len(values)}, Ints: values})
}

// Integer adds a constant of one integer and no axes.
func (b *Builder) Integer(name string, value int64) string {
	return b.constant(Tensor{Name: name, Ints: []int64{value}})
}

// constant adds a constant once: a later one of the same name is taken to be the same.
func (b *Builder) constant(t Tensor) string {
	top := b.outermost()
	for i := range top.Constants {
		if top.Constants[i].Name == t.Name {
			return t.Name
		}
	}
	top.Constants = append(top.Constants, t)
	return t.Name
}

// Op adds an operation of one output and gives the output's name.
func (b *Builder) Op(op string, inputs []string, attributes ...Attribute) string {
	return b.Ops(op, 1, inputs, attributes...)[0]
}

// Ops adds an operation of several outputs and gives their names.
func (b *Builder) Ops(op string, outputs int, inputs []string, attributes ...Attribute) []string {
	top := b.outermost()
	node := Node{Op: op, Inputs: inputs, Attributes: attributes}
	for range outputs {
		top.named++
		node.Outputs = append(node.Outputs, fmt.Sprintf("%s_%d", op, top.named))
	}
	b.Nodes = append(b.Nodes, node)
	return node.Outputs
}
