package schemas

import (
	"fmt"
	"math"
	"strconv"
	"time"
)

// Every time of a record is a number of milliseconds since 1970, and the most common slip of a producer is another unit. What a
// machine saw happen lies between 1973 and 5138, and then the number tells its unit: each has a range of its own, which begins
// where the one before it ends.
//
//	days          3,650 to 100,000
//	seconds       1e8  to 1e11
//	milliseconds  1e11 to 1e14
//	microseconds  1e14 to 1e17
//	nanoseconds   1e17 and more
const (
	leastSeconds = 100_000_000
	leastDays    = 3_650
	mostDays     = 100_000
)

// The bounds of a plausible number of milliseconds, in seconds: a time.Time counts them without overflow, whatever it holds.
const (
	leastMoment = leastSeconds // 3 March 1973
	endOfMillis = leastMoment * 1000
	endOfMicros = endOfMillis * 1000
)

// likelyUnit says what the number of milliseconds that t is was meant to be, and what mends it; nothing where it may well be
// milliseconds, or where no unit makes sense of it.
func likelyUnit(t time.Time) string {
	s := t.Unix()
	switch {
	case s >= endOfMicros:
		return "this looks like nanoseconds: divide by 1,000,000"
	case s >= endOfMillis:
		return "this looks like microseconds: divide by 1,000"
	case s >= leastMoment || s < 0:
		return ""
	case s >= leastSeconds/1000:
		return "this looks like seconds: multiply by 1,000"
	}
	if days := t.UnixMilli(); days >= leastDays && days < mostDays {
		return "this looks like days: multiply by 86,400,000"
	}
	return ""
}

// HappenedRemedy says what to do about the time of something that a machine saw happen, as of now; nothing where it is well.
// Whoever reads such times, from a topic, a request or a table, asks here.
func (l Limits) HappenedRemedy(t, now time.Time) string {
	unit := likelyUnit(t)
	switch {
	case t.IsZero():
		return "give the time when it happened"
	case unit != "":
		return unit
	case t.Unix() < leastMoment:
		return "give the time when it happened, in milliseconds since 1970 (RFC 3339 in JSON): nothing is older than March 1973"
	case t.After(now.Add(l.MaxFutureSkew)):
		return fmt.Sprintf("give a time at most %v ahead of now (%s), in milliseconds since 1970", l.MaxFutureSkew, showMoment(now))
	}
	return ""
}

// ambiguous is the time around 1970 that is not believed to be a publication's: seconds of the years 1834 to 2106 are milliseconds
// of these weeks. Its middle, the very beginning of 1970, is what a catalogue says that knows the year alone.
const ambiguous = (1 << 32) * time.Millisecond

// PublishedRemedy is HappenedRemedy for the time at which an item was, or will be, published. That may be long ago: books are
// listed, and films of the years around 1970.
func PublishedRemedy(t time.Time) string {
	unit := likelyUnit(t)
	switch since := t.Sub(epoch); {
	case since == 0:
		return ""
	case since.Abs() < ambiguous && unit != "":
		return unit
	case since.Abs() < ambiguous:
		return "these weeks around the beginning of 1970 are taken for another unit: give milliseconds since 1970, or leave it out"
	case t.Unix() >= endOfMillis:
		return unit
	case t.Year() < 1:
		return "give a time from the year 1 on, in milliseconds since 1970"
	}
	return ""
}

// DeadlineRemedy is HappenedRemedy for a deadline, which has passed, or is to come.
func DeadlineRemedy(t time.Time) string {
	switch unit := likelyUnit(t); {
	case unit != "":
		return unit
	case t.Unix() < leastMoment:
		return "give the time at which you stop waiting, in milliseconds since 1970, or leave it out"
	}
	return ""
}

// epoch is where the count of milliseconds begins.
var epoch = time.Unix(0, 0)

// moment refuses a time for which there is a remedy. It shows the number too, which is what the producer sent and looks for.
func (c *checker) moment(field string, t time.Time, remedy string) {
	if remedy != "" {
		c.refuse(field, showNumber(t), remedy)
	}
}

// showNumber shows a time that is not believed.
func showNumber(t time.Time) string {
	shown := showMoment(t)
	if s := t.Unix(); t.IsZero() || s <= math.MinInt64/1000-1 || s > math.MaxInt64/1000 { // the number does not fit
		return shown
	}
	return strconv.FormatInt(t.UnixMilli(), 10) + " (" + shown + ")"
}

func showMoment(t time.Time) string {
	if t.IsZero() {
		return "(none)"
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
