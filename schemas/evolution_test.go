package schemas

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/sr"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/schemas/internal/avro"
)

// problems says what a record of the earlier schema text could hold that the later one cannot read.
func problems(t *testing.T, earlier, later string) []string {
	t.Helper()
	writer, err := avro.Parse(earlier)
	require.NoError(t, err)
	reader, err := avro.Parse(later)
	require.NoError(t, err)
	return avro.Resolve(writer, reader).Problems()
}

// TestEachSchemaReadsItsEarlierVersions is the compatibility check that a registry makes (BACKWARD_TRANSITIVE), made here,
// where it fails before anything is released.
func TestEachSchemaReadsItsEarlierVersions(t *testing.T) {
	for i, later := range contracts {
		for _, earlier := range contracts[:i+1] {
			if earlier.record == later.record {
				require.Empty(t, problems(t, embeddedSchemas().byID[earlier.id], embeddedSchemas().byID[later.id]),
					"%s reads %s", later.file(), earlier.file())
			}
		}
	}
}

// Who stays at an earlier version, and has the schemas from a registry, goes on reading.
func TestEachSchemaIsReadByItsEarlierVersions(t *testing.T) {
	for i, later := range contracts {
		for _, earlier := range contracts[:i] {
			if earlier.record == later.record {
				require.Empty(t, problems(t, embeddedSchemas().byID[later.id], embeddedSchemas().byID[earlier.id]),
					"%s reads %s", earlier.file(), later.file())
			}
		}
	}
}

// The check itself must see what breaks a reader.
func TestCompatibilityCheckSeesBreakage(t *testing.T) {
	current := embeddedSchemas().current["item_change"]
	for _, c := range []struct{ name, older, want string }{
		{"a required field was added", `{"type": "record", "name": "ItemChange", "namespace": "freshet.v1", "fields": [
			{"name": "item_id", "type": "string"}]}`, "ItemChange.op: the writer has no such field, and it has no default"},
		{"a type was narrowed", `{"type": "record", "name": "ItemChange", "namespace": "freshet.v1", "fields": [
			{"name": "item_id", "type": "string"}, {"name": "op", "type": {"type": "enum", "name": "ItemOp", "symbols": ["upsert"]}},
			{"name": "version", "type": "double"}, {"name": "occurred_at", "type": "long"}]}`, "double cannot be read as long"},
		{"the record was renamed", `{"type": "record", "name": "Item", "namespace": "freshet.v1", "fields": []}`, "cannot be read as"},
	} {
		t.Run(c.name, func(t *testing.T) {
			found := problems(t, c.older, current)
			require.NotEmpty(t, found)
			require.Contains(t, fmt.Sprint(found), c.want)
		})
	}
}

// evolved is a registry with one schema of somebody else's.
type evolved struct {
	Registry
	id   int
	text string
}

func (r evolved) Schema(ctx context.Context, id SchemaID) (Schema, error) {
	if id == ByID(r.id) {
		return Schema{Text: r.text}, nil
	}
	return r.Registry.Schema(ctx, id)
}

type m = map[string]any

// TestDecodesOlderAndNewerWriters decodes records that goavro wrote by an older and by a newer schema: defaults filled, fields
// dropped, symbols that are too new named, or turned into unknown in a reply.
func TestDecodesOlderAndNewerWriters(t *testing.T) {
	at := time.Date(2026, 1, 31, 12, 0, 0, 5e6, time.UTC)
	ten, half := 10.0, 0.5
	t.Run("interaction, older", func(t *testing.T) {
		decodes(t, "interaction.older", m{"event_id": "e", "user_id": "u", "item_id": "i", "type": "purchase",
			"value": float32(0.5), "occurred_at": at},
			Interaction{EventID: "e", UserID: "u", ItemID: "i", Type: Purchase, Value: &half, OccurredAt: at})
	})
	newer := m{"session": goavro.Union("freshet.v1.Session", m{"id": "s", "steps": []any{nil,
		goavro.Union("freshet.v1.Session", m{"id": "t"})}}),
		"event_id": "e", "user_id": "u", "item_id": "i", "type": "like", "value": nil, "occurred_at": at,
		"request_id": goavro.Union("string", "r"), "surface": goavro.Union("string", "home"), "context": m{"k": "v"}, "weight": 2.0}
	t.Run("interaction, newer", func(t *testing.T) {
		decodes(t, "interaction.newer", newer, Interaction{EventID: "e", UserID: "u", ItemID: "i", Type: Like, OccurredAt: at,
			RequestID: "r", Surface: "home", Context: map[string]string{"k": "v"}})
	})
	t.Run("interaction, newer type", func(t *testing.T) {
		newer["type"] = "share"
		err := refusalOf[Interaction](t, "interaction.newer", newer)
		require.ErrorContains(t, err, `decoding interaction: schema id 17: invalid type "share": give one of impression, view, click, like, `)
	})
	t.Run("item change, older", func(t *testing.T) {
		decodes(t, "item_change.older", m{"item_id": "i", "op": "delete", "version": 7, "occurred_at": at.UnixMilli(), "title": "T",
			"price": goavro.Union("int", 10)},
			ItemChange{ItemID: "i", Op: DeleteItem, Version: 7, OccurredAt: at, Title: "T", Price: &ten, Available: true})
	})
	t.Run("item change, newer", func(t *testing.T) {
		change := m{"item_id": "i", "op": "archive", "version": 7, "occurred_at": at, "available": false,
			"images": []any{m{"url": "http://x", "digest": []byte("abcd")}}, "tags": []any{"a", "b"},
			"published_at": goavro.Union("long.timestamp-millis", at), "min_age": 18, "attributes": m{"k": "v"}}
		err := refusalOf[ItemChange](t, "item_change.newer", change)
		require.ErrorContains(t, err, `invalid op "archive": give one of upsert, delete, or upgrade Freshet`)
		change["op"] = "upsert"
		decodes(t, "item_change.newer", change,
			ItemChange{ItemID: "i", Op: UpsertItem, Version: 7, OccurredAt: at, Tags: []string{"a", "b"}, PublishedAt: at, MinAge: 18,
				Attributes: map[string]string{"k": "v"}})
	})
	t.Run("request, older", func(t *testing.T) {
		decodes(t, "recommendation_request.older", m{"request_id": "r", "user_id": "u"},
			RecommendationRequest{RequestID: "r", UserID: "u", Count: 10})
	})
	t.Run("request, newer", func(t *testing.T) {
		second := m{"occurred_at": at, "type": "share", "item_id": "j", "dwell": 3.0}
		request := m{"request_id": "r", "user_id": "u", "count": 3, "household": []any{"x", "y"},
			"recent":       []any{m{"occurred_at": at, "type": "view", "item_id": "i"}, second},
			"seen_through": goavro.Union("freshet.v1.Position", m{"partition": 1, "offset": 2}), "query": goavro.Union("string", "tea")}
		err := refusalOf[RecommendationRequest](t, "recommendation_request.newer", request)
		require.ErrorContains(t, err, `invalid recent[].type "share": give one of impression, view, `)
		second["type"] = "view"
		decodes(t, "recommendation_request.newer", request,
			RecommendationRequest{RequestID: "r", UserID: "u", Count: 3, Recent: []RecentEvent{{"i", View, at}, {"j", View, at}},
				SeenThrough: &Position{1, 2}, Query: "tea"})
	})
	t.Run("reply, older", func(t *testing.T) {
		decodes(t, "recommendation_reply.older", m{"request_id": "r", "user_id": "u", "status": "internal",
			"items": []any{m{"item_id": "i", "score": float32(1.5)}}, "freshness": m{"model_version": "mv"}},
			RecommendationReply{RequestID: "r", UserID: "u", Status: StatusInternal, Items: []RecommendedItem{{ItemID: "i", Score: 1.5}},
				Freshness: Freshness{ModelVersion: "mv"}})
	})
	t.Run("reply, newer", func(t *testing.T) {
		yes := true
		decodes(t, "recommendation_reply.newer", m{"request_id": "r", "user_id": "u", "status": "throttled",
			"items": []any{m{"item_id": "i", "score": float32(1.5), "position": 4, "source": "popular", "reasons": []any{"why"}}},
			"freshness": m{"profile": goavro.Union("freshet.v1.Position", m{"partition": 1, "offset": 2}), "ranker_version": "x",
				"seen_through_satisfied": goavro.Union("boolean", true)},
			"degraded": []any{"user_profile", "a_code_of_tomorrow"}},
			RecommendationReply{Degraded: []Degradation{DegradedUserProfile, "a_code_of_tomorrow"},
				RequestID: "r", UserID: "u", Items: []RecommendedItem{{"i", 1.5, "popular", []string{"why"}}},
				Freshness: Freshness{Profile: &Position{1, 2}, SeenThroughSatisfied: &yes}})
	})
}

// refusalOf returns why a record is none that can be used.
func refusalOf[T Record](t *testing.T, fixture string, native m) error {
	s, framed, _ := writtenBy[T](t, fixture, native)
	got, err := s.Decode(t.Context(), framed, nil)
	require.True(t, IsMalformed(err), "%v", err)
	require.Zero(t, got)
	return err
}

func decodes[T Record](t *testing.T, fixture string, native m, want T) {
	s, framed, text := writtenBy[T](t, fixture, native)
	got, err := s.Decode(t.Context(), framed, nil)
	require.NoError(t, err)
	require.Equal(t, want, got)

	current := embeddedSchemas().current[codecOf[T]().record]
	require.Empty(t, problems(t, text, current), "the current schema reads what it wrote")
	for cut := range framed {
		_, err := s.Decode(t.Context(), framed[:cut], nil)
		require.True(t, IsMalformed(err), "cut to %d bytes: %v", cut, err)
	}
}

func writtenBy[T Record](t *testing.T, fixture string, native m) (s *Serde[T], framed []byte, schema string) {
	text, err := os.ReadFile(filepath.Join("testdata", "evolution", fixture+".avsc"))
	require.NoError(t, err)
	writer, err := goavro.NewCodec(string(text))
	require.NoError(t, err)
	const id = 17
	framed, err = writer.BinaryFromNative(binary.BigEndian.AppendUint32([]byte{0}, id), native)
	require.NoError(t, err)
	s, err = NewSerde[T](t.Context(), evolved{EmbeddedRegistry(), id, string(text)}, "topic")
	require.NoError(t, err)
	return s, framed, string(text)
}

// A fleet is never upgraded at one moment: what asks by the version before is read as a request without a query.
func TestRequestsOfTheVersionBeforeAreRead(t *testing.T) {
	asked := sampleRequest
	native := requestNative(&asked)
	delete(native, "query")
	asked.Query = ""
	require.Equal(t, asked, readOf[RecommendationRequest](t, embeddedIDs+3, native))
}

// What a role of the version before answers is read as a reply without codes: its error says what it lacks.
func TestRepliesOfTheVersionBeforeAreRead(t *testing.T) {
	given := sampleReply
	native := replyNative(&given)
	delete(native, "degraded")
	given.Degraded = nil
	require.Equal(t, given, readOf[RecommendationReply](t, embeddedIDs+4, native))
}

// readOf decodes a record that goavro wrote by a released schema.
func readOf[T Record](t *testing.T, id int, native m) T {
	writer, err := goavro.NewCodec(embeddedSchemas().byID[id])
	require.NoError(t, err)
	framed, err := writer.BinaryFromNative(binary.BigEndian.AppendUint32([]byte{0}, uint32(id)), native)
	require.NoError(t, err)
	s, err := NewSerde[T](t.Context(), EmbeddedRegistry(), "topic")
	require.NoError(t, err)
	got, err := s.Decode(t.Context(), framed, nil)
	require.NoError(t, err)
	return got
}

// What an asker of the version before, with a registry, makes of a reply with codes that it does not know: all else is as it was.
func TestRepliesAreReadByTheVersionBefore(t *testing.T) {
	ids := map[int]*avro.Schema{embeddedIDs + 4: nil, embeddedIDs + 7: nil}
	for id := range ids {
		var err error
		ids[id], err = avro.Parse(embeddedSchemas().byID[id])
		require.NoError(t, err)
	}
	body, unknown, err := avro.Resolve(ids[embeddedIDs+7], ids[embeddedIDs+4]).Append(nil, AppendRecommendationReply(nil, &sampleReply))
	require.NoError(t, err)
	require.Nil(t, unknown)
	reader, err := goavro.NewCodec(embeddedSchemas().byID[embeddedIDs+4])
	require.NoError(t, err)
	want := replyNative(&sampleReply)
	delete(want, "degraded")
	expected, err := reader.BinaryFromNative(nil, want)
	require.NoError(t, err)
	require.Equal(t, expected, body)
}

// TestForeignTimesBecomeMilliseconds reads what Spark, Flink and polars make of a time, by a schema of the producer's own in a registry.
func TestForeignTimesBecomeMilliseconds(t *testing.T) {
	url, topic := servertest.Registry(t), servertest.Name()
	client := servertest.RegistryClient(t, url)
	s, err := NewSerde[Interaction](t.Context(), connect(t, RegistryConfig{URL: url}), topic)
	require.NoError(t, err)
	const schema = `{"type": "record", "name": "Interaction", "namespace": "freshet.v1", "fields": [{"name": "occurred_at", "type": %s},
		{"name": "event_id", "type": "string"}, {"name": "user_id", "type": "string"}, {"name": "item_id", "type": "string"},
		{"name": "type", "type": {"type": "enum", "name": "InteractionType", "symbols": ["view"]}}]}`
	const at = 1_769_860_800_123
	for kind, count := range map[string]int64{
		`{"type": "long", "logicalType": "timestamp-millis"}`:                at,
		`{"type": "long", "logicalType": "timestamp-micros"}`:                at*1000 + 456,
		`["null", {"type": "long", "logicalType": "timestamp-nanos"}]`:       at*1_000_000 + 456_789,
		`{"type": "long", "logicalType": "local-timestamp-millis"}`:          at,
		`{"type": "long", "logicalType": "local-timestamp-micros"}`:          at*1000 + 999,
		`["null", {"type": "long", "logicalType": "local-timestamp-nanos"}]`: at*1_000_000 + 999_999,
		`"long"`: at,
	} {
		text := fmt.Sprintf(schema, kind)
		registered, err := client.RegisterSchema(t.Context(), servertest.Name(), sr.Schema{Schema: text}, -1, -1)
		require.NoError(t, err)
		plain, err := goavro.NewCodec(fmt.Sprintf(schema, map[bool]string{true: `["null", "long"]`, false: `"long"`}[kind[0] == '[']))
		require.NoError(t, err)
		native := map[string]any{"occurred_at": any(count), "event_id": "e", "user_id": "u", "item_id": "i", "type": "view"}
		if kind[0] == '[' {
			native["occurred_at"] = goavro.Union("long", count)
		}
		body, err := plain.BinaryFromNative(nil, native)
		require.NoError(t, err)
		got, err := s.Decode(t.Context(), frame(uint32(registered), body), nil)
		require.NoError(t, err, kind)
		require.Equal(t, Interaction{EventID: "e", UserID: "u", ItemID: "i", Type: View, OccurredAt: time.UnixMilli(at).UTC()}, got, kind)
	}
}
