package schemas

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/sr"
	"github.com/twmb/franz-go/pkg/sr/srfake"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded/servertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func startRegistry(t *testing.T, opts ...srfake.Option) *srfake.Registry {
	server := srfake.New(opts...)
	t.Cleanup(server.Close)
	return server
}

func connect(t *testing.T, c RegistryConfig) Registry {
	r, err := NewRegistry(c, nil)
	require.NoError(t, err)
	return r
}

// Two programs with a registry between them: the one with the newer schema writes, ours reads; each under the registry's ids.
func TestConfluentRegistry(t *testing.T) {
	url, topic := servertest.Registry(t), servertest.Name()
	other := servertest.RegistryClient(t, url)
	_, err := other.RegisterSchema(t.Context(), topic+"-filler", sr.Schema{Schema: `"string"`}, -1, -1)
	require.NoError(t, err)
	r := connect(t, RegistryConfig{URL: url})
	s, err := NewSerde[Interaction](t.Context(), r, topic)
	require.NoError(t, err)
	registered, err := other.SchemaByVersion(t.Context(), topic+"-value", 1)
	require.NoError(t, err)
	require.JSONEq(t, embeddedSchemas().current["interaction"], registered.Schema.Schema)

	framed := s.Append(nil, &sampleInteraction)
	require.Equal(t, frame(uint32(registered.ID), nil), framed[:frameBytes])
	again, err := NewSerde[Interaction](t.Context(), r, topic)
	require.NoError(t, err)
	back, err := again.Decode(t.Context(), framed, nil)
	require.NoError(t, err)
	require.Equal(t, sampleInteraction, back)

	text, err := os.ReadFile("testdata/evolution/interaction.newer.avsc")
	require.NoError(t, err)
	id, err := other.RegisterSchema(t.Context(), topic+"-value", sr.Schema{Schema: string(text)}, -1, -1)
	require.NoError(t, err)
	got, err := r.Schema(t.Context(), ByID(id))
	require.NoError(t, err)
	require.JSONEq(t, string(text), got.Text)
}

func TestConfluentRegistryIsAskedOnce(t *testing.T) {
	server := startRegistry(t)
	id, _, err := server.RegisterSchema("topic-value", sr.Schema{Schema: `"string"`})
	require.NoError(t, err)
	r := connect(t, RegistryConfig{URL: server.URL()})
	_, err = r.Schema(t.Context(), ByID(id))
	require.NoError(t, err)
	server.Close()
	_, err = r.Schema(t.Context(), ByID(id))
	require.NoError(t, err, "what an id means never changes")
}

// Records from before a registry was set carry the embedded ids.
func TestConfluentRegistryKeepsOldRecordsReadable(t *testing.T) {
	before, err := NewSerde[Interaction](t.Context(), EmbeddedRegistry(), "topic")
	require.NoError(t, err)
	after, err := NewSerde[Interaction](t.Context(), connect(t, RegistryConfig{URL: servertest.Registry(t)}), servertest.Name())
	require.NoError(t, err)
	back, err := after.Decode(t.Context(), before.Append(nil, &sampleInteraction), nil)
	require.NoError(t, err)
	require.Equal(t, sampleInteraction, back)
	_, err = before.Decode(t.Context(), after.Append(nil, &sampleInteraction), nil)
	require.True(t, IsMalformed(err), "without the registry its ids mean nothing")
}

// A registry knows every schema that Freshet has by its id, and no other.
func TestConfluentRegistryAndUnknownIDs(t *testing.T) {
	r := connect(t, RegistryConfig{URL: servertest.Registry(t)})
	_, err := r.Schema(t.Context(), ByID(1<<30))
	require.ErrorIs(t, err, ErrUnknownSchema)
}

func TestConfluentRegistryAnswers(t *testing.T) {
	server := startRegistry(t)
	server.SeedSchema("proto-value", 1, 41, sr.Schema{Schema: `syntax = "proto3";`, Type: sr.TypeProtobuf})
	r := connect(t, RegistryConfig{URL: server.URL()})
	_, err := r.Schema(t.Context(), ByID(999))
	require.ErrorIs(t, err, ErrUnknownSchema)
	_, err = r.Schema(t.Context(), ByID(41))
	require.ErrorIs(t, err, ErrUnknownSchema)
	require.ErrorContains(t, err, "is Protobuf, not Avro: use the Avro serializer")

	server.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		http.Error(w, "no such page", http.StatusNotFound)
		return true
	})
	_, err = r.Schema(t.Context(), ByID(999))
	require.Error(t, err)
	require.False(t, IsMalformed(err), "a proxy's 404 is no word on the schema")
	server.ClearInterceptors()
	server.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"error_code": 409, "message": "Schema being registered is incompatible"}`)
		return true
	})
	_, err = r.Register(t.Context(), "topic-value", `"string"`)
	require.ErrorContains(t, err, "registering a schema under topic-value")
	require.ErrorContains(t, err, "incompatible")
}

func TestConfluentRegistrySignsIn(t *testing.T) {
	server := startRegistry(t, srfake.WithAuth("Basic dXNlcjpwYXNz"))
	_, err := connect(t, RegistryConfig{URL: server.URL(), Username: "user", Password: "pass"}).Register(t.Context(), "s",
		`"string"`)
	require.NoError(t, err)
	_, err = connect(t, RegistryConfig{URL: server.URL()}).Register(t.Context(), "s", `"string"`)
	require.Error(t, err)
}

// A registry that takes the connection and says nothing holds a call for the timeout, and no longer.
func TestConfluentRegistryHasADeadline(t *testing.T) {
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		<-over
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(over) })
	r := connect(t, RegistryConfig{URL: server.URL, Timeout: 20 * time.Millisecond})
	_, err := r.Schema(t.Context(), ByID(1))
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.False(t, IsMalformed(err))
	_, err = r.Register(t.Context(), "s", `"string"`)
	require.ErrorIs(t, err, context.DeadlineExceeded)
}

func TestConfluentRegistryTriesTheNextInstance(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	server := startRegistry(t)
	_, err := connect(t, RegistryConfig{URL: gone.URL + ", " + server.URL()}).Register(t.Context(), "s", `"string"`)
	require.NoError(t, err)
}

func TestRegistryConfig(t *testing.T) {
	require.NoError(t, DefaultRegistryConfig().Validate())
	require.Equal(t, EmbeddedRegistry(), connect(t, DefaultRegistryConfig()))
	for _, url := range []string{"localhost:8081", "ftp://host", "http://", "http://ok:1,nope"} {
		_, err := NewRegistry(RegistryConfig{URL: url}, nil)
		require.True(t, IsInvalid(err), url)
		require.ErrorContains(t, err, "give http://host:port")
	}
	_, err := NewRegistry(RegistryConfig{URL: "http://user:secret@host"}, nil)
	require.ErrorContains(t, err, "give the user in username and password")
	require.NotContains(t, err.Error(), "user:secret")
	_, err = NewRegistry(RegistryConfig{Timeout: -1}, nil)
	require.ErrorContains(t, err, "invalid timeout -1ns")
}
