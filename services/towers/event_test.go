package towers

import (
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

func TestGapBetween(t *testing.T) {
	const second, day = 1000, 24 * 3600 * 1000
	for name, c := range map[string]struct {
		before, at int64
		want       Gap
	}{
		"the first event":        {Never, 5, 0},
		"the same moment":        {5, 5, 1},
		"an older one":           {5, 4, 1},
		"much older":             {math.MaxInt64, math.MinInt64 + 1, 1},
		"less than a second":     {5, 5 + second - 1, 1},
		"a second":               {5, 5 + second, 2},
		"two":                    {0, 2 * second, 3},
		"less than four":         {0, 4*second - 1, 3},
		"an hour":                {0, 3600 * second, 13},
		"a day":                  {0, day, 18},
		"a month":                {-15 * day, 15 * day, 23},
		"less than half a year":  {0, 1<<24*second - 1, Gaps - 2},
		"half a year":            {0, 1 << 24 * second, Gaps - 1},
		"ten years":              {0, 3650 * day, Gaps - 1},
		"longer than int64 says": {math.MinInt64 + 1, math.MaxInt64, Gaps - 1},
	} {
		require.Equal(t, c.want, gapBetween(c.before, c.at), name)
	}
}

// FuzzGapBetween: a gap has a row, and never falls while time goes by.
func FuzzGapBetween(f *testing.F) {
	f.Add(int64(0), int64(1000), int64(2000))
	f.Add(int64(math.MinInt64), int64(-1), int64(math.MaxInt64))
	f.Fuzz(func(t *testing.T, before, at, later int64) {
		at, later = min(at, later), max(at, later)
		first, second := gapBetween(before, at), gapBetween(before, later)
		if second >= Gaps || first > second || (first == 0) != (before == Never) {
			t.Fatalf("gaps %d and %d", first, second)
		}
	})
}

func TestReads(t *testing.T) {
	alone, gaps := Inputs{}, Inputs{Gaps: true}
	choices := Inputs{Kinds: []schemas.InteractionType{schemas.View, schemas.Purchase}}
	hides := Inputs{Kinds: []schemas.InteractionType{schemas.View, schemas.Hide}}
	for kind := schemas.UnknownInteraction; kind <= schemas.Hide+1; kind++ {
		chosen := CountsForTaste(kind)
		require.Equal(t, chosen, alone.Reads(kind), kind)
		require.Equal(t, chosen, gaps.Reads(kind), kind)
		require.Equal(t, chosen, choices.Reads(kind), kind)
		require.Equal(t, chosen || kind == schemas.Hide, hides.Reads(kind), kind)
		require.Equal(t, kind == schemas.Dislike || kind == schemas.Hide, TurnsDown(kind), kind)
	}
	for kind, row := range map[schemas.InteractionType]uint8{schemas.Impression: 0, schemas.View: 1, schemas.Click: 0, schemas.Hide: 2} {
		require.Equal(t, row, hides.Row(kind), kind)
	}
	require.Equal(t, []string{"items alone", "items and gaps", "items and kinds", "items, kinds and gaps"},
		[]string{alone.String(), gaps.String(), choices.String(), everything.String()})
}

func writeReading(t *testing.T, reads Inputs) (dir string, b *Bundle) {
	t.Helper()
	b = testBundle(1)
	w := NewEventWeights(8, 2, reads)
	copy(w.Flat, randomItems(5, 1, len(w.Flat))[0])
	b.Users = []*UserWeights{w}
	dir = filepath.Join(t.TempDir(), "bundle")
	_, err := WriteBundle(dir, b)
	require.NoError(t, err)
	return dir, b
}

func TestBundleKeepsWhatTheTowerReads(t *testing.T) {
	for _, reads := range []Inputs{{}, {Gaps: true}, {Kinds: everything.Kinds}, everything} {
		dir, b := writeReading(t, reads)
		tower, err := LoadUserTower(dir)
		require.NoError(t, err)
		require.Equal(t, b.Users, tower.Heads())
		require.Equal(t, reads, tower.Inputs())
		text, err := os.ReadFile(filepath.Join(dir, manifestFile))
		require.NoError(t, err)
		// A tower that reads items alone has the manifest of earlier releases.
		require.Equal(t, reads.Gaps, strings.Contains(string(text), "event_gaps"))
		require.Equal(t, reads.Kinds != nil, strings.Contains(string(text), "event_kinds"))
	}
}

func TestHeadsOfOtherInputsAreRefused(t *testing.T) {
	b := testBundle(1)
	b.Items = NewItemWeights(16, b.Items.IDs, b.Items.Tokens)
	b.Users = append(b.Users, NewEventWeights(8, 2, Inputs{Gaps: true}))
	_, err := WriteBundle(filepath.Join(t.TempDir(), "bundle"), b)
	require.ErrorContains(t, err, "a head reads items alone [], another items and gaps []: train heads of the same inputs")
}

func TestManifestOfOtherInputsIsRefused(t *testing.T) {
	for name, c := range map[string]struct {
		field  string
		value  any
		says   string
		refuse func(error) bool
	}{
		"another number of gaps": {"event_gaps", 12, "event_gaps is 12, this build tells 27 apart", IsUnsupported},
		"no gaps":                {"event_gaps", 0, "tensors", IsMismatched},
		"kinds out of order":     {"event_kinds", []string{"hide", "view"}, "ascending", IsCorrupted},
		"a kind twice":           {"event_kinds", []string{"view", "view"}, "ascending", IsCorrupted},
		"a kind of no name":      {"event_kinds", []string{"unknown", "view"}, "known ones", IsCorrupted},
		"a newer kind":           {"event_kinds", []string{"view", "wink"}, "wink", IsCorrupted},
		"another kind less":      {"event_kinds", []string{"view"}, "layer0.kinds", IsMismatched},
	} {
		t.Run(name, func(t *testing.T) {
			dir, _ := writeReading(t, everything)
			path := filepath.Join(dir, manifestFile)
			text, err := os.ReadFile(path)
			require.NoError(t, err)
			var m map[string]any
			require.NoError(t, json.Unmarshal(text, &m))
			m["features"].(map[string]any)[c.field] = c.value
			text, err = json.Marshal(m)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, text, 0o600))
			_, err = LoadUserTower(dir)
			require.ErrorContains(t, err, c.says)
			require.True(t, c.refuse(err), err)
		})
	}
}
