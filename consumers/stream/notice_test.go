package stream

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// TestANoticeIsShort: at once, then once a minute, with the number of records that were not told.
func TestANoticeIsShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		n := NewNotice(slog.New(slog.NewTextHandler(&log, nil)), "odd", "mend it")
		for i := range 1000 {
			n.Of(&Record{Topic: "t", Partition: 2, Offset: int64(i), Key: []byte("secret")})
			time.Sleep(100 * time.Millisecond)
		}
		require.Equal(t, 2, strings.Count(log.String(), "msg=odd"), "%s", &log)
		require.Contains(t, log.String(), "records=1 topic=t partition=2 offset=0 remedy=\"mend it\"")
		require.Contains(t, log.String(), "records=600 topic=t partition=2 offset=600")
		require.NotContains(t, log.String(), "secret")
	})
}
