package stream

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/producers/kafkaio"
)

const (
	// maxReasonBytes bounds the reason in a dead letter's headers.
	maxReasonBytes = 1024
	// maxKeptValue is what is left of a value that is too large to be kept in full.
	maxKeptValue = 16 << 10

	// headerTruncated names what a dead letter had to leave out: TruncatedHeaders or TruncatedValue.
	headerTruncated = kafkaio.HeaderDLTPrefix + "truncated"
)

// What a dead letter that was too large leaves out.
const (
	TruncatedHeaders = "headers" // the record's own headers
	TruncatedValue   = "value"   // those, and all of the value but its first 16 KiB
)

// DeadLetterTopic names the topic that takes the dead letters of another.
func DeadLetterTopic(topic string) string { return topic + ".dlt" }

// DeadLetter is a record that could not be handled, with the reason.
type DeadLetter struct {
	// Position is where the letter lies in the dead-letter topic; Written is when it was written.
	Position kafkaio.Position
	Written  time.Time
	// Original is the record as it was: its place, time, key, value and headers.
	Original Record
	// Group is the consumer group that gave it up.
	Group string
	// Kind is the type of the error, Reason its text.
	Kind, Reason string
	// Truncated is empty, TruncatedHeaders or TruncatedValue.
	Truncated string
}

// DeadLetters writes, lists and redrives the dead letters of any topic. It is safe for concurrent use.
//
// A dead letter keeps the record's bytes, key and headers, and adds the headers of Spring Kafka's
// DeadLetterPublishingRecoverer: kafka_dlt-original-topic, -partition (4 bytes big-endian), -offset and -timestamp (8 bytes),
// -timestamp-type and -consumer-group, and kafka_dlt-exception-fqcn and -message. Headers of that prefix which the record
// brought along are dropped, so that a producer cannot forge them.
//
// A record near the limit of its topic may not fit with them into the dead-letter topic, if that has the same limit. It is
// written without its own headers then, or at last with only the beginning of its value, and kafka_dlt-truncated says which;
// the alternative is a partition that stands still. Give the dead-letter topic a higher max.message.bytes to avoid it.
type DeadLetters struct {
	kafka  kafkaio.Config
	writer *kafkaio.Writer
}

// NewDeadLetters returns DeadLetters that write by w and read by k.
func NewDeadLetters(k kafkaio.Config, w *kafkaio.Writer) *DeadLetters {
	return &DeadLetters{kafka: k, writer: w}
}

// Write writes the dead letter of a record that a group gave up for a reason, and returns once all in-sync replicas have it.
func (d *DeadLetters) Write(ctx context.Context, r *Record, group string, reason error) error {
	added := letterHeaders(r, group, reason)
	m := kafkaio.Message{
		Topic:     DeadLetterTopic(r.Topic),
		Partition: kafkaio.AnyPartition,
		Key:       r.Key,
		Value:     r.Value,
		Headers:   append(ownHeaders(r.Headers), added...),
	}
	_, err := d.writer.Write(ctx, m)
	if kafkaio.IsMessageTooLarge(err) {
		m.Headers = append(slices.Clip(added), kafkaio.Header{Key: headerTruncated, Value: []byte(TruncatedHeaders)})
		_, err = d.writer.Write(ctx, m)
	}
	if kafkaio.IsMessageTooLarge(err) {
		m.Headers = append(slices.Clip(added), kafkaio.Header{Key: headerTruncated, Value: []byte(TruncatedValue)})
		m.Key, m.Value = cut(m.Key), cut(m.Value)
		_, err = d.writer.Write(ctx, m)
	}
	if err != nil {
		return fmt.Errorf("writing the dead letter of %s/%d@%d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	return nil
}

// cut returns the beginning of b; nil stays nil.
func cut(b []byte) []byte { return b[:min(len(b), maxKeptValue)] }

func letterHeaders(r *Record, group string, reason error) []kafkaio.Header {
	timestampType := "CreateTime"
	if r.BrokerTime {
		timestampType = "LogAppendTime"
	}
	return []kafkaio.Header{
		{Key: kafkaio.HeaderDLTOriginalTopic, Value: []byte(r.Topic)},
		{Key: kafkaio.HeaderDLTOriginalPartition, Value: kafkaio.EncodePartition(r.Partition)},
		{Key: kafkaio.HeaderDLTOriginalOffset, Value: binary.BigEndian.AppendUint64(nil, uint64(r.Offset))},
		{Key: kafkaio.HeaderDLTOriginalTimestamp, Value: binary.BigEndian.AppendUint64(nil, uint64(r.Time.UnixMilli()))},
		{Key: kafkaio.HeaderDLTOriginalTimestampType, Value: []byte(timestampType)},
		{Key: kafkaio.HeaderDLTOriginalConsumerGroup, Value: []byte(group)},
		{Key: kafkaio.HeaderDLTExceptionFQCN, Value: []byte(kind(reason))},
		{Key: kafkaio.HeaderDLTExceptionMessage, Value: []byte(text(reason))},
	}
}

// kind is the type of the error that was marked permanent.
func kind(reason error) string {
	if p, ok := errors.AsType[*partition.PermanentError](reason); ok {
		reason = p.Err
	}
	return fmt.Sprintf("%T", reason)
}

// text is the error's text, valid and bounded: it may quote what a producer sent.
func text(reason error) string {
	s := reason.Error()
	if len(s) > maxReasonBytes {
		s = s[:maxReasonBytes]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// ownHeaders returns the headers without those of dead letters.
func ownHeaders(headers []kafkaio.Header) []kafkaio.Header {
	own := make([]kafkaio.Header, 0, len(headers))
	for _, h := range headers {
		if !strings.HasPrefix(h.Key, kafkaio.HeaderDLTPrefix) {
			own = append(own, h)
		}
	}
	return own
}

// ParseDeadLetter reads a record of a dead-letter topic, which anybody may have written: the error names the header that is
// missing or wrong.
func ParseDeadLetter(r Record) (DeadLetter, error) {
	p := headerParser{headers: r.Headers}
	letter := DeadLetter{
		Position: kafkaio.Position{Partition: r.Partition, Offset: r.Offset},
		Written:  r.Time,
		Original: Record{
			Topic:      p.text(kafkaio.HeaderDLTOriginalTopic),
			Partition:  int32(p.number(kafkaio.HeaderDLTOriginalPartition, 4)),
			Offset:     p.number(kafkaio.HeaderDLTOriginalOffset, 8),
			Time:       time.UnixMilli(p.number(kafkaio.HeaderDLTOriginalTimestamp, 8)).UTC(),
			Key:        r.Key,
			Value:      r.Value,
			Headers:    ownHeaders(r.Headers),
			BrokerTime: p.optional(kafkaio.HeaderDLTOriginalTimestampType) == "LogAppendTime",
		},
		Group:     p.optional(kafkaio.HeaderDLTOriginalConsumerGroup),
		Kind:      p.optional(kafkaio.HeaderDLTExceptionFQCN),
		Reason:    p.optional(kafkaio.HeaderDLTExceptionMessage),
		Truncated: p.optional(headerTruncated),
	}
	if p.err != nil {
		return DeadLetter{}, fmt.Errorf("reading dead letter %s/%d@%d: %w", r.Topic, r.Partition, r.Offset, p.err)
	}
	return letter, nil
}

// headerParser reads headers, and keeps the first error.
type headerParser struct {
	headers []kafkaio.Header
	err     error
}

func (p *headerParser) fail(key, problem string) {
	if p.err == nil {
		p.err = fmt.Errorf("header %s %s: it was not written by a consumer that gave up a record", key, problem)
	}
}

func (p *headerParser) optional(key string) string {
	value, _ := kafkaio.HeaderValue(p.headers, key)
	return strings.ToValidUTF8(string(value), "\uFFFD")
}

func (p *headerParser) text(key string) string {
	value := p.optional(key)
	if value == "" {
		p.fail(key, "is missing or empty")
	}
	return value
}

func (p *headerParser) number(key string, size int) int64 {
	value, ok := kafkaio.HeaderValue(p.headers, key)
	switch {
	case !ok:
		p.fail(key, "is missing")
		return 0
	case len(value) != size:
		p.fail(key, "has "+strconv.Itoa(len(value))+" bytes, not "+strconv.Itoa(size))
		return 0
	}
	var n int64
	if size == 4 {
		n = int64(int32(binary.BigEndian.Uint32(value)))
	} else {
		n = int64(binary.BigEndian.Uint64(value))
	}
	if n < 0 {
		p.fail(key, "is negative")
		return 0
	}
	return n
}
