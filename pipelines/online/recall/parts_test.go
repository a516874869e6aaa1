package recall

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

func TestConfig(t *testing.T) {
	require.NoError(t, DefaultConfig().Validate())
	for want, spoil := range map[string]func(*Config){
		"period is 1.5s":    func(c *Config) { c.Period = 1500 * time.Millisecond },
		"period is 0s":      func(c *Config) { c.Period = 0 },
		"delay is -1s":      func(c *Config) { c.Delay = -time.Second },
		"backlog is -1s":    func(c *Config) { c.Backlog = -time.Second },
		"at is []":          func(c *Config) { c.At = nil },
		"at is [0 1]":       func(c *Config) { c.At = []int{0, 1} },
		"at is [5 5]":       func(c *Config) { c.At = []int{5, 5} },
		"at is [10 5]":      func(c *Config) { c.At = []int{10, 5} },
		"at is [1001]":      func(c *Config) { c.At = []int{1001} },
		"sample_share is 0": func(c *Config) { c.SampleShare = 0 },
		"sample_share is 2": func(c *Config) { c.SampleShare = 2 },
		"max_users is 0":    func(c *Config) { c.MaxUsers = 0 },
		"new_user_events":   func(c *Config) { c.NewUserEvents = -1 },
	} {
		c := DefaultConfig()
		spoil(&c)
		require.ErrorContains(t, c.Validate(), want)
	}
}

// The intervals are those of R's prop.test without its correction for continuity.
func TestWilson(t *testing.T) {
	for _, c := range []struct {
		hits, of         int64
		share, low, high float64
	}{{2, 8, .25, .07148, .59072}, {0, 10, 0, 0, .27753}, {10, 10, 1, .72247, 1}, {50, 100, .5, .40383, .59617}} {
		share, low, high := wilson(c.hits, c.of)
		require.InDelta(t, c.share, *share, 1e-5)
		require.InDelta(t, c.low, *low, 1e-5)
		require.InDelta(t, c.high, *high, 1e-5)
	}
	share, low, high := wilson(0, 0)
	require.Nil(t, share)
	require.Nil(t, low)
	require.Nil(t, high)
}

// A sample that is full halves its share and stays the users of the smallest places.
func TestTheSampleStaysFair(t *testing.T) {
	s := newSample(1, 100)
	for i := range 3000 {
		id := fmt.Sprint("user", i)
		u := s.of(id)
		require.Equal(t, place(id) < s.share, u != nil)
	}
	require.LessOrEqual(t, len(s.users), 100)
	require.Greater(t, len(s.users), 25)
	for i := range 3000 {
		id := fmt.Sprint("user", i)
		require.Equal(t, place(id) < s.share, s.users[id] != nil, id)
	}
	s.forget("user0")
	require.Nil(t, s.users["user0"])
}

func TestReportedIsTheLastWholeWindow(t *testing.T) {
	at := time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC)
	w := newWindow(at, []int{1, 5})
	rows := w.rows("m1", at.Add(time.Minute), 1, []int{1, 5})
	require.Equal(t, at.Add(time.Minute), reported(rows, "m1"))
	require.True(t, reported(rows, "m2").IsZero())
	for cut := range rows {
		require.True(t, reported(rows[:cut], "m1").IsZero(), "%d rows are no window", cut)
	}
	later := newWindow(at.Add(time.Minute), []int{1, 5}).rows("m1", at.Add(2*time.Minute), 1, []int{1, 5})
	require.Equal(t, at.Add(time.Minute), reported(append(rows, later[:4]...), "m1"))
}

// TestAWindowThatWasWrittenInPartIsWrittenAnew: the process died between two rows.
func TestAWindowThatWasWrittenInPartIsWrittenAnew(t *testing.T) {
	s := newSchedule(t, 300)
	s.publish(60)
	end := s.now.Truncate(s.config.Period)
	want := s.expect(s.base, end)
	half := want[0]
	half.Segment, half.Events = schemas.SegmentNew, want[0].Events+7 // another figure than will be computed
	_, err := s.parts.Writer.Write(t.Context(), kafkaio.Message{
		Topic: s.parts.Topics.Recall.Name, Partition: 0, Key: []byte(half.Key()), Value: s.serdes.rows.Append(nil, &half),
	})
	require.NoError(t, err)
	require.Len(t, s.rows(), 1)
	require.Equal(t, want, s.evaluate(end))
}

// TestRun runs the loop against windows of a second, as time passes.
func TestRun(t *testing.T) {
	w := newWorld(t, 1)
	w.fill(w.base)
	now := time.Now().UTC()
	w.config.Period, w.config.Backlog = time.Second, 10*time.Second
	for i := range 3 {
		w.like("ann", i, now.Add(time.Duration(i-5)*time.Second))
	}
	run := func() (e *Evaluator, stop context.CancelFunc, ended chan error) {
		e, err := New(t.Context(), w.parts, w.config)
		require.NoError(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended = make(chan error, 1)
		go func() { ended <- e.Run(ctx) }()
		require.Eventually(t, e.Ready, 10*time.Second, time.Millisecond)
		return e, cancel, ended
	}
	e, stop, ended := run()
	require.Len(t, w.rows(), 3*3*3)
	at := time.Now().UTC()
	w.like("ann", 5, at)
	require.Eventually(t, func() bool { return len(w.rows()) == 4*3*3 }, 10*time.Second, 10*time.Millisecond)
	stop()
	require.NoError(t, <-ended)
	e.Close()

	e, stop, ended = run()
	defer stop()
	e.Abort()
	require.ErrorIs(t, <-ended, stream.ErrAborted)
	e.Close()
	require.Len(t, w.rows(), 4*3*3)
}
