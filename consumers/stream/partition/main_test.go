package partition

import (
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/freshet/freshet/consumers/stream/streamtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const patience = 20 * time.Second

type world struct{ *streamtest.World }

func newWorld(t testing.TB) *world { return &world{streamtest.New(t, 1)} }

// fast tries again, and meets the end of the log, within a test's patience.
func fast() Reading {
	r := DefaultReading()
	r.Backoff = Backoff{Initial: time.Millisecond, Max: 20 * time.Millisecond}
	r.Fetch.MaxWait = 100 * time.Millisecond
	return r
}
