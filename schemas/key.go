package schemas

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// The forms that a topic's keys can have.
const (
	KeyRaw       = "raw"       // the id's own bytes
	KeyJSON      = "json"      // Kafka Connect's JsonConverter, with its schema envelope or without
	KeyAvro      = "avro"      // an Avro string, without a frame
	KeyConfluent = "confluent" // Kafka Connect's AvroConverter, and the KafkaAvroSerializer: a frame, then Avro
)

// KeyConfig says how the keys of a topic hold the id.
type KeyConfig struct {
	// Format is raw (the id's own bytes), json (as Kafka Connect's JsonConverter writes, with its schema envelope or without),
	// avro (an Avro string), or confluent (Avro in Confluent's frame, as Kafka Connect's AvroConverter writes).
	Format string `yaml:"key_format" env:"KEY_FORMAT"`
	// Field names the field of a struct that holds the id, such as Debezium's keys have; empty where the key is the id alone.
	Field string `yaml:"key_field" env:"KEY_FIELD"`
}

// Validate begins with the setting that cannot work.
func (c KeyConfig) Validate() error {
	formats := []string{KeyRaw, KeyJSON, KeyAvro, KeyConfluent}
	switch {
	case !slices.Contains(formats, c.Format):
		return fmt.Errorf("key_format is %q: give one of %s", c.Format, strings.Join(formats, ", "))
	case c.Field != "" && (c.Format == KeyRaw || c.Format == KeyAvro):
		return fmt.Errorf("key_field is %q, and key_format %s, which has no fields: leave it out, or set key_format to json or confluent",
			c.Field, c.Format)
	}
	return nil
}

// Keys reads the ids that stand in the keys of one topic, for everybody who reads the topic: an id that one takes and another does
// not would be erased here and live on there. It is safe for concurrent use.
type Keys struct {
	config  KeyConfig
	setting string // the topic's section of the configuration, for remedies
	limits  Limits
	framed  *readers[keyReader]
}

// keyReader reads the ids in keys of one schema, or says why that can never be.
type keyReader struct {
	resolution *avro.Resolution
	number     bool
	problem    string
}

// NewKeys returns the Keys of a topic whose settings are a section such as topics.interactions.
func NewKeys(config KeyConfig, setting string, limits Limits, registry Registry) *Keys {
	k := &Keys{config: config, setting: setting, limits: limits}
	k.framed = newReaders(registry, k.prepare)
	return k
}

// Tombstone returns the id that a record without a value is about. It is strict, since an erasure that reaches nobody is told by
// nothing: what looks like another format than the topic's is refused, even where an id might look so. The error is an *InvalidError,
// or the registry's, which may pass; IsInvalid and IsMalformed tell.
func (k *Keys) Tombstone(ctx context.Context, key []byte, headers Headers) (string, error) {
	if headers != nil {
		for _, name := range []string{"ce_specversion", "ce_id"} {
			if v, has := headers.Header(name); has {
				return "", invalid("value", "null, with the header "+name+" "+Quote(string(v)), "a CloudEvent without data erases nothing: "+
					"send the event with its data, or the tombstone without CloudEvents headers")
			}
		}
	}
	return k.ID(ctx, key)
}

// ID returns the id that a key holds, as strictly as Tombstone.
func (k *Keys) ID(ctx context.Context, key []byte) (id string, err error) {
	if len(key) == 0 {
		return "", invalid("key", "(none)", "send the id as the key ("+k.describe()+")")
	}
	switch k.config.Format {
	case KeyJSON:
		id, err = k.fromJSON(key)
	case KeyAvro:
		id, err = k.fromAvro(key)
	case KeyConfluent:
		id, err = k.fromConfluent(ctx, key)
	default:
		if remedy := k.foreign(key); remedy != "" {
			return "", k.refuse(key, remedy)
		}
		id = string(key)
	}
	if err != nil {
		return "", err
	}
	c := checker{limits: k.limits}
	if c.id("key", id); c.err != nil {
		return "", c.err
	}
	return id, nil
}

// Is says whether a key holds an id, allocating nothing where it is raw. A registry that does not answer says yes: what is not
// known is no difference.
func (k *Keys) Is(ctx context.Context, key []byte, id string) bool {
	if k.config.Format == KeyRaw {
		return string(key) == id
	}
	of, err := k.ID(ctx, key)
	if err != nil {
		return !IsInvalid(err)
	}
	return of == id
}

func (k *Keys) describe() string {
	text := k.setting + ".key_format: " + k.config.Format
	if k.config.Field != "" {
		text += ", " + k.setting + ".key_field: " + k.config.Field
	}
	return text
}

func (k *Keys) refuse(key []byte, remedy string) error {
	return invalid("key", Quote(string(key)), remedy)
}

// set names the setting with which a key like this one is read.
func (k *Keys) set(format string, field bool) string {
	text := "set " + k.setting + ".key_format: " + format
	if field {
		text += " and " + k.setting + ".key_field to the field that holds the id"
	}
	return text + ", or send the id's bytes as the key"
}

// foreign recognises a key that is no raw id, and says what reads it.
func (k *Keys) foreign(key []byte) string {
	switch {
	case bytes.HasPrefix(key, []byte("Struct{")):
		return "this is a struct as Connect's StringConverter prints it: use its JsonConverter and " + k.set(KeyJSON, true)
	case key[0] == '{':
		return "this looks like a JSON object: " + k.set(KeyJSON, true)
	case key[0] == '"':
		return "this looks like a JSON string: " + k.set(KeyJSON, false)
	case key[0] == '[' && json.Valid(key):
		return "this is a JSON list: send the id's bytes as the key"
	case key[0] == frameMagic && len(key) > frameBytes:
		return fmt.Sprintf("this looks like Avro in Confluent's frame, schema id %d: %s",
			binary.BigEndian.Uint32(key[1:]), k.set(KeyConfluent, false))
	case len(key) == 8 && key[0] == 0 || len(key) == 4 && key[0] == 0:
		return "this looks like a binary number: use a string serializer for the key, and send the id's bytes"
	case isAvroString(key):
		return "this looks like an Avro string: " + k.set(KeyAvro, false)
	case !utf8.Valid(key):
		return "this is not UTF-8: send the id's bytes in UTF-8 as the key"
	}
	return ""
}

// isAvroString says whether all of the key reads as one string, and could not be an id as it stands.
func isAvroString(key []byte) bool {
	r := avro.NewReader(key)
	_ = r.Text()
	whole := r.Finish() == nil
	first, _ := utf8.DecodeRune(key)
	return whole && (unicode.IsControl(first) || first == utf8.RuneError)
}

func (k *Keys) fromAvro(key []byte) (string, error) {
	r := avro.NewReader(key)
	id := r.Text()
	if err := r.Finish(); err != nil {
		return "", k.refuse(key, fmt.Sprintf("this is no Avro string (%v), which %s asks for: see what the producer's key serializer writes",
			err, k.describe()))
	}
	return id, nil
}

// fromJSON takes a string, a whole number, or the field of an object; JsonConverter's envelope is {"schema": …, "payload": …}.
func (k *Keys) fromJSON(key []byte) (string, error) {
	wrong := func(what string) error {
		return k.refuse(key, what+": see what the producer's key converter writes, and "+k.describe())
	}
	value := json.RawMessage(key)
	if !utf8.Valid(key) || !json.Valid(key) {
		return "", wrong("this is no JSON")
	}
	var envelope struct {
		Schema, Payload json.RawMessage
	}
	if isObject(value) && json.Unmarshal(value, &envelope) == nil && envelope.Schema != nil && envelope.Payload != nil {
		value = envelope.Payload
	}
	if isObject(value) {
		if k.config.Field == "" {
			return "", k.refuse(key, "this is an object: set "+k.setting+".key_field to the field that holds the id")
		}
		var fields map[string]json.RawMessage
		if err := json.Unmarshal(value, &fields); err != nil {
			return "", wrong("this is no JSON")
		}
		of, has := fields[k.config.Field]
		if !has {
			return "", wrong("this has no field " + strconv.Quote(k.config.Field))
		}
		value = of
	} else if k.config.Field != "" {
		return "", wrong("this is no object")
	}
	var id string
	if json.Unmarshal(value, &id) == nil && value[0] == '"' {
		return id, nil
	}
	var number int64
	if json.Unmarshal(value, &number) == nil && value[0] != 'n' {
		return strconv.FormatInt(number, 10), nil
	}
	return "", wrong("the id is neither a string nor a whole number")
}

func isObject(value json.RawMessage) bool {
	return len(value) > 0 && bytes.TrimLeft(value, " \t\r\n")[0] == '{'
}

// fromConfluent takes a string, a whole number, or the field of a record.
func (k *Keys) fromConfluent(ctx context.Context, key []byte) (string, error) {
	if len(key) < frameBytes || key[0] != frameMagic {
		return "", k.refuse(key, "this has no Confluent frame, which "+k.describe()+" asks for: see what the producer's key serializer writes")
	}
	id := ByID(int(binary.BigEndian.Uint32(key[1:])))
	of, err := k.framed.of(ctx, id)
	switch {
	case IsMalformed(err):
		return "", k.refuse(key, fmt.Sprintf("its %s is in no schema registry that is known here: set registry.url as the producer has it", id))
	case err != nil:
		return "", fmt.Errorf("reading a key: %w", err)
	case of.problem != "":
		return "", k.refuse(key, of.problem)
	}
	body, _, err := of.resolution.Append(nil, key[frameBytes:])
	if err != nil {
		return "", k.refuse(key, fmt.Sprintf("it does not read as its %s says: %v", id, err))
	}
	r := avro.NewReader(body)
	if of.number {
		return strconv.FormatInt(r.Long(), 10), nil
	}
	return r.Text(), nil
}

// prepare has the keys of a schema read: each record's key is compared with its value.
func (k *Keys) prepare(id SchemaID, schema Schema) (of keyReader) {
	writer, err := avro.Parse(schema.Text, schema.Named...)
	if err != nil {
		of.problem = fmt.Sprintf("the schema of its %s cannot be read: %v", id, err)
		return of
	}
	var reader *avro.Schema
	if reader, of.number, of.problem = k.reader(writer); of.problem == "" {
		of.resolution = avro.Resolve(writer, reader)
	}
	return of
}

// reader is the schema of the id alone, as it stands in what writer wrote.
func (k *Keys) reader(writer *avro.Schema) (reader *avro.Schema, number bool, problem string) {
	of, field := writer, k.config.Field
	if of.Kind == avro.Record {
		if field == "" {
			return nil, false, "this is a struct: set " + k.setting + ".key_field to the field that holds the id"
		}
		i := slices.IndexFunc(of.Fields, func(f avro.Field) bool { return f.Name == field })
		if i < 0 {
			return nil, false, "this struct has no field " + strconv.Quote(field) + ": correct " + k.setting + ".key_field"
		}
		of = of.Fields[i].Type
	} else if field != "" {
		return nil, false, "this is no struct: leave " + k.setting + ".key_field out"
	}
	kind := of.Kind
	for _, option := range of.Options {
		if option.Kind != avro.Null {
			kind = option.Kind
		}
	}
	id := &avro.Schema{Kind: avro.String}
	switch kind {
	case avro.String:
	case avro.Int, avro.Long:
		id, number = &avro.Schema{Kind: avro.Long}, true
	default:
		return nil, false, "the id is neither a string nor a whole number: " + k.set(KeyConfluent, true)
	}
	if writer.Kind != avro.Record {
		return id, number, ""
	}
	return &avro.Schema{Kind: avro.Record, Name: writer.Name, Fields: []avro.Field{{Name: field, Type: id}}}, number, ""
}
