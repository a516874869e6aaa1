package online

import (
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/online/recall"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/telemetry"
)

// evaluateSoon has windows of a second, of all users.
func evaluateSoon(s *settings.Settings) {
	s.Recall.Period, s.Recall.Delay, s.Recall.SampleShare = time.Second, 100*time.Millisecond, 1
}

// evaluates has the role recall meet an event with a page before it, and waits until its window is told.
func (w *world) evaluates() []schemas.Recall {
	w.t.Helper()
	serde, err := schemas.NewSerde[schemas.Recall](w.t.Context(), schemas.EmbeddedRegistry(), w.settings.Topics.Recall.Name)
	require.NoError(w.t, err)
	var rows []schemas.Recall
	n := 0
	require.Eventually(w.t, func() bool {
		n++
		e := schemas.Interaction{
			EventID: "asked-" + strconv.Itoa(n), UserID: "cleo", ItemID: itemID(n % knownItems), Type: schemas.Like, OccurredAt: time.Now(),
		}
		w.send(w.question(recommendationRequest("cleo"), "page-"+strconv.Itoa(n)))
		w.awaitDone(Recommendations, w.settings.Topics.Requests)
		event := w.keyed(w.settings.Topics.Interactions, "cleo", w.events.Append(nil, &e))
		event.Time = time.Now().Add(5 * time.Millisecond) // a page of the event's own millisecond counts as later
		w.send(event)
		rows, err = recall.Rows(w.t.Context(), w.settings.Kafka, w.settings.Topics.Recall.Name, serde, w.settings.Limits)
		require.NoError(w.t, err)
		// A window may have closed before the first event came.
		rows = slices.DeleteFunc(rows, func(r schemas.Recall) bool { return r.Events == 0 })
		return len(rows) > 0
	}, patience, 100*time.Millisecond)
	return rows
}

// requireRecallExposed looks for what the dashboard of recall shows.
func requireRecallExposed(t *testing.T, seen *telemetry.Telemetry) {
	t.Helper()
	exposed := scrape(t, seen)
	require.ElementsMatch(t, []string{"all", "known", "new"}, exposed["freshet_recall_hits_total"]["segment"])
	require.ElementsMatch(t, []string{"embedding", "page"}, exposed["freshet_recall_events_total"]["source"])
	require.ElementsMatch(t, []string{"10", "50", "100"}, exposed["freshet_recall_hits_total"]["k"])
	for _, gauge := range []string{"freshet_recall_sample_share", "freshet_recall_sample_users", "freshet_recall_age_seconds"} {
		require.Contains(t, exposed, gauge)
	}
	require.Contains(t, exposed["freshet_ready"]["role"], string(Recall))
}

// TestRecallRunsAlone needs neither Redis nor Milvus.
func TestRecallRunsAlone(t *testing.T) {
	w := newWorld(t, evaluateSoon, func(s *settings.Settings) {
		s.Redis.Addresses, s.Milvus.Address = []string{"127.0.0.1:1"}, "127.0.0.1:1"
	})
	m := w.join(Recall)
	m.awaitReady()
	require.Empty(t, m.Missing(t.Context()))
	require.Empty(t, m.Degraded(t.Context()))
	m.leave()
}
