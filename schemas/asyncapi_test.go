package schemas

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// asyncAPI is asyncapi.yaml as strictly as it is written: a key that is not here is a mistake. The AsyncAPI project's own parser
// (npm @asyncapi/parser with its Avro parser) takes the file as well; pipelines/settings holds topics and headers to the code.
type asyncAPI struct {
	AsyncAPI, ID string
	ContentType  string `yaml:"defaultContentType"`
	Info         struct {
		Title, Version, Description string
		License                     struct{ Name string }
	}
	Servers  map[string]struct{ Host, Protocol string }
	Channels map[string]struct {
		Address        *string // null where a request names it
		DefaultAddress string  `yaml:"x-default-address"`
		Title          string
		Description    string
		Servers        []reference
		Messages       map[string]reference
		Bindings       map[string]struct {
			Partitions         int
			TopicConfiguration map[string]any `yaml:"topicConfiguration"`
			BindingVersion     string         `yaml:"bindingVersion"`
		}
	}
	Operations map[string]struct {
		Action, Summary, Description string
		Channel                      reference
		Reply                        struct {
			Address struct{ Location string }
			Channel reference
		}
		Bindings map[string]struct {
			GroupID        map[string]string `yaml:"groupId"`
			BindingVersion string            `yaml:"bindingVersion"`
		}
	}
	Components struct {
		CorrelationIDs map[string]struct{ Description, Location string } `yaml:"correlationIds"`
		Schemas        map[string]map[string]any
		Messages       map[string]asyncMessage
	}
}

type reference struct {
	Ref string `yaml:"$ref"`
}

type asyncMessage struct {
	Title, Summary string
	ContentType    string `yaml:"contentType"`
	Headers        reference
	CorrelationID  reference `yaml:"correlationId"`
	SchemaID       int       `yaml:"x-schema-id"`
	Payload        struct {
		Type, Format string
		SchemaFormat string `yaml:"schemaFormat"`
		Schema       reference
	}
	Bindings map[string]map[string]any
	Examples []struct {
		Name, Summary string
		Headers       map[string]any
		Payload       map[string]any
	}
}

func readAsyncAPI(t *testing.T) (a asyncAPI, all map[string]any) {
	t.Helper()
	text, err := os.ReadFile("asyncapi.yaml")
	require.NoError(t, err)
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	require.NoError(t, d.Decode(&a))
	require.ErrorIs(t, d.Decode(new(yaml.Node)), io.EOF, "one document")
	require.NoError(t, yaml.Unmarshal(text, &all))
	return a, all
}

// look follows a local reference.
func look(all map[string]any, ref string) (any, bool) {
	var at any = all
	for step := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		inner, ok := at.(map[string]any)
		if !ok {
			return nil, false
		}
		if at, ok = inner[step]; !ok {
			return nil, false
		}
	}
	return at, true
}

// references lists every $ref below v.
func references(v any) (refs []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if ref, ok := inner.(string); ok && key == "$ref" {
				refs = append(refs, ref)
			}
			refs = append(refs, references(inner)...)
		}
	case []any:
		for _, inner := range v {
			refs = append(refs, references(inner)...)
		}
	}
	return refs
}

func TestAsyncAPIRefersToWhatIsThere(t *testing.T) {
	a, all := readAsyncAPI(t)
	require.Equal(t, "3.0.0", a.AsyncAPI)
	refs := references(all)
	require.Greater(t, len(refs), 40)
	var files []string
	for _, ref := range refs {
		if !strings.HasPrefix(ref, "#/") {
			files = append(files, path.Clean(ref))
			continue
		}
		_, found := look(all, ref)
		require.True(t, found, ref)
	}
	var current []string
	for record := range embeddedSchemas().current {
		last := contract{}
		for _, c := range contracts {
			if c.record == record {
				last = c
			}
		}
		current = append(current, last.file())
	}
	require.ElementsMatch(t, current, files, "the current version of each record, once")
	for name, operation := range a.Operations {
		require.Contains(t, []string{"send", "receive"}, operation.Action, name)
		require.NotEmpty(t, operation.Summary, name)
	}
	for name := range a.Components.Messages {
		require.Contains(t, refs, "#/components/messages/"+name, "a message that no channel carries")
	}
	for name := range a.Components.Schemas {
		require.Contains(t, refs, "#/components/schemas/"+name, "a schema that nothing uses")
	}
}

// Every framed message carries the embedded registry's id of the schema that it refers to.
func TestAsyncAPIHasTheSchemaIDs(t *testing.T) {
	a, _ := readAsyncAPI(t)
	framed := 0
	for name, m := range a.Components.Messages {
		if m.Payload.Schema.Ref == "" {
			require.Zero(t, m.SchemaID, name)
			continue
		}
		framed++
		at := slices.IndexFunc(contracts, func(c contract) bool { return c.file() == path.Clean(m.Payload.Schema.Ref) })
		require.NotEqual(t, -1, at, name)
		require.Equal(t, contracts[at].id, m.SchemaID, name)
		require.Equal(t, "confluent", m.Bindings["kafka"]["schemaIdPayloadEncoding"], name)
		require.Equal(t, "payload", m.Bindings["kafka"]["schemaIdLocation"], name)
	}
	require.Equal(t, len(embeddedSchemas().current), framed)
}

// The examples are records: of no other fields, within the limits, and back from their bytes as they were.
func TestAsyncAPIExamplesAreRecords(t *testing.T) {
	a, _ := readAsyncAPI(t)
	now := time.Date(2026, 2, 2, 0, 0, 0, 0, time.UTC)
	limits := DefaultLimits()
	for i, text := range payloads(t, a, "interaction") {
		e := exampleOf(t, text, AppendInteraction, DecodeInteraction)
		require.NoError(t, limits.Interaction(&e, now), "%d", i)
	}
	for i, text := range payloads(t, a, "itemChange") {
		c := exampleOf(t, text, AppendItemChange, DecodeItemChange)
		require.NoError(t, limits.ItemChange(&c, now), "%d", i)
	}
	for i, text := range payloads(t, a, "request") {
		q := exampleOf(t, text, AppendRecommendationRequest, DecodeRecommendationRequest)
		require.NoError(t, limits.Request(&q, now), "%d", i)
	}
	for i, text := range payloads(t, a, "recall") {
		r := exampleOf(t, text, AppendRecall, DecodeRecall)
		require.NoError(t, limits.Recall(&r, now), "%d", i)
	}
	for _, text := range payloads(t, a, "reply") {
		exampleOf(t, text, AppendRecommendationReply, DecodeRecommendationReply)
	}
}

// Each status has its example, with what the status promises.
func TestAsyncAPIShowsEachStatus(t *testing.T) {
	a, _ := readAsyncAPI(t)
	var names []string
	for i, text := range payloads(t, a, "reply") {
		example := a.Components.Messages["reply"].Examples[i]
		names = append(names, example.Name)
		r := exampleOf(t, text, AppendRecommendationReply, DecodeRecommendationReply)
		require.Equal(t, example.Name, r.Status.String())
		require.NotEmpty(t, example.Summary)
		require.Equal(t, r.Status == StatusOK, r.Error == "", "%s: error is empty where the status is ok", r.Status)
		require.Equal(t, r.Status == StatusOK || r.Status == StatusDegraded, len(r.Items) > 0, "%s: items", r.Status)
		require.Equal(t, r.Status == StatusDegraded || r.Status == StatusUnavailable, len(r.Degraded) > 0, "%s: degraded", r.Status)
		require.Subset(t, degradations, r.Degraded)
	}
	require.Equal(t, replyStatuses[1:], names)
}

// payloads are the examples of a message, as JSON.
func payloads(t *testing.T, a asyncAPI, message string) (texts [][]byte) {
	t.Helper()
	for _, example := range a.Components.Messages[message].Examples {
		text, err := json.Marshal(example.Payload)
		require.NoError(t, err)
		texts = append(texts, text)
	}
	require.NotEmpty(t, texts, message)
	return texts
}

func exampleOf[T Record](t *testing.T, text []byte, encode func([]byte, *T) []byte, decode func([]byte) (T, error)) (rec T) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	require.NoError(t, d.Decode(&rec), "%s", text)
	back, err := decode(encode(nil, &rec))
	require.NoError(t, err)
	want, err := json.Marshal(rec)
	require.NoError(t, err)
	got, err := json.Marshal(back)
	require.NoError(t, err)
	require.JSONEq(t, string(want), string(got))
	return rec
}
