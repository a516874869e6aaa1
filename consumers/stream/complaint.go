package stream

import (
	"log/slog"
	"time"
)

const (
	firstSilence = time.Second
	mostSilence  = 30 * time.Second
)

// complaint warns of trouble that comes again with every attempt, such as brokers that are away: at once, then after silences
// that double, so that a log of an hour's outage is still read. It is for one goroutine.
type complaint struct {
	log     *slog.Logger
	silence time.Duration
	until   time.Time
	kept    int // warnings that were not given since the last
}

// warn warns, or keeps silent.
func (c *complaint) warn(now time.Time, message string, err error) {
	if now.Before(c.until) {
		c.kept++
		return
	}
	c.silence = min(max(2*c.silence, firstSilence), mostSilence)
	c.until = now.Add(c.silence)
	c.log.Warn(message, slog.Any("error", err), slog.Int("silent_since", c.kept), slog.Duration("silent_for", c.silence))
	c.kept = 0
}

// over says that the trouble is: the next one is warned of at once.
func (c *complaint) over() { *c = complaint{log: c.log} }
