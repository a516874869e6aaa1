package schemas

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"testing"

	"github.com/linkedin/goavro/v2"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// released pins what each id has meant since it was released: the hash of the schema's canonical form, which docs and defaults do
// not enter. A line here never changes; a new version adds one.
var released = map[int]string{
	0x46520001: "5e9a755d4eb389df", // interaction.v1
	0x46520002: "50ec483da7819cc9", // item_change.v1
	0x46520003: "9a2f11428c1085eb", // recommendation_request.v1
	0x46520004: "43e6be13c92fc0ea", // recommendation_reply.v1
	0x46520005: "a3736c012df843b3", // recommendation_request.v2
	0x46520006: "41d46c68d32bb317", // recall.v1
	0x46520007: "c8cba182680392bb", // recommendation_reply.v2
}

func TestReleasedSchemasNeverChange(t *testing.T) {
	got := make(map[int]string)
	for _, c := range contracts {
		codec, err := goavro.NewCodec(embeddedSchemas().byID[c.id])
		require.NoError(t, err, c.file())
		sum := sha256.Sum256([]byte(codec.CanonicalSchema()))
		got[c.id] = hex.EncodeToString(sum[:8])
	}
	require.Equal(t, released, got)
}

func TestContractsAndFilesAgree(t *testing.T) {
	files, err := fs.Glob(avroFiles, "avro/*.avsc")
	require.NoError(t, err)
	listed := make([]string, len(contracts))
	last := make(map[string]int)
	for i, c := range contracts {
		listed[i] = c.file()
		require.Equal(t, last[c.record]+1, c.version, "versions of %s go up one by one", c.record)
		last[c.record] = c.version
	}
	require.ElementsMatch(t, files, listed)
}

// Who writes a producer in another language reads these files and nothing else.
func TestEveryFieldIsDocumented(t *testing.T) {
	for _, c := range contracts {
		schema, err := avro.Parse(embeddedSchemas().byID[c.id])
		require.NoError(t, err)
		require.Equal(t, "freshet.v1", schema.Name[:len("freshet.v1")])
		walk(schema, func(s *avro.Schema) {
			if s.Name != "" {
				require.NotEmpty(t, s.Doc, "%s: %s", c.file(), s.Name)
			}
			for _, f := range s.Fields {
				require.NotEmpty(t, f.Doc, "%s: %s.%s", c.file(), s.Name, f.Name)
			}
		})
	}
}

func TestEnumsAreTheSchemas(t *testing.T) {
	symbols := map[string][]string{
		"freshet.v1.InteractionType": interactionTypes, "freshet.v1.ItemOp": itemOps, "freshet.v1.ReplyStatus": replyStatuses,
	}
	seen := make(map[string]bool)
	for record, text := range embeddedSchemas().current {
		schema, err := avro.Parse(text)
		require.NoError(t, err)
		walk(schema, func(s *avro.Schema) {
			if s.Kind == avro.Enum {
				require.Equal(t, symbols[s.Name], s.Symbols, "%s in %s", s.Name, record)
				require.Equal(t, "unknown", s.Default)
				seen[s.Name] = true
			}
		})
	}
	require.Len(t, seen, len(symbols))
}

// walk visits every type of a schema that does not hold itself.
func walk(s *avro.Schema, visit func(*avro.Schema)) {
	visit(s)
	if s.Items != nil {
		walk(s.Items, visit)
	}
	for _, option := range s.Options {
		walk(option, visit)
	}
	for _, f := range s.Fields {
		walk(f.Type, visit)
	}
}

func TestEnumNames(t *testing.T) {
	for i, name := range interactionTypes {
		parsed, err := ParseInteractionType(name)
		require.NoError(t, err)
		require.Equal(t, InteractionType(i), parsed)
		require.Equal(t, name, parsed.String())
	}
	require.Equal(t, "unknown(99)", InteractionType(99).String())
	require.Equal(t, "delete", DeleteItem.String())
	require.Equal(t, "deadline_exceeded", StatusDeadlineExceeded.String())
	_, err := ParseInteractionType("clik")
	require.EqualError(t, err, `invalid type "clik": give one of impression, view, click, like, dislike, add_to_cart, purchase, `+
		`rating, complete, hide`)
	_, err = ParseItemOp("")
	require.True(t, IsInvalid(err))
	_, err = ParseReplyStatus("OK")
	require.True(t, IsInvalid(err))
}

func TestEmbeddedRegistry(t *testing.T) {
	r := EmbeddedRegistry()
	for _, c := range contracts {
		schema, err := r.Schema(t.Context(), ByID(c.id))
		require.NoError(t, err)
		id, err := r.Register(t.Context(), "any-value", " "+schema.Text)
		require.NoError(t, err)
		require.Equal(t, c.id, id)
	}
	_, err := r.Schema(t.Context(), ByID(1))
	require.ErrorIs(t, err, ErrUnknownSchema)
	_, err = r.Register(t.Context(), "mine-value", `"string"`)
	require.ErrorContains(t, err, "set the URL of a schema registry")
}
