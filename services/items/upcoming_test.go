package items

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWhatIsYetToComeHeadsNoShelf: neither an embargo nor a sentinel for "no date", however many; and what comes is new by itself.
func TestWhatIsYetToComeHeadsNoShelf(t *testing.T) {
	s := newStore(t, func(c *Config) { c.RecentKept = 4 })
	at := func(id string, published time.Time) Change {
		c := upsert(id, 1, 1)
		c.Record.PublishedAt = published.UTC()
		return c
	}
	soon := time.Now().Add(700 * time.Millisecond)
	changes := []Change{at("yesterday", time.Now().Add(-24*time.Hour)), at("soon", soon), at("embargo", time.Now().AddDate(1, 0, 0))}
	for i := range 9 {
		changes = append(changes, at(fmt.Sprint("sentinel", i), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)))
	}
	changes = append(changes, at("today", time.Now().Add(-time.Hour)))
	write(t, s, changes...)
	ids, err := s.Recent(t.Context(), 4)
	require.NoError(t, err)
	require.Equal(t, []string{"today", "yesterday", "soon", "embargo"}, ids)
	require.EqualValues(t, 2+4, s.rdb.ZCard(t.Context(), s.recentKey()).Val())
	require.Eventually(t, func() bool {
		ids, err = s.Recent(t.Context(), 1)
		return err == nil && ids[0] == "soon"
	}, 10*time.Second, 10*time.Millisecond)
	require.False(t, time.Now().Before(soon))
}
