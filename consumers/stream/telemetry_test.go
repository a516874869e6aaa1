package stream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	tracenoop "go.opentelemetry.io/otel/trace/noop"

	"github.com/freshet/freshet/consumers/stream/streamtest"
	"github.com/freshet/freshet/producers/kafkaio"
)

// observed is an SDK that lasts until the test ends; what is made meanwhile is observed.
type observed struct {
	t      testing.TB
	spans  *tracetest.InMemoryExporter
	reader *sdkmetric.ManualReader
}

func observe(t testing.TB) *observed {
	t.Helper()
	o := &observed{t: t, spans: tracetest.NewInMemoryExporter(), reader: sdkmetric.NewManualReader()}
	tracers := sdktrace.NewTracerProvider(
		sdktrace.WithSyncer(o.spans), sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.AlwaysSample())))
	meters := sdkmetric.NewMeterProvider(sdkmetric.WithReader(o.reader))
	otel.SetTracerProvider(tracers)
	otel.SetMeterProvider(meters)
	t.Cleanup(func() {
		otel.SetTracerProvider(tracenoop.NewTracerProvider())
		otel.SetMeterProvider(metricnoop.NewMeterProvider())
		require.NoError(t, tracers.Shutdown(context.Background()))
		require.NoError(t, meters.Shutdown(context.Background()))
	})
	return o
}

// metric returns the data of an instrument, nil when it has none.
func (o *observed) metric(name string) metricdata.Aggregation {
	o.t.Helper()
	var all metricdata.ResourceMetrics
	require.NoError(o.t, o.reader.Collect(context.Background(), &all))
	for _, scope := range all.ScopeMetrics {
		for _, m := range scope.Metrics {
			if m.Name == name {
				return m.Data
			}
		}
	}
	return nil
}

// counts returns a counter's values by one attribute.
func (o *observed) counts(name string, key attribute.Key) map[string]int64 {
	o.t.Helper()
	got := map[string]int64{}
	if data, ok := o.metric(name).(metricdata.Sum[int64]); ok {
		for _, point := range data.DataPoints {
			value, _ := point.Attributes.Value(key)
			got[value.String()] += point.Value
		}
	}
	return got
}

// lags returns the lag in records of each partition that somebody owns.
func (o *observed) lags() map[int]int64 {
	o.t.Helper()
	got := map[int]int64{}
	if data, ok := o.metric("freshet.consumer.lag").(metricdata.Gauge[int64]); ok {
		for _, point := range data.DataPoints {
			value, _ := point.Attributes.Value(partitionKey)
			partition, err := strconv.Atoi(value.AsString())
			require.NoError(o.t, err)
			got[partition] = point.Value
		}
	}
	return got
}

// named returns the spans of a name, once there are n.
func (o *observed) named(name string, n int) []tracetest.SpanStub {
	o.t.Helper()
	var found []tracetest.SpanStub
	require.Eventually(o.t, func() bool {
		found = nil
		for _, span := range o.spans.GetSpans() {
			if span.Name == name {
				found = append(found, span)
			}
		}
		return len(found) >= n
	}, patience, tick, "spans %q", name)
	require.Len(o.t, found, n)
	return found
}

// sender is the context of a producer's span.
func sender(n byte, flags trace.TraceFlags) trace.SpanContext {
	return trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{n}, SpanID: trace.SpanID{n}, TraceFlags: flags})
}

// headersOf are those of a record that such a producer wrote.
func headersOf(c trace.SpanContext) []kafkaio.Header {
	if !c.IsValid() {
		return nil
	}
	return []kafkaio.Header{{Key: "traceparent", Value: fmt.Appendf(nil, "00-%s-%s-%s", c.TraceID(), c.SpanID(), c.TraceFlags())}}
}

// observe is observe for what is written from now on too.
func (w *world) observe() *observed {
	w.T.Helper()
	o := observe(w.T)
	require.NoError(w.T, w.Writer.Close(w.T.Context()))
	w.Writer = kafkaio.NewWriter(w.Config, kafkaio.DefaultWriterConfig(), streamtest.Quiet())
	return o
}

// writeFrom writes a record for each producer. Before anybody reads, so that all come in one batch.
func (w *world) writeFrom(producers ...trace.SpanContext) {
	w.T.Helper()
	for i, p := range producers {
		w.Send(kafkaio.Message{Value: fmt.Appendf(nil, "v%d", i), Headers: headersOf(p)})
	}
}

func links(span tracetest.SpanStub) []trace.SpanID {
	var ids []trace.SpanID
	for _, l := range span.Links {
		ids = append(ids, l.SpanContext.SpanID())
	}
	return ids
}

func value(span tracetest.SpanStub, key attribute.Key) any {
	for _, a := range span.Attributes {
		if a.Key == key {
			return a.Value.AsInterface()
		}
	}
	return nil
}

func events(span tracetest.SpanStub) []string {
	var names []string
	for _, e := range span.Events {
		names = append(names, e.Name)
	}
	return names
}

// TestBatchOfManyTraces is the span tree of a batch: it is in the trace of the first record that is sampled, and each other
// sampled record has a span in its own.
func TestBatchOfManyTraces(t *testing.T) {
	w := newWorld(t, 1)
	first, second, third := sender(2, trace.FlagsSampled), sender(4, trace.FlagsSampled), sender(5, trace.FlagsSampled)
	w.writeFrom(sender(1, 0), first, trace.SpanContext{}, second, third)
	o := w.observe()
	var inHandler atomic.Value
	var calls atomic.Int64
	c := w.consumer(fastConfig(), func(ctx context.Context, batch []Record) error {
		inHandler.Store(trace.SpanContextFromContext(ctx))
		if calls.Add(1) == 1 {
			return errors.New("the store is away")
		}
		if len(batch) < 5 {
			return nil
		}
		return Failures{{Index: 3, Err: PermanentFor(ReasonInvalid, errors.New("nonsense"))}}
	})
	run := start(t, c)
	spans := o.named("process "+testTopic, 3)
	w.requireCommitted(0, 5)
	require.NoError(t, run.drain())

	batch := spans[slices.IndexFunc(spans, func(s tracetest.SpanStub) bool { return s.Parent.SpanID() == first.SpanID() })]
	require.Equal(t, first.TraceID(), batch.SpanContext.TraceID())
	require.True(t, batch.Parent.IsRemote())
	require.Equal(t, trace.SpanKindConsumer, batch.SpanKind)
	require.Equal(t, []trace.SpanID{second.SpanID(), third.SpanID()}, links(batch))
	require.Equal(t, inHandler.Load().(trace.SpanContext).SpanID(), batch.SpanContext.SpanID())
	require.Equal(t, []string{"retry", "dead letter"}, events(batch))
	require.Equal(t, codes.Error, batch.Status.Code)
	for key, want := range map[attribute.Key]any{
		"messaging.system": "kafka", "messaging.operation.name": "process", "messaging.operation.type": "process",
		"messaging.destination.name": testTopic, "messaging.consumer.group.name": testGroup, "messaging.batch.message_count": int64(5),
		"messaging.destination.partition.id": "0", "messaging.kafka.offset": int64(0), "error.type": "invalid",
	} {
		require.Equal(t, want, value(batch, key), key)
	}
	for _, own := range spans {
		var offset int64
		switch own.Parent.SpanID() {
		case second.SpanID():
			offset = 3
		case third.SpanID():
			offset = 4
		default:
			continue
		}
		require.Equal(t, own.Parent.TraceID(), own.SpanContext.TraceID())
		require.Equal(t, []trace.SpanID{batch.SpanContext.SpanID()}, links(own))
		require.Equal(t, offset, value(own, "messaging.kafka.offset"))
		require.Equal(t, offset == 3, own.Status.Code == codes.Error, "it alone became a dead letter")
	}
	letter := o.named("send "+DeadLetterTopic(testTopic), 1)[0]
	require.Equal(t, batch.SpanContext.SpanID(), letter.Parent.SpanID())
	require.Equal(t, []trace.SpanID{second.SpanID()}, links(letter), "the letter stays in the trace of its event")
	require.Equal(t, map[string]int64{"invalid": 1}, o.counts("freshet.dead_letters", reasonKey))
	require.Equal(t, map[string]int64{"poll": 5}, o.counts("messaging.client.consumed.messages", "messaging.operation.name"))
}

func TestTracesThatAreNotSampled(t *testing.T) {
	for _, c := range []struct {
		name   string
		sender trace.SpanContext
		spans  int
	}{
		{"decided by the producer", sender(1, 0), 0},
		{"of a producer without tracing: the batch begins one", trace.SpanContext{}, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, 1)
			w.writeFrom(c.sender, c.sender)
			o := observe(t)
			run := start(t, w.consumer(fastConfig(), func(context.Context, []Record) error { return nil }))
			w.requireCommitted(0, 2)
			require.NoError(t, run.drain())
			require.Len(t, o.spans.GetSpans(), c.spans)
		})
	}
}

func TestUntracedBatchAllocatesNothing(t *testing.T) {
	m := newMember(kafkaio.DefaultConfig(), DefaultRuntime(), testGroup, testTopic, streamtest.Quiet())
	batch := make([]Record, 100)
	for i := range batch {
		batch[i].Headers = headersOf(sender(1, 0))
	}
	headers := func(i int) []kafkaio.Header { return batch[i].Headers }
	measure := func() float64 {
		return testing.AllocsPerRun(100, func() {
			if _, span := m.startBatch(context.Background(), len(batch), headers); span.Span != nil {
				t.Error("a span")
			}
		})
	}
	require.Zero(t, measure())
	observe(t)
	require.Zero(t, measure(), "with an SDK, and traces that are not sampled")
}

// TestRequestsKeepTheirTraces is a batch of requests: what is sent for one is in its trace.
func TestRequestsKeepTheirTraces(t *testing.T) {
	w := newWorld(t, 1)
	first, second, unsampled := sender(1, trace.FlagsSampled), sender(2, trace.FlagsSampled), sender(3, 0)
	w.writeFrom(first, second, unsampled)
	o := w.observe()
	traces := make(chan [2]trace.SpanContext, 3)
	g := w.gatherer(fastGatherConfig(), func(ctx context.Context, batch []*Delivery) {
		for _, d := range batch {
			traces <- [2]trace.SpanContext{sentBy(d), trace.SpanContextFromContext(d.Trace(ctx))}
			if d.Offset == 1 {
				d.Done(PermanentFor(ReasonUnaddressed, errors.New("no address")))
			}
			d.Done(nil)
		}
	})
	run := start(t, g)
	w.requireCommitted(0, 3)
	spans := o.named("process "+testTopic, 2)
	require.NoError(t, run.drain())
	for range 3 {
		pair := <-traces
		require.Equal(t, pair[0].TraceID(), pair[1].TraceID())
		require.Equal(t, pair[0].SpanID() == unsampled.SpanID(), pair[1].SpanID() == unsampled.SpanID())
	}
	for _, span := range spans {
		refused := span.Parent.SpanID() == second.SpanID()
		require.Equal(t, refused, span.Status.Code == codes.Error)
		require.Equal(t, refused, slices.Contains(events(span), "dead letter"))
	}
	require.Equal(t, second.TraceID(), o.named("send "+DeadLetterTopic(testTopic), 1)[0].SpanContext.TraceID())
	require.Equal(t, map[string]int64{"unaddressed": 1}, o.counts("freshet.dead_letters", reasonKey))
}

func sentBy(d *Delivery) trace.SpanContext {
	return trace.SpanContextFromContext(kafkaio.ExtractTrace(context.Background(), d.Headers))
}

// TestLagIsOfOwnedPartitions goes through a rebalance: each partition is told of by its owner, and by nobody after the end.
func TestLagIsOfOwnedPartitions(t *testing.T) {
	w := newWorld(t, 2)
	o := observe(t)
	hold := make(chan struct{})
	handle := func(ctx context.Context, _ []Record) error {
		select {
		case <-hold:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	old := time.Now().Add(-time.Hour)
	w.Send(kafkaio.Message{Partition: 0, Value: []byte("old"), Time: old})
	w.Write(0, "a", "b")
	w.Write(1, "c")
	one := start(t, w.consumer(fastConfig(), handle))
	eventually := func(want map[int]int64) {
		t.Helper()
		require.Eventually(t, func() bool { return fmt.Sprint(o.lags()) == fmt.Sprint(want) }, patience, tick)
	}
	eventually(map[int]int64{0: 3, 1: 1})
	require.Eventually(t, func() bool { // once it was fetched
		waited := o.metric("freshet.consumer.lag.time").(metricdata.Gauge[float64])
		return slices.ContainsFunc(waited.DataPoints, func(p metricdata.DataPoint[float64]) bool {
			return time.Since(old).Seconds()-p.Value < 60
		})
	}, patience, tick)

	two := start(t, w.consumer(fastConfig(), handle))
	require.Eventually(t, func() bool { return o.counts("freshet.consumer.rebalances", groupKey)[testGroup] >= 3 }, patience, tick)
	eventually(map[int]int64{0: 3, 1: 1})
	close(hold)
	eventually(map[int]int64{0: 0, 1: 0})
	require.NoError(t, one.drain())
	eventually(map[int]int64{0: 0, 1: 0})
	require.NoError(t, two.drain())
	require.Empty(t, o.lags())
}

func TestProgress(t *testing.T) {
	now := time.Now()
	p := newProgress(10, 15)
	lag := func() int64 {
		records, _ := p.lag(now)
		return records
	}
	require.EqualValues(t, 5, lag())
	_, waited := p.lag(now.Add(time.Minute))
	require.InDelta(t, time.Minute, waited, float64(time.Second), "at least since the partition is owned")
	p.fetched([]Record{{Offset: 10, Arrived: now.Add(time.Hour)}, {Offset: 14}}, 15, 16)
	require.EqualValues(t, 3, lag())
	_, waited = p.lag(now)
	require.Zero(t, waited, "of a producer whose clock is ahead")
	p.done(2)
	require.EqualValues(t, 1, lag())
	p.fetched(nil, 16, 16) // a hole
	require.Zero(t, lag())
	p.heardOf(20)
	require.EqualValues(t, 4, lag())
}
