package commands_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/telemetry"
	"github.com/freshet/freshet/services/telemetry/collector"
	"github.com/freshet/freshet/services/towers/towertest"
)

// shop is a product app that traces what it does: a process apart from `freshet run`, which follows its traces.
type shop struct {
	t      testing.TB
	tracer trace.Tracer
	events *producers.EventPublisher
	pages  *producers.RecommendationClient
	writer *kafkaio.Writer
	finish func()
}

func openShop(t testing.TB, s settings.Settings, endpoint string) *shop {
	t.Helper()
	s.Telemetry.ServiceName = "shop"
	s.Telemetry.Traces = telemetry.TracesConfig{Exporter: telemetry.ExporterOTLP, SampleRatio: 1}
	s.Telemetry.OTLP.Endpoint, s.Telemetry.OTLP.Headers = endpoint, "authorization=hunter2"
	seen, err := telemetry.Setup(t.Context(), s.Telemetry, telemetry.Options{Log: discard()})
	require.NoError(t, err)
	a := &shop{t: t, tracer: otel.Tracer("shop")}
	a.events, err = producers.NewEventPublisher(t.Context(), s.Producer(discard()))
	require.NoError(t, err)
	a.pages, err = producers.NewRecommendationClient(t.Context(), s.Producer(discard()))
	require.NoError(t, err)
	a.writer = kafkaio.NewWriter(s.Kafka, s.Writer, discard())
	closed := false
	a.finish = func() {
		if closed {
			return
		}
		closed = true
		ctx := context.WithoutCancel(t.Context())
		require.NoError(t, a.pages.Close(ctx))
		require.NoError(t, a.events.Close(ctx))
		require.NoError(t, a.writer.Close(ctx))
		require.NoError(t, seen.Shutdown(ctx))
	}
	t.Cleanup(a.finish)
	return a
}

// within runs act inside a span of the shop's own and returns the span's trace.
func (a *shop) within(name string, act func(ctx context.Context)) (traceID string) {
	ctx, span := a.tracer.Start(a.t.Context(), name)
	defer span.End()
	act(ctx)
	return span.SpanContext().TraceID().String()
}

// The ids are easy to find wherever they must not be.
const (
	theUser = "user-canary"
	theItem = "item-canary"
)

func (a *shop) tap(ctx context.Context, n int) schemas.Position {
	at, err := a.events.PublishInteraction(ctx, &schemas.Interaction{
		EventID: fmt.Sprint("event-canary-", n), UserID: theUser, ItemID: fmt.Sprint(theItem, n%3), Type: schemas.Click, OccurredAt: time.Now()})
	require.NoError(a.t, err)
	return at
}

func (a *shop) ask(ctx context.Context, q schemas.RecommendationRequest) schemas.RecommendationReply {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	q.UserID, q.Count = theUser, 5
	reply, err := a.pages.Recommend(ctx, &q)
	require.NoError(a.t, err)
	return reply
}

// shelf is how many items the shop has.
const shelf = 12

func (a *shop) fillShelf() {
	for i := range shelf {
		price := float64(i + 1)
		_, err := a.events.PublishItem(a.t.Context(), &schemas.ItemChange{
			ItemID: fmt.Sprint(theItem, i), Op: schemas.UpsertItem, Version: 1, OccurredAt: time.Now(), Title: "A lamp",
			Categories: []string{"light"}, Price: &price, Available: true, PublishedAt: time.Now()})
		require.NoError(a.t, err)
	}
}

// TestSeenFromOutside is a shop and `freshet run` as two processes, with one collector for both.
func TestSeenFromOutside(t *testing.T) {
	servers := install(t)
	t.Setenv("FRESHET_BUNDLE", towertest.Write(t, towertest.Shape{Version: "m1"}, nil))
	require.Zero(t, execute(t.Context(), "", "topics", "create").code)
	s, err := settings.Load(os.Getenv("FRESHET_CONFIG"))
	require.NoError(t, err)
	to, err := collector.Listen(t.Context(), "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(to.Close)
	a := openShop(t, s, to.Addr())

	// What lies in the topic when the role starts, it reads as one batch.
	const waiting = 20
	queued := map[string]bool{}
	for n := range waiting {
		queued[a.within("shop tap", func(ctx context.Context) { a.tap(ctx, n) })] = true
	}
	run := start(t, []string{
		"FRESHET_ADMIN_ADDRESS=127.0.0.1:0", "FRESHET_TELEMETRY_TRACES_EXPORTER=otlp", "FRESHET_TELEMETRY_METRICS_OTLP=true",
		"FRESHET_TELEMETRY_OTLP_ENDPOINT=" + to.Addr(), "FRESHET_TELEMETRY_OTLP_HEADERS=authorization=hunter2",
		"FRESHET_TELEMETRY_TRACES_SAMPLE_RATIO=0", // the shop decides which traces are followed
	}, "run")
	run.awaitReady()
	code, _ := run.get("/livez")
	require.Equal(t, 200, code)
	a.fillShelf()
	run.awaitMetric(func(page string) bool { return strings.Contains(page, fmt.Sprintf(`outcome="indexed"} %d`, shelf)) })

	var tapped schemas.Position
	tap := a.within("shop tap", func(ctx context.Context) { tapped = a.tap(ctx, waiting) })
	page := a.within("shop page", func(ctx context.Context) {
		require.Len(t, a.ask(ctx, schemas.RecommendationRequest{SeenThrough: &tapped}).Items, 5)
	})
	require.Empty(t, a.ask(t.Context(), schemas.RecommendationRequest{Filter: "item.price < -1"}).Items)
	degraded := a.ask(t.Context(), schemas.RecommendationRequest{SeedItemID: "seed-canary"})
	require.Equal(t, schemas.StatusDegraded, degraded.Status, "%s", degraded.Error)
	require.Equal(t, []schemas.Degradation{schemas.DegradedSeedItem}, degraded.Degraded)
	_, err = a.writer.Write(t.Context(), kafkaio.Message{
		Topic: s.Topics.Interactions.Name, Partition: kafkaio.AnyPartition, Key: []byte(theUser), Value: []byte("no record")})
	require.NoError(t, err)
	metrics := run.awaitMetric(func(page string) bool {
		counted := slices.ContainsFunc(lines(page, "freshet_replies_degraded_total{"), func(line string) bool {
			return strings.Contains(line, `reason="seed_item"`) && strings.HasSuffix(line, " 1")
		})
		return counted && len(lines(page, "freshet_dead_letters_total{")) > 0
	})
	t.Run("metrics", func(t *testing.T) { checkMetrics(t, metrics) })

	require.NoError(t, run.stop(), "%s", run.errs)
	a.finish()
	require.NotContains(t, run.errs.String(), "hunter2")
	require.Equal(t, []string{"hunter2"}, to.Headers()["authorization"])
	require.True(t, to.HasMetric("freshet.embedding.freshness"), "metrics are pushed, too")
	traces := map[string]tree{}
	for _, spans := range collector.Traces(to.Spans()) {
		traces[spans[0].Trace] = spans
	}
	for _, id := range []string{tap, page} {
		var text bytes.Buffer
		require.NoError(t, collector.WriteTree(&text, traces[id]))
		t.Logf("\n%s", &text)
	}
	t.Run("event to embedding", func(t *testing.T) {
		spans := traces[tap]
		sent := spans.below(t, "shop", "shop tap", "send "+servers.topic("interactions"))
		require.Equal(t, "producer", sent.Kind)
		processed := spans.below(t, "freshet", sent.ID, "process "+servers.topic("interactions"))
		require.Equal(t, "consumer", processed.Kind)
		require.True(t, spans.has(processed.ID, func(s *collector.Span) bool {
			return s.Kind == "client" && s.Attributes["db.system.name"] == "redis"
		}), "Redis is written below the batch")
	})
	t.Run("request to reply", func(t *testing.T) {
		spans := traces[page]
		asked := spans.below(t, "shop", "shop page", "recommend "+servers.topic("requests"))
		sent := spans.below(t, "shop", asked.ID, "send "+servers.topic("requests"))
		processed := spans.below(t, "freshet", sent.ID, "process "+servers.topic("requests"))
		for _, system := range []string{"redis", "milvus"} {
			require.True(t, spans.has(processed.ID, func(s *collector.Span) bool {
				return s.Kind == "client" && s.Attributes["db.system.name"] == system
			}), "%s is asked below the batch", system)
		}
		require.True(t, spans.has(processed.ID, func(s *collector.Span) bool { return s.Attributes["freshet.stage"] != "" }))
		at := slices.IndexFunc(spans, func(s collector.Span) bool { return s.Name == "send "+servers.topic("replies") })
		require.GreaterOrEqual(t, at, 0)
		require.Contains(t, asked.Links, collector.Link{Trace: page, ID: spans[at].ID}, "the reply's headers came back")
	})
	t.Run("a batch", func(t *testing.T) {
		linked := map[string]bool{}
		for id := range queued {
			for _, span := range traces[id] {
				for _, l := range span.Links {
					if queued[l.Trace] && l.Trace != id {
						linked[l.Trace] = true
					}
				}
			}
		}
		require.NotEmpty(t, linked, "the batch's span is linked with those of its other records")
	})
	t.Run("no ids", func(t *testing.T) {
		for _, span := range to.Spans() {
			text := fmt.Sprintf("%+v", span)
			require.NotContains(t, text, "canary")
			require.NotContains(t, text, "hunter2")
		}
	})
}

// tree is the spans of one trace.
type tree []collector.Span

// below finds the span with this name below another, which is given by id or by name.
func (spans tree) below(t *testing.T, service, parent, name string) collector.Span {
	t.Helper()
	for _, p := range spans {
		if p.ID != parent && p.Name != parent {
			continue
		}
		for _, s := range spans {
			if s.Parent == p.ID && s.Name == name {
				require.Equal(t, service, s.Service)
				return s
			}
		}
	}
	require.Fail(t, "no such span", "%s below %s", name, parent)
	return collector.Span{}
}

// has says whether a span somewhere below another is as wanted.
func (spans tree) has(top string, wanted func(*collector.Span) bool) bool {
	for i := range spans {
		if s := &spans[i]; s.Parent == top && (wanted(s) || spans.has(s.ID, wanted)) {
			return true
		}
	}
	return false
}

// exposed are the instruments that the documents promise, with the labels that each may have.
var exposed = map[string]string{
	"freshet_embedding_freshness_seconds":         "since",
	"freshet_events_total":                        "outcome",
	"freshet_profiles_total":                      "source",
	"freshet_item_freshness_seconds":              "since",
	"freshet_items_total":                         "outcome",
	"freshet_items_republished_total":             "",
	"freshet_reply_duration_seconds":              "status",
	"freshet_replies_total":                       "status",
	"freshet_replies_degraded_total":              "reason",
	"freshet_pages_empty_total":                   "",
	"freshet_stage_duration_seconds":              "stage",
	"freshet_stage_batch":                         "stage",
	"freshet_model_live":                          "model",
	"freshet_rule_candidates_total":               "rule direction",
	"freshet_consumer_batch_size":                 "topic",
	"freshet_consumer_lag":                        "topic partition group",
	"freshet_consumer_lag_time_seconds":           "topic partition group",
	"freshet_dead_letters_total":                  "topic reason",
	"freshet_server_errors_total":                 "server operation kind",
	"db_client_operation_duration_seconds":        "db_system_name db_operation_name error_type",
	"messaging_process_duration_seconds":          "messaging_ error_type",
	"messaging_client_consumed_messages_total":    "messaging_",
	"messaging_client_operation_duration_seconds": "messaging_ error_type",
	"messaging_client_sent_messages_total":        "messaging_ error_type",
	"go_goroutines":                               "",
	"process_resident_memory_bytes":               "",
	"go_build_info":                               "path version checksum",
	"target_info":                                 "service_ telemetry_",
}

// mostSeries is what one instrument has at the most after so short a run: ids as labels would soon be more.
const mostSeries = 150

func checkMetrics(t *testing.T, page string) {
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(page))
	require.NoError(t, err)
	for name, labels := range exposed {
		if families[name] == nil {
			t.Errorf("%s is not exposed", name)
			continue
		}
		for _, m := range families[name].GetMetric() {
			checkLabels(t, name, labels, m)
		}
	}
	for name, family := range families {
		require.LessOrEqual(t, len(family.GetMetric()), mostSeries, "%s", name)
		if strings.HasPrefix(name, "freshet_") && exposed[name] == "" {
			t.Logf("%s (%s): %s", name, family.GetType(), family.GetHelp())
		}
	}
	require.NotContains(t, page, "canary", "no id of anybody")
	require.NotContains(t, page, "hunter2")
	require.NotContains(t, page, "otel_metric_overflow")
}

func checkLabels(t *testing.T, name, labels string, m *dto.Metric) {
	t.Helper()
	for _, l := range m.GetLabel() {
		known := slices.ContainsFunc(strings.Fields("otel_scope_ "+labels), func(label string) bool {
			return l.GetName() == label || strings.HasSuffix(label, "_") && strings.HasPrefix(l.GetName(), label)
		})
		require.True(t, known, "%s has the label %s=%q", name, l.GetName(), l.GetValue())
	}
}
