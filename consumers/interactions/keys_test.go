package interactions

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/schemas"
)

// unlike counts records by what their keys were.
func unlike(t testing.TB, data metricdata.Aggregation) map[string]int64 {
	t.Helper()
	got := map[string]int64{}
	for _, point := range data.(metricdata.Sum[int64]).DataPoints {
		key, _ := point.Attributes.Value("key")
		got[key.AsString()] += point.Value
	}
	return got
}

// TestAKeyThatIsNotTheUser: the event is the user's whom its value names. It is counted, and one line says where.
func TestAKeyThatIsNotTheUser(t *testing.T) {
	read := observe(t)
	r := newRig(t)
	records := func(key string, ids ...string) {
		for _, id := range ids {
			e := event(id, "secret-ann", "item-"+id, schemas.Click)
			record := r.record(key, r.serde.Append(nil, &e))
			if key == "" {
				record.Key = nil
			}
			require.NoError(t, r.handle(record))
		}
	}
	records("secret-ann", "1")
	records("someone-else", "2", "3")
	records(`"secret-ann"`, "4")
	records("", "5", "6")
	require.Len(t, r.load("secret-ann").History, 6)
	require.Nil(t, r.load("someone-else"))
	require.Equal(t, map[string]int64{"other": 3, "none": 2}, unlike(t, read("freshet.keys.unlike")))
	require.Equal(t, 1, strings.Count(r.logged.String(), "records have a key that is not their user_id"), "%s", &r.logged)
	require.Contains(t, r.logged.String(), "records=1 topic=freshet.interactions partition=3 offset=1")
	require.NotContains(t, r.logged.String(), "secret-ann")
}

// TestATombstoneOfNobody is counted and told; one of somebody is not, nor is it again when it is replayed.
func TestATombstoneOfNobody(t *testing.T) {
	read := observe(t)
	r := newRig(t)
	stranger := r.tombstone("secret-stranger")
	require.NoError(t, r.handle(r.eventRecord(event("1", "ann", "a", schemas.Click)), r.tombstone("ann")))
	require.NoError(t, r.handle(r.eventRecord(event("1", "bob", "a", schemas.Click))))
	require.NoError(t, r.handle(r.tombstone("bob"), r.tombstone("bob")))
	require.Empty(t, r.logged.String())
	require.NoError(t, r.handle(stranger, r.tombstone("secret-other")))
	require.NoError(t, r.handle(stranger))
	require.Equal(t, map[string]int64{"applied": 2, "erased": 3, "unknown": 2, "replayed": 1}, outcomesOf(t, read("freshet.events")))
	require.Equal(t, 1, strings.Count(r.logged.String(), "tombstones of users of whom nothing is known"), "%s", &r.logged)
	require.Contains(t, r.logged.String(), "topic=freshet.interactions partition=3 offset=0")
	require.NotContains(t, r.logged.String(), "secret")

	r.logged.Reset()
	carl := event("1", "carl", "a", schemas.Click)
	require.NoError(t, r.Replaying().Handle(t.Context(), []stream.Record{r.tombstone("nobody"), r.record("x", r.serde.Append(nil, &carl))}))
	require.Empty(t, r.logged.String(), "the role has told it")
}
