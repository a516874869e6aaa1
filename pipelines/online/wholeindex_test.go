package online

import (
	"strings"
	"testing"

	"github.com/milvus-io/milvus-sdk-go/v2/client"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
)

// milvusClient is any tool of Milvus.
func (w *world) milvusClient() client.Client {
	w.t.Helper()
	c, err := client.NewClient(w.t.Context(), client.Config{Address: w.settings.Milvus.Address})
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, c.Close()) })
	return c
}

// loseCollection drops the live collection as an operator's tool does: its alias goes with it.
func (w *world) loseCollection() {
	w.t.Helper()
	c := w.milvusClient()
	require.NoError(w.t, c.DropAlias(w.t.Context(), w.settings.Milvus.Alias))
	require.NoError(w.t, c.DropCollection(w.t.Context(), w.settings.Milvus.Collection+"_"+modelID))
}

func (w *world) answer(user string) schemas.RecommendationReply {
	w.t.Helper()
	w.send(w.question(recommendationRequest(user), user))
	var reply schemas.RecommendationReply
	require.Eventually(w.t, func() bool {
		var there bool
		reply, there = w.repliesByCorrelation()[user]
		return there
	}, patience, poll)
	return reply
}

// TestALostCollectionIsNotLive: the collection that the role makes in place of a lost one does not go live, and replies and
// readiness name the remedy, however often the role is restarted.
func TestALostCollectionIsNotLive(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fillCatalogue()
	w.loseCollection()
	for range 2 {
		m := w.join(Catalogue)
		_, err := m.Index.Live(t.Context())
		require.True(t, candidates.IsNoLive(err), "%v", err)
		require.ErrorContains(t, err, "freshet rebuild candidates")
		m.awaitReady()
		degraded := m.Degraded(t.Context())
		require.Len(t, degraded, 1)
		require.Contains(t, degraded[0], "freshet rebuild candidates")
		m.leave()
	}
	w.join(Recommendations).awaitReady()
	reply := w.answer("alice")
	require.Equal(t, schemas.StatusDegraded, reply.Status)
	require.Contains(t, reply.Error, "freshet rebuild candidates")
}

// TestALiveCollectionWithoutItsRows: whoever makes an emptied collection live by hand still gets no page that is ok.
func TestALiveCollectionWithoutItsRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fillCatalogue()
	w.loseCollection()
	m := w.join(Catalogue)
	require.NoError(t, m.Index.SwitchLive(t.Context(), modelID))
	serving := w.join(Recommendations)
	serving.awaitReady()
	require.Contains(t, strings.Join(serving.Degraded(t.Context()), "; "), "rows of the live collection are missing")
	reply := w.answer("alice")
	require.Equal(t, schemas.StatusDegraded, reply.Status)
	require.Contains(t, reply.Error, "freshet rebuild candidates")
	require.NotEmpty(t, reply.Items, "the shelf serves")
}

// TestRowsThatWereDeleted: the collection is the same one, and has lost rows.
func TestRowsThatWereDeleted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fillCatalogue()
	c := w.inspect()
	require.NoError(t, c.Index.Delete(t.Context(), modelID, []string{itemID(0), itemID(1)}))
	w.stack.Milvus.Settle(t)
	m := w.join(Catalogue)
	require.Len(t, m.Degraded(t.Context()), 1)
}

// TestACollectionFromBeforeTheMarks is taken for whole where its rows are there, and only there.
func TestACollectionFromBeforeTheMarks(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"whole": false, "lost": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.fillCatalogue()
			w.forgetIndexMarks()
			if lost {
				w.loseCollection()
			}
			m := w.join(Catalogue)
			require.Equal(t, lost, len(m.Degraded(t.Context())) > 0)
		})
	}
}

// TestGoingBackToAnotherModel: what was published meanwhile is not in the collection that was live before.
func TestGoingBackToAnotherModel(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fillCatalogue()
	c := w.inspect()
	live, err := c.Index.Collection(t.Context(), modelID)
	require.NoError(t, err)
	state := func() items.IndexState {
		state, err := c.Items.IndexState(t.Context(), modelID, live.ID)
		require.NoError(t, err)
		return state
	}
	w.join(Catalogue).leave()
	require.Equal(t, items.IndexWhole, state())
	require.NoError(t, c.Items.NoteIndexFilledBy(t.Context(), Catalogue.Group(w.settings.Consumers.Group), "m2"))
	w.join(Catalogue).leave()
	require.Equal(t, items.IndexPartial, state())
}

// forgetIndexMarks leaves Redis as releases without marks of collections did.
func (w *world) forgetIndexMarks() {
	w.t.Helper()
	rdb := w.stack.Redis.Connect(w.t)
	require.NoError(w.t, rdb.Del(w.t.Context(), w.settings.Items.KeyPrefix+":index").Err())
}
