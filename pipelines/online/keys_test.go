package online

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
)

// TestTombstonesWithForeignKeys of Kafka Connect, Debezium and serializers go to nobody: each is a dead letter that says so, and user and
// item stay until one comes under the id's own bytes.
func TestTombstonesWithForeignKeys(t *testing.T) {
	w := newWorld(t)
	w.fillCatalogue()
	m := w.join(Interactions, Catalogue)
	m.awaitReady()
	events, catalogue := w.settings.Topics.Interactions, w.settings.Topics.Items
	item := itemID(1)
	e := schemas.Interaction{
		EventID: "e1", UserID: "k-tomb", ItemID: item, Type: schemas.Like, OccurredAt: time.Now().Add(-time.Minute),
	}
	w.send(w.keyed(events, e.UserID, w.events.Append(nil, &e)))
	foreign := func(id string) []string {
		return []string{`"` + id + `"`, `{"user_id":"` + id + `"}`, "\x00\x00\x00\x00\x05" + string(rune(2*len(id))) + id, "\xff\xfe"}
	}
	for _, key := range foreign(e.UserID) {
		w.send(w.keyed(events, key, nil))
	}
	for _, key := range foreign(item) {
		w.send(w.keyed(catalogue, key, nil))
	}
	w.awaitDone(Interactions, events)
	w.awaitDone(Catalogue, catalogue)
	for _, letter := range w.letters(events) {
		require.Regexp(t, `invalid key .*key_format|invalid key .*UTF-8`, letter.Reason)
	}
	require.Len(t, w.letters(events), 4)
	require.Len(t, w.letters(catalogue), 4)
	state := func() (likes uint64, there *items.Item) {
		users, err := m.Profiles.Load(t.Context(), []string{e.UserID}, modelID)
		require.NoError(t, err)
		found, err := m.Items.Load(t.Context(), []string{item})
		require.NoError(t, err)
		return users[0].Counters.Of(schemas.Like), found[0]
	}
	likes, there := state()
	require.EqualValues(t, 1, likes)
	require.True(t, there != nil && there.Available, "%+v", there)

	w.send(w.keyed(events, e.UserID, nil))
	w.send(w.keyed(catalogue, item, nil))
	w.awaitDone(Interactions, events)
	w.awaitDone(Catalogue, catalogue)
	likes, there = state()
	require.Zero(t, likes)
	require.True(t, there == nil || there.Deleted, "%+v", there)
}

// TestARecordIsAppliedByItsOwnID, whatever its key says, by every role.
func TestARecordIsAppliedByItsOwnID(t *testing.T) {
	w := newWorld(t)
	w.fillCatalogue()
	m := w.join(Interactions, Catalogue)
	m.awaitReady()
	for i, key := range []string{"ann", "someone-else", `"ann"`, "\x00\x00\x00\x00\x05\x06ann", ""} {
		e := schemas.Interaction{
			EventID: fmt.Sprint("e", i), UserID: "ann", ItemID: itemID(i), Type: schemas.Like, OccurredAt: time.Now().Add(-time.Minute),
		}
		w.send(w.keyed(w.settings.Topics.Interactions, key, w.events.Append(nil, &e)))
		c := itemChange(i, 2)
		w.send(w.keyed(w.settings.Topics.Items, key, w.items.Append(nil, &c)))
	}
	w.awaitDone(Interactions, w.settings.Topics.Interactions)
	w.awaitDone(Catalogue, w.settings.Topics.Items)
	users, err := m.Profiles.Load(t.Context(), []string{"ann", "someone-else", `"ann"`}, modelID)
	require.NoError(t, err)
	require.EqualValues(t, 5, users[0].Counters.Of(schemas.Like))
	require.Nil(t, users[1])
	require.Nil(t, users[2])
	found, err := m.Items.Load(t.Context(), []string{itemID(0), itemID(1), itemID(2), itemID(3), itemID(4), "someone-else"})
	require.NoError(t, err)
	for _, it := range found[:5] {
		require.EqualValues(t, 2, it.Version)
	}
	require.Nil(t, found[5])
	require.Empty(t, w.letters(w.settings.Topics.Interactions))
	require.Empty(t, w.letters(w.settings.Topics.Items))
}
