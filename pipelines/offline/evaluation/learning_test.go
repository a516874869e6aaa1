package evaluation

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
)

// learning is a small world parted as evaluate parts hold-outs.
func learning(t *testing.T) (*Learning, []dataset.Case) {
	t.Helper()
	c := dataset.DefaultSyntheticConfig()
	c.Users, c.Items, c.Events = 300, 150, 9_000
	d, err := dataset.Synthetic(c)
	require.NoError(t, err)
	rest, cases := dataset.LeaveLastOut(d)
	before, validation := dataset.LeaveLastOut(rest)
	return &Learning{Items: len(d.Items), Known: SessionsOf(rest), Train: SessionsOf(before), Validation: validation, Seed: 1}, cases
}

// ndcg10 asks one scorer alone.
func ndcg10(t *testing.T, cases []dataset.Case, items int, s Scorer) float64 {
	t.Helper()
	return evaluate(t, cases, items, s, Config{K: 10}).NDCG.Mean
}

// Each setting is learnt from Train and asked on Validation alone; the best one learns from Known.
func TestSettingsAreChosenOnValidation(t *testing.T) {
	l, cases := learning(t)
	var told int
	l.Progress = func(string, string) { told++ }
	type learnt struct {
		Scorer
		Chosen
	}
	fits := map[string]func(setting int, from Sessions) Scorer{
		"item-kNN": func(at int, from Sessions) Scorer {
			s := ItemSetting{itemNeighbours[at%len(itemNeighbours)], itemShrinkages[at/len(itemNeighbours)]}
			return NewItemKNN(from.Rows, l.Items, s)
		},
		"V-SKNN": func(at int, from Sessions) Scorer { return NewSessionKNN(from, l.Items, sessionSettings[at]) },
		"EASE": func(at int, from Sessions) Scorer {
			e, err := NewEASE(t.Context(), from.Rows, l.Items, float64(easeLambdas[at]))
			require.NoError(t, err)
			return e
		},
	}
	var all []learnt
	knn, chosen, err := l.ItemKNN(t.Context())
	require.NoError(t, err)
	all = append(all, learnt{knn, chosen})
	sessions, chosen, err := l.SessionKNN(t.Context())
	require.NoError(t, err)
	all = append(all, learnt{sessions, chosen})
	ease, chosen, err := l.EASE(t.Context())
	require.NoError(t, err)
	all = append(all, learnt{ease, chosen})
	require.Equal(t, Settings(), told)
	for _, got := range all {
		t.Run(got.Name(), func(t *testing.T) {
			require.Equal(t, got.Name(), got.Chosen.Scorer)
			require.Equal(t, len(l.Validation), got.Cases)
			best := 0
			for at, tried := range got.Tried {
				require.InDelta(t, ndcg10(t, l.Validation, l.Items, fits[got.Name()](at, l.Train)), tried.NDCG, 1e-9, tried.Setting)
				if tried.NDCG > got.Tried[best].NDCG {
					best = at
				}
			}
			require.Equal(t, got.Tried[best].Setting, got.Setting)
			require.InDelta(t, ndcg10(t, cases, l.Items, fits[got.Name()](best, l.Known)), ndcg10(t, cases, l.Items, got.Scorer), 1e-9)
			require.Contains(t, got.String(), got.Setting+" (best of ")
		})
	}
}

func TestWithoutValidationCases(t *testing.T) {
	l, _ := learning(t)
	l.Validation = nil
	_, items, err := l.ItemKNN(t.Context())
	require.NoError(t, err)
	_, sessions, err := l.SessionKNN(t.Context())
	require.NoError(t, err)
	_, ease, err := l.EASE(t.Context())
	require.NoError(t, err)
	for _, c := range []struct {
		Chosen
		setting string
	}{
		{items, "k 20, shrinkage 0"}, {ease, "lambda 500"},
		{sessions, "100 neighbours of the newest 5000 sessions, by the last 10 items, without IDF"},
	} {
		require.Equal(t, c.setting, c.Setting)
		require.Empty(t, c.Tried)
		require.Contains(t, c.String(), "not chosen, for there are no validation cases")
	}
}

func TestManyValidationCasesAreDrawn(t *testing.T) {
	l := &Learning{Seed: 3}
	for u := range MostValidation + 500 {
		l.Validation = append(l.Validation, dataset.Case{User: int32(u), Targets: []int32{0}})
	}
	drawn := l.drawn()
	require.Len(t, drawn, MostValidation)
	for i := 1; i < len(drawn); i++ {
		require.Greater(t, drawn[i].User, drawn[i-1].User)
	}
	require.Equal(t, drawn, l.drawn(), "the same seed")
	l.Seed = 4
	require.NotEqual(t, drawn, l.drawn())
	c := Chosen{Cases: MostValidation, Of: len(l.Validation), Tried: []Tried{{NDCG: .1}, {NDCG: .25}}}
	require.Contains(t, c.String(), "best of 2 settings on 2000 of 2500 validation cases, drawn by lot, NDCG@10 0.2500")
}

func TestChoosingCanBeStopped(t *testing.T) {
	l, _ := learning(t)
	ctx, cancel := context.WithCancel(t.Context())
	l.Progress = func(string, string) { cancel() }
	_, _, err := l.ItemKNN(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = l.SessionKNN(ctx)
	require.ErrorIs(t, err, context.Canceled)
	_, _, err = l.EASE(ctx)
	require.ErrorIs(t, err, context.Canceled)
	l.Limits.Items = 1
	_, _, err = l.EASE(t.Context())
	require.ErrorContains(t, err, "more than the 1 that --ease-items allows")
}
