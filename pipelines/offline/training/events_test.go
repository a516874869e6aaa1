package training

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// plant is a world in which half of a user's events are marked. An item of a marked event is of the group after that of the marked
// one before; all others are of any group, and tell nothing.
func plant(users int, mark func(kind *schemas.InteractionType, pause *int64)) Input {
	const groups, inGroup, length = 8, 6, 14
	rng := rand.New(rand.NewPCG(21, 0))
	var in Input
	for i := range groups * inGroup {
		in.Items = append(in.Items, towers.ItemFeatures{ItemID: fmt.Sprint("i", i), Categories: []string{fmt.Sprint("g", i/inGroup)}})
	}
	for range users {
		seq, kinds, times := make([]int32, length), make([]schemas.InteractionType, length), make([]int64, length)
		chain, now := rng.IntN(groups), int64(0)
		for i := range seq {
			group, kind, pause := rng.IntN(groups), schemas.View, 1000+rng.Int64N(50_000)
			if i == length-1 || rng.IntN(2) == 0 {
				chain = (chain + 1) % groups
				group = chain
				mark(&kind, &pause)
			}
			now += pause
			seq[i], kinds[i], times[i] = int32(group*inGroup+rng.IntN(inGroup)), kind, now
		}
		in.Sequences, in.Kinds, in.Times = append(in.Sequences, seq), append(in.Kinds, kinds), append(in.Times, times)
	}
	return in
}

// TestOnlyPurchasesTell: what the user bought tells what comes next, what the user viewed does not.
func TestOnlyPurchasesTell(t *testing.T) {
	in := plant(400, func(kind *schemas.InteractionType, _ *int64) { *kind = schemas.Purchase })
	with, without := bothWays(t, in, func(cfg *Config, use Use) { cfg.EventKinds, cfg.EventGaps = use, Never })
	t.Logf("NDCG@10 %.3f with kinds, %.3f without", with.NDCG, without.NDCG)
	require.Equal(t, "items and kinds", with.Reads.String())
	require.Equal(t, "items alone", without.Reads.String())
	require.Greater(t, with.NDCG, 1.2*without.NDCG)
}

// TestOnlyPausesTell: what the user came back for after a month tells what comes next.
func TestOnlyPausesTell(t *testing.T) {
	in := plant(400, func(_ *schemas.InteractionType, pause *int64) { *pause += 30 * 24 * 3600 * 1000 })
	with, without := bothWays(t, in, func(cfg *Config, use Use) { cfg.EventKinds, cfg.EventGaps = Never, use })
	t.Logf("NDCG@10 %.3f with gaps, %.3f without", with.NDCG, without.NDCG)
	require.Equal(t, "items and gaps", with.Reads.String())
	require.Greater(t, with.NDCG, 1.2*without.NDCG)
}

func bothWays(t *testing.T, in Input, use func(*Config, Use)) (with, without Result) {
	t.Helper()
	cfg := quickConfig()
	cfg.Epochs, cfg.ValidationUsers, cfg.Repeats = 9, 200, true
	for _, way := range []struct {
		use Use
		of  *Result
	}{{Auto, &with}, {Never, &without}} {
		cfg := cfg
		use(&cfg, way.use)
		_, result, err := Train(t.Context(), in, cfg, nil)
		require.NoError(t, err)
		*way.of = result
	}
	return with, without
}

func TestReads(t *testing.T) {
	items := []towers.ItemFeatures{{ItemID: "a"}, {ItemID: "b"}, {ItemID: "c"}}
	type types = []schemas.InteractionType
	view, buy, hide := schemas.View, schemas.Purchase, schemas.Hide
	type kinds = []types
	for name, c := range map[string]struct {
		kinds        kinds
		times        [][]int64
		kindUse, gap Use
		want         towers.Inputs
		says         string
	}{
		"nothing is known":          {want: towers.Inputs{}},
		"one kind":                  {kinds: kinds{{view, view}, {view}}, want: towers.Inputs{}},
		"one kind, always":          {kinds: kinds{{view, view}, {view}}, kindUse: Always, want: towers.Inputs{Kinds: types{view}}},
		"three kinds":               {kinds: kinds{{view, hide}, {buy}}, want: towers.Inputs{Kinds: types{view, buy, hide}}},
		"three kinds, never":        {kinds: kinds{{view, hide}, {buy}}, kindUse: Never, want: towers.Inputs{}},
		"no kinds, always":          {kindUse: Always, says: "event_kinds is always, but the data does not say what users did"},
		"times":                     {times: [][]int64{{5, 6}, {7}}, want: towers.Inputs{Gaps: true}},
		"times of no difference":    {times: [][]int64{{5, 5}, {7}}, want: towers.Inputs{}},
		"times, never":              {times: [][]int64{{5, 6}, {7}}, gap: Never, want: towers.Inputs{}},
		"no times, always":          {gap: Always, says: "event_gaps is always, but the data does not say when"},
		"times that stand, always":  {times: [][]int64{{5, 5}, {7}}, gap: Always, says: "event_gaps is always"},
		"what no tower is to read":  {kinds: kinds{{schemas.Impression, view}, {view}}, says: "kind impression at position 0"},
		"times that fall":           {times: [][]int64{{6, 5}, {7}}, says: "sequence 0 has time 5 after 6 at position 1: sort"},
		"kinds of fewer events":     {kinds: kinds{{view}, {view}}, says: "sequence 0 has 2 items, 1 kinds and 0 times"},
		"kinds of fewer sequences":  {kinds: kinds{{view, view}}, says: "there are 2 sequences, kinds of 1"},
		"times of fewer sequences":  {times: [][]int64{}, says: "there are 2 sequences"},
		"a use that nobody knows":   {gap: "sometimes", says: "event_gaps is sometimes: set it to auto, always or never"},
		"a kind without any symbol": {kinds: kinds{{99, view}, {view}}, says: "sequence 0 has an event of kind"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := DefaultConfig()
			cfg.Dim, cfg.Epochs, cfg.ValidationUsers, cfg.MinItemEvents = 4, 1, 0, 1
			if c.kindUse != "" {
				cfg.EventKinds = c.kindUse
			}
			if c.gap != "" {
				cfg.EventGaps = c.gap
			}
			in := Input{Items: items, Sequences: [][]int32{{0, 1}, {1}}, Kinds: c.kinds, Times: c.times}
			if name == "three kinds" || name == "three kinds, never" {
				in.Sequences[0], in.Kinds[0] = append(in.Sequences[0], 2), append(in.Kinds[0], view)
			}
			_, result, err := Train(t.Context(), in, cfg, nil)
			if c.says != "" {
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, result.Reads)
			require.Contains(t, result.String(), "from "+c.want.String())
		})
	}
}

// TestTurnedDown: a dislike moves a tower with kinds, is never a target, and is not there for a tower without.
func TestTurnedDown(t *testing.T) {
	in := Input{
		Sequences: [][]int32{{0, 1, 2, 3}},
		Kinds:     [][]schemas.InteractionType{{schemas.View, schemas.Dislike, schemas.View, schemas.Hide}},
		Times:     [][]int64{{0, 5000, 5000, 9000}},
	}
	require.Equal(t, [][]event{{
		{item: 0, kind: schemas.View},
		{item: 1, kind: schemas.Dislike, gap: 4, aside: true},
		{item: 2, kind: schemas.View, gap: 1},
		{item: 3, kind: schemas.Hide, gap: 4, aside: true},
	}}, in.events(towers.Inputs{Kinds: []schemas.InteractionType{schemas.View, schemas.Dislike, schemas.Hide}}))
	require.Equal(t, [][]event{{
		{item: 0, kind: schemas.View}, {item: 2, kind: schemas.View, gap: 4},
	}}, in.events(towers.Inputs{}), "the gap is that to the choice before")
	train, cases := in.split(&Config{ValidationUsers: 1}, towers.Inputs{Kinds: []schemas.InteractionType{schemas.View, schemas.Dislike, schemas.Hide}})
	require.Empty(t, cases, "half of one user is nobody")
	require.Equal(t, 1, targetsIn(train[0]))
	require.Equal(t, 2, lastNew(train[0]), "the hide is nothing to ask for")
}
