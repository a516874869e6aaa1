package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/schemas/secure"
)

// ErrClosed is what a Writer says after Close.
var ErrClosed = errors.New("the Kafka writer is closed")

// MessageTooLargeError refuses one message for its size; its neighbours are written.
type MessageTooLargeError struct {
	Topic string
	// Size is how many bytes the message takes in a record batch.
	Size int64
	// Limit is the Writer's max_batch_bytes; 0 when the broker refused and did not name its own.
	Limit int64
}

func (e *MessageTooLargeError) Error() string {
	if e.Limit > 0 {
		return fmt.Sprintf("a message for %s takes %d bytes, the most is %d: shorten it, or raise max_batch_bytes "+
			"and the topic's max.message.bytes", e.Topic, e.Size, e.Limit)
	}
	return fmt.Sprintf("the broker refused a message of %d bytes for %s: shorten it, or raise the topic's max.message.bytes",
		e.Size, e.Topic)
}

// IsMessageTooLarge says whether a message was refused for its size.
func IsMessageTooLarge(err error) bool {
	var e *MessageTooLargeError
	return errors.As(err, &e)
}

// UnknownDestinationError refuses a message for a topic or a partition that the cluster, asked at most a
// second ago, does not have.
type UnknownDestinationError struct {
	Topic string
	// Partition is the one asked for, or AnyPartition.
	Partition int32
	// Partitions is how many the topic has; 0 when there is no such topic.
	Partitions int
}

func (e *UnknownDestinationError) Error() string {
	if e.Partitions == 0 {
		return fmt.Sprintf("there is no topic %q: create it (`freshet topics create` makes Freshet's), or correct the name", e.Topic)
	}
	return fmt.Sprintf("topic %s has no partition %d: it has 0 to %d", e.Topic, e.Partition, e.Partitions-1)
}

// IsUnknownDestination says whether a message was refused because its topic or partition does not exist.
func IsUnknownDestination(err error) bool {
	var e *UnknownDestinationError
	return errors.As(err, &e)
}

// IsRetriable says whether asking the brokers again may help: the error is the network's, or one that passes, such as a
// leader that moved. A deadline that passed may be the request's alone (request_timeout), so ask your own context first.
func IsRetriable(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) || IsRefused(err) {
		return false
	}
	var code kafka.Error
	if !errors.As(err, &code) {
		return true
	}
	// kafka-go itself says BrokerNotAvailable for a leader that it does not know yet.
	return code.Temporary() || code == kafka.BrokerNotAvailable || code == kafka.ReplicaNotAvailable
}

// IsRefused says whether the brokers would not have us, or we not them: a certificate, a user or a right that an operator has
// to mend. Trying again is no use.
func IsRefused(err error) bool {
	p := ProblemOf(err)
	return p != secure.Unclear && p != secure.Unreachable
}

// ProblemOf is secure.ProblemOf with what the brokers themselves say.
func ProblemOf(err error) secure.Problem {
	var code kafka.Error
	if !errors.As(err, &code) {
		return secure.ProblemOf(err)
	}
	switch code {
	case kafka.SASLAuthenticationFailed, kafka.UnsupportedSASLMechanism, kafka.IllegalSASLState:
		return secure.Credentials
	case kafka.TopicAuthorizationFailed, kafka.GroupAuthorizationFailed, kafka.ClusterAuthorizationFailed:
		return secure.Denied
	}
	return secure.Unclear
}

// HungUp says whether the broker closed a connection without a word, as a listener does that wants TLS or SASL.
func HungUp(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

// BlamesRecord says whether a message was refused for what it holds, so that others may be written.
func BlamesRecord(err error) bool { return IsMessageTooLarge(err) || blamesRecords(err) }

// blamesRecords says whether the broker refused a whole batch for what some of its records hold: those are found by
// halving the batch, so that their neighbours are written.
func blamesRecords(err error) bool {
	for _, code := range []kafka.Error{
		kafka.MessageSizeTooLarge, kafka.RecordListTooLarge, kafka.InvalidRecord, kafka.InvalidTimestamp,
	} {
		if errors.Is(err, code) {
			return true
		}
	}
	return false
}
