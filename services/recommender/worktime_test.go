package recommender

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestReserveFollowsTheWork(t *testing.T) {
	const least = 60 * time.Millisecond
	var w workTime
	require.Equal(t, least, w.reserve(least, time.Second), "nothing was measured")
	w.took(2 * time.Millisecond)
	require.Equal(t, least, w.reserve(least, time.Second), "a quiet machine")
	w.took(100 * time.Millisecond)
	require.Equal(t, 300*time.Millisecond, w.reserve(least, time.Second), "a busy one")
	require.Equal(t, 100*time.Millisecond, w.reserve(least, 200*time.Millisecond), "half of the time is for waiting")
	require.Equal(t, least, w.reserve(least, 20*time.Millisecond))
	for range 100 {
		w.took(time.Millisecond)
	}
	require.Equal(t, least, w.reserve(least, time.Second), "a busy minute is forgotten")
}
