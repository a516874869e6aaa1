package towers

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// The bytes as they lie in Redis, written by hand: what is there must stay readable.
func TestStateIsPackedAsItLiesInRedis(t *testing.T) {
	for packed, want := range map[string]State{
		"\x00\x00\x00\x00\x00\x00\x00\x80":                                 {hidden: []float32{}},
		"\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x80\x3f\x00\x00\x00\xc0": {[]float32{1, -2}, Clock{-1, true}},
		"\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00":                 {[]float32{0}, Clock{0, true}},
	} {
		s, ok := ParseState(packed)
		require.True(t, ok)
		require.Equal(t, want, s)
		require.Equal(t, packed, string(s.Append(nil)))
	}
	for _, none := range []string{"", "1234567", "123456789", "12345678123"} {
		_, ok := ParseState(none)
		require.False(t, ok, "%q", none)
	}
	require.Equal(t, "\x00\x00\x00\x00\x00\x00\x00\x80", string(new(State).Append(nil)))
}

func FuzzParseState(f *testing.F) {
	f.Add("\xff\xff\xff\xff\xff\xff\xff\xff\x00\x00\x80\x3f")
	f.Add("\x00\x00\x00\x00\x00\x00\x00\x80")
	f.Fuzz(func(t *testing.T, packed string) {
		if s, ok := ParseState(packed); ok {
			require.Equal(t, packed, string(s.Append(nil)))
		}
	})
}

func TestClonesAndResets(t *testing.T) {
	tower := randomTower(t, 8, 2)
	acts := actsOf(randomEvents(1, 9, 8))
	s, embedding := encode(tower, acts)
	before := string(s.Append(nil))
	other := s.Clone()
	tower.Follow(&other, embedding, acts)
	require.Equal(t, before, string(s.Append(nil)), "a clone goes its own way")
	other.Reset()
	again := make([]float32, 8)
	tower.Follow(&other, again, acts)
	require.Equal(t, before, string(other.Append(nil)))
	require.True(t, tower.Fits(&other))
	require.False(t, randomTower(t, 8, 3).Fits(&other))
	require.Zero(t, tower.Reach())
}

func TestClockLeavesOutWhatHasNoTime(t *testing.T) {
	var c Clock
	var gaps []Gap
	for _, at := range []int64{Never, 5000, Never, 6000, 1000, 5000} {
		gaps = append(gaps, c.Tick(at))
	}
	require.Equal(t, []Gap{0, 0, 0, 2, 1, 4}, gaps)
}

// TestAfterIsTheEarliest time of a gap.
func TestAfterIsTheEarliest(t *testing.T) {
	for _, before := range []int64{-7, 0, 1_700_000_000_000} {
		for gap := Gap(1); gap < Gaps; gap++ {
			at := gap.After(before)
			require.Equal(t, gap, gapBetween(before, at))
			require.Equal(t, max(gap-1, 1), gapBetween(before, at-1))
		}
	}
	require.Equal(t, int64(Never), Gap(0).After(5))
	require.Less(t, Gap(Gaps-1).After(0), int64(math.MaxInt64))
}
