package schemas

import (
	"bytes"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/freshet/freshet/infra/embedded/servertest"
)

// A subject gets the level that asyncapi.yaml speaks of, unless it has one. Apicurio's own level for all is NONE.
func TestSubjectsGetALevel(t *testing.T) {
	url := servertest.Registry(t)
	other := servertest.RegistryClient(t, url)
	level := func(subject string) sr.CompatibilityLevel {
		answer := other.Compatibility(t.Context(), subject)[0]
		require.NoError(t, answer.Err)
		return answer.Level
	}
	c := DefaultRegistryConfig()
	c.URL = url
	topic := servertest.Name()
	for range 2 { // as each start does
		_, err := NewSerde[Interaction](t.Context(), connect(t, c), topic)
		require.NoError(t, err)
		require.Equal(t, sr.CompatBackward, level(topic+"-value"))
	}
	_, err := other.RegisterSchema(t.Context(), topic+"-value", sr.Schema{Schema: "\"string\""}, -1, -1)
	if strings.Contains(url, apicurioPath) { // the embedded one does not check
		require.Error(t, err, "what Freshet could not read is refused where it is registered")
	}

	chosen := servertest.Name()
	_, err = other.RegisterSchema(t.Context(), chosen+"-value", sr.Schema{Schema: embeddedSchemas().current["interaction"]}, -1, -1)
	require.NoError(t, err)
	require.NoError(t, other.SetCompatibility(t.Context(), sr.SetCompatibility{Level: sr.CompatFullTransitive}, chosen+"-value")[0].Err)
	_, err = NewSerde[Interaction](t.Context(), connect(t, c), chosen)
	require.NoError(t, err)
	require.Equal(t, sr.CompatFullTransitive, level(chosen+"-value"), "an operator's choice stays")

	alone := servertest.Name()
	before := level("")
	c.Compatibility = ""
	_, err = NewSerde[Interaction](t.Context(), connect(t, c), alone)
	require.NoError(t, err)
	require.Equal(t, before, level(alone+"-value"), "told to leave subjects as they are")
}

// NONE for all subjects is no level of this one; NONE for this one is.
func TestNoneOfASubjectStays(t *testing.T) {
	server := startRegistry(t)
	require.NoError(t, server.SetCompat("chosen-value", sr.CompatNone))
	c := DefaultRegistryConfig()
	c.URL = server.URL()
	other := servertest.RegistryClient(t, server.URL())
	require.NoError(t, other.SetCompatibility(t.Context(), sr.SetCompatibility{Level: sr.CompatNone})[0].Err)
	for _, topic := range []string{"chosen", "fresh"} {
		_, err := NewSerde[Interaction](t.Context(), connect(t, c), topic)
		require.NoError(t, err)
	}
	levels := other.Compatibility(t.Context(), "chosen-value", "fresh-value")
	require.Equal(t, sr.CompatNone, levels[0].Level)
	require.Equal(t, sr.CompatBackward, levels[1].Level)
}

// A registry that will not have the level set is told of, and the start goes on.
func TestALevelThatIsDenied(t *testing.T) {
	for _, denied := range []string{http.MethodGet, http.MethodPut} {
		server := startRegistry(t)
		server.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
			if r.Method != denied || !strings.HasPrefix(r.URL.Path, "/config/") {
				return false
			}
			w.WriteHeader(http.StatusForbidden)
			return true
		})
		var log bytes.Buffer
		c := DefaultRegistryConfig()
		c.URL = server.URL()
		r, err := NewRegistry(c, slog.New(slog.NewTextHandler(&log, nil)))
		require.NoError(t, err)
		_, err = NewSerde[Interaction](t.Context(), r, "topic")
		require.NoError(t, err)
		require.Contains(t, log.String(), "level=WARN")
		require.Contains(t, log.String(), "subject=topic-value")
		require.Contains(t, log.String(), "answered 403")
	}
}

func TestCompatibilityIsValidated(t *testing.T) {
	c := DefaultRegistryConfig()
	c.Compatibility = "BACKWARDS"
	require.ErrorContains(t, c.Validate(), `invalid compatibility "BACKWARDS": give BACKWARD`)
	c.Compatibility = "full_transitive"
	require.NoError(t, c.Validate())
}
