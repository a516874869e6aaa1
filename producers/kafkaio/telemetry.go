package kafkaio

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/semconv/v1.43.0/messagingconv"
)

const (
	// scope names the instruments and spans of this package.
	scope = "github.com/freshet/freshet/producers/kafkaio"

	operationSend = "send"
	// maxTopics bounds the topics that a Writer's metrics tell apart; reply topics have names that clients choose.
	maxTopics   = 64
	otherTopics = "_OTHER"
)

// Seconds gives a histogram the boundaries that all of Freshet's durations have, from 0.5 ms to 30 s. What took longer, such
// as the age of an event from a backfill, is in the last bucket, whatever its size.
func Seconds() metric.HistogramOption {
	return metric.WithExplicitBucketBoundaries(
		0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
}

// instruments are a Writer's, of the provider that is installed when it is made; one that is installed later takes over.
type instruments struct {
	duration messagingconv.ClientOperationDuration
	sent     messagingconv.ClientSentMessages

	mu      sync.Mutex
	written map[string]metric.MeasurementOption // by topic: the attributes of what succeeded
}

func newInstruments() *instruments {
	meter := otel.Meter(scope)
	t := &instruments{written: map[string]metric.MeasurementOption{}}
	var err error
	if t.duration, err = messagingconv.NewClientOperationDuration(meter, Seconds()); err != nil {
		otel.Handle(err)
	}
	if t.sent, err = messagingconv.NewClientSentMessages(meter); err != nil {
		otel.Handle(err)
	}
	return t
}

// answered counts messages of one partition, and measures each from when the Writer was given it.
func (t *instruments) answered(topic string, messages []*pending, err error) {
	ctx := context.Background()
	if !t.sent.Enabled(ctx) && !t.duration.Enabled(ctx) {
		return
	}
	attributes := t.attributes(topic, err)
	t.sent.Int64Counter.Add(ctx, int64(len(messages)), attributes)
	now := time.Now()
	record := []metric.RecordOption{attributes}
	for _, p := range messages {
		t.duration.Float64Histogram.Record(ctx, now.Sub(p.given).Seconds(), record...)
	}
}

// attributes are those of messages to a topic. They leave the partition out, which would multiply the series by hundreds;
// the spans have it.
func (t *instruments) attributes(topic string, err error) metric.MeasurementOption {
	t.mu.Lock()
	defer t.mu.Unlock()
	option, known := t.written[topic]
	if !known && len(t.written) >= maxTopics {
		topic = otherTopics
		option, known = t.written[topic]
	}
	if err == nil && known {
		return option
	}
	attributes := []attribute.KeyValue{
		semconv.MessagingSystemKafka,
		semconv.MessagingOperationName(operationSend),
		semconv.MessagingOperationTypeSend,
		semconv.MessagingDestinationName(topic),
	}
	if err != nil {
		attributes = append(attributes, semconv.ErrorTypeKey.String(ErrorType(err)))
		return metric.WithAttributeSet(attribute.NewSet(attributes...))
	}
	option = metric.WithAttributeSet(attribute.NewSet(attributes...))
	t.written[topic] = option
	return option
}

func partitionAttribute(partition int32) attribute.KeyValue {
	return semconv.MessagingDestinationPartitionID(strconv.Itoa(int(partition)))
}

// ErrorType names the class of an error for error.type: the brokers' error code in words, or one of a few words for what
// went wrong on this side.
func ErrorType(err error) string {
	var code kafka.Error
	var network net.Error
	switch {
	case errors.Is(err, ErrClosed):
		return "closed"
	case IsMessageTooLarge(err):
		return "message_too_large"
	case IsUnknownDestination(err):
		return "unknown_destination"
	case errors.As(err, &code):
		return strings.ReplaceAll(strings.ToLower(code.Title()), " ", "_")
	case errors.Is(err, context.Canceled):
		return "cancelled"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &network) && network.Timeout():
		return "timeout"
	case errors.As(err, &network):
		return "network"
	default:
		return semconv.ErrorTypeOther.Value.AsString()
	}
}
