package schemas

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestJSONRoundTrips(t *testing.T) {
	text, err := json.Marshal(sampleInteraction)
	require.NoError(t, err)
	e, err := DecodeInteractionJSON(text)
	require.NoError(t, err)
	require.Equal(t, sampleInteraction, e)

	text, err = json.Marshal(sampleItem)
	require.NoError(t, err)
	c, err := DecodeItemChangeJSON(text)
	require.NoError(t, err)
	require.Equal(t, sampleItem, c)
}

func TestJSONLeavesOptionalFieldsOut(t *testing.T) {
	text, err := json.Marshal(Interaction{EventID: "e", UserID: "u", ItemID: "i", Type: View, OccurredAt: sampleTime})
	require.NoError(t, err)
	require.JSONEq(t, `{"event_id": "e", "user_id": "u", "item_id": "i", "type": "view",
		"occurred_at": "2026-01-31T12:00:00.123Z"}`, string(text))
	text, err = json.Marshal(ItemChange{ItemID: "i", Op: DeleteItem, Version: 2, OccurredAt: sampleTime})
	require.NoError(t, err)
	require.JSONEq(t, `{"item_id": "i", "op": "delete", "version": 2, "available": false,
		"occurred_at": "2026-01-31T12:00:00.123Z"}`, string(text))
	text, err = json.Marshal(RecommendationReply{RequestID: "r", UserID: "u", Status: StatusOK})
	require.NoError(t, err)
	require.JSONEq(t, `{"request_id": "r", "user_id": "u", "status": "ok", "freshness": {}}`, string(text))
}

func TestJSONDefaults(t *testing.T) {
	c, err := DecodeItemChangeJSON([]byte(`{"item_id": "i", "op": "upsert", "title": null, "published_at": null, "price": null}`))
	require.NoError(t, err)
	require.Equal(t, ItemChange{ItemID: "i", Op: UpsertItem, Available: true}, c)
	c, err = DecodeItemChangeJSON([]byte(`{"available": false}`))
	require.NoError(t, err)
	require.False(t, c.Available)
}

func TestJSONRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, field, value, remedy string }{
		{"nothing", ``, "", `""`, "give a JSON object"},
		{"a list", `[]`, "", `"[]"`, "give a JSON object"},
		{"no JSON", `user_id=u`, "", `"user_id=u"`, "give a JSON object"},
		{"half an object", `{"user_id": "u"`, "", "JSON", "the text ends before the object does"},
		{"half a value", `{"user_id": "u`, "", "JSON", "the text ends before the object does"},
		{"a comma too many", `{"user_id": "u",}`, "", "JSON", "correct the syntax: invalid character '}'"},
		{"no quotes", `{user_id: "u"}`, "", "JSON", "correct the syntax: invalid character 'u'"},
		{"two objects", `{} {}`, "", `"{}"`, "one JSON object and nothing after it"},
		{"text after it", `{} x`, "", `"x"`, "one JSON object and nothing after it"},
		{"broken UTF-8", "{\"user_id\": \"\xff\"}", "", `\xff`, "give valid UTF-8"},
		{"unknown key", `{"userid": "u"}`, "userid", `"u"`, "there is no such field; the fields are context, event_id, item_id"},
		{"key in another case", `{"User_ID": "u"}`, "User_ID", `"u"`, "there is no such field"},
		{"hostile key", `{"a\u001b[2J": 1}`, `"a\x1b[2J"`, `1`, "there is no such field"},
		{"empty key", `{"": 1}`, `""`, `1`, "there is no such field"},
		{"key twice", `{"user_id": "u", "user_id": "v"}`, "user_id", `"v"`, "given twice"},
		{"number for an id", `{"user_id": 7}`, "user_id", `7`, "give a string in quotes"},
		{"unknown type", `{"type": "clik"}`, "type", `"clik"`, "give one of impression, view, click"},
		{"number for a type", `{"type": 3}`, "type", `3`, "give a string in quotes"},
		{"text for a number", `{"value": "4.5"}`, "value", `4.5`, "give a number"},
		{"number beyond all", `{"value": 1e999}`, "value", `1e999`, "give a number"},
		{"milliseconds for a time", `{"occurred_at": 1769860800000}`, "occurred_at", `1769860800000`, "RFC 3339"},
		{"date for a time", `{"occurred_at": "2026-01-31"}`, "occurred_at", `"2026-01-31"`, "RFC 3339"},
		{"list for a map", `{"context": ["a"]}`, "context", `"[\"a\"]"`, "give an object of strings"},
		{"number in a map", `{"context": {"a": 1}}`, "context", `"{\"a\": 1}"`, "give an object of strings"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, err := DecodeInteractionJSON([]byte(c.text))
			require.Zero(t, e)
			requireInvalid(t, err, c.field, c.value, c.remedy)
		})
	}
	for _, c := range []struct{ name, text, field, value, remedy string }{
		{"text for a list", `{"tags": "a"}`, "tags", `"a"`, "give a list of strings"},
		{"number in a list", `{"tags": ["a", 1]}`, "tags", `"[\"a\", 1]"`, "give a list of strings"},
		{"half a version", `{"version": 1.5}`, "version", `1.5`, "give a whole number of at most 64 bits"},
		{"age beyond all", `{"min_age": 3000000000}`, "min_age", `3000000000`, "give a whole number of at most 32 bits"},
		{"text for a truth", `{"available": "yes"}`, "available", `"yes"`, "give true or false"},
		{"unknown op", `{"op": "remove"}`, "op", `"remove"`, "give one of upsert, delete"},
		{"huge value", `{"title": ["` + strings.Repeat("x", 1<<20) + `"]}`, "title", "(1048580 bytes)", "give a string in quotes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := DecodeItemChangeJSON([]byte(c.text))
			requireInvalid(t, err, c.field, c.value, c.remedy)
		})
	}
}

func requireInvalid(t *testing.T, err error, field, value, remedy string) {
	t.Helper()
	var invalid *InvalidError
	require.ErrorAs(t, err, &invalid)
	require.Equal(t, field, invalid.Field)
	require.Contains(t, invalid.Value, value)
	require.Contains(t, invalid.Remedy, remedy)
	require.Less(t, len(err.Error()), 600)
}

// FuzzDecodeItemChangeJSON holds that any text gives an item or an *InvalidError, and that an item that makes sense survives
// JSON.
func FuzzDecodeItemChangeJSON(f *testing.F) {
	text, err := json.Marshal(sampleItem)
	require.NoError(f, err)
	f.Add(text)
	f.Add([]byte(`{"item_id": "i", "tags": [null], "attributes": {"a": null}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := DecodeItemChangeJSON(text)
		if err != nil {
			require.True(t, IsInvalid(err))
			return
		}
		if DefaultLimits().ItemChange(&c, testNow) != nil {
			return
		}
		again, err := json.Marshal(c)
		require.NoError(t, err)
		back, err := DecodeItemChangeJSON(again)
		require.NoError(t, err)
		require.Equal(t, AppendItemChange(nil, &c), AppendItemChange(nil, &back))
	})
}
