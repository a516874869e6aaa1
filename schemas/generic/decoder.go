package generic

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/linkedin/goavro/v2"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// Decoder decodes values of one type. It is safe for concurrent use.
type Decoder struct {
	root  *Schema
	codec *goavro.Codec
	names map[*Schema]string
	// branches are the options of a union by the names that goavro gives them.
	branches map[*Schema]map[string]*Schema
}

// NewDecoder prepares decoding values of a schema.
func NewDecoder(root *Schema) (*Decoder, error) {
	d := &Decoder{root: root, names: map[*Schema]string{}, branches: map[*Schema]map[string]*Schema{}}
	shape, err := json.Marshal(d.shape(root))
	if err == nil {
		d.codec, err = goavro.NewCodec(string(shape))
	}
	if err != nil {
		return nil, fmt.Errorf("preparing to decode: %w", err)
	}
	return d, nil
}

type object = map[string]any

// shape is the schema that goavro gets, as encoding/json takes it. Types and fields are numbered, whatever their names.
func (d *Decoder) shape(s *Schema) any {
	if name, again := d.names[s]; again {
		return name
	}
	switch s.Kind {
	case avro.Array:
		return object{"type": "array", "items": d.shape(s.Items)}
	case avro.Map:
		return object{"type": "map", "values": d.shape(s.Items)}
	case avro.Union:
		options := make([]any, len(s.Options))
		d.branches[s] = map[string]*Schema{}
		for i, option := range s.Options {
			options[i] = d.shape(option)
			name, named := d.names[option]
			if !named {
				name = string(option.Kind)
			}
			d.branches[s][name] = option
		}
		return options
	case avro.Record, avro.Enum, avro.Fixed:
		name := "t" + strconv.Itoa(len(d.names))
		d.names[s] = name
		o := object{"type": string(s.Kind), "name": name}
		switch s.Kind {
		case avro.Record:
			fields := []any{}
			if s.TakesBytes() { // or goavro would make any number of values out of nothing
				for i := range s.Fields {
					fields = append(fields, object{"name": numbered("f", i), "type": d.shape(s.Fields[i].Type)})
				}
			}
			o["fields"] = fields
		case avro.Enum:
			symbols := make([]string, len(s.Symbols))
			for i := range symbols {
				symbols[i] = numbered("s", i)
			}
			o["symbols"] = symbols
		default:
			o["size"] = s.Size
		}
		return o
	}
	return string(s.Kind)
}

func numbered(what string, i int) string { return what + strconv.Itoa(i) }

// Decode reads a value, of at most so many parts; nothing may follow. Its strings and bytes may be those of src.
func (d *Decoder) Decode(src []byte, most int) (any, error) {
	r := avro.NewReader(src)
	r.Skip(d.root, most)
	if err := r.Finish(); err != nil {
		return nil, err
	}
	return d.Whole(src)
}

// Whole reads a value that Reader.Skip has passed over with a bound, all of it.
func (d *Decoder) Whole(src []byte) (any, error) {
	native, _, err := d.codec.NativeFromBinary(src)
	if err != nil {
		return nil, &avro.Error{Offset: len(src), Reason: err.Error()} // a map with a key twice
	}
	w := walk{Decoder: d}
	value := w.value(d.root, native)
	return value, w.err
}

// walk makes plain values of what goavro gave, along the schema.
type walk struct {
	*Decoder
	err error // the first
}

func (w *walk) value(s *Schema, native any) any {
	switch s.Kind {
	case avro.Int:
		return integer(s, int64(native.(int32)))
	case avro.Long:
		return integer(s, native.(int64))
	case avro.Bytes, avro.Fixed:
		if b := native.([]byte); !IsDecimal(s) || len(b) <= mostDecimalBytes {
			return raw(s, b)
		}
		if w.err == nil {
			w.err = &avro.Error{Reason: fmt.Sprintf("a decimal has more than %d bytes", mostDecimalBytes)}
		}
		return nil
	case avro.Enum:
		i, _ := strconv.Atoi(native.(string)[1:])
		return s.Symbols[i]
	case avro.Union:
		branch, _ := native.(object)
		for name, of := range branch {
			return w.value(w.branches[s][name], of)
		}
		return nil
	case avro.Array:
		list := native.([]any)
		for i := range list {
			list[i] = w.value(s.Items, list[i])
		}
		return list
	case avro.Map:
		entries := make(Entries, 0, len(native.(object)))
		for key, of := range native.(object) {
			entries = append(entries, Entry{key, w.value(s.Items, of)})
		}
		slices.SortFunc(entries, func(a, b Entry) int { return strings.Compare(a.Name, b.Name) })
		return entries
	case avro.Record:
		parts := native.(object)
		entries := make(Entries, 0, len(parts))
		for i := range s.Fields {
			if part, has := parts[numbered("f", i)]; has {
				entries = append(entries, Entry{s.Fields[i].Name, w.value(s.Fields[i].Type, part)})
			}
		}
		return entries
	}
	return native // null, a boolean, a float or a double, a string
}

// integer goes by the logical type, which must be one of the kind.
func integer(s *Schema, v int64) any {
	switch unit := s.Moment(); {
	case unit != 0:
		return Moment{Count: v, Unit: unit, Local: s.IsLocal()}
	case s.Kind == avro.Int && s.Logical == "date":
		return Date(v)
	case s.Kind == avro.Int && s.Logical == "time-millis":
		return TimeOfDay{v, time.Millisecond}
	case s.Kind == avro.Long && s.Logical == "time-micros":
		return TimeOfDay{v, time.Microsecond}
	}
	return v
}
