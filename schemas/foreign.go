package schemas

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"strings"
)

// foreign is a way to write records that is not Confluent's frame: how it is recognised, and what mends it.
type foreign struct {
	name   string
	is     func(value []byte, headers Headers) bool
	remedy string
}

var (
	singleObject   = []byte{0xc3, 0x01}
	containerMagic = []byte("Obj\x01")
)

// foreigners are tried from the first to the last; what is told by a header or by more bytes stands first. The remedies are
// settings of the producers; docs/clients.md has them for each language.
var foreigners = []foreign{
	{"an empty value, which is neither a record nor a tombstone",
		func(value []byte, _ Headers) bool { return len(value) == 0 },
		"send Avro, or no value at all (null) to erase"},
	{"Azure Schema Registry's encoding (header content-type names the schema)",
		func(_ []byte, headers Headers) bool {
			kind, has := headerOf(headers, headerContentType)
			return has && bytes.HasPrefix(bytes.ToLower(kind), []byte("avro/binary"))
		},
		"use a serializer for Confluent's API, and the registry of Freshet's registry.url"},
	{"AWS Glue's encoding (a byte 3, a compression byte and a UUID)",
		func(value []byte, _ Headers) bool {
			return len(value) >= 18 && value[0] == 3 && (value[1] == 0 || value[1] == 5)
		},
		"use a serializer for Confluent's API, and the registry of Freshet's registry.url"},
	{"an 8-byte schema id, as Apicurio's Legacy8ByteIdHandler writes it",
		func(value []byte, _ Headers) bool { return zeroID(value) && len(value) >= 9 },
		"set apicurio.registry.id-handler to io.apicurio.registry.serde.Default4ByteIdHandler, which is the default since Apicurio 3"},
	{"Avro's single-object encoding (it begins with C3 01)",
		func(value []byte, _ Headers) bool { return bytes.HasPrefix(value, singleObject) && len(value) >= 10 },
		"write the body alone (BinaryEncoder instead of BinaryMessageEncoder) behind a zero byte and four bytes of schema id"},
	{"an Avro container file (it begins with Obj 01)",
		func(value []byte, _ Headers) bool { return bytes.HasPrefix(value, containerMagic) },
		"write each record alone, without the file's header, behind a zero byte and four bytes of schema id"},
	{"JSON text",
		func(value []byte, _ Headers) bool { return isJSON(value) },
		"send Avro: an Avro serializer as value.serializer, an Avro converter in Kafka Connect"},
	{"what Java's ObjectOutputStream writes (it begins with AC ED)",
		func(value []byte, _ Headers) bool { return bytes.HasPrefix(value, []byte{0xac, 0xed, 0x00, 0x05}) },
		"send Avro: an Avro serializer as value.serializer"},
	{"compressed by its producer (gzip)",
		func(value []byte, _ Headers) bool { return bytes.HasPrefix(value, []byte{0x1f, 0x8b, 0x08}) },
		"set compression.type instead, which brokers and clients undo"},
	{"compressed by its producer (zstd)",
		func(value []byte, _ Headers) bool { return bytes.HasPrefix(value, []byte{0x28, 0xb5, 0x2f, 0xfd}) },
		"set compression.type instead, which brokers and clients undo"},
}

// wanted is how a value begins.
const wanted = "a value begins with a zero byte and four bytes of schema id, then comes Avro (Confluent's wire format)"

// recognise says for people what a value without a usable schema id is, and what to do about it.
func recognise(value []byte, headers Headers, isBare func() bool) string {
	for _, f := range foreigners {
		if f.is(value, headers) {
			return fmt.Sprintf("the value is %s: %s", f.name, f.remedy)
		}
	}
	if isBare() {
		return bare
	}
	if len(value) >= frameBytes && value[0] == frameMagic {
		return fmt.Sprintf("schema id %d is none that a registry gives: %s", binary.BigEndian.Uint32(value[1:]), wanted)
	}
	return fmt.Sprintf("the value is %s, of no kind that is known here: %s", showBytes(value), wanted)
}

// bare is what a value is called that the current schema reads from its first byte on.
const bare = "the value is Avro without a schema id: put a zero byte and four bytes of schema id before it, or use a serializer " +
	"of a schema registry"

// misframed are the kinds that hide behind what looks like a good frame. They are told only where a value could not be read: a
// record may hold such bytes by chance.
var misframed = []struct {
	is     func(value []byte) bool
	reason string
}{
	{func(value []byte) bool {
		return len(value) >= 4+azureID && bytes.Equal(value[:4], []byte{0, 0, 0, 0}) && isHex(value[4:4+azureID])
	}, "it is Azure Schema Registry's encoding (four zero bytes and a schema id of 32 characters): " +
		"use a serializer for Confluent's API, and the registry of Freshet's registry.url"},
	{func(value []byte) bool { return isJSON(value[frameBytes:]) },
		"behind the schema id stands JSON text: use the Avro serializer instead of the JSON one " +
			"(of Apicurio's, set apicurio.avro.encoding to BINARY)"},
	{func(value []byte) bool { return bytes.HasPrefix(value[frameBytes:], containerMagic) },
		"behind the schema id stands an Avro container file: write each record alone, without the file's header"},
	{func(value []byte) bool { return bytes.HasPrefix(value[frameBytes:], singleObject) },
		"behind the schema id stands Avro's single-object encoding: write the body alone (BinaryEncoder instead of BinaryMessageEncoder)"},
}

// azureID is how many characters Azure's older serializers write.
const azureID = 32

// misframe says what a framed value is that could not be read; empty where that is not known.
func misframe(value []byte) string {
	if len(value) < frameBytes || value[0] != frameMagic {
		return ""
	}
	for _, m := range misframed {
		if m.is(value) {
			return m.reason
		}
	}
	return ""
}

// notAvro says what to do about a schema of another kind.
func notAvro(kind string) string {
	switch strings.ToUpper(kind) {
	case "JSON":
		return "is a JSON Schema, not Avro: use the Avro serializer (KafkaAvroSerializer instead of KafkaJsonSchemaSerializer)"
	case "PROTOBUF":
		return "is Protobuf, not Avro: use the Avro serializer (KafkaAvroSerializer instead of KafkaProtobufSerializer)"
	}
	return fmt.Sprintf("is of kind %s, not Avro: use an Avro serializer", Quote(kind))
}

func headerOf(headers Headers, name string) ([]byte, bool) {
	if headers == nil {
		return nil, false
	}
	return headers.Header(name)
}

// zeroID says whether a frame has schema id 0, which no registry gives.
func zeroID(value []byte) bool {
	return len(value) >= frameBytes && bytes.Equal(value[:frameBytes], make([]byte, frameBytes))
}

func isHex(text []byte) bool {
	for _, b := range text {
		if !strings.ContainsRune("0123456789abcdefABCDEF", rune(b)) {
			return false
		}
	}
	return true
}

// isJSON says whether a value is JSON of a kind that stands for a record: an object, a list or a string.
func isJSON(value []byte) bool {
	text := bytes.TrimLeft(value, " \t\r\n")
	return len(text) > 1 && bytes.IndexByte([]byte(`{["`), text[0]) >= 0 && json.Valid(text)
}
