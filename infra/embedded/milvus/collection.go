package milvus

import (
	"sync"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v2/schemapb"
)

// collection is the rows of one collection. Its methods expect that the caller holds mu: for reading those that only look, for
// writing upsert and remove.
type collection struct {
	id          int64
	schema      *schemapb.CollectionSchema // name, numbered fields; never changed
	shards      int32
	consistency commonpb.ConsistencyLevel

	mu      sync.RWMutex
	loaded  bool
	index   *index // of the vector field; nil while there is none
	fields  []field
	columns []column
	byName  map[string]int
	keys    *keys
	vectors *vectors
}

// index is what CreateIndex was told. Search is exact all the same; only the metric counts.
type index struct {
	id     int64
	name   string
	params map[string]string
	metric string
}

func newCollection(schema *schemapb.CollectionSchema, id int64) (*collection, error) {
	fields, pk, err := parseSchema(schema)
	if err != nil {
		return nil, err
	}
	c := &collection{id: id, schema: schema, fields: fields, byName: make(map[string]int, len(fields))}
	for i, f := range fields {
		c.byName[f.name] = i
		if i == pk {
			c.keys = &keys{field: f, index: make(map[string]int32)}
			c.columns = append(c.columns, c.keys)
			continue
		}
		col := newColumn(f)
		if v, ok := col.(*vectors); ok {
			c.vectors = v
		}
		c.columns = append(c.columns, col)
	}
	return c, nil
}

func (c *collection) rows() int { return len(c.keys.values) }

// upsert stores n rows, each in place of the row of its key. Of two rows with one key the later stays. It returns the keys; an
// error changes nothing.
func (c *collection) upsert(data []*schemapb.FieldData, n int) ([]string, error) {
	byName := make(map[string]*schemapb.FieldData, len(data))
	for _, d := range data {
		byName[d.GetFieldName()] = d
	}
	if len(data) != len(c.fields) || len(byName) != len(c.fields) {
		return nil, statusErrorf(codeInvalidParameter,
			"the number of fields is less than needed: invalid parameter[expected=%d][actual=%d]", len(c.fields), len(data))
	}
	puts := make([]func(row, j int), len(c.fields))
	for i, f := range c.fields {
		d, ok := byName[f.name]
		if !ok {
			return nil, statusErrorf(codeInvalidParameter, "field %s has not been passed: invalid parameter", f.name)
		}
		put, err := c.columns[i].stage(d, n)
		if err != nil {
			return nil, err
		}
		puts[i] = put
	}
	ids := byName[c.keys.name].GetScalars().GetStringData().GetData()
	for j, id := range ids {
		row, ok := c.keys.index[id]
		if !ok {
			row = int32(c.rows())
		}
		for _, put := range puts {
			put(int(row), j)
		}
	}
	return ids, nil
}

// remove deletes the rows of the set; the last rows move into the gaps, so that columns stay dense.
func (c *collection) remove(rows bitset) int {
	removed := rows.count()
	if removed == 0 {
		return 0
	}
	last := c.rows() - 1
	// From the end, so that what moves into a gap is always a row that stays.
	for row := last; row >= 0; row-- {
		if !rows.has(row) {
			continue
		}
		for _, col := range c.columns {
			col.move(row, last)
			col.truncate(last)
		}
		last--
	}
	return removed
}

// keys is the primary key's column with the row of each key.
type keys struct {
	field
	values []string
	index  map[string]int32
}

func (k *keys) stage(data *schemapb.FieldData, n int) (func(row, j int), error) {
	d, ok := data.GetScalars().GetData().(*schemapb.ScalarField_StringData)
	if !ok {
		return nil, typeMismatch(k.field, data)
	}
	values := d.StringData.GetData()
	if err := checkRows(k.field, len(values), n); err != nil {
		return nil, err
	}
	if err := checkLengths(k.field, values); err != nil {
		return nil, err
	}
	return func(row, j int) {
		k.values = put(k.values, row, values[j])
		k.index[values[j]] = int32(row)
	}, nil
}

func (k *keys) move(to, from int) {
	delete(k.index, k.values[to])
	if to != from {
		k.values[to] = k.values[from]
		k.index[k.values[to]] = int32(to)
	}
}

func (k *keys) truncate(n int) { k.values = k.values[:n] }

func (k *keys) output(rows []int32) *schemapb.FieldData {
	return scalarOutput(k.field, wrapText(gather(k.values, rows)))
}
