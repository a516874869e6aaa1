package ranking

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

// TestWhatIsYetToComeIsNotNew, whether an embargo or a sentinel for "no date"; it is from its time on.
func TestWhatIsYetToComeIsNotNew(t *testing.T) {
	l := NewLinear(Config{Recency: 1, RecencyHalfLife: 24 * time.Hour, NewWithin: 24 * time.Hour})
	published := time.UnixMilli(1_790_000_000_000)
	for name, test := range map[string]struct {
		now   time.Time
		score float32
		why   []string
	}{
		"before": {published.Add(-time.Millisecond), 0, []string{}},
		"years":  {published.AddDate(-5, 0, 0), 0, []string{}},
		"then":   {published, 1, []string{ReasonNew}},
		"later":  {published.Add(24 * time.Hour), 0.5, []string{ReasonNew}},
	} {
		list := []Candidate{{Item: &schemas.ItemChange{ItemID: "a", PublishedAt: published}}}
		l.Rank(&Query{Now: test.now, Explain: true}, list)
		require.InDelta(t, test.score, list[0].Score, 1e-6, name)
		require.ElementsMatch(t, test.why, list[0].Reasons, name)
	}
}
