package kafkaio

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Request-reply headers, by the names that Spring Kafka's ReplyingKafkaTemplate gives them.
const (
	// HeaderCorrelationID holds opaque bytes that the reply echoes.
	HeaderCorrelationID = "kafka_correlationId"
	// HeaderReplyTopic names the topic of the reply, in UTF-8.
	HeaderReplyTopic = "kafka_replyTopic"
	// HeaderReplyPartition is the reply's partition as EncodePartition writes it; without it the key decides.
	HeaderReplyPartition = "kafka_replyPartition"
)

// HeaderRepublished is on the records that role catalogue publishes again; its value is the version that was refused, in decimal.
const HeaderRepublished = "freshet_republished"

// Dead-letter headers, by the names that Spring Kafka's DeadLetterPublishingRecoverer gives them. Numbers are big-endian.
const (
	// HeaderDLTPrefix starts every one of them.
	HeaderDLTPrefix = "kafka_dlt-"

	HeaderDLTOriginalTopic     = HeaderDLTPrefix + "original-topic"
	HeaderDLTOriginalPartition = HeaderDLTPrefix + "original-partition" // 4 bytes
	HeaderDLTOriginalOffset    = HeaderDLTPrefix + "original-offset"    // 8 bytes
	HeaderDLTOriginalTimestamp = HeaderDLTPrefix + "original-timestamp" // 8 bytes, ms since 1970
	// HeaderDLTOriginalTimestampType is "CreateTime" or "LogAppendTime".
	HeaderDLTOriginalTimestampType = HeaderDLTPrefix + "original-timestamp-type"
	HeaderDLTOriginalConsumerGroup = HeaderDLTPrefix + "original-consumer-group"
	// HeaderDLTExceptionFQCN is the kind of the error: a class name from Spring, a Go type from Freshet.
	HeaderDLTExceptionFQCN    = HeaderDLTPrefix + "exception-fqcn"
	HeaderDLTExceptionMessage = HeaderDLTPrefix + "exception-message"
)

// HeaderValue returns the value of the last header named key, as Java's Headers.lastHeader does, and whether there is one.
func HeaderValue(headers []Header, key string) ([]byte, bool) {
	for _, header := range slices.Backward(headers) {
		if header.Key == key {
			return header.Value, true
		}
	}
	return nil, false
}

// EncodePartition writes a partition as Spring does: 4 bytes, big-endian.
func EncodePartition(partition int32) []byte {
	return binary.BigEndian.AppendUint32(nil, uint32(partition))
}

// DecodePartition reads what EncodePartition wrote and refuses anything that cannot be a partition.
func DecodePartition(value []byte) (int32, error) {
	if len(value) != 4 {
		return 0, fmt.Errorf("a partition header has %d bytes: it must have 4, big-endian", len(value))
	}
	p := int32(binary.BigEndian.Uint32(value))
	if p < 0 {
		return 0, fmt.Errorf("a partition header says %d: partitions start at 0", p)
	}
	return p, nil
}
