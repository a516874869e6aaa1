package schemas

import (
	"encoding/binary"
	"fmt"
	"strings"
)

// SchemaID names a writer's schema as a record does. Two of them are equal where they are the same id.
type SchemaID struct {
	space  idSpace
	number uint64 // of a registry's id and of a global one
	guid   [guidBytes]byte
}

// idSpace is whose numbering an id belongs to.
type idSpace int

const (
	registryIDs idSpace = iota // Confluent's schema ids; Apicurio's content ids are the same numbers
	guids                      // Confluent's, 16 bytes
	globalIDs                  // Apicurio's
)

const guidBytes = 16

// ByID is the id that stands in Confluent's frame.
func ByID(id int) SchemaID { return SchemaID{number: uint64(id)} }

// ByGUID is the id that Confluent's header serializers write.
func ByGUID(guid [guidBytes]byte) SchemaID { return SchemaID{space: guids, guid: guid} }

// ByGlobalID is what Apicurio's serializers write where they are told to use global ids.
func ByGlobalID(id uint64) SchemaID { return SchemaID{space: globalIDs, number: id} }

// String names the id for people: "schema id 65".
func (id SchemaID) String() string {
	switch id.space {
	case guids:
		return "schema GUID " + id.uuid()
	case globalIDs:
		return fmt.Sprintf("Apicurio's global id %d", id.number)
	}
	return fmt.Sprintf("schema id %d", id.number)
}

// uuid is the GUID as RFC 9562 writes it.
func (id SchemaID) uuid() string {
	g := id.guid[:]
	return fmt.Sprintf("%x-%x-%x-%x-%x", g[:4], g[4:6], g[6:8], g[8:10], g[10:])
}

// Headers are those of a record. Header returns the last one of a name, and whether there is one.
type Headers interface {
	Header(name string) (value []byte, has bool)
}

// The headers in which foreign serializers say what wrote a value. A value with one of the first three has no frame.
const (
	headerConfluentID     = "__value_schema_id"        // a zero byte and 4 bytes of id, or a byte 1 and 16 of GUID
	headerApicurioContent = "apicurio.value.contentId" // 8 bytes
	headerApicurioGlobal  = "apicurio.value.globalId"  // 8 bytes
	headerApicurioForm    = "apicurio.value.encoding"  // BINARY or JSON
	headerContentType     = "content-type"             // Azure's: avro/binary+GUID
)

// located is where a record says which schema wrote it, and its Avro body.
type located struct {
	id   SchemaID
	body []byte
}

// locate finds the schema id in headers or, where they have none, in the frame. Headers come first, as in Confluent's own
// deserializers: a value without a frame may well begin with a zero byte. isBare says whether all of the value reads as the current
// schema. The problem is empty, or says for people why no id is
// to be had.
func locate(value []byte, headers Headers, isBare func() bool) (at located, problem string) {
	if headers != nil && len(value) > 0 {
		id, found, problem := headerID(headers)
		if found || problem != "" {
			return located{id, value}, problem
		}
	}
	if len(value) < frameBytes || value[0] != frameMagic {
		return at, recognise(value, headers, isBare)
	}
	number := binary.BigEndian.Uint32(value[1:])
	if number == 0 || number > maxSchemaID {
		return at, recognise(value, headers, isBare)
	}
	return located{ByID(int(number)), value[frameBytes:]}, ""
}

func headerID(headers Headers) (id SchemaID, found bool, problem string) {
	if form, has := headers.Header(headerApicurioForm); has && strings.EqualFold(string(form), "JSON") {
		return id, false, "header " + headerApicurioForm + " says that the value is JSON: set apicurio.avro.encoding to BINARY"
	}
	if v, has := headers.Header(headerConfluentID); has {
		switch {
		case len(v) == 1+guidBytes && v[0] == 1:
			return ByGUID([guidBytes]byte(v[1:])), true, ""
		case len(v) == frameBytes && v[0] == frameMagic:
			return headerNumber(uint64(binary.BigEndian.Uint32(v[1:])), headerConfluentID)
		}
		return id, false, fmt.Sprintf("header %s is %s: it takes a byte 1 and 16 bytes of GUID, as Confluent's header serializers write it, "+
			"or set the serializer to put the id before the value", headerConfluentID, showBytes(v))
	}
	if v, has := headers.Header(headerApicurioContent); has {
		if len(v) != 8 {
			return id, false, eightBytes(headerApicurioContent, v)
		}
		return headerNumber(binary.BigEndian.Uint64(v), headerApicurioContent)
	}
	if v, has := headers.Header(headerApicurioGlobal); has {
		if len(v) != 8 {
			return id, false, eightBytes(headerApicurioGlobal, v)
		}
		return ByGlobalID(binary.BigEndian.Uint64(v)), true, ""
	}
	return id, false, ""
}

func headerNumber(n uint64, header string) (id SchemaID, found bool, problem string) {
	if n == 0 || n > maxSchemaID {
		return id, false, fmt.Sprintf("header %s says schema id %d, which is none that a registry gives: see what the serializer writes there",
			header, n)
	}
	return ByID(int(n)), true, ""
}

func eightBytes(header string, v []byte) string {
	return fmt.Sprintf("header %s is %s: it takes 8 bytes, most significant first", header, showBytes(v))
}

// showBytes shows the beginning of bytes that mean nothing to anybody.
func showBytes(b []byte) string {
	const most = 20
	if len(b) <= most {
		return fmt.Sprintf("%d bytes (%x)", len(b), b)
	}
	return fmt.Sprintf("%d bytes (%x…)", len(b), b[:most])
}
