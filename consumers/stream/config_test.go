package stream

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

func TestDefaultsAreValid(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	require.NoError(t, DefaultGatherConfig().Validate())
}

func TestConfigFromYAMLAndEnvironment(t *testing.T) {
	c := DefaultConfig()
	require.NoError(t, yaml.Unmarshal([]byte("max_wait: 5ms\ndrain_timeout: 2s\nbackoff: {max: 9s}\ngroup: {start_at: last}\n"), &c))
	require.Equal(t, 5*time.Millisecond, c.MaxWait)
	require.Equal(t, 2*time.Second, c.DrainTimeout)
	require.Equal(t, 9*time.Second, c.Backoff.Max)
	require.Equal(t, 50*time.Millisecond, c.Backoff.Initial)
	require.Equal(t, StartLast, c.Group.StartAt)
	require.NoError(t, env.ParseWithOptions(&c, env.Options{Environment: map[string]string{
		"MAX_RECORDS": "7", "HANDLE_TIMEOUT": "3s", "GROUP_SESSION_TIMEOUT": "20s", "FETCH_MAX_BYTES": "99",
	}}))
	require.Equal(t, 7, c.MaxRecords)
	require.Equal(t, 3*time.Second, c.HandleTimeout)
	require.Equal(t, 20*time.Second, c.Group.SessionTimeout)
	require.Equal(t, 99, c.Fetch.MaxBytes)
	require.NoError(t, c.Validate())
}

func TestValidateNamesWhatCannotWork(t *testing.T) {
	for want, spoil := range map[string]func(*Config){
		"max_records is 0":                     func(c *Config) { c.MaxRecords = 0 },
		"max_bytes is -1":                      func(c *Config) { c.MaxBytes = -1 },
		"max_wait is -1s":                      func(c *Config) { c.MaxWait = -time.Second },
		"handle_timeout is 0s":                 func(c *Config) { c.HandleTimeout = 0 },
		"commit_interval is -1s":               func(c *Config) { c.CommitInterval = -time.Second },
		"backoff.max is 1ns":                   func(c *Config) { c.Backoff.Max = 1 },
		"must be shorter than":                 func(c *Config) { c.DrainTimeout = 10 * time.Second },
		"group.rebalance_timeout is 1s":        func(c *Config) { c.Group.RebalanceTimeout = time.Second },
		`group.start_at is "middle"`:           func(c *Config) { c.Group.StartAt = "middle" },
		"fetch.max_wait is 0s":                 func(c *Config) { c.Fetch.MaxWait = 0 },
		"group.partition_check_interval is 0s": func(c *Config) { c.Group.PartitionCheckInterval = 0 },
	} {
		c := DefaultConfig()
		spoil(&c)
		require.ErrorContains(t, c.Validate(), want)
	}
	g := DefaultGatherConfig()
	g.InFlight, g.MaxUncommitted = 0, 0
	require.ErrorContains(t, g.Validate(), "in_flight is 0")
	require.ErrorContains(t, g.Validate(), "max_uncommitted is 0")
}

func TestPermanent(t *testing.T) {
	cause := errors.New("cause")
	require.NoError(t, Permanent(nil))
	require.True(t, IsPermanent(Permanent(cause)))
	require.True(t, IsPermanent(fmt.Errorf("handling: %w", Permanent(cause))))
	require.ErrorIs(t, Permanent(cause), cause)
	require.Equal(t, "cause", Permanent(cause).Error())
	require.False(t, IsPermanent(cause))
	require.False(t, IsPermanent(nil))
	require.False(t, IsPermanent(Failures{{Index: 0, Err: Permanent(cause)}}), "of one record, not of the batch")
	f := Failures{{Index: 0, Err: cause}, {Index: 1, Err: cause}, {Index: 2, Err: cause}, {Index: 3, Err: cause}}
	require.Equal(t, "4 records of the batch failed; record 0: cause; record 1: cause; record 2: cause; …", f.Error())
}
