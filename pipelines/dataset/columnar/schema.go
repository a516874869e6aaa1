package columnar

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go/deprecated"
	"github.com/parquet-go/parquet-go/format"
)

// leaf is a column as the file stores it: one kind of value, with levels that say where lists begin and where something is null
// (Dremel, Melnik et al., VLDB 2010).
type leaf struct {
	name    string
	index   int
	kind    format.Type
	convert conversion
	// mostDefined is the definition level of a value that is there, listDefined that of an element, null or not, of the list
	// that it lies in; mostRepeated is 1 in a list.
	mostDefined, mostRepeated, listDefined int
}

// column is one field of the schema's root.
type column struct {
	name   string
	shape  Shape
	leaves []*leaf // two for a map, keys first
	// problem says why it cannot be read.
	problem error
}

const (
	mostColumns = 10_000
	mostDepth   = 16
)

// schemaReader takes the flat list of a schema's nodes apart, which stand depth first.
type schemaReader struct {
	rest   []format.SchemaElement
	leaves int
}

// columnsOf reads the schema of a footer.
func columnsOf(nodes []format.SchemaElement) ([]*column, int, error) {
	if len(nodes) == 0 || len(nodes) > mostColumns {
		return nil, 0, fmt.Errorf("the schema has %d nodes: give 1 to %d", len(nodes), mostColumns)
	}
	r := schemaReader{rest: nodes[1:]}
	fields := nodes[0].NumChildren.V
	var columns []*column
	for range fields {
		if len(r.rest) == 0 {
			return nil, 0, errSchema
		}
		c := &column{name: r.rest[0].Name}
		if err := r.node(c, leaf{name: c.name}, 0); err != nil {
			return nil, 0, err
		}
		c.settle()
		columns = append(columns, c)
	}
	if len(r.rest) > 0 {
		return nil, 0, errSchema
	}
	return columns, r.leaves, nil
}

var errSchema = errors.New("the schema does not have the nodes that it says")

// node reads one node and what lies beneath it; at is the leaf as far as the nodes above tell.
func (r *schemaReader) node(c *column, at leaf, depth int) error {
	if len(r.rest) == 0 || depth > mostDepth {
		return errSchema
	}
	node := &r.rest[0]
	r.rest = r.rest[1:]
	switch node.RepetitionType.V {
	case format.Optional:
		at.mostDefined++
	case format.Repeated:
		at.mostDefined++
		at.mostRepeated++
		at.listDefined = at.mostDefined
	}
	if !node.Type.Valid {
		for range node.NumChildren.V {
			if err := r.node(c, at, depth+1); err != nil {
				return err
			}
		}
		return nil
	}
	at.index, at.kind = r.leaves, node.Type.V
	r.leaves++
	convert, err := conversionOf(node)
	if err != nil && c.problem == nil {
		c.problem = err
	}
	at.convert = convert
	c.leaves = append(c.leaves, &at)
	return nil
}

// settle finds out whether the column is a value, a list, or a map.
func (c *column) settle() {
	repeated := 0
	for _, l := range c.leaves {
		repeated = max(repeated, l.mostRepeated)
	}
	switch {
	case c.problem != nil:
	case len(c.leaves) == 1 && repeated == 0:
		c.shape = Scalar
	case len(c.leaves) == 1 && repeated == 1:
		c.shape = List
	case len(c.leaves) == 2 && repeated == 1 && c.leaves[0].mostRepeated == 1 && c.leaves[1].mostRepeated == 1:
		c.shape = Map
	default:
		c.problem = errors.New("it is neither a plain value, nor a list of them, nor a map")
	}
}

// conversion makes a Value of what the file stores.
type conversion uint8

const (
	asIs conversion = iota
	asDays
	asMillis
	asMicros
	asNanos
	asUnsigned
)

// conversionOf goes by the annotations of a node, new and old.
func conversionOf(node *format.SchemaElement) (conversion, error) {
	unreadable := func(what string) (conversion, error) {
		return asIs, fmt.Errorf("its type is %s: write it as a string, a number, a boolean, or a timestamp", what)
	}
	switch node.Type.V {
	case format.Boolean, format.Int32, format.Int64, format.Int96, format.Float, format.Double, format.ByteArray:
	default:
		return unreadable(strings.ToLower(node.Type.V.String()))
	}
	switch t := node.LogicalType.Value.(type) {
	case *format.TimestampType:
		return timestampOf(t)
	case *format.DateType:
		return asDays, nil
	case *format.IntType:
		if !t.IsSigned {
			return asUnsigned, nil
		}
		return asIs, nil
	case *format.DecimalType, *format.TimeType, *format.BsonType, *format.UUIDType, *format.Float16Type:
		return unreadable(t.String())
	}
	if !node.ConvertedType.Valid {
		return asIs, nil
	}
	switch node.ConvertedType.V {
	case deprecated.TimestampMillis:
		return asMillis, nil
	case deprecated.TimestampMicros:
		return asMicros, nil
	case deprecated.Date:
		return asDays, nil
	case deprecated.Uint8, deprecated.Uint16, deprecated.Uint32, deprecated.Uint64:
		return asUnsigned, nil
	case deprecated.Decimal, deprecated.TimeMillis, deprecated.TimeMicros, deprecated.Bson, deprecated.Interval:
		return unreadable("an old decimal, time, BSON or interval")
	}
	return asIs, nil
}

func timestampOf(t *format.TimestampType) (conversion, error) {
	if t.Unit.Value == nil {
		return asIs, errors.New("its type is a timestamp without a unit")
	}
	switch t.Unit.Value.Duration() {
	case time.Millisecond:
		return asMillis, nil
	case time.Microsecond:
		return asMicros, nil
	default:
		return asNanos, nil
	}
}

const msADay = 24 * 60 * 60 * 1000

// number converts an integer that the file stores in so many bits.
func (c conversion) number(v int64, bits int) (Value, error) {
	switch c {
	case asDays:
		return Value{Kind: Time, Int: v * msADay}, nil // of an int32
	case asMillis:
		return Value{Kind: Time, Int: v}, nil
	case asMicros:
		return Value{Kind: Time, Int: floorDiv(v, 1000)}, nil
	case asNanos:
		return Value{Kind: Time, Int: floorDiv(v, 1_000_000)}, nil
	case asUnsigned:
		if bits == 32 {
			v = int64(uint32(v))
		}
		if v < 0 {
			return Value{}, fmt.Errorf("the number %d is larger than any that can be read", uint64(v))
		}
	}
	return Value{Kind: Int, Int: v}, nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}
