package recommendations

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream"
)

func TestDeadlinesDoNotDependOnTheAskersClock(t *testing.T) {
	h := &Handler{config: DefaultConfig()}
	now := time.Now()
	for name, off := range map[string]time.Duration{
		"right": 0, "10 minutes behind": -10 * time.Minute, "an hour ahead": time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			r := &stream.Record{Time: now.Add(off), Arrived: now}
			require.Equal(t, now.Add(h.config.DefaultDeadline), h.deadline(r, time.Time{}))
			require.Equal(t, now.Add(2*time.Second), h.deadline(r, r.Time.Add(2*time.Second)))
		})
	}
	stale := &stream.Record{Arrived: now}
	require.Equal(t, now.Add(time.Second), h.deadline(stale, now.Add(time.Second)), "without a timestamp a deadline stands")
	behind := &stream.Record{Time: now, Arrived: now}
	require.Equal(t, now.Add(-time.Second), h.deadline(behind, now.Add(-time.Second)), "so does one that was over at the start")

	brokers := &stream.Record{Time: now, Arrived: now, BrokerTime: true}
	require.Equal(t, now.Add(time.Second), h.deadline(brokers, now.Add(time.Second)), "by the broker's time a deadline stands")
	require.Equal(t, now.Add(h.config.DefaultDeadline), h.deadline(brokers, now.Add(-10*time.Minute)),
		"an asker whose clock is behind is answered")
}
