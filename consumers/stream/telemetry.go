package stream

import (
	"context"
	"slices"
	"strconv"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"
	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/producers/kafkaio"
)

const (
	// scope names the instruments and spans of this package.
	scope = "github.com/freshet/freshet/consumers/stream"

	topicKey     = attribute.Key("topic")
	groupKey     = attribute.Key("group")
	partitionKey = attribute.Key("partition")
	reasonKey    = attribute.Key("reason")
)

// telemetry is a member's instruments and tracer, of the providers that are installed when it is made; those that are
// installed later take over.
type telemetry struct {
	tracer      trace.Tracer
	meter       metric.Meter
	batchSize   metric.Int64Histogram
	consumed    messagingconv.ClientConsumedMessages
	process     messagingconv.ProcessDuration
	operation   messagingconv.ClientOperationDuration
	deadLetters metric.Int64Counter

	lag                       metric.Int64ObservableGauge
	lagTime                   metric.Float64ObservableGauge
	rebalances, retries, lost metric.Int64ObservableCounter
	commitErrors              metric.Int64ObservableCounter
	stuck                     metric.Int64ObservableGauge

	member  metric.MeasurementOption // topic and group
	batch   metric.MeasurementOption // topic
	polled  metric.MeasurementOption
	handled [2]metric.MeasurementOption // in full, and with dead letters or given up
	commit  []attribute.KeyValue
}

func newTelemetry(group, topic string) *telemetry {
	t := &telemetry{tracer: otel.Tracer(scope), meter: otel.Meter(scope)}
	t.describe(group, topic)
	var err error
	keep := func(e error) {
		if e != nil {
			otel.Handle(e)
		}
	}
	t.batchSize, err = t.meter.Int64Histogram("freshet.consumer.batch.size", metric.WithUnit("{record}"),
		metric.WithDescription("Records in a batch that a handler is given."),
		metric.WithExplicitBucketBoundaries(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024))
	keep(err)
	t.consumed, err = messagingconv.NewClientConsumedMessages(t.meter)
	keep(err)
	t.process, err = messagingconv.NewProcessDuration(t.meter, kafkaio.Seconds())
	keep(err)
	t.operation, err = messagingconv.NewClientOperationDuration(t.meter, kafkaio.Seconds())
	keep(err)
	t.deadLetters, err = t.meter.Int64Counter("freshet.dead_letters", metric.WithUnit("{record}"),
		metric.WithDescription("Records that were written to the dead-letter topic."))
	keep(err)
	t.lag, err = t.meter.Int64ObservableGauge("freshet.consumer.lag", metric.WithUnit("{record}"),
		metric.WithDescription("Records of an owned partition that are not done."))
	keep(err)
	t.lagTime, err = t.meter.Float64ObservableGauge("freshet.consumer.lag.time", metric.WithUnit("s"),
		metric.WithDescription("How long the oldest record of an owned partition that is not done has waited; 0 without one."))
	keep(err)
	t.rebalances, err = t.meter.Int64ObservableCounter("freshet.consumer.rebalances", metric.WithUnit("{generation}"),
		metric.WithDescription("Generations of the group that the member joined."))
	keep(err)
	t.retries, err = t.meter.Int64ObservableCounter("freshet.consumer.retries", metric.WithUnit("{retry}"),
		metric.WithDescription("Batches, requests and dead letters that were tried again."))
	keep(err)
	t.lost, err = t.meter.Int64ObservableCounter("freshet.consumer.lost", metric.WithUnit("{record}"),
		metric.WithDescription("Records that retention removed before they were read."))
	keep(err)
	t.commitErrors, err = t.meter.Int64ObservableCounter("freshet.consumer.commit.errors", metric.WithUnit("{error}"),
		metric.WithDescription("Commits that failed: the records are handled again."))
	keep(err)
	t.stuck, err = t.meter.Int64ObservableGauge("freshet.consumer.stuck", metric.WithUnit("{partition}"),
		metric.WithDescription("Owned partitions with a record that has been tried again and again for stuck_after or longer."))
	keep(err)
	return t
}

// describe makes the attributes once, so that a measurement makes none.
func (t *telemetry) describe(group, topic string) {
	operation := func(name string, kind attribute.KeyValue, more ...attribute.KeyValue) []attribute.KeyValue {
		return append([]attribute.KeyValue{
			semconv.MessagingSystemKafka, semconv.MessagingOperationName(name), kind,
			semconv.MessagingDestinationName(topic), semconv.MessagingConsumerGroupName(group),
		}, more...)
	}
	set := func(attributes ...attribute.KeyValue) metric.MeasurementOption {
		return metric.WithAttributeSet(attribute.NewSet(attributes...))
	}
	t.member = set(topicKey.String(topic), groupKey.String(group))
	t.batch = set(topicKey.String(topic))
	t.polled = set(operation("poll", semconv.MessagingOperationTypeReceive)...)
	process := operation(operationProcess, semconv.MessagingOperationTypeProcess)
	t.handled[0] = set(process...)
	t.handled[1] = set(append(process, semconv.ErrorTypeOther)...)
	t.commit = operation("commit", semconv.MessagingOperationTypeSettle)
}

// observe has the gauges tell of this member until the returned function is called.
func (m *member) observe() (stop func()) {
	t := m.telemetry
	registration, err := t.meter.RegisterCallback(m.report,
		t.lag, t.lagTime, t.rebalances, t.retries, t.lost, t.commitErrors, t.stuck)
	if err != nil {
		otel.Handle(err)
		return func() {}
	}
	return func() {
		if err := registration.Unregister(); err != nil {
			otel.Handle(err)
		}
	}
}

// report is called by whoever reads the metrics.
func (m *member) report(_ context.Context, to metric.Observer) error {
	t := m.telemetry
	m.observed.Store(true)
	to.ObserveInt64(t.rebalances, m.stats.generations.Load(), t.member)
	to.ObserveInt64(t.retries, m.stats.retries.Load(), t.member)
	to.ObserveInt64(t.lost, m.stats.losses.Records.Load(), t.member)
	to.ObserveInt64(t.commitErrors, m.commitErrors.Load(), t.member)
	to.ObserveInt64(t.stuck, int64(len(m.stuck.longest())), t.member)
	m.progressMu.Lock()
	partitions := m.progress
	m.progressMu.Unlock()
	now := time.Now()
	for partition, p := range partitions { // the map is never written to
		at := metric.WithAttributeSet(attribute.NewSet(
			topicKey.String(m.topic), groupKey.String(m.group), partitionKey.String(strconv.Itoa(int(partition)))))
		records, waited := p.lag(now)
		to.ObserveInt64(t.lag, records, at)
		to.ObserveFloat64(t.lagTime, waited.Seconds(), at)
	}
	return nil
}

// buried counts a dead letter.
func (m *member) buried(reason error) {
	m.stats.deadLetters.Add(1)
	m.telemetry.deadLetters.Add(context.Background(), 1, metric.WithAttributes(
		topicKey.String(m.topic), reasonKey.String(string(ReasonOf(reason)))))
}

// fetched counts records that came from the brokers.
func (t *telemetry) fetched(records int) {
	if records > 0 {
		t.consumed.Int64Counter.Add(context.Background(), int64(records), t.polled)
	}
}

// began measures a batch that is about to be handled.
func (t *telemetry) began(records int) {
	t.batchSize.Record(context.Background(), int64(records), t.batch)
}

// processed measures the handling of a batch, retries and all.
func (t *telemetry) processed(began time.Time, failed bool) {
	options := t.handled[0]
	if failed {
		options = t.handled[1]
	}
	t.process.Float64Histogram.Record(context.Background(), time.Since(began).Seconds(), options)
}

// committed measures a commit request.
func (t *telemetry) committed(began time.Time, err error) {
	attributes := slices.Clip(t.commit)
	if err != nil {
		attributes = append(attributes, semconv.ErrorTypeKey.String(kafkaio.ErrorType(err)))
	}
	t.operation.Float64Histogram.Record(context.Background(), time.Since(began).Seconds(), metric.WithAttributes(attributes...))
}
