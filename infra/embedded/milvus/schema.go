package milvus

import (
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/milvus-io/milvus-proto/go-api/v2/commonpb"
	"github.com/milvus-io/milvus-proto/go-api/v2/schemapb"
)

// Limits of Milvus 2.3.
const (
	maxVarChar   = 65535
	maxCapacity  = 4096
	maxDimension = 32768
	maxName      = 255
	firstFieldID = 100
)

var validName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// field is one column's part of a schema.
type field struct {
	id        int64
	name      string
	dataType  schemapb.DataType
	dim       int // FLOAT_VECTOR
	maxLength int // VARCHAR, and the strings of an ARRAY, in bytes
	capacity  int // ARRAY
}

// checkName applies Milvus's rules for the names of collections and aliases.
func checkName(kind, name string) error {
	switch {
	case name == "":
		return statusErrorf(codeInvalidParameter,
			"Invalid %s name: %s. the %s name should be not empty: invalid parameter", kind, name, kind)
	case len(name) > maxName:
		return statusErrorf(codeInvalidParameter,
			"Invalid %s name: %s. the length of a %s name must be less than %d characters: invalid parameter", kind, name, kind, maxName)
	case !validName.MatchString(name):
		return statusErrorf(codeInvalidParameter,
			"Invalid %s name: %s. %s name can only contain numbers, letters and underscores: invalid parameter", kind, name, kind)
	}
	return nil
}

// parseSchema checks schema, numbers its fields and returns them in order; pk is the primary key's place.
func parseSchema(schema *schemapb.CollectionSchema) (fields []field, pk int, err error) {
	if schema.GetEnableDynamicField() {
		return nil, 0, unexpectedf("dynamic fields are not supported by the embedded server")
	}
	pk = -1
	vectors := 0
	seen := make(map[string]bool)
	for i, fs := range schema.GetFields() {
		f, err := parseField(fs)
		if err != nil {
			return nil, 0, err
		}
		if seen[f.name] {
			return nil, 0, statusErrorf(codeInvalidParameter, "duplicated field name: %s: invalid parameter", f.name)
		}
		seen[f.name] = true
		// The SDK writes them in random order, and the same schema twice must be the same schema.
		slices.SortFunc(fs.TypeParams, func(a, b *commonpb.KeyValuePair) int { return strings.Compare(a.GetKey(), b.GetKey()) })
		fs.FieldID = firstFieldID + int64(i)
		f.id = fs.FieldID
		if fs.GetIsPrimaryKey() {
			if pk >= 0 {
				return nil, 0, unexpectedf("there are more than one primary key, field name = %s, %s", fields[pk].name, f.name)
			}
			if f.dataType != schemapb.DataType_VarChar {
				return nil, 0, unexpectedf("the embedded server supports only VarChar as primary key, field name = %s", f.name)
			}
			pk = i
		}
		if f.dataType == schemapb.DataType_FloatVector {
			vectors++
		}
		fields = append(fields, f)
	}
	if pk < 0 {
		return nil, 0, unexpectedf("primary key is not specified")
	}
	if vectors != 1 {
		return nil, 0, unexpectedf("the schema must have exactly one vector field, but has %d", vectors)
	}
	return fields, pk, nil
}

func parseField(fs *schemapb.FieldSchema) (field, error) {
	f := field{name: fs.GetName(), dataType: fs.GetDataType()}
	if !validName.MatchString(f.name) {
		return f, statusErrorf(codeInvalidParameter, "Invalid field name: %s: invalid parameter", f.name)
	}
	if fs.GetAutoID() || fs.GetIsDynamic() || fs.GetIsPartitionKey() {
		return f, unexpectedf("field %s: auto id, dynamic fields and partition keys are not supported by the embedded server", f.name)
	}
	params := keyValues(fs.GetTypeParams())
	var err error
	switch f.dataType {
	case schemapb.DataType_Bool, schemapb.DataType_Int8, schemapb.DataType_Int16, schemapb.DataType_Int32,
		schemapb.DataType_Int64, schemapb.DataType_Float, schemapb.DataType_Double:
	case schemapb.DataType_VarChar:
		f.maxLength, err = intParam(f.name, params, "max_length", maxVarChar)
	case schemapb.DataType_FloatVector:
		f.dim, err = intParam(f.name, params, "dim", maxDimension)
	case schemapb.DataType_Array:
		if fs.GetElementType() != schemapb.DataType_VarChar {
			return f, unexpectedf("field %s: arrays of %s are not supported by the embedded server", f.name, fs.GetElementType())
		}
		if f.maxLength, err = intParam(f.name, params, "max_length", maxVarChar); err == nil {
			f.capacity, err = intParam(f.name, params, "max_capacity", maxCapacity)
		}
	default:
		return f, unexpectedf("field %s: type %s is not supported by the embedded server", f.name, f.dataType)
	}
	return f, err
}

func intParam(name string, params map[string]string, key string, most int) (int, error) {
	text, ok := params[key]
	if !ok {
		return 0, unexpectedf("type param(%s) should be specified for field %s", key, name)
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, statusErrorf(codeInvalidParameter,
			"%s of field %s is %s, it should be in [1, %d]: invalid parameter", key, name, text, most)
	}
	return n, nil
}

func keyValues(pairs []*commonpb.KeyValuePair) map[string]string {
	m := make(map[string]string, len(pairs))
	for _, p := range pairs {
		m[p.GetKey()] = p.GetValue()
	}
	return m
}
