package stream

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestComplaintsBecomeRare(t *testing.T) {
	var log bytes.Buffer
	c := complaint{log: slog.New(slog.NewTextHandler(&log, nil))}
	now := time.Now()
	for range 7200 { // an hour, twice a second
		c.warn(now, "joining the group failed", errors.New("no broker"))
		now = now.Add(500 * time.Millisecond)
	}
	warnings := strings.Count(log.String(), "\n")
	require.Greater(t, warnings, 100)
	require.Less(t, warnings, 130)
	require.Contains(t, log.String(), "silent_since=59")
	log.Reset()
	c.over()
	c.warn(now, "joining the group failed", errors.New("no broker"))
	require.Contains(t, log.String(), "silent_for=1s", "new trouble is told of at once")
}
