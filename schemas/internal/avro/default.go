package avro

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
)

// AppendDefault appends the Avro binary form of a field's default, which is JSON: tree is as encoding/json decodes it, with
// json.Number for numbers. A union's default is of its first branch that can hold it.
func AppendDefault(dst []byte, s *Schema, tree any) ([]byte, error) {
	mismatch := fmt.Errorf("default %v is no %s", tree, s.describe())
	switch s.Kind {
	case Union:
		for i, option := range s.Options {
			if out, err := AppendDefault(AppendLong(dst, int64(i)), option, tree); err == nil {
				return out, nil
			}
		}
		return nil, mismatch
	case Array:
		return appendDefaultList(dst, s, tree)
	case Map:
		return appendDefaultMap(dst, s, tree)
	case Record:
		return appendDefaultRecord(dst, s, tree)
	case Int, Long, Float, Double:
		return appendDefaultNumber(dst, s, tree)
	}
	switch v := tree.(type) {
	case nil:
		if s.Kind == Null {
			return dst, nil
		}
	case bool:
		if s.Kind == Boolean {
			return AppendBool(dst, v), nil
		}
	case string:
		switch s.Kind {
		case String:
			return AppendString(dst, v), nil
		case Bytes:
			raw, err := defaultBytes(v)
			return AppendString(dst, raw), err
		case Fixed:
			if raw, err := defaultBytes(v); err == nil && len(raw) == s.Size {
				return append(dst, raw...), nil
			}
		case Enum:
			if i := symbolIndex(s, v); i >= 0 {
				return AppendLong(dst, int64(i)), nil
			}
		}
	}
	return nil, mismatch
}

func appendDefaultNumber(dst []byte, s *Schema, tree any) ([]byte, error) {
	number, _ := tree.(json.Number)
	switch s.Kind {
	case Int, Long:
		bits := map[Kind]int{Int: 32, Long: 64}[s.Kind]
		if v, err := strconv.ParseInt(number.String(), 10, bits); err == nil {
			return AppendLong(dst, v), nil
		}
	default:
		if v, err := number.Float64(); err == nil {
			if s.Kind == Float {
				return AppendFloat(dst, float32(v)), nil
			}
			return AppendDouble(dst, v), nil
		}
	}
	return nil, fmt.Errorf("default %v is no %s", tree, s.Kind)
}

func appendDefaultList(dst []byte, s *Schema, tree any) ([]byte, error) {
	list, ok := tree.([]any)
	if !ok {
		return nil, fmt.Errorf("default %v is no array", tree)
	}
	if len(list) > 0 {
		dst = AppendLong(dst, int64(len(list)))
	}
	var err error
	for _, element := range list {
		if dst, err = AppendDefault(dst, s.Items, element); err != nil {
			return nil, err
		}
	}
	return append(dst, 0), nil
}

func appendDefaultMap(dst []byte, s *Schema, tree any) ([]byte, error) {
	m, ok := tree.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("default %v is no map", tree)
	}
	if len(m) > 0 {
		dst = AppendLong(dst, int64(len(m)))
	}
	var err error
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if dst, err = AppendDefault(AppendString(dst, key), s.Items, m[key]); err != nil {
			return nil, err
		}
	}
	return append(dst, 0), nil
}

func appendDefaultRecord(dst []byte, s *Schema, tree any) ([]byte, error) {
	m, ok := tree.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("default %v is no record %s", tree, s.Name)
	}
	for _, f := range s.Fields {
		value, given := m[f.Name]
		if !given {
			if !f.HasDefault {
				return nil, fmt.Errorf("default of record %s lacks field %s", s.Name, f.Name)
			}
			value = f.Default
		}
		var err error
		if dst, err = AppendDefault(dst, f.Type, value); err != nil {
			return nil, err
		}
	}
	return dst, nil
}

// defaultBytes reads the default of bytes and fixed: code points 0 to 255 stand for the bytes.
func defaultBytes(s string) (string, error) {
	raw := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 255 {
			return "", fmt.Errorf("default %q has a code point above 255", s)
		}
		raw = append(raw, byte(r))
	}
	return string(raw), nil
}
