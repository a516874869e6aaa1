package stream

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Warnings become an error once the time is over, and then one in each such time, however often it is tried.
func TestAttemptsThatGoOn(t *testing.T) {
	var log bytes.Buffer
	m := &member{topic: "events", runtime: Runtime{StuckAfter: time.Minute}}
	tries := &attempts{member: m, log: slog.New(slog.NewTextHandler(&log, nil)), at: recordAt{3, 17}}
	begin := time.Now()
	for second := range 200 {
		tries.failed("handling failed", errors.New("OOM"), begin.Add(time.Duration(second)*time.Second))
		require.Equal(t, second >= 60, len(m.stuck.longest()) == 1, second)
	}
	require.Equal(t, 60, strings.Count(log.String(), "level=WARN"))
	require.Equal(t, 3, strings.Count(log.String(), "level=ERROR"), "after 60, 120 and 180 s")
	stuck := m.stuck.longest()[0]
	require.Equal(t, Stuck{Topic: "events", Partition: 3, Offset: 17, Since: begin, Err: stuck.Err}, stuck)
	tries.over()
	require.Empty(t, m.stuck.longest())
}

func TestAPartitionThatDoesNotGetOnIsStuckUntilItDoes(t *testing.T) {
	w := newWorld(t, 2)
	cfg := fastConfig()
	cfg.StuckAfter = 20 * time.Millisecond
	mend := make(chan struct{})
	w.Write(1, "fails")
	w.Write(0, "fine")
	c := w.consumer(cfg, func(_ context.Context, batch []Record) error {
		if batch[0].Partition == 0 {
			return nil
		}
		select {
		case <-mend:
			return nil
		default:
			return errors.New("the store refuses writes")
		}
	})
	start(t, c)
	require.Eventually(t, func() bool { return len(c.Stuck()) == 1 }, patience, tick)
	w.requireCommitted(0, 1)
	stuck := c.Stuck()[0]
	require.EqualValues(t, 1, stuck.Partition)
	require.Zero(t, stuck.Offset)
	require.ErrorContains(t, stuck.Err, "refuses writes")
	close(mend)
	require.Eventually(t, func() bool { return len(c.Stuck()) == 0 }, patience, tick)
	w.requireCommitted(1, 1)
}

func TestARequestThatIsDeliveredAgainAndAgainIsStuck(t *testing.T) {
	w := newWorld(t, 1)
	cfg := fastGatherConfig()
	cfg.StuckAfter = 20 * time.Millisecond
	mend := make(chan struct{})
	w.Write(0, "fine", "fails", "fine too")
	g := w.gatherer(cfg, func(_ context.Context, batch []*Delivery) {
		for _, d := range batch {
			select {
			case <-mend:
				d.Done(nil)
			default:
				if string(d.Value) == "fails" {
					d.Done(errors.New("the registry is away"))
				} else {
					d.Done(nil)
				}
			}
		}
	})
	start(t, g)
	require.Eventually(t, func() bool { return len(g.Stuck()) == 1 }, patience, tick)
	require.EqualValues(t, 1, g.Stuck()[0].Offset)
	close(mend)
	w.requireCommitted(0, 3)
	require.Empty(t, g.Stuck())
}
