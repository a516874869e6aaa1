package stream

import (
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet/consumers/stream/partition"
)

// StartAt says where a group begins on a partition for which it has committed nothing.
type StartAt string

const (
	// StartFirst begins with the oldest record that the partition still has, so that nothing is left out.
	StartFirst StartAt = "first"
	// StartLast begins with what is written from now on. It fits only records whose loss is harmless: of a partition that
	// is added later, the records written before its first owner noticed it are left out too.
	StartLast StartAt = "last"
)

// Runtime is what Consumer and Gatherer have in common.
type Runtime struct {
	// HandleTimeout bounds the handling of one batch. A handler must come back soon after its context ends.
	HandleTimeout time.Duration `yaml:"handle_timeout" env:"HANDLE_TIMEOUT"`
	// DrainTimeout is how long what is being handled may go on once the partitions are lost or the role is to stop. While
	// partitions are being taken away no heartbeats are sent, so it must be shorter than the session timeout.
	DrainTimeout time.Duration `yaml:"drain_timeout" env:"DRAIN_TIMEOUT"`
	// CommitInterval is the least time between two commits of a member. The first after a pause goes at once. A member that
	// dies has at most so much work repeated by the next owner.
	CommitInterval time.Duration `yaml:"commit_interval" env:"COMMIT_INTERVAL"`
	// StuckAfter is for how long the same record may be tried again before its partition counts as stuck: /readyz names it under
	// degraded, the log line is an error.
	StuckAfter time.Duration `yaml:"stuck_after" env:"STUCK_AFTER"`

	partition.Reading `yaml:",inline"`

	Group Group `yaml:"group" envPrefix:"GROUP_"`
}

// Group is the membership in the consumer group.
type Group struct {
	// SessionTimeout is after how long without heartbeats the member counts as dead and its partitions go to others.
	SessionTimeout time.Duration `yaml:"session_timeout" env:"SESSION_TIMEOUT"`
	// HeartbeatInterval is also how soon a member notices that the group rebalances.
	HeartbeatInterval time.Duration `yaml:"heartbeat_interval" env:"HEARTBEAT_INTERVAL"`
	// RebalanceTimeout is how long the coordinator waits for members to give up their partitions.
	RebalanceTimeout time.Duration `yaml:"rebalance_timeout" env:"REBALANCE_TIMEOUT"`
	// JoinBackoff is the pause after joining failed.
	JoinBackoff time.Duration `yaml:"join_backoff" env:"JOIN_BACKOFF"`
	// PartitionCheckInterval is how often the group's leader looks for added partitions.
	PartitionCheckInterval time.Duration `yaml:"partition_check_interval" env:"PARTITION_CHECK_INTERVAL"`
	// StartAt is where the group begins on a partition for which it has committed nothing: first or last.
	StartAt StartAt `yaml:"start_at" env:"START_AT"`
}

// Config is the settings of a Consumer.
type Config struct {
	// MaxRecords and MaxBytes (keys, values and headers) bound one batch; a batch has at least one record.
	MaxRecords int `yaml:"max_records" env:"MAX_RECORDS"`
	MaxBytes   int `yaml:"max_bytes" env:"MAX_BYTES"`
	// MaxWait is how long a batch that is not full waits for more after its first record. 0 handles what has queued while
	// the last batch was handled: one record when it is quiet, full batches under load.
	MaxWait time.Duration `yaml:"max_wait" env:"MAX_WAIT"`
	Runtime `yaml:",inline"`
}

// GatherConfig is the settings of a Gatherer.
type GatherConfig struct {
	// MaxRecords bounds one batch.
	MaxRecords int `yaml:"max_records" env:"MAX_RECORDS"`
	// InFlight is how many batches may be in work at a time.
	InFlight int `yaml:"in_flight" env:"IN_FLIGHT"`
	// Linger is how long a record waits for others while a batch is in work, or until that is done; else it goes at once. Larger
	// batches cost less for each record.
	Linger time.Duration `yaml:"linger" env:"LINGER"`
	// MaxOutstanding and MaxOutstandingBytes bound the records, of all partitions, that were read and are not done.
	MaxOutstanding      int   `yaml:"max_outstanding" env:"MAX_OUTSTANDING"`
	MaxOutstandingBytes int64 `yaml:"max_outstanding_bytes" env:"MAX_OUTSTANDING_BYTES"`
	// MaxUncommitted bounds, for each partition, the records from the oldest that is not done to the newest that was read:
	// how far the others may run ahead of one that waits, and how many are answered again after a crash.
	MaxUncommitted int `yaml:"max_uncommitted" env:"MAX_UNCOMMITTED"`
	Runtime        `yaml:",inline"`
}

// DefaultRuntime suits brokers near by.
func DefaultRuntime() Runtime {
	return Runtime{
		HandleTimeout:  30 * time.Second,
		DrainTimeout:   5 * time.Second,
		CommitInterval: 50 * time.Millisecond,
		StuckAfter:     time.Minute,
		Reading:        partition.DefaultReading(),
		Group: Group{
			SessionTimeout:         10 * time.Second,
			HeartbeatInterval:      500 * time.Millisecond,
			RebalanceTimeout:       15 * time.Second,
			JoinBackoff:            500 * time.Millisecond,
			PartitionCheckInterval: 5 * time.Second,
			StartAt:                StartFirst,
		},
	}
}

// DefaultConfig suits event streams: what has queued is handled, up to 512 records at a time.
func DefaultConfig() Config {
	return Config{MaxRecords: 512, MaxBytes: 1 << 20, Runtime: DefaultRuntime()}
}

// DefaultGatherConfig suits requests that take some milliseconds and may wait for some seconds.
func DefaultGatherConfig() GatherConfig {
	return GatherConfig{
		MaxRecords:          64,
		InFlight:            4,
		Linger:              time.Millisecond,
		MaxOutstanding:      4096,
		MaxOutstandingBytes: 64 << 20,
		MaxUncommitted:      65_536,
		Runtime:             DefaultRuntime(),
	}
}

// Validate reports every setting that cannot work.
func (c Config) Validate() error {
	errs := []error{
		atLeastOne("max_records", int64(c.MaxRecords)),
		atLeastOne("max_bytes", int64(c.MaxBytes)),
		notNegative("max_wait", c.MaxWait),
	}
	return errors.Join(append(errs, c.Runtime.Validate())...)
}

// Validate reports every setting that cannot work.
func (c GatherConfig) Validate() error {
	return errors.Join(
		notNegative("linger", c.Linger),
		atLeastOne("max_records", int64(c.MaxRecords)),
		atLeastOne("in_flight", int64(c.InFlight)),
		atLeastOne("max_outstanding", int64(c.MaxOutstanding)),
		atLeastOne("max_outstanding_bytes", c.MaxOutstandingBytes),
		atLeastOne("max_uncommitted", int64(c.MaxUncommitted)),
		c.Runtime.Validate(),
	)
}

// Validate reports every setting that cannot work.
func (c Runtime) Validate() error {
	errs := []error{
		positive("handle_timeout", c.HandleTimeout),
		positive("drain_timeout", c.DrainTimeout),
		positive("stuck_after", c.StuckAfter),
		positive("backoff.initial", c.Backoff.Initial),
		positive("fetch.max_wait", c.Fetch.MaxWait),
		atLeastOne("fetch.max_bytes", int64(c.Fetch.MaxBytes)),
		positive("group.session_timeout", c.Group.SessionTimeout),
		positive("group.heartbeat_interval", c.Group.HeartbeatInterval),
		positive("group.join_backoff", c.Group.JoinBackoff),
		positive("group.partition_check_interval", c.Group.PartitionCheckInterval),
	}
	if c.CommitInterval < 0 {
		errs = append(errs, fmt.Errorf("commit_interval is %s: give 0 or more", c.CommitInterval))
	}
	if c.Backoff.Max < c.Backoff.Initial {
		errs = append(errs, fmt.Errorf("backoff.max is %s: give at least backoff.initial, %s", c.Backoff.Max, c.Backoff.Initial))
	}
	if silence := c.DrainTimeout + c.Group.HeartbeatInterval; silence >= c.Group.SessionTimeout {
		errs = append(errs, fmt.Errorf("drain_timeout and group.heartbeat_interval together are %s: they must be shorter than "+
			"group.session_timeout, %s", silence, c.Group.SessionTimeout))
	}
	if c.Group.RebalanceTimeout < c.DrainTimeout {
		errs = append(errs, fmt.Errorf("group.rebalance_timeout is %s: give at least drain_timeout, %s",
			c.Group.RebalanceTimeout, c.DrainTimeout))
	}
	if c.Group.StartAt != StartFirst && c.Group.StartAt != StartLast {
		errs = append(errs, fmt.Errorf("group.start_at is %q: give first or last", c.Group.StartAt))
	}
	return errors.Join(errs...)
}

func positive(name string, d time.Duration) error {
	if d <= 0 {
		return fmt.Errorf("%s is %s: give a positive duration, such as 5s", name, d)
	}
	return nil
}

func notNegative(name string, d time.Duration) error {
	if d < 0 {
		return fmt.Errorf("%s is %s: give 0 or more", name, d)
	}
	return nil
}

func atLeastOne(name string, n int64) error {
	if n < 1 {
		return fmt.Errorf("%s is %d: give at least 1", name, n)
	}
	return nil
}
