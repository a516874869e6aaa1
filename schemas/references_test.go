package schemas

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/freshet/freshet/infra/embedded/servertest"
)

// split takes the interaction's enum out of its schema, as Apicurio's serializer registers it; symbols are the enum's.
func split(t *testing.T, symbols ...string) (record, enum string) {
	var tree map[string]any
	require.NoError(t, json.Unmarshal([]byte(embeddedSchemas().current["interaction"]), &tree))
	for _, field := range tree["fields"].([]any) {
		f := field.(map[string]any)
		if f["name"] != "type" {
			continue
		}
		kind := f["type"].(map[string]any)
		kind["namespace"], f["type"] = "freshet.v1", "InteractionType"
		if len(symbols) > 0 {
			kind["symbols"] = symbols
		}
		text, err := json.Marshal(kind)
		require.NoError(t, err)
		enum = string(text)
	}
	text, err := json.Marshal(tree)
	require.NoError(t, err)
	return string(text), enum
}

// TestReferencesAreResolved decodes a record whose schema names its enum in another subject, on a registry of either kind.
func TestReferencesAreResolved(t *testing.T) {
	url, topic := servertest.Registry(t), servertest.Name()
	other := servertest.RegistryClient(t, url)
	record, enum := split(t)
	_, err := other.RegisterSchema(t.Context(), topic+"-type", sr.Schema{Schema: enum}, -1, -1)
	require.NoError(t, err)
	id, err := other.RegisterSchema(t.Context(), topic+"-split", sr.Schema{Schema: record, References: []sr.SchemaReference{
		{Name: "freshet.v1.InteractionType", Subject: topic + "-type", Version: 1},
	}}, -1, -1)
	require.NoError(t, err)
	s, err := NewSerde[Interaction](t.Context(), connect(t, RegistryConfig{URL: url}), topic)
	require.NoError(t, err)
	got, err := s.Decode(t.Context(), frame(uint32(id), AppendInteraction(nil, &sampleInteraction)), nil)
	require.NoError(t, err)
	require.Equal(t, sampleInteraction, got)
}

// Apicurio has groups, which the API for Confluent's clients does not show: it gives another team's enum of the same name.
func TestReferencesIntoAGroupOfApicurio(t *testing.T) {
	url, topic := servertest.Registry(t), servertest.Name()
	base, _, is := strings.Cut(url, apicurioPath)
	if !is {
		t.Skip("the embedded registry has no groups")
	}
	record, enum := split(t, "unknown", "hide", "like", "rating")
	_, others := split(t, "unknown", "like", "rating", "hide")
	registerInGroup(t, base, "default", topic+"-type", others, "")
	registerInGroup(t, base, topic, topic+"-type", enum, "")
	contentID, globalID := registerInGroup(t, base, topic, topic+"-value", record, topic+"-type")

	s, err := NewSerde[Interaction](t.Context(), connect(t, RegistryConfig{URL: url}), topic)
	require.NoError(t, err)
	body := AppendInteraction(nil, &Interaction{EventID: "e", Type: InteractionType(2)}) // like, of the writer's enum
	for name, c := range map[string]struct {
		value   []byte
		headers headerMap
	}{
		"frame":              {frame(uint32(contentID), body), nil},
		"header contentId":   {body, headerMap{headerApicurioContent: eight(contentID), headerApicurioForm: []byte("BINARY")}},
		"header globalId":    {body, headerMap{headerApicurioGlobal: eight(globalID), headerApicurioForm: []byte("BINARY")}},
		"foreign headers on": {frame(uint32(contentID), body), headerMap{"traceparent": []byte("00-…")}},
	} {
		got, err := s.Decode(t.Context(), c.value, c.headers)
		require.NoError(t, err, name)
		require.Equal(t, Like, got.Type, name)
	}
	_, err = s.Decode(t.Context(), body, headerMap{headerApicurioGlobal: eight(1 << 40)})
	require.ErrorContains(t, err, "Apicurio's global id 1099511627776: unknown schema: the registry does not have it")
	require.True(t, IsMalformed(err))
}

func registerInGroup(t *testing.T, base, group, artifact, text, reference string) (contentID, globalID uint64) {
	refs := []map[string]string{}
	if reference != "" {
		refs = append(refs, map[string]string{"groupId": group, "artifactId": reference, "version": "1", "name": "freshet.v1.InteractionType"})
	}
	body, err := json.Marshal(map[string]any{"artifactId": artifact, "artifactType": "AVRO", "firstVersion": map[string]any{
		"version": "1", "content": map[string]any{"content": text, "contentType": "application/json", "references": refs},
	}})
	require.NoError(t, err)
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Post(base+"/apis/registry/v3/groups/"+group+"/artifacts", "application/json", strings.NewReader(string(body)))
	require.NoError(t, err)
	defer resp.Body.Close()
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var made struct {
		Version struct{ ContentID, GlobalID uint64 }
	}
	require.NoError(t, json.NewDecoder(resp.Body).Decode(&made))
	return made.Version.ContentID, made.Version.GlobalID
}

// What cannot be put together is refused by name, the second record with the same words as the first.
func TestReferencesAreBounded(t *testing.T) {
	server := startRegistry(t)
	ref := func(subject string) []sr.SchemaReference {
		return []sr.SchemaReference{{Name: "t", Subject: subject, Version: 1}}
	}
	answer := func(w http.ResponseWriter, text string, refs []sr.SchemaReference) bool {
		w.WriteHeader(http.StatusOK)
		_ = json.NewEncoder(w).Encode(sr.Schema{Schema: text, References: refs})
		return true
	}
	server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		subject, of, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/subjects/"), "/")
		switch {
		case r.Method != http.MethodGet:
		case r.URL.Path == "/schemas/ids/501":
			return answer(w, `"a.b"`, ref("ring-1"))
		case r.URL.Path == "/schemas/ids/502":
			return answer(w, `"a.b"`, ref("deep-0"))
		case r.URL.Path == "/schemas/ids/503":
			return answer(w, `"a.b"`, ref("wide"))
		case r.URL.Path == "/schemas/ids/504":
			return answer(w, `"a.b"`, ref("missing"))
		case r.URL.Path == "/schemas/ids/505":
			return answer(w, `"a.b"`, ref("huge"))
		case of != "versions/1":
		case subject == "ring-1":
			return answer(w, `"int"`, ref("ring-2"))
		case subject == "ring-2":
			return answer(w, `"int"`, ref("ring-1"))
		case strings.HasPrefix(subject, "deep-"):
			return answer(w, `"int"`, ref(subject+"0"))
		case subject == "wide":
			var many []sr.SchemaReference
			for i := range 100 {
				many = append(many, ref(fmt.Sprintf("leaf-%d", i))...)
			}
			return answer(w, `"int"`, many)
		case strings.HasPrefix(subject, "leaf-"):
			return answer(w, `"int"`, nil)
		case subject == "huge":
			return answer(w, `"`+strings.Repeat("x", maxReferenceBytes)+`"`, nil)
		}
		return false
	})
	s, err := NewSerde[Interaction](t.Context(), connect(t, RegistryConfig{URL: server.URL()}), "topic")
	require.NoError(t, err)
	for id, want := range map[uint32]string{
		501: `schema id 501: unknown schema: its references come back to where they were: "ring-1 -> ring-2 -> ring-1"`,
		502: "it refers to more than 64 schemas, or more than 16 deep",
		503: "it refers to more than 64 schemas, or more than 16 deep",
		504: `it refers to version 1 of subject "missing" for the type "t", which the registry does not have: register that too`,
		505: "more than 1048576 bytes",
	} {
		for range 2 { // the second from what is remembered
			_, err := s.Decode(t.Context(), frame(id, []byte("…")), nil)
			require.ErrorContains(t, err, want)
			require.True(t, IsMalformed(err))
		}
	}
}

// A diamond of references defines its types once.
func TestReferencesThatMeet(t *testing.T) {
	server := startRegistry(t)
	add := func(subject, text string, refs ...string) int {
		s := sr.Schema{Schema: text}
		for _, r := range refs {
			s.References = append(s.References, sr.SchemaReference{Name: r, Subject: r, Version: 1})
		}
		id, _, err := server.RegisterSchema(subject, s)
		require.NoError(t, err)
		return id
	}
	record, enum := split(t)
	add("freshet.v1.InteractionType", enum)
	add("freshet.v1.Left", `{"type": "record", "name": "freshet.v1.Left", "fields": [{"name": "t", "type": "InteractionType"}]}`,
		"freshet.v1.InteractionType")
	id := add("split", strings.Replace(record, `"fields":[`, `"fields":[{"name":"left","type":["null","Left"]},`, 1),
		"freshet.v1.Left", "freshet.v1.InteractionType")
	s, err := NewSerde[Interaction](t.Context(), connect(t, RegistryConfig{URL: server.URL()}), "topic")
	require.NoError(t, err)
	got, err := s.Decode(t.Context(), frame(uint32(id), AppendInteraction([]byte{2, 6}, &sampleInteraction)), nil)
	require.NoError(t, err)
	require.Equal(t, sampleInteraction, got)
}

// Apicurio cannot check a schema against one that refers to others; whoever meets that is told what to do.
func TestApicurioCannotCheckAgainstReferences(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusUnprocessableEntity)
		_, _ = w.Write([]byte(`{"message":"Could not execute compatibility rule on invalid Avro schema","error_code":0}`))
	}))
	t.Cleanup(server.Close)
	_, err := connect(t, RegistryConfig{URL: server.URL + apicurioPath + "v7"}).Register(t.Context(), "topic-value", `"string"`)
	require.ErrorContains(t, err, "Could not execute compatibility rule")
	require.ErrorContains(t, err, "set the subject's compatibility to NONE, and start again")
}
