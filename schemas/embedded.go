package schemas

import (
	"context"
	"embed"
	"fmt"
	"sync"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// avroFiles holds <record>.v<version>.avsc. A file that has been released never changes but in its docs; evolution adds a file
// with the next version, a line to contracts and the typed codec's new fields. (The v1 of the namespace changes only with an
// incompatible contract, which needs topics of its own.)
//
//go:embed avro/*.avsc
var avroFiles embed.FS

// embeddedIDs is where the embedded registry's schema ids begin: "FR" in the upper bytes, far above what a registry counts up
// to. Where one side of a topic uses a registry and the other does not, an id is then unknown to the reader and never means
// another schema.
const embeddedIDs = 0x4652_0000

// contract is one version of one record's schema.
type contract struct {
	id      int // for ever: records in Kafka carry it
	record  string
	version int
}

func (c contract) file() string { return fmt.Sprintf("avro/%s.v%d.avsc", c.record, c.version) }

// contracts lists every version that was ever released. Only add to it.
var contracts = []contract{
	{embeddedIDs + 1, "interaction", 1},
	{embeddedIDs + 2, "item_change", 1},
	{embeddedIDs + 3, "recommendation_request", 1},
	{embeddedIDs + 4, "recommendation_reply", 1},
	{embeddedIDs + 5, "recommendation_request", 2}, // query
	{embeddedIDs + 6, "recall", 1},
	{embeddedIDs + 7, "recommendation_reply", 2}, // degraded
}

// embeddedSchemas reads the files, once: texts by id, and the current text of each record, which is its last contract's.
var embeddedSchemas = sync.OnceValue(func() (s struct {
	byID    map[int]string
	current map[string]string
}) {
	s.byID = make(map[int]string)
	s.current = make(map[string]string)
	for _, c := range contracts {
		text, err := avroFiles.ReadFile(c.file())
		if err != nil {
			panic(fmt.Sprintf("schemas: contract without its file: %v", err)) // the build forgot it: no input leads here
		}
		s.byID[c.id] = string(text)
		s.current[c.record] = string(text)
	}
	return s
})

// AvroSchema is the current schema of a record, as its file has it.
func AvroSchema[T Record]() string { return embeddedSchemas().current[codecOf[T]().record] }

type embeddedRegistry struct{}

// EmbeddedRegistry returns the registry of the schemas that this build of Freshet knows, current and earlier, under ids that are
// the same in every build. It needs no network and knows no schema of anybody else.
func EmbeddedRegistry() Registry { return embeddedRegistry{} }

func (embeddedRegistry) Register(_ context.Context, subject, schema string) (int, error) {
	for _, c := range contracts {
		if avro.Equal(embeddedSchemas().byID[c.id], schema) {
			return c.id, nil
		}
	}
	return 0, fmt.Errorf("registering a schema under %s: the embedded registry holds Freshet's own schemas only; "+
		"set the URL of a schema registry", subject)
}

func (embeddedRegistry) Schema(_ context.Context, id SchemaID) (Schema, error) {
	if text, ok := embeddedText(id); ok {
		return Schema{Text: text}, nil
	}
	return Schema{}, fmt.Errorf("%s: %w: it is none of Freshet's own, and no schema registry is set: set registry.url to the one that "+
		"the writer uses", id, ErrUnknownSchema)
}

func (embeddedRegistry) Latest(_ context.Context, subject string) (int, Schema, error) {
	return 0, Schema{}, fmt.Errorf("subject %s: %w: no schema registry is set: set registry.url", subject, ErrUnknownSchema)
}

func embeddedText(id SchemaID) (string, bool) {
	if id.space != registryIDs {
		return "", false
	}
	text, ok := embeddedSchemas().byID[int(id.number)]
	return text, ok
}
