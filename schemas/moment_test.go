package schemas

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTimesInAnotherUnit: of the times that a producer may send instead of milliseconds none is taken, of whatever field, and the
// reason names the number, the unit and the remedy.
func TestTimesInAnotherUnit(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	limits := DefaultLimits()
	fields := map[string]func(at time.Time) error{
		"interaction occurred_at": func(at time.Time) error {
			return limits.Interaction(&Interaction{EventID: "e", UserID: "u", ItemID: "i", Type: View, OccurredAt: at}, now)
		},
		"item occurred_at": func(at time.Time) error {
			return limits.ItemChange(&ItemChange{ItemID: "i", Op: UpsertItem, Version: 1, OccurredAt: at}, now)
		},
		"published_at": func(at time.Time) error {
			return limits.ItemChange(&ItemChange{ItemID: "i", Op: UpsertItem, Version: 1, OccurredAt: now, PublishedAt: at}, now)
		},
		"recent": func(at time.Time) error {
			return limits.Request(&RecommendationRequest{RequestID: "r", UserID: "u", Count: 1,
				Recent: []RecentEvent{{ItemID: "i", Type: View, OccurredAt: at}}}, now)
		},
		"deadline": func(at time.Time) error {
			return limits.Request(&RecommendationRequest{RequestID: "r", UserID: "u", Count: 1, Deadline: at}, now)
		},
	}
	for name, c := range map[string]struct {
		at     time.Time
		value  string
		remedy string // empty: the time is well
		except map[string]string
	}{
		"milliseconds": {at: now},
		"days": {at: time.UnixMilli(now.Unix() / 86400), value: "20787 (1970-01-01T00:00:20.787Z)",
			remedy: "this looks like days: multiply by 86,400,000"},
		"seconds": {at: time.UnixMilli(now.Unix()), value: "1796040000 (1970-01-21T18:54:00.000Z)",
			remedy: "this looks like seconds: multiply by 1,000"},
		"microseconds": {at: time.UnixMilli(now.UnixMicro()), value: "1796040000000000 (",
			remedy: "this looks like microseconds: divide by 1,000"},
		"nanoseconds": {at: time.UnixMilli(now.UnixNano()), value: "1796040000000000000 (",
			remedy: "this looks like nanoseconds: divide by 1,000,000"},
		"zero": {at: time.UnixMilli(0), value: "0 (1970-01-01T00:00:00.000Z)", remedy: "milliseconds since 1970",
			except: map[string]string{"published_at": ""}}, // a catalogue that knows the year of a film
		"minus one": {at: time.UnixMilli(-1), value: "-1 (1969-12-31T23:59:59.999Z)", remedy: "milliseconds since 1970"},
		"an hour of 1970": {at: time.UnixMilli(3_600_000), value: "3600000 (1970-01-01T01:00:00.000Z)",
			remedy: "milliseconds since 1970"},
		"seconds of 1960": {at: time.UnixMilli(-315_619_200), value: "-315619200 (", remedy: "milliseconds since 1970"},
		"summer of 1970": {at: time.Date(1970, 7, 1, 0, 0, 0, 0, time.UTC), value: "15638400000 (1970-07-01",
			remedy: "this looks like seconds", except: map[string]string{"published_at": ""}}, // of the year 2465
		"1950": {at: time.Date(1950, 1, 1, 0, 0, 0, 0, time.UTC), value: "-631152000000 (", remedy: "milliseconds since 1970",
			except: map[string]string{"published_at": ""}},
		"the last":                        {at: time.UnixMilli(math.MaxInt64), value: "292278994", remedy: "this looks like nanoseconds"},
		"the first":                       {at: time.UnixMilli(math.MinInt64), value: "-292275055", remedy: "milliseconds since 1970"},
		"beyond a number of milliseconds": {at: time.Unix(now.UnixNano(), 0), value: "Z", remedy: "this looks like nanoseconds"},
		"a soft future":                   {at: now.Add(time.Minute)},
	} {
		for field, check := range fields {
			t.Run(name+" "+field, func(t *testing.T) {
				remedy := c.remedy
				if other, is := c.except[field]; is {
					remedy = other
				}
				err := check(c.at)
				if remedy == "" {
					require.NoError(t, err)
					return
				}
				refused, ok := errors.AsType[*InvalidError](err)
				require.True(t, ok, "%v", err)
				require.Contains(t, refused.Field, map[bool]string{true: field, false: "occurred_at"}[field == "published_at" || field == "deadline"])
				require.Contains(t, refused.Value, c.value)
				require.Contains(t, refused.Remedy, remedy)
			})
		}
	}
}
