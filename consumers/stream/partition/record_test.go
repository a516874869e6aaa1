package partition

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestArrival(t *testing.T) {
	now := time.Now()
	seen := now.Add(-300 * time.Millisecond)
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	for name, c := range map[string]struct {
		stamp   time.Time
		broker  bool
		seenEnd time.Time
		want    time.Time
	}{
		"a good clock":                       {ago(100 * time.Millisecond), false, seen, ago(100 * time.Millisecond)},
		"a clock 10 minutes behind":          {ago(10 * time.Minute), false, seen, seen},
		"a clock an hour ahead":              {now.Add(time.Hour), false, seen, now},
		"1970":                               {time.UnixMilli(1), false, seen, seen},
		"no timestamp":                       {time.Time{}, false, seen, now},
		"the broker's":                       {ago(10 * time.Minute), true, seen, ago(10 * time.Minute)},
		"in a backlog, by its own timestamp": {ago(10 * time.Minute), false, time.Time{}, ago(10 * time.Minute)},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, c.want, arrival(&Record{Time: c.stamp, BrokerTime: c.broker}, c.seenEnd, now))
		})
	}
}
