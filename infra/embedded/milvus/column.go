package milvus

import (
	"math"
	"strconv"

	"github.com/milvus-io/milvus-proto/go-api/v2/schemapb"
)

// column holds one field of all rows, row by row without gaps.
type column interface {
	// stage checks n rows as they came over the wire and returns how to store the jth of them as row; row may be one past the last.
	// It changes nothing itself, so that a batch whose third column is invalid leaves the first two alone.
	stage(data *schemapb.FieldData, n int) (put func(row, j int), err error)
	// move puts row from in place of row to, which is gone; both may be the same. truncate drops rows from n on.
	move(to, from int)
	truncate(n int)
	// output is the wire form of some rows.
	output(rows []int32) *schemapb.FieldData
}

func newColumn(f field) column {
	switch f.dataType {
	case schemapb.DataType_Bool:
		return &scalars[bool]{field: f, read: boolData, wrap: wrapBool}
	case schemapb.DataType_Int8, schemapb.DataType_Int16, schemapb.DataType_Int32:
		return &scalars[int32]{field: f, read: intData, wrap: wrapInt}
	case schemapb.DataType_Int64:
		return &scalars[int64]{field: f, read: longData, wrap: wrapLong}
	case schemapb.DataType_Float:
		return &scalars[float32]{field: f, read: floatData, wrap: wrapFloat}
	case schemapb.DataType_Double:
		return &scalars[float64]{field: f, read: doubleData, wrap: wrapDouble}
	case schemapb.DataType_VarChar:
		return &texts{field: f}
	case schemapb.DataType_Array:
		return &textArrays{field: f}
	default: // parseField lets nothing else through
		return &vectors{field: f}
	}
}

// scalars is a column of numbers or booleans.
type scalars[T any] struct {
	field
	values []T
	read   func(*schemapb.ScalarField) ([]T, bool)
	wrap   func([]T) *schemapb.ScalarField
}

func (c *scalars[T]) stage(data *schemapb.FieldData, n int) (func(row, j int), error) {
	values, ok := c.read(data.GetScalars())
	if !ok {
		return nil, typeMismatch(c.field, data)
	}
	if err := checkRows(c.field, len(values), n); err != nil {
		return nil, err
	}
	return func(row, j int) { c.values = put(c.values, row, values[j]) }, nil
}

func (c *scalars[T]) move(to, from int) { c.values[to] = c.values[from] }
func (c *scalars[T]) truncate(n int)    { c.values = c.values[:n] }

func (c *scalars[T]) output(rows []int32) *schemapb.FieldData {
	return scalarOutput(c.field, c.wrap(gather(c.values, rows)))
}

// texts is a column of strings, kept as numbers of a dictionary: a filter looks at each distinct string once.
type texts struct {
	field
	dict  dictionary
	codes []uint32
}

func (c *texts) stage(data *schemapb.FieldData, n int) (func(row, j int), error) {
	d, ok := data.GetScalars().GetData().(*schemapb.ScalarField_StringData)
	if !ok {
		return nil, typeMismatch(c.field, data)
	}
	values := d.StringData.GetData()
	if err := checkRows(c.field, len(values), n); err != nil {
		return nil, err
	}
	if err := checkLengths(c.field, values); err != nil {
		return nil, err
	}
	return func(row, j int) { c.codes = put(c.codes, row, c.dict.intern(values[j])) }, nil
}

func (c *texts) move(to, from int) { c.codes[to] = c.codes[from] }
func (c *texts) truncate(n int)    { c.codes = c.codes[:n] }

func (c *texts) output(rows []int32) *schemapb.FieldData {
	out := make([]string, len(rows))
	for i, r := range rows {
		out[i] = c.dict.strings[c.codes[r]]
	}
	return scalarOutput(c.field, wrapText(out))
}

// textArrays is a column of lists of strings, over a dictionary as well.
type textArrays struct {
	field
	dict dictionary
	rows [][]uint32
}

func (c *textArrays) stage(data *schemapb.FieldData, n int) (func(row, j int), error) {
	d, ok := data.GetScalars().GetData().(*schemapb.ScalarField_ArrayData)
	if !ok {
		return nil, typeMismatch(c.field, data)
	}
	values := d.ArrayData.GetData()
	if err := checkRows(c.field, len(values), n); err != nil {
		return nil, err
	}
	for i, v := range values {
		if _, ok := v.GetData().(*schemapb.ScalarField_StringData); !ok && v.GetData() != nil {
			return nil, invalidf("VarChar array", "other", "array element of field '%s' is illegal, type mismatch", c.name)
		}
		elements := v.GetStringData().GetData()
		if len(elements) > c.capacity {
			return nil, invalidf("valid length array", "array length exceeds max capacity",
				"the length (%d) of %dth array exceeds max capacity (%d)", len(elements), i, c.capacity)
		}
		if err := checkLengths(c.field, elements); err != nil {
			return nil, err
		}
	}
	return func(row, j int) {
		elements := values[j].GetStringData().GetData()
		codes := make([]uint32, len(elements))
		for i, e := range elements {
			codes[i] = c.dict.intern(e)
		}
		c.rows = put(c.rows, row, codes)
	}, nil
}

func (c *textArrays) move(to, from int) { c.rows[to] = c.rows[from] }

func (c *textArrays) truncate(n int) {
	clear(c.rows[n:])
	c.rows = c.rows[:n]
}

func (c *textArrays) output(rows []int32) *schemapb.FieldData {
	out := make([]*schemapb.ScalarField, len(rows))
	for i, r := range rows {
		elements := make([]string, len(c.rows[r]))
		for j, code := range c.rows[r] {
			elements[j] = c.dict.strings[code]
		}
		out[i] = wrapText(elements)
	}
	return scalarOutput(c.field, &schemapb.ScalarField{Data: &schemapb.ScalarField_ArrayData{
		ArrayData: &schemapb.ArrayArray{Data: out, ElementType: schemapb.DataType_VarChar},
	}})
}

// vectors is the column of embeddings, row-major: row i is data[i*dim : (i+1)*dim].
type vectors struct {
	field
	data []float32
}

func (c *vectors) stage(data *schemapb.FieldData, n int) (func(row, j int), error) {
	d, ok := data.GetVectors().GetData().(*schemapb.VectorField_FloatVector)
	if !ok {
		return nil, invalidf("need float vector", "got nil", "float vector field '%s' is illegal, array type mismatch", c.name)
	}
	values := d.FloatVector.GetData()
	if dim := int(data.GetVectors().GetDim()); dim != c.dim || len(values)%c.dim != 0 {
		return nil, unexpectedf("the length(%d) of float data should divide the dim(%d)", len(values), c.dim)
	}
	if err := checkRows(c.field, len(values)/c.dim, n); err != nil {
		return nil, err
	}
	if err := checkFinite(values); err != nil {
		return nil, err
	}
	return func(row, j int) {
		v := values[j*c.dim : (j+1)*c.dim]
		if row*c.dim == len(c.data) {
			c.data = append(c.data, v...)
			return
		}
		copy(c.row(row), v)
	}, nil
}

func (c *vectors) row(i int) []float32 { return c.data[i*c.dim : (i+1)*c.dim] }
func (c *vectors) move(to, from int)   { copy(c.row(to), c.row(from)) }
func (c *vectors) truncate(n int)      { c.data = c.data[:n*c.dim] }

func (c *vectors) output(rows []int32) *schemapb.FieldData {
	out := make([]float32, 0, len(rows)*c.dim)
	for _, r := range rows {
		out = append(out, c.row(int(r))...)
	}
	return &schemapb.FieldData{
		Type: c.dataType, FieldName: c.name, FieldId: c.id,
		Field: &schemapb.FieldData_Vectors{Vectors: &schemapb.VectorField{
			Dim: int64(c.dim), Data: &schemapb.VectorField_FloatVector{FloatVector: &schemapb.FloatArray{Data: out}},
		}},
	}
}

// dictionary numbers strings. It never forgets one, so its size is bounded by the distinct values that a column ever held.
type dictionary struct {
	codes   map[string]uint32
	strings []string
}

func (d *dictionary) intern(s string) uint32 {
	if code, ok := d.codes[s]; ok {
		return code
	}
	if d.codes == nil {
		d.codes = make(map[string]uint32)
	}
	code := uint32(len(d.strings))
	d.codes[s] = code
	d.strings = append(d.strings, s)
	return code
}

func put[T any](values []T, row int, v T) []T {
	if row == len(values) {
		return append(values, v)
	}
	values[row] = v
	return values
}

func gather[T any](values []T, rows []int32) []T {
	out := make([]T, len(rows))
	for i, r := range rows {
		out[i] = values[r]
	}
	return out
}

func checkRows(f field, got, want int) error {
	if got == want {
		return nil
	}
	return invalidf(strconv.Itoa(want), strconv.Itoa(got), "the num_rows (%d) of field (%s) is not equal to passed num_rows (%d)",
		got, f.name, want)
}

// checkLengths measures bytes, as Milvus does, not characters.
func checkLengths(f field, values []string) error {
	for i, v := range values {
		if len(v) > f.maxLength {
			return invalidf("valid length string", "string length exceeds max length",
				"the length (%d) of %dth string exceeds max length (%d)", len(v), i, f.maxLength)
		}
	}
	return nil
}

func checkFinite(values []float32) error {
	for _, v := range values {
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return unexpectedf("value '%v' is not a number or infinity", v)
		}
	}
	return nil
}

func typeMismatch(f field, data *schemapb.FieldData) error {
	return invalidf("need "+f.dataType.String(), "got "+data.GetType().String(),
		"field '%s' is illegal, array type mismatch", f.name)
}

func scalarOutput(f field, s *schemapb.ScalarField) *schemapb.FieldData {
	return &schemapb.FieldData{Type: f.dataType, FieldName: f.name, FieldId: f.id, Field: &schemapb.FieldData_Scalars{Scalars: s}}
}

func boolData(s *schemapb.ScalarField) ([]bool, bool) {
	_, ok := s.GetData().(*schemapb.ScalarField_BoolData)
	return s.GetBoolData().GetData(), ok
}

func intData(s *schemapb.ScalarField) ([]int32, bool) {
	_, ok := s.GetData().(*schemapb.ScalarField_IntData)
	return s.GetIntData().GetData(), ok
}

func longData(s *schemapb.ScalarField) ([]int64, bool) {
	_, ok := s.GetData().(*schemapb.ScalarField_LongData)
	return s.GetLongData().GetData(), ok
}

func floatData(s *schemapb.ScalarField) ([]float32, bool) {
	_, ok := s.GetData().(*schemapb.ScalarField_FloatData)
	return s.GetFloatData().GetData(), ok
}

func doubleData(s *schemapb.ScalarField) ([]float64, bool) {
	_, ok := s.GetData().(*schemapb.ScalarField_DoubleData)
	return s.GetDoubleData().GetData(), ok
}

func wrapBool(v []bool) *schemapb.ScalarField {
	return &schemapb.ScalarField{Data: &schemapb.ScalarField_BoolData{BoolData: &schemapb.BoolArray{Data: v}}}
}

func wrapInt(v []int32) *schemapb.ScalarField {
	return &schemapb.ScalarField{Data: &schemapb.ScalarField_IntData{IntData: &schemapb.IntArray{Data: v}}}
}

func wrapLong(v []int64) *schemapb.ScalarField {
	return &schemapb.ScalarField{Data: &schemapb.ScalarField_LongData{LongData: &schemapb.LongArray{Data: v}}}
}

func wrapFloat(v []float32) *schemapb.ScalarField {
	return &schemapb.ScalarField{Data: &schemapb.ScalarField_FloatData{FloatData: &schemapb.FloatArray{Data: v}}}
}

func wrapDouble(v []float64) *schemapb.ScalarField {
	return &schemapb.ScalarField{Data: &schemapb.ScalarField_DoubleData{DoubleData: &schemapb.DoubleArray{Data: v}}}
}

func wrapText(v []string) *schemapb.ScalarField {
	return &schemapb.ScalarField{Data: &schemapb.ScalarField_StringData{StringData: &schemapb.StringArray{Data: v}}}
}
