package recommendations

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/services/recommender"
)

// TestTheRecommendersDefaultDeadlineCounts: there is one setting for requests that name none, and it works where they arrive.
func TestTheRecommendersDefaultDeadlineCounts(t *testing.T) {
	c := recommender.DefaultConfig()
	c.DefaultDeadline = 7 * time.Second
	service := recommender.New(recommender.Parts{}, c, quiet())
	defer service.Close()
	h := New(DefaultConfig(), nil, nil, service, nil, quiet())
	r := &stream.Record{Arrived: time.Now()}
	require.Equal(t, r.Arrived.Add(7*time.Second), h.deadline(r, time.Time{}))
}

func TestDeadlinesDoNotDependOnTheAskersClock(t *testing.T) {
	h := &Handler{defaultDeadline: 2 * time.Second}
	now := time.Now()
	for name, off := range map[string]time.Duration{
		"right": 0, "10 minutes behind": -10 * time.Minute, "an hour ahead": time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			r := &stream.Record{Time: now.Add(off), Arrived: now}
			require.Equal(t, now.Add(h.defaultDeadline), h.deadline(r, time.Time{}))
			require.Equal(t, now.Add(2*time.Second), h.deadline(r, r.Time.Add(2*time.Second)))
		})
	}
	stale := &stream.Record{Arrived: now}
	require.Equal(t, now.Add(time.Second), h.deadline(stale, now.Add(time.Second)), "without a timestamp a deadline stands")
	behind := &stream.Record{Time: now, Arrived: now}
	require.Equal(t, now.Add(-time.Second), h.deadline(behind, now.Add(-time.Second)), "so does one that was over at the start")

	brokers := &stream.Record{Time: now, Arrived: now, BrokerTime: true}
	require.Equal(t, now.Add(time.Second), h.deadline(brokers, now.Add(time.Second)), "by the broker's time a deadline stands")
	require.Equal(t, now.Add(h.defaultDeadline), h.deadline(brokers, now.Add(-10*time.Minute)),
		"an asker whose clock is behind is answered")
}
