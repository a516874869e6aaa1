package onnx

import (
	"fmt"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protowire"
)

// The fields of a GraphProto, a NodeProto and a ValueInfoProto that names stand in.
const (
	graphNode        = 1
	graphInitializer = 5
	graphInput       = 11
	graphOutput      = 12
	graphValueInfo   = 13
	nodeInput        = 1
	nodeOutput       = 2
	nodeAttribute    = 5
	valueName        = 1
)

// named is a graph's names, in the order in which its messages stand.
type named struct {
	inputs, outputs, initializers []string
	nodes                         []namedNode
}

// namedNode is what a node reads, the bodies in it included, what it gives, and the bodies' own names.
type namedNode struct{ reads, gives, inner []string }

// namesOf takes the graph of a model apart.
func namesOf(model []byte) (n named, err error) {
	err = eachField(model, func(f field) error {
		if f.number != 7 {
			return nil
		}
		n, err = namesOfGraph(f.value, 0)
		return err
	})
	return n, err
}

func namesOfGraph(graph []byte, depth int) (n named, err error) {
	if depth > deepest {
		return n, errTooDeep
	}
	err = eachField(graph, func(f field) error {
		switch f.number {
		case graphNode:
			node, err := namesOfNode(f.value, depth)
			n.nodes = append(n.nodes, node)
			return err
		case graphInput:
			return addText(&n.inputs, f.value, valueName)
		case graphOutput:
			return addText(&n.outputs, f.value, valueName)
		case graphInitializer:
			return addText(&n.initializers, f.value, tensorName)
		}
		return nil
	})
	return n, err
}

// addText appends one field of a message, empty where it has none.
func addText(to *[]string, message []byte, number protowire.Number) error {
	text := ""
	err := eachField(message, func(f field) error {
		if f.number == number {
			text = string(f.value)
		}
		return nil
	})
	*to = append(*to, text)
	return err
}

func namesOfNode(node []byte, depth int) (n namedNode, err error) {
	err = eachField(node, func(f field) error {
		switch f.number {
		case nodeInput:
			n.reads = append(n.reads, string(f.value))
		case nodeOutput:
			n.gives = append(n.gives, string(f.value))
		case nodeAttribute:
			return eachField(f.value, func(f field) error {
				if inside[attributeMessage][f.number] != graphMessage {
					return nil
				}
				body, err := namesOfGraph(f.value, depth+1)
				n.reads = append(n.reads, body.outputs...)
				n.inner = slices.Concat(n.inner, body.inputs, body.initializers, body.outputs)
				for _, inside := range body.nodes {
					n.reads = append(n.reads, inside.reads...)
					n.inner = slices.Concat(n.inner, inside.gives, inside.inner)
				}
				return err
			})
		}
		return nil
	})
	return n, err
}

// Unread lists the inputs of a model that nothing in it reads. It was then exported as another model than was meant: PyTorch's
// exporter takes inputs whose examples are one tensor for one input.
func Unread(model []byte) ([]string, error) {
	n, err := namesOf(model)
	if err != nil {
		return nil, err
	}
	read := map[string]bool{}
	for _, name := range slices.Concat(n.initializers, n.outputs) { // weights may be listed as inputs, too
		read[name] = true
	}
	for _, node := range n.nodes {
		for _, name := range node.reads {
			read[name] = true
		}
	}
	return slices.DeleteFunc(n.inputs, func(name string) bool { return read[name] }), nil
}

// Mend renames what an exporter named twice: PyTorch's lets an output have the name of a value that the model had already, "embedding"
// for one that comes from an nn.Embedding, and no runtime takes such a model. What is meant is plain where the first is read before
// the second is made, and nothing but the output is read after; all else is refused.
func Mend(model []byte) ([]byte, error) {
	n, err := namesOf(model)
	if err != nil {
		return nil, err
	}
	given := map[string][]int{} // by which nodes
	for at, node := range n.nodes {
		for _, name := range node.gives {
			if name != "" { // an output that is left out
				given[name] = append(given[name], at)
			}
		}
	}
	for _, name := range slices.Concat(n.inputs, n.initializers) {
		if given[name] != nil {
			return nil, errTwice(name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(given)) {
		by := given[name]
		if len(by) < 2 {
			continue
		}
		if len(by) > 2 || !n.plain(name, by[0], by[1]) {
			return nil, errTwice(name)
		}
		fresh := name + "_before"
		for n.knows(fresh) || given[fresh] != nil {
			fresh += "_"
		}
		if model, err = rename(model, name, fresh, by[1]); err != nil {
			return nil, err
		}
	}
	return model, nil
}

// plain tells whether it is beyond doubt which of two values of one name each reader means.
func (n *named) plain(name string, first, second int) bool {
	if first == second || !slices.Contains(n.outputs, name) {
		return false
	}
	for at, node := range n.nodes {
		if at > second && slices.Contains(node.reads, name) || slices.Contains(node.inner, name) {
			return false
		}
	}
	return true
}

// knows tells whether a name stands anywhere but among what nodes give.
func (n *named) knows(name string) bool {
	return slices.Contains(n.inputs, name) || slices.Contains(n.initializers, name) || slices.Contains(n.outputs, name) ||
		slices.ContainsFunc(n.nodes, func(node namedNode) bool { return slices.Contains(node.inner, name) })
}

func errTwice(name string) error {
	return fmt.Errorf("two of its values are called %q, and which one is meant does not show: export it with other names (PyTorch: "+
		"output_names=[…]) and tell them (freshet import onnx --port ROLE=NAME)", name)
}

// rename calls a value of a model's graph otherwise up to the node that gives another of its name.
func rename(model []byte, name, fresh string, until int) ([]byte, error) {
	out, err := rewritten(model, func(out *message, f field) error {
		if f.number != 7 {
			out.append(f.whole)
			return nil
		}
		at := 0
		graph, err := rewritten(f.value, func(out *message, f field) error {
			switch f.number {
			case graphNode:
				node, err := renamedNode(f.value, name, fresh, at < until, 0)
				out.message(graphNode, node)
				at++
				return err
			case graphValueInfo: // says of which shape the one or the other is, and can be left out
				var names []string
				if err := addText(&names, f.value, valueName); err != nil || names[0] == name {
					return err
				}
			}
			out.append(f.whole)
			return nil
		})
		out.message(7, graph)
		return err
	})
	return slices.Concat(out.parts...), err
}

// renamedNode renames what a node reads, the second giver included, and, unless it is that, what it gives.
func renamedNode(node []byte, name, fresh string, gives bool, depth int) (message, error) {
	return rewritten(node, func(out *message, f field) error {
		switch {
		case f.number == nodeInput && string(f.value) == name, f.number == nodeOutput && gives && string(f.value) == name:
			out.bytes(f.number, []byte(fresh))
		case f.number == nodeAttribute:
			attribute, err := renamedAttribute(f.value, name, fresh, depth)
			out.message(nodeAttribute, attribute)
			return err
		default:
			out.append(f.whole)
		}
		return nil
	})
}

// renamedAttribute renames what bodies read of the graph around them.
func renamedAttribute(attribute []byte, name, fresh string, depth int) (message, error) {
	if depth > deepest {
		return message{}, errTooDeep
	}
	return rewritten(attribute, func(out *message, f field) error {
		if inside[attributeMessage][f.number] != graphMessage {
			out.append(f.whole)
			return nil
		}
		graph, err := rewritten(f.value, func(out *message, f field) error {
			if f.number != graphNode {
				out.append(f.whole)
				return nil
			}
			node, err := renamedNode(f.value, name, fresh, false, depth+1)
			out.message(graphNode, node)
			return err
		})
		out.message(f.number, graph)
		return err
	})
}

// rewritten is a message each of whose fields was copied, changed or left out.
func rewritten(content []byte, each func(out *message, f field) error) (out message, err error) {
	err = eachField(content, func(f field) error { return each(&out, f) })
	return out, err
}
