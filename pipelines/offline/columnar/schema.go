package columnar

import (
	"errors"
	"fmt"
	"strings"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// leaf is a column as the file stores it: one kind of value, with levels that say where lists begin and where something is null
// (Dremel, Melnik et al., VLDB 2010).
type leaf struct {
	name  string
	index int
	kind  format.Type
	width int // bytes of a value, 0 where each has its own
	logical
	// mostDefined is the definition level of a value that is there, listDefined that of an element, null or not, of the list
	// that it lies in, and rootDefined that of the whole column; mostRepeated is 1 in a list.
	mostDefined, mostRepeated, listDefined, rootDefined int
	// repeatedNode is the node that makes it a list, and depth says how many nodes lie above it.
	repeatedNode, depth int
}

// column is one field of the schema's root.
type column struct {
	name   string
	shape  Shape
	leaves []*leaf // two for a map, keys first; those of a struct
	fields []Value // the names of a struct's fields
	pairs  bool    // it is marked as a map
	// problem says why it cannot be read.
	problem error
}

const (
	mostColumns = 10_000
	mostDepth   = 16
)

// schemaReader takes the flat list of a schema's nodes apart, which stand depth first.
type schemaReader struct {
	nodes  []format.SchemaElement
	next   int
	leaves int
}

// columnsOf reads the schema of a footer.
func columnsOf(nodes []format.SchemaElement) ([]*column, int, error) {
	if len(nodes) == 0 || len(nodes) > mostColumns {
		return nil, 0, fmt.Errorf("the schema has %d nodes: give 1 to %d", len(nodes), mostColumns)
	}
	r := schemaReader{nodes: nodes, next: 1}
	var columns []*column
	for range nodes[0].NumChildren.V {
		if r.next == len(nodes) {
			return nil, 0, errSchema
		}
		root := &nodes[r.next]
		c := &column{name: root.Name, pairs: isMap(root)}
		if err := r.node(c, leaf{}, 0); err != nil {
			return nil, 0, err
		}
		c.settle()
		columns = append(columns, c)
	}
	if r.next < len(nodes) {
		return nil, 0, errSchema
	}
	return columns, r.leaves, nil
}

var errSchema = errors.New("the schema does not have the nodes that it says")

// node reads one node and what lies beneath it; at is the leaf as far as the nodes above tell.
func (r *schemaReader) node(c *column, at leaf, depth int) error {
	if r.next == len(r.nodes) || depth > mostDepth {
		return errSchema
	}
	node := &r.nodes[r.next]
	switch node.RepetitionType.V {
	case format.Optional:
		at.mostDefined++
	case format.Repeated:
		at.mostDefined++
		at.mostRepeated++
		at.listDefined, at.repeatedNode = at.mostDefined, r.next
	}
	if depth == 0 {
		at.rootDefined = at.mostDefined
	}
	r.next++
	if !node.Type.Valid {
		if t, ok := node.LogicalType.Value.(*format.VariantType); ok && c.problem == nil {
			c.problem = unreadable(t.String())
		}
		for range node.NumChildren.V {
			if err := r.node(c, at, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	at.name, at.index, at.kind, at.depth = node.Name, r.leaves, node.Type.V, depth
	r.leaves++
	if err := at.interpret(node); err != nil && c.problem == nil {
		c.problem = err
	}
	c.leaves = append(c.leaves, &at)
	return nil
}

func isMap(node *format.SchemaElement) bool {
	if _, ok := node.LogicalType.Value.(*format.MapType); ok {
		return true
	}
	converted, ok := node.ConvertedType.Get()
	return ok && (converted == deprecated.Map || converted == deprecated.MapKeyValue)
}

// settle finds out whether the column is a value, a list, a map, or a struct.
func (c *column) settle() {
	repeated, deepest := 0, 0
	for _, l := range c.leaves {
		repeated, deepest = max(repeated, l.mostRepeated), max(deepest, l.depth)
	}
	switch {
	case c.problem != nil:
	case len(c.leaves) == 1 && repeated == 0 && deepest == 0:
		c.shape = Scalar
	case len(c.leaves) == 1 && repeated == 1:
		c.shape = List
	case len(c.leaves) == 2 && repeated == 1 && c.leaves[0].repeatedNode == c.leaves[1].repeatedNode && c.isPairs():
		c.shape = Map
	case len(c.leaves) > 0 && repeated == 0 && deepest == 1:
		c.shape = Map
		for _, l := range c.leaves {
			c.fields = append(c.fields, Value{Kind: Text, Text: []byte(l.name)})
		}
	default:
		c.problem = errors.New("it is neither a plain value, nor a list, a map or a struct of them: write it as one of these, or as JSON text")
	}
}

// isPairs tells a map from a list of structs that have two fields. Not all writers mark maps.
func (c *column) isPairs() bool {
	return c.pairs || strings.EqualFold(c.leaves[0].name, "key") && strings.EqualFold(c.leaves[1].name, "value")
}

// describe says what the column is.
func (c *column) describe() Column {
	d := Column{Name: c.name, Shape: c.shape, Problem: c.problem}
	if c.problem != nil {
		return d
	}
	last := c.leaves[len(c.leaves)-1]
	d.Kind, d.JSON, d.Local, d.Type = last.value, last.json, last.local, last.words
	switch {
	case c.fields != nil:
		d.Type = c.describeStruct()
		for _, l := range c.leaves {
			if l.value != d.Kind {
				d.Kind = Null
			}
			d.JSON, d.Local = d.JSON && l.json, d.Local || l.local
		}
	case c.shape == List:
		d.Type = "list of " + last.words
	case c.shape == Map:
		d.Type = fmt.Sprintf("map of %s to %s", c.leaves[0].words, last.words)
	}
	return d
}

func (c *column) describeStruct() string {
	const most = 8
	var fields []string
	for i, l := range c.leaves {
		if i == most {
			fields = append(fields, fmt.Sprintf("and %d more", len(c.leaves)-most))
			break
		}
		fields = append(fields, fmt.Sprintf("%s (%s)", l.name, l.words))
	}
	return "struct of " + strings.Join(fields, ", ")
}
