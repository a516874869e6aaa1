package redisdb_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/infra/embedded/faults"
	"github.com/freshet/freshet/services/redisdb"
)

// observed is a client of an embedded server whose measurements and spans the test can read.
type observed struct {
	redis.UniversalClient
	server *embedded.Redis
	reader *sdkmetric.ManualReader
	spans  *tracetest.InMemoryExporter
}

func newObserved(t *testing.T, change func(*redisdb.Config)) *observed {
	t.Helper()
	o := &observed{reader: sdkmetric.NewManualReader(), spans: tracetest.NewInMemoryExporter()}
	otel.SetMeterProvider(sdkmetric.NewMeterProvider(sdkmetric.WithReader(o.reader)))
	otel.SetTracerProvider(sdktrace.NewTracerProvider(sdktrace.WithSyncer(o.spans)))
	var err error
	o.server, err = embedded.StartRedis(t.Context(), embedded.Config{})
	require.NoError(t, err)
	t.Cleanup(o.server.Close)
	cfg := redisdb.DefaultConfig()
	cfg.Addresses = []string{o.server.Addr()}
	if change != nil {
		change(&cfg)
	}
	o.UniversalClient = connect(t, cfg)
	return o
}

// failures are the counts above zero, as "operation kind".
func (o *observed) failures(t *testing.T) map[string]int64 {
	t.Helper()
	found := map[string]int64{}
	for _, m := range o.collect(t) {
		sum, ok := m.Data.(metricdata.Sum[int64])
		if !ok || m.Name != "freshet.server.errors" {
			continue
		}
		for _, point := range sum.DataPoints {
			operation, _ := point.Attributes.Value("operation")
			kind, _ := point.Attributes.Value("kind")
			if point.Value > 0 {
				found[operation.AsString()+" "+kind.AsString()] = point.Value
			}
		}
	}
	return found
}

func (o *observed) collect(t *testing.T) []metricdata.Metrics {
	t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(t, o.reader.Collect(t.Context(), &all))
	require.Len(t, all.ScopeMetrics, 1)
	return all.ScopeMetrics[0].Metrics
}

// pipeline sends commands in one round trip and drops the errors: the hook sees them.
func (o *observed) pipeline(ctx context.Context, queue func(redis.Pipeliner)) {
	pipe := o.Pipeline()
	queue(pipe)
	_, _ = pipe.Exec(ctx)
}

const secretID = "user-4711"

func TestSpansNameCommandsAndNothingElse(t *testing.T) {
	o := newObserved(t, nil)
	ctx, parent := otel.Tracer("test").Start(t.Context(), "parent")
	require.ErrorIs(t, o.Get(ctx, secretID).Err(), redis.Nil)
	o.pipeline(ctx, func(p redis.Pipeliner) {
		p.Get(ctx, secretID)
		p.Get(ctx, secretID+"b")
	})
	o.pipeline(ctx, func(p redis.Pipeliner) {
		p.Get(ctx, secretID)
		p.HMGet(ctx, secretID, "field-4711")
	})
	o.server.Fail("SET", 1, "ERR no luck with "+secretID)
	require.Error(t, o.Set(ctx, secretID, "value-4711", 0).Err())
	parent.End()
	require.NoError(t, o.Ping(t.Context()).Err()) // no span: no trace asks for one

	var names []string
	for _, span := range o.spans.GetSpans()[:4] {
		names = append(names, span.Name)
		require.Equal(t, parent.SpanContext().SpanID(), span.Parent.SpanID())
		require.Empty(t, span.Events)
		require.NotContains(t, span.Status.Description, "-4711")
		for _, a := range span.Attributes {
			require.NotContains(t, a.Value.String(), "-4711", "%s of %s", a.Key, span.Name)
		}
	}
	require.Len(t, o.spans.GetSpans(), 5, "and the parent")
	require.Equal(t, []string{"GET", "PIPELINE GET", "PIPELINE", "SET"}, names)
	require.Contains(t, o.spans.GetSpans()[1].Attributes, attribute.Int("db.operation.batch.size", 2))
	require.Equal(t, "other", o.spans.GetSpans()[3].Status.Description)
	require.Equal(t, map[string]int64{"SET other": 1}, o.failures(t))
	for _, m := range o.collect(t) {
		if histogram, ok := m.Data.(metricdata.Histogram[float64]); ok {
			for _, point := range histogram.DataPoints {
				require.NotContains(t, point.Attributes.Encoded(attribute.DefaultEncoder()), "-4711")
			}
		}
	}
}

func TestFailuresByKind(t *testing.T) {
	o := newObserved(t, func(c *redisdb.Config) { c.ReadTimeout = 100 * time.Millisecond })
	ctx := t.Context()
	get := func() error { return o.Get(ctx, "a").Err() }
	require.NoError(t, o.Set(ctx, "a", "1", 0).Err())
	for _, reply := range []string{
		"LOADING Redis is loading the dataset in memory", "NOPERM no permissions", "READONLY You can't write against a replica.",
	} {
		o.server.Fail("GET", faults.Every, reply)
		require.Error(t, get())
		o.server.ClearFaults()
	}
	o.server.FailNext("GET", "OOM command not allowed when used memory > 'maxmemory'.")
	require.Error(t, get())
	o.server.FailNext("GET", "ERR strange")
	require.Error(t, get())
	o.server.FailNext("EVALSHA", "UNREADABLE record")
	require.Error(t, o.EvalSha(ctx, "0", nil).Err())
	require.True(t, redis.HasErrorPrefix(o.EvalSha(ctx, "0", nil).Err(), "NOSCRIPT"))
	require.Equal(t, map[string]int64{"GET refused": 3, "GET out_of_memory": 1, "GET other": 1}, o.failures(t))

	o.server.Delay("GET", faults.Every, 300*time.Millisecond)
	hurried, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	require.ErrorIs(t, o.Get(hurried, "a").Err(), context.DeadlineExceeded)
	cancel()
	given, cancel := context.WithCancel(ctx)
	time.AfterFunc(20*time.Millisecond, cancel)
	require.Error(t, o.Get(given, "a").Err())
	o.server.ClearFaults()
	require.Equal(t, int64(1), o.failures(t)["GET timeout"])

	o.server.Stop()
	require.Error(t, get())
	require.Equal(t, int64(1), o.failures(t)["GET unreachable"])
}

func TestAPipelineFailsOnceByWhatReallyFailed(t *testing.T) {
	o := newObserved(t, nil)
	ctx := t.Context()
	mixed := func(p redis.Pipeliner) {
		p.Get(ctx, "missing")
		p.Set(ctx, "a", "1", 0)
		p.Set(ctx, "b", "1", 0)
	}
	o.pipeline(ctx, mixed)
	require.Empty(t, o.failures(t))
	o.server.Fail("SET", faults.Every, "OOM command not allowed when used memory > 'maxmemory'.")
	o.pipeline(ctx, mixed)
	require.Equal(t, map[string]int64{"PIPELINE out_of_memory": 1}, o.failures(t))
	o.server.ClearFaults()
	o.server.Stop()
	pipe := o.Pipeline()
	mixed(pipe)
	_, err := pipe.Exec(ctx)
	require.NotErrorIs(t, err, redis.Nil)
	require.Equal(t, map[string]int64{"PIPELINE out_of_memory": 1, "PIPELINE unreachable": 1}, o.failures(t))
}
