package onnx

// The versions that every model says it is written for. ONNX Runtime 1.12 and later, and converters of that time, read them.
const (
	IRVersion = 8
	Opset     = 17
)

// Type is the type of a tensor's elements, numbered as in TensorProto.DataType.
type Type int32

// The types that towers use.
const (
	Float Type = 1
	Int64 Type = 7
)

// Axis is one axis of a shape: Size values long, or, when Size is 0, free, with a name that ties equal ones together.
type Axis struct {
	Size int
	Name string
}

// Free is an axis whose length each call chooses.
func Free(name string) Axis { return Axis{Name: name} }

// Fixed is an axis of a length that the model decides.
func Fixed(size int) Axis { return Axis{Size: size} }

// Port is an input or an output of a graph.
type Port struct {
	Name  string
	Type  Type
	Shape []Axis
	// Doc tells users of the model what goes in or comes out.
	Doc string
}

// Tensor is a constant: Floats or Ints, row-major, of a shape that may be empty for a scalar.
type Tensor struct {
	Name   string
	Shape  []int
	Floats []float32
	Ints   []int64
}

// Attribute is a parameter of a node: exactly one of Int, Ints, Float, Constant and Graph counts, by the constructor that made it.
type Attribute struct {
	name     string
	kind     attributeKind
	integers []int64
	float    float32
	constant Tensor
	graph    *Graph
}

type attributeKind uint64

// Numbered as in AttributeProto.AttributeType.
const (
	floatAttribute  attributeKind = 1
	intAttribute    attributeKind = 2
	tensorAttribute attributeKind = 4
	graphAttribute  attributeKind = 5
	intsAttribute   attributeKind = 7
)

// Int is an integer attribute.
func Int(name string, value int64) Attribute {
	return Attribute{name: name, kind: intAttribute, integers: []int64{value}}
}

// Ints is an attribute of several integers.
func Ints(name string, values ...int64) Attribute {
	return Attribute{name: name, kind: intsAttribute, integers: values}
}

// Real is a float attribute.
func Real(name string, value float32) Attribute {
	return Attribute{name: name, kind: floatAttribute, float: value}
}

// Constant is a tensor attribute.
func Constant(name string, value Tensor) Attribute {
	return Attribute{name: name, kind: tensorAttribute, constant: value}
}

// Body is an attribute that is a graph, such as a loop's.
func Body(name string, body *Graph) Attribute {
	return Attribute{name: name, kind: graphAttribute, graph: body}
}

// Node is one operation. Values are known by their names; each name is given once in a graph and those around it.
type Node struct {
	Op              string
	Inputs, Outputs []string
	Attributes      []Attribute
}

// Graph is operations in an order in which each finds its inputs. A body may also read values of the graph around it.
type Graph struct {
	Name            string
	Inputs, Outputs []Port
	Constants       []Tensor
	Nodes           []Node
}

// Model is a graph with what a reader wants to know about it.
type Model struct {
	Graph *Graph
	// Producer is the program that made the model.
	Producer, ProducerVersion string
	Doc                       string
	// Metadata is kept by runtimes and shown by viewers.
	Metadata map[string]string
}
