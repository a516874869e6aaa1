package recommender_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/infra/embedded/faults"
	"github.com/freshet/freshet/infra/embedded/milvus"
	"github.com/freshet/freshet/schemas"
)

// outside is what somebody sees who reads metrics and traces.
type outside struct {
	reader *sdkmetric.ManualReader
	spans  *tracetest.InMemoryExporter
}

// observe installs an SDK; rigs made from here on report to it.
func observe(t *testing.T) *outside {
	t.Helper()
	o := &outside{reader: sdkmetric.NewManualReader(), spans: tracetest.NewInMemoryExporter()}
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(o.reader)))
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(o.spans)))
	return o
}

// numbers are the values of a metric, or the counts of a histogram, by their attributes.
func (o *outside) numbers(t *testing.T, name string) map[string]int64 {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, o.reader.Collect(t.Context(), &all))
	found := map[string]int64{}
	add := func(set attribute.Set, n int64) { found[set.Encoded(attribute.DefaultEncoder())] = n }
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name != name {
				continue
			}
			switch data := m.Data.(type) {
			case metricdata.Sum[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, p.Value)
				}
			case metricdata.Gauge[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, p.Value)
				}
			case metricdata.Histogram[int64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, p.Sum)
				}
			case metricdata.Histogram[float64]:
				for _, p := range data.DataPoints {
					add(p.Attributes, int64(p.Count))
				}
			}
		}
	}
	return found
}

// traced asks in a trace and returns the spans of the recommender's stages by name.
func (r *rig) traced(t *testing.T, o *outside, list ...schemas.RecommendationRequest) (trace.SpanContext, map[string][]tracetest.SpanStub) {
	t.Helper()
	o.spans.Reset()
	ctx, parent := otel.Tracer("test").Start(t.Context(), "process")
	p := r.post(ctx, list...)
	p.wait(t)
	r.Close() // what waited beside the batch has ended its spans
	parent.End()
	byName := map[string][]tracetest.SpanStub{}
	for _, span := range o.spans.GetSpans() {
		byName[span.Name] = append(byName[span.Name], span)
	}
	return parent.SpanContext(), byName
}

func TestStagesAreSpansBelowTheCallersAndServersBelowThem(t *testing.T) {
	o := observe(t)
	r := faultRig(t)
	parent, spans := r.traced(t, o, request("ann", 5), request("bob", 5))
	stage := map[trace.SpanID]string{}
	for _, name := range []string{"model", "profile", "vector", "plan", "retrieve", "records", "rank", "fallback"} {
		require.Len(t, spans[name], 1, name)
		require.Equal(t, parent.SpanID(), spans[name][0].Parent.SpanID(), name)
		require.Contains(t, spans[name][0].Attributes, attribute.String("freshet.stage", name))
		require.Contains(t, spans[name][0].Attributes, attribute.Int("freshet.requests", 2))
		stage[spans[name][0].SpanContext.SpanID()] = name
	}
	below := map[string][]string{}
	for name, list := range spans {
		for _, span := range list {
			require.Equal(t, parent.TraceID(), span.SpanContext.TraceID(), name)
			if of, known := stage[span.Parent.SpanID()]; known {
				below[of] = append(below[of], name)
			}
			for _, a := range span.Attributes {
				for _, id := range []string{"ann", "bob", "i001", "r-"} {
					require.NotContains(t, a.Value.String(), id, "%s of %s", a.Key, name)
				}
			}
		}
	}
	require.Equal(t, []string{"PIPELINE"}, below["profile"])
	require.Equal(t, []string{"Search " + r.milvus.Collection + "_" + model}, below["retrieve"])
	read := "PIPELINE MGET"
	if len(r.redis.Addresses) > 1 {
		read = "PIPELINE GET" // the keys lie on several nodes of the cluster
	}
	require.Equal(t, []string{read}, below["records"])
}

func TestAWaitIsOneSpan(t *testing.T) {
	o := observe(t)
	r := faultRig(t)
	q := soon("ann", 300*time.Millisecond)
	q.SeenThrough = &schemas.Position{Offset: 1 << 40}
	parent, spans := r.traced(t, o, q)
	require.Len(t, spans["wait"], 1)
	require.Equal(t, parent.SpanID(), spans["wait"][0].Parent.SpanID())
	for _, list := range spans {
		for _, span := range list {
			require.NotEqual(t, spans["wait"][0].SpanContext.SpanID(), span.Parent.SpanID(), "a look at the profile")
		}
	}
	require.Equal(t, int64(1), o.numbers(t, "freshet.stage.duration")["stage=wait"])
}

func TestWithoutATraceThereAreNoSpans(t *testing.T) {
	o := observe(t)
	r := faultRig(t)
	o.spans.Reset()
	remote := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, Remote: true})
	r.post(trace.ContextWithRemoteSpanContext(t.Context(), remote), request("ann", 5)).wait(t)
	require.Empty(t, o.spans.GetSpans())
}

func TestFailuresOfServersShowInSpansAndCounts(t *testing.T) {
	o := observe(t)
	r := faultRig(t)
	r.milvus.Fail("Search", faults.Every, &milvus.StatusError{Code: 101, Reason: "collection not loaded"})
	r.redis.Fail("HMGET", faults.Every, loading)
	_, spans := r.traced(t, o, request("ann", 5))
	require.Equal(t, codes.Error, spans["PIPELINE"][0].Status.Code)
	require.Equal(t, "refused", spans["PIPELINE"][0].Status.Description)
	failed := o.numbers(t, "freshet.server.errors")
	require.Positive(t, failed["kind=refused,operation=PIPELINE,server=redis"])
	require.Zero(t, failed["kind=timeout,operation=PIPELINE,server=redis"])
	for set := range failed {
		require.NotContains(t, set, "i0")
	}
}

func TestStagesBatchesAndRulesAreCounted(t *testing.T) {
	o := observe(t)
	r := faultRig(t)
	r.setRules(t, plainRules)
	ruled, stages := o.numbers(t, "freshet.rule.candidates"), o.numbers(t, "freshet.stage.duration")
	batches := o.numbers(t, "freshet.stage.batch")[""]

	filtered := request("ann", 5)
	filtered.Filter, filtered.Explain = `item.brand != "brand3"`, true
	plain := request("bob", 5)
	plain.Explain = true
	replies := r.askAll(t, filtered, plain)

	want := map[string]int64{}
	for _, reply := range replies {
		for _, s := range reply.Waterfall {
			if _, isRule := ruleNames[s.Stage]; isRule {
				want["direction=in,rule="+s.Stage] += int64(s.In)
				want["direction=out,rule="+s.Stage] += int64(s.Out)
			}
		}
	}
	require.Len(t, want, 2*len(ruleNames))
	require.Less(t, want["direction=out,rule=exclude_seen"], want["direction=in,rule=exclude_seen"], "ann has seen an item")
	for set, n := range want {
		require.Equal(t, n, o.numbers(t, "freshet.rule.candidates")[set]-ruled[set], set)
	}
	for _, name := range []string{"model", "profile", "vector", "plan", "retrieve", "records", "rank", "fallback"} {
		require.Equal(t, int64(1), o.numbers(t, "freshet.stage.duration")["stage="+name]-stages["stage="+name], name)
	}
	require.Equal(t, int64(2), o.numbers(t, "freshet.stage.batch")[""]-batches, "requests, in one batch")
	for set := range o.numbers(t, "freshet.rule.candidates") {
		require.NotContains(t, set, "brand", "a filter's text must not be a label")
	}
}

// ruleNames are those of plainRules.
var ruleNames = map[string]struct{}{
	"available": {}, "region": {}, "min_age": {}, "exclude_listed": {}, "exclude_seen": {}, "request_filter": {},
}

func TestTheLiveModelIsKnownWithoutRequests(t *testing.T) {
	o := observe(t)
	r := newRigWithoutLive(t)
	require.Equal(t, map[string]int64{"model=none": 0}, o.numbers(t, "freshet.model.live"))
	r.switchLive(t, model)
	require.Eventually(t, func() bool {
		live := o.numbers(t, "freshet.model.live")
		return len(live) == 1 && live["model="+model] == 1
	}, patience, time.Millisecond)
	r.switchLive(t, otherModel)
	require.Eventually(t, func() bool {
		live := o.numbers(t, "freshet.model.live")
		return len(live) == 1 && live["model="+otherModel] == 1
	}, patience, time.Millisecond)
	r.Close()
	require.Empty(t, o.numbers(t, "freshet.model.live"), "nobody asks after Close")
}
