package kafkaio

import (
	"errors"
	"fmt"
	"time"
)

// WriterConfig bounds what a Writer holds, sends and tries.
type WriterConfig struct {
	// MaxBatchBytes bounds one request, and so one message. Keep it under the topics' max.message.bytes (Kafka's default is
	// 1,048,588), which the broker compares with the batch.
	MaxBatchBytes int64 `yaml:"max_batch_bytes" env:"MAX_BATCH_BYTES"`
	// MaxBatchMessages bounds the messages of one request.
	MaxBatchMessages int `yaml:"max_batch_messages" env:"MAX_BATCH_MESSAGES"`
	// QueueBytes bounds the messages of all partitions that have no answer yet. Whoever adds to a full queue waits.
	QueueBytes int64 `yaml:"queue_bytes" env:"QUEUE_BYTES"`
	// DeliveryTimeout bounds how long a message is tried, from when it was taken.
	DeliveryTimeout time.Duration `yaml:"delivery_timeout" env:"DELIVERY_TIMEOUT"`
	// BackoffInitial and BackoffMax bound the jittered pause before a retry, which doubles.
	BackoffInitial time.Duration `yaml:"backoff_initial" env:"BACKOFF_INITIAL"`
	BackoffMax     time.Duration `yaml:"backoff_max" env:"BACKOFF_MAX"`
}

// DefaultWriterConfig suits events and replies.
func DefaultWriterConfig() WriterConfig {
	return WriterConfig{
		MaxBatchBytes:    1_000_000,
		MaxBatchMessages: 10_000,
		QueueBytes:       64 << 20,
		DeliveryTimeout:  30 * time.Second,
		BackoffInitial:   20 * time.Millisecond,
		BackoffMax:       time.Second,
	}
}

// Validate reports every setting that cannot work.
func (c WriterConfig) Validate() error {
	var errs []error
	if c.MaxBatchBytes < 1024 {
		errs = append(errs, fmt.Errorf("max_batch_bytes is %d: give at least 1024", c.MaxBatchBytes))
	}
	if c.MaxBatchMessages < 1 {
		errs = append(errs, fmt.Errorf("max_batch_messages is %d: give at least 1", c.MaxBatchMessages))
	}
	if c.QueueBytes < c.MaxBatchBytes {
		errs = append(errs, fmt.Errorf("queue_bytes is %d: give at least max_batch_bytes, %d", c.QueueBytes, c.MaxBatchBytes))
	}
	if c.DeliveryTimeout <= 0 {
		errs = append(errs, fmt.Errorf("delivery_timeout is %s: give a positive duration, such as 30s", c.DeliveryTimeout))
	}
	if c.BackoffInitial <= 0 || c.BackoffMax < c.BackoffInitial {
		errs = append(errs, fmt.Errorf("backoff_initial is %s and backoff_max %s: give 0 < backoff_initial <= backoff_max",
			c.BackoffInitial, c.BackoffMax))
	}
	return errors.Join(errs...)
}
