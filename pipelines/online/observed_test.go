package online

import (
	"context"
	"net/http/httptest"
	"slices"
	"strconv"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/metric/noop"

	"github.com/freshet/freshet/infra/embedded/faults"
	"github.com/freshet/freshet/infra/embedded/milvus"
	"github.com/freshet/freshet/infra/grafana"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/telemetry"
)

// TestDashboardsAndAlertsNameWhatIsExposed runs all roles through good and bad days, reads the page of metrics and holds each
// expression of infra/grafana against it. It is not parallel: the SDK of a process is global.
func TestDashboardsAndAlertsNameWhatIsExposed(t *testing.T) {
	seen, err := telemetry.Setup(t.Context(), telemetry.DefaultConfig(), telemetry.Options{Pull: true, Log: quiet()})
	require.NoError(t, err)
	t.Cleanup(func() {
		otel.SetMeterProvider(noop.NewMeterProvider()) // the tests after this one
		require.NoError(t, seen.Shutdown(context.WithoutCancel(t.Context())))
	})
	w := newWorld(t, evaluateSoon)
	w.fillCatalogue()
	m := w.join(Interactions, Catalogue, Recommendations, Recall)
	m.awaitReady()
	w.liveThroughMuch(m)
	rows := w.evaluates()
	require.Equal(t, modelID, rows[0].ModelVersion)
	require.Positive(t, rows[0].Events)
	require.Eventually(t, func() bool { return scrape(t, seen)["freshet_recall_hits_total"] != nil }, patience, 10*time.Millisecond)
	requireRecallExposed(t, seen)

	expressions, err := grafana.Expressions()
	require.NoError(t, err)
	require.Greater(t, len(expressions), 60)
	exposed := scrape(t, seen)
	for _, wrong := range grafana.Check(expressions, exposed) {
		assert.Fail(t, wrong)
	}
	for metric, labels := range exposed {
		for label, values := range labels {
			for _, value := range values {
				for _, id := range []string{"ann", "bob", "event-4711", itemID(1)} {
					require.NotEqual(t, id, value, "label %s of %s", label, metric)
				}
			}
		}
	}
	// The check itself can fail.
	delete(exposed, "freshet_ready")
	delete(exposed["freshet_server_errors_total"], "kind")
	wrong := grafana.Check(expressions, exposed)
	require.Contains(t, wrong, "alerts.yaml: FreshetMemberNotReady: metric freshet_ready is not exposed")
	require.Contains(t, wrong, "alerts.yaml: FreshetServerErrors: metric freshet_server_errors_total has no label kind")
}

// liveThroughMuch has each role meet what it counts: work, repetition, poison, a server that fails, a page without items.
func (w *world) liveThroughMuch(m *member) {
	w.t.Helper()
	t := w.t.(*testing.T)
	for range 2 { // the second time it is a duplicate
		e := schemas.Interaction{
			EventID: "event-4711", UserID: "ann", ItemID: itemID(1), Type: schemas.Like, OccurredAt: time.Now().Add(-time.Minute),
		}
		w.send(w.keyed(w.settings.Topics.Interactions, "ann", w.events.Append(nil, &e)))
	}
	w.send(w.keyed(w.settings.Topics.Interactions, "bob", []byte("garbage")))
	w.send(w.keyed(w.settings.Topics.Items, "garbage", []byte("garbage")))
	for _, key := range []string{itemID(1), "another"} {
		change := itemChange(1, 2)
		w.send(w.keyed(w.settings.Topics.Items, key, w.items.Append(nil, &change)))
	}
	e := schemas.Interaction{EventID: "event-4712", UserID: "ann", ItemID: itemID(1), Type: schemas.View, OccurredAt: time.Now()}
	w.send(w.keyed(w.settings.Topics.Interactions, "another", w.events.Append(nil, &e)))
	w.send(w.question(recommendationRequest("ann"), "well"))
	poison := w.question(recommendationRequest("bob"), "poison")
	poison.Headers = nil
	w.send(poison)
	empty := recommendationRequest("bob")
	empty.Filter = "item.price < 0"
	w.send(w.question(empty, "empty"))
	w.awaitDone(Recommendations, w.settings.Topics.Requests)
	w.awaitDone(Interactions, w.settings.Topics.Interactions)
	w.awaitDone(Catalogue, w.settings.Topics.Items)

	w.stack.Milvus.Fail("Search", faults.Every, &milvus.StatusError{Code: 101, Reason: "collection not loaded"})
	w.send(w.question(recommendationRequest("ann"), "degraded"))
	w.awaitDone(Recommendations, w.settings.Topics.Requests)
	w.stack.Milvus.ClearFaults()
	m.awaitReady()
	require.Len(t, w.letters(w.settings.Topics.Interactions), 1)
}

// scrape reads the page of metrics.
func scrape(t *testing.T, seen *telemetry.Telemetry) grafana.Exposed {
	t.Helper()
	request := httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil)
	answer := httptest.NewRecorder()
	seen.Metrics().ServeHTTP(answer, request)
	require.Equal(t, 200, answer.Code)
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(answer.Body)
	require.NoError(t, err)
	exposed := grafana.Exposed{}
	for name, family := range families {
		for _, sample := range family.GetMetric() {
			if sample.GetHistogram() == nil {
				expose(exposed, name, sample.GetLabel())
				continue
			}
			for _, part := range []string{"_bucket", "_sum", "_count"} {
				expose(exposed, name+part, sample.GetLabel())
			}
			for _, bucket := range sample.GetHistogram().GetBucket() {
				le := strconv.FormatFloat(bucket.GetUpperBound(), 'g', -1, 64)
				label := "le"
				expose(exposed, name+"_bucket", []*dto.LabelPair{{Name: &label, Value: &le}})
			}
		}
	}
	return exposed
}

func expose(exposed grafana.Exposed, name string, labels []*dto.LabelPair) {
	if exposed[name] == nil {
		exposed[name] = map[string][]string{}
	}
	for _, pair := range labels {
		if known := exposed[name][pair.GetName()]; !slices.Contains(known, pair.GetValue()) {
			exposed[name][pair.GetName()] = append(known, pair.GetValue())
		}
	}
}
