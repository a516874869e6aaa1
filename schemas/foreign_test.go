package schemas

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/sr"
)

type headerMap map[string][]byte

func (h headerMap) Header(name string) ([]byte, bool) {
	value, has := h[name]
	return value, has
}

func eight(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

// TestForeignFramings sends what other serializers write: the reason says what was recognised and what mends it, to the second
// record as to the first.
func TestForeignFramings(t *testing.T) {
	server := startRegistry(t)
	server.SeedSchema("json-value", 1, 41, sr.Schema{Schema: `{"type": "object"}`, Type: sr.TypeJSON})
	server.SeedSchema("proto-value", 1, 42, sr.Schema{Schema: `syntax = "proto3";`, Type: sr.TypeProtobuf})
	s, err := NewSerde[Interaction](t.Context(), connect(t, RegistryConfig{URL: server.URL()}), "topic")
	require.NoError(t, err)
	body, text := AppendInteraction(nil, &sampleInteraction), []byte(` {"event_id": "e"}`)
	guid := []byte("0123456789abcdef")
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	for _, c := range []struct {
		name    string
		value   []byte
		headers headerMap
		what    string
		remedy  string
	}{
		{"nothing", []byte{}, nil, "an empty value", "no value at all (null) to erase"},
		{"nothing, with an id in a header", []byte{}, headerMap{headerApicurioContent: eight(1)}, "an empty value", "null"},
		{"Azure's header", body, headerMap{headerContentType: []byte("Avro/Binary+0123")}, "Azure", "Confluent's API"},
		{"Azure's frame", join([]byte{0, 0, 0, 0}, []byte(hex.EncodeToString(guid)), body), nil, "Azure", "Confluent's API"},
		{"Glue", join([]byte{3, 0}, guid, body), nil, "AWS Glue", "Confluent's API"},
		{"Glue, zlib", join([]byte{3, 5}, guid, body), nil, "AWS Glue", "Confluent's API"},
		{"8 bytes of id", join([]byte{0}, eight(7), body), nil, "Legacy8ByteIdHandler", "Default4ByteIdHandler"},
		{"single object", join([]byte{0xc3, 1}, eight(7), body), nil, "single-object", "BinaryEncoder"},
		{"single object in a frame", frame(uint32(s.id), join([]byte{0xc3, 1}, eight(7), body)), nil, "single-object", "BinaryEncoder"},
		{"container file", join([]byte("Obj\x01"), guid, body), nil, "container file", "each record alone"},
		{"container file in a frame", frame(uint32(s.id), join([]byte("Obj\x01"), guid)), nil, "container file", "each record alone"},
		{"JSON", text, nil, "JSON text", "send Avro"},
		{"JSON in a frame", frame(uint32(s.id), text), nil, "JSON text", "apicurio.avro.encoding to BINARY"},
		{"JSON by a header", text, headerMap{headerApicurioForm: []byte("JSON"), headerApicurioContent: eight(1)}, "is JSON", "BINARY"},
		{"JSON Schema", frame(41, text), nil, "schema id 41: unknown schema: in the registry it is a JSON Schema", "KafkaAvroSerializer"},
		{"Protobuf", frame(42, body), nil, "schema id 42: unknown schema: in the registry it is Protobuf", "KafkaAvroSerializer"},
		{"Java", []byte("\xac\xed\x00\x05sr\x00"), nil, "Java's ObjectOutputStream", "send Avro"},
		{"gzip", []byte("\x1f\x8b\x08\x00abc"), nil, "gzip", "compression.type"},
		{"zstd", []byte("\x28\xb5\x2f\xfdabc"), nil, "zstd", "compression.type"},
		{"bare Avro", body, nil, "Avro without a schema id", "put a zero byte"},
		{"anything", []byte("\x7fELF…"), nil, "of no kind that is known here", "Confluent's wire format"},
		{"an unknown id", frame(999, body), nil, "schema id 999: unknown schema: the registry does not have it", "registry.url"},
		{"an unknown GUID", body, headerMap{headerConfluentID: join([]byte{1}, guid)},
			"schema GUID 30313233-3435-3637-3839-616263646566: unknown schema: the registry does not have it", "registry.url"},
		{"half a GUID", body, headerMap{headerConfluentID: []byte{1, 2}},
			"header __value_schema_id is 2 bytes (0102)", "put the id before the value"},
		{"an unknown content id", body, headerMap{headerApicurioContent: eight(999)}, "schema id 999: unknown schema", "registry.url"},
		{"no content id", body, headerMap{headerApicurioContent: eight(0)}, "says schema id 0", "see what the serializer writes"},
		{"half a content id", body, headerMap{headerApicurioContent: []byte{1}}, "1 bytes (01)", "8 bytes, most significant first"},
		{"half a global id", body, headerMap{headerApicurioGlobal: []byte{1}}, "1 bytes (01)", "8 bytes, most significant first"},
		{"a global id, of no Apicurio", body, headerMap{headerApicurioGlobal: eight(5)},
			"only Apicurio's own API", "apicurio.registry.use-id to contentId"},
	} {
		t.Run(c.name, func(t *testing.T) {
			for range 2 { // the second from what is remembered
				_, err := s.Decode(t.Context(), c.value, c.headers)
				require.ErrorContains(t, err, c.what)
				require.ErrorContains(t, err, c.remedy)
				require.True(t, IsMalformed(err))
			}
		})
	}
}

// TestIDsInHeaders reads bare Avro whose schema id stands in a header.
func TestIDsInHeaders(t *testing.T) {
	server := startRegistry(t)
	id, _, err := server.RegisterSchema("other-value", sr.Schema{Schema: embeddedSchemas().current["interaction"]})
	require.NoError(t, err)
	registered, ok := server.GetSchema("other-value", 1)
	require.True(t, ok)
	guid, err := hex.DecodeString(strings.ReplaceAll(registered.GUID, "-", ""))
	require.NoError(t, err)
	s, err := NewSerde[Interaction](t.Context(), connect(t, RegistryConfig{URL: server.URL()}), "topic")
	require.NoError(t, err)
	event := sampleInteraction
	event.EventID = "" // so that the value begins with a zero byte
	for name, headers := range map[string]headerMap{
		"GUID":             {headerConfluentID: append([]byte{1}, guid...)},
		"id":               {headerConfluentID: frame(uint32(id), nil)},
		"content id":       {headerApicurioContent: eight(uint64(id)), headerApicurioForm: []byte("BINARY")},
		"beside a key's":   {"__key_schema_id": []byte{1, 2}, headerConfluentID: frame(uint32(id), nil)},
		"beside the frame": {headerContentType: []byte("application/vnd.apache.avro+binary"), headerConfluentID: frame(uint32(id), nil)},
	} {
		got, err := s.Decode(t.Context(), AppendInteraction(nil, &event), headers)
		require.NoError(t, err, name)
		require.Equal(t, event, got, name)
	}
}

// A record of 24 hexadecimal characters twice looks like Azure's frame under some ids; only what cannot be read is called so.
func TestFramesThatLookForeign(t *testing.T) {
	r := &scripted{texts: map[int]string{'0': embeddedSchemas().current["interaction"]}}
	s, err := NewSerde[Interaction](t.Context(), r, "topic")
	require.NoError(t, err)
	event := sampleInteraction
	event.EventID, event.UserID = "507f1f77bcf86cd799439011", "507f191e810c19729de860ea"
	value := frame('0', AppendInteraction(nil, &event))
	require.True(t, isHex(value[4:36]), "%q", value[:40])
	got, err := s.Decode(t.Context(), value, nil)
	require.NoError(t, err)
	require.Equal(t, event, got)
}

// A registry without GUIDs has no such page, which is no reason to ask for ever.
func TestGUIDsWhereTheRegistryHasNone(t *testing.T) {
	server := startRegistry(t)
	down := false
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		if down || len(r.URL.Path) > 14 && r.URL.Path[:14] == "/schemas/guids" {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	})
	s, err := NewSerde[Interaction](t.Context(), connect(t, RegistryConfig{URL: server.URL()}), "topic")
	require.NoError(t, err)
	headers := headerMap{headerConfluentID: append([]byte{1}, "0123456789abcdef"...)}
	down = true
	_, err = s.Decode(t.Context(), []byte("x"), headers)
	require.Error(t, err)
	require.False(t, IsMalformed(err), "a proxy's 404 is no word on the schema")
	down = false
	_, err = s.Decode(t.Context(), []byte("x"), headers)
	require.ErrorContains(t, err, "this registry knows no GUIDs: set the serializer to put the id before the value")
	require.True(t, IsMalformed(err))
}

func TestUnknownWithoutARegistry(t *testing.T) {
	s, err := NewSerde[Interaction](t.Context(), EmbeddedRegistry(), "topic")
	require.NoError(t, err)
	_, err = s.Decode(t.Context(), frame(7, nil), nil)
	require.ErrorContains(t, err, "schema id 7: unknown schema: it is none of Freshet's own, and no schema registry is set: set registry.url")
	_, err = s.Decode(t.Context(), []byte("x"), headerMap{headerConfluentID: append([]byte{1}, "0123456789abcdef"...)})
	require.ErrorContains(t, err, "set registry.url")
	require.True(t, IsMalformed(err))
}
