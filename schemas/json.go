package schemas

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// DecodeInteractionJSON reads one interaction as people write it: the schema's field names, types by name, times as RFC 3339,
// optional fields left out. It is strict: an unknown, misspelt or repeated key is an error. Errors are *InvalidError. It does
// not judge the values: Limits does.
func DecodeInteractionJSON(src []byte) (Interaction, error) {
	var e Interaction
	if err := decodeObject(src, &e); err != nil {
		return Interaction{}, err
	}
	return e, nil
}

// DecodeItemChangeJSON reads one item change in the same way. As in Avro, an item is available unless it says otherwise.
func DecodeItemChangeJSON(src []byte) (ItemChange, error) {
	c := ItemChange{Available: true}
	if err := decodeObject(src, &c); err != nil {
		return ItemChange{}, err
	}
	return c, nil
}

// decodeObject reads a JSON object into the struct that record points to, key by key, so that each error can name its field;
// encoding/json alone takes keys in any case, keeps the last of repeated ones and replaces invalid UTF-8.
func decodeObject(src []byte, record any) error {
	if !utf8.Valid(src) {
		return invalid("", Quote(string(src)), "give valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(src))
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return invalid("", Quote(string(src)), "give a JSON object: { … }")
	}
	fields := fieldsOf(reflect.ValueOf(record).Elem())
	given := make(map[string]bool)
	for dec.More() {
		if err := decodeMember(dec, fields, given); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return syntaxError(err)
	}
	if rest := bytes.TrimSpace(src[dec.InputOffset():]); len(rest) > 0 {
		return invalid("", Quote(string(rest)), "give one JSON object and nothing after it")
	}
	return nil
}

func decodeMember(dec *json.Decoder, fields map[string]reflect.Value, given map[string]bool) error {
	token, err := dec.Token()
	if err != nil {
		return syntaxError(err)
	}
	key := token.(string) // within an object the decoder gives nothing else here
	var value json.RawMessage
	if err := dec.Decode(&value); err != nil {
		return syntaxError(err)
	}
	field, known := fields[key]
	switch {
	case !known:
		return invalid(shownKey(key), shownValue(value), "there is no such field; the fields are "+fieldNames(fields))
	case given[key]:
		return invalid(key, shownValue(value), "it is given twice; leave one out")
	}
	given[key] = true
	if err := json.Unmarshal(value, field.Addr().Interface()); err != nil {
		return invalid(key, shownValue(value), jsonRemedy(field, err))
	}
	return nil
}

// jsonRemedy says what a field wants.
func jsonRemedy(field reflect.Value, err error) string {
	if symbol, ok := errors.AsType[*InvalidError](err); ok {
		return symbol.Remedy
	}
	t := field.Type()
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t == reflect.TypeFor[time.Time]():
		return `give a time such as "2026-01-31T12:00:00Z" (RFC 3339)`
	case t.Kind() == reflect.Slice:
		return `give a list of strings such as ["a", "b"]`
	case t.Kind() == reflect.Map:
		return `give an object of strings such as {"a": "b"}`
	case t.Kind() == reflect.Float64:
		return "give a number"
	case t.Kind() == reflect.Int32 || t.Kind() == reflect.Int64:
		return fmt.Sprintf("give a whole number of at most %d bits", t.Bits())
	case t.Kind() == reflect.Bool:
		return "give true or false"
	}
	return "give a string in quotes"
}

func syntaxError(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return invalid("", "JSON", "the text ends before the object does")
	}
	return invalid("", "JSON", "correct the syntax: "+strings.TrimPrefix(err.Error(), "json: "))
}

func fieldsOf(record reflect.Value) map[string]reflect.Value {
	fields := make(map[string]reflect.Value, record.NumField())
	for i := range record.NumField() {
		name, _, _ := strings.Cut(record.Type().Field(i).Tag.Get("json"), ",")
		fields[name] = record.Field(i)
	}
	return fields
}

func fieldNames(fields map[string]reflect.Value) string {
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// shownValue shows a value as it is in JSON, so that 4.5 is told from "4.5". A string is quoted once, not once more.
func shownValue(value json.RawMessage) string {
	switch value[0] { // the decoder gives no empty one
	case '"':
		var text string
		if json.Unmarshal(value, &text) == nil {
			return Quote(text)
		}
	case '[', '{':
	default: // a number, true, false or null: harmless letters and digits
		if len(value) <= shownBytes {
			return string(value)
		}
	}
	return Quote(string(value))
}

// shownKey keeps an unknown key as it is where that is safe, which is what people look for.
func shownKey(key string) string {
	if quoted := Quote(key); quoted != `"`+key+`"` || key == "" {
		return quoted
	}
	return key
}
