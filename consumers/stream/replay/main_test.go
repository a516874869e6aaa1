package replay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/consumers/stream/streamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 20 * time.Second
	tick     = 2 * time.Millisecond
)

type world struct{ *streamtest.World }

func newWorld(t testing.TB, partitions int) *world { return &world{streamtest.New(t, partitions)} }

// fast meets the end of a topic within a test's patience.
func fast() partition.Reading {
	r := partition.DefaultReading()
	r.Backoff = partition.Backoff{Initial: time.Millisecond, Max: 20 * time.Millisecond}
	r.Fetch.MaxWait = 100 * time.Millisecond
	return r
}

// replay returns a Replay of the topic.
func (w *world) replay() *Replay {
	r := New(w.Config, Config{MaxRecords: 512, HandleTimeout: 30 * time.Second, Reading: fast()}, w.Topic, streamtest.Quiet())
	w.T.Cleanup(r.Close)
	return r
}

func (w *world) snapshot(cfg partition.Reading) *Snapshot {
	s, err := NewSnapshot(w.T.Context(), w.Config, cfg, w.Topic, streamtest.Quiet())
	require.NoError(w.T, err)
	w.T.Cleanup(s.Close)
	return s
}
