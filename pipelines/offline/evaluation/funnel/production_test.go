package funnel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	shopItems = 60
	shopCases = 80
	missed    = 20 // cases whose target is not among the towers' first k
)

// shop is a small catalogue with cases whose targets are planted by the towers' own ranking.
type shop struct {
	t        *testing.T
	redis    *servertest.Redis
	settings settings.Settings
	data     Data
	config   Config
}

const seenAlone = "rules:\n  - name: exclude_seen\n    kind: exclude_seen\n"

func newShop(t *testing.T, rules string) *shop {
	t.Helper()
	s := &shop{t: t, redis: servertest.StartRedis(t), settings: settings.Default(), config: DefaultConfig()}
	milvus := servertest.StartMilvus(t)
	s.settings.Redis.Addresses, s.settings.Milvus.Address = s.redis.Addresses, milvus.Addr()
	s.settings.Milvus.DialTimeout = servertest.MilvusDialTimeout
	s.settings.Items.VectorTolerance = 0
	s.settings.Ranking.Recency, s.settings.Ranking.Popularity, s.settings.Ranking.PriceAffinity = 0, 0, 0
	s.settings.RulesFile = filepath.Join(t.TempDir(), "rules.yaml")
	require.NoError(t, os.WriteFile(s.settings.RulesFile, []byte(rules), 0o600))
	s.config.K, s.config.Resamples = 5, 200

	price := 5.0
	var features []towers.ItemFeatures
	for i := range shopItems {
		s.data.Items = append(s.data.Items, schemas.ItemChange{
			ItemID: fmt.Sprint("item", i), Op: schemas.UpsertItem, Version: 1, OccurredAt: time.Now().Add(-time.Hour),
			Title: fmt.Sprint("title ", i), Categories: []string{fmt.Sprint("kind", i%6)}, Price: &price, Available: true,
			PublishedAt: time.Now().Add(-time.Duration(i+1) * time.Hour),
		})
		features = append(features, towers.FeaturesOf(&s.data.Items[i]))
	}
	shape := towertest.Shape{Version: "m1", Dim: 8, Seed: 3}
	s.settings.Bundle = towertest.Write(t, shape, features)
	s.plant(towertest.Towers(shape, features))
	return s
}

// plant gives the first cases a target behind the first k, the others one among them.
func (s *shop) plant(item *towers.ItemTower, user *towers.UserTower) {
	rng := rand.New(rand.NewPCG(5, 5))
	e := newExact(item, user, s.data.Items, s.config)
	for i := range shopCases {
		c := dataset.Case{User: int32(i)}
		drawn := rng.Perm(shopItems)
		for _, n := range drawn[:3+rng.IntN(12)] {
			c.History = append(c.History, int32(n))
		}
		for _, n := range drawn[len(c.History):] {
			c.Targets = []int32{int32(n)}
			if among := e.rank(e.embedding(&c), &c) < s.config.K; among == (i >= missed) {
				break
			}
		}
		s.data.Cases = append(s.data.Cases, c)
	}
}

func (s *shop) evaluate(spoil func(w *world)) *Report {
	s.t.Helper()
	ctx := s.t.Context()
	w, err := open(ctx, s.settings, slog.New(slog.DiscardHandler))
	require.NoError(s.t, err)
	defer func() { require.NoError(s.t, w.close(ctx)) }()
	cases := sample(s.data.Cases, s.config)
	require.NoError(s.t, w.fill(ctx, s.data, cases))
	if spoil != nil {
		spoil(w)
	}
	r, err := w.measure(ctx, s.data, cases, s.config)
	require.NoError(s.t, err)
	requireSum(s.t, r)
	return r
}

// requireSum holds that the outcomes add up to the cases, and the steps to production's hits.
func requireSum(t *testing.T, r *Report) {
	t.Helper()
	cases, shares := 0, 0.0
	for _, o := range r.Outcomes {
		cases, shares = cases+o.Cases, shares+o.Share
	}
	require.Equal(t, r.Cases, cases)
	require.InDelta(t, 1, shares, 1e-9)
	hits, rules := r.Recalls.Model.Hits, 0
	for i, s := range r.Steps {
		hits += s.Gained - s.Lost
		require.Equal(t, hits, s.Hits, s.Name)
		if i == 0 {
			require.Equal(t, r.Recalls.Embedding.Hits, hits)
		}
	}
	require.Equal(t, r.Recalls.Production.Hits, hits)
	require.Equal(t, r.Outcomes[0].Cases, hits)
	for _, n := range r.Rules {
		rules += n.Cases
	}
	require.Equal(t, r.of(FilterLoss), rules)
	require.LessOrEqual(t, r.Recalls.Production.Low, r.Recalls.Production.Value)
	require.GreaterOrEqual(t, r.Recalls.Production.High, r.Recalls.Production.Value)
}

func (r *Report) of(name string) int {
	for _, o := range r.Outcomes {
		if o.Name == name {
			return o.Cases
		}
	}
	return -1
}

func TestACleanWorldLosesNothing(t *testing.T) {
	s := newShop(t, seenAlone)
	r := s.evaluate(nil)
	require.Equal(t, shopCases-missed, r.Recalls.Model.Hits)
	require.Equal(t, shopCases-missed, r.Recalls.Production.Hits)
	require.Equal(t, missed, r.of(ModelLoss))
	for _, step := range r.Steps {
		require.Zero(t, step.Lost+step.Gained, step.Name)
	}
	var table bytes.Buffer
	require.NoError(t, r.WriteTable(&table))
	require.Contains(t, table.String(), "recall@5")
	text, err := json.Marshal(r)
	require.NoError(t, err)
	var back Report
	require.NoError(t, json.Unmarshal(text, &back))
	require.Equal(t, *r, back)
}

// targetsOf counts the cases whose target is among the first k and is of a kind.
func (s *shop) targetsOf(kind string) (n int) {
	for _, c := range s.data.Cases[missed:] {
		if s.data.Items[c.Targets[0]].Categories[0] == kind {
			n++
		}
	}
	return n
}

func TestARuleThatRemovesACategoryIsFilterLoss(t *testing.T) {
	for name, c := range map[string]struct{ rules, rule string }{
		"the index applies it": {
			seenAlone + "  - name: no_kind3\n    kind: filter\n    keep: not (\"kind3\" in item.categories)\n", "index:no_kind3",
		},
		"the list alone can apply it": {
			seenAlone + "  - name: no_kind3\n    kind: filter\n    keep: not any(item.categories, {# startsWith \"kind3\"})\n", "no_kind3",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t, c.rules)
			want := s.targetsOf("kind3")
			require.Greater(t, want, 2)
			r := s.evaluate(nil)
			require.Equal(t, want, r.of(FilterLoss))
			require.Equal(t, []Count{{Name: c.rule, Cases: want, Share: float64(want) / shopCases}}, r.Rules)
			require.Zero(t, r.of(ANNLoss)+r.of(RankingLoss)+r.of(HistoryLoss))
		})
	}
}

func TestATargetThatIsNotAvailableIsFilterLoss(t *testing.T) {
	s := newShop(t, seenAlone)
	gone := s.data.Cases[missed].Targets[0]
	s.data.Items[gone].Available = false
	want := 0
	for _, c := range s.data.Cases[missed:] {
		if c.Targets[0] == gone {
			want++
		}
	}
	r := s.evaluate(nil)
	require.Equal(t, want, r.of(FilterLoss))
	require.Len(t, r.Rules, 1)
}

func TestRowsThatTheIndexLacksAreANNLoss(t *testing.T) {
	s := newShop(t, seenAlone)
	r := s.evaluate(func(w *world) {
		var ids []string
		for _, it := range s.data.Items {
			if it.Categories[0] == "kind2" {
				ids = append(ids, it.ItemID)
			}
		}
		require.NoError(t, w.index.Delete(t.Context(), "m1", ids))
	})
	require.Greater(t, s.targetsOf("kind2"), 2)
	require.Equal(t, s.targetsOf("kind2"), r.of(ANNLoss))
	require.Zero(t, r.of(FilterLoss)+r.of(RankingLoss)+r.of(HistoryLoss))
}

// A second stage that goes by the price alone has losses and gains, and both add up.
func TestAnotherRankingLosesAndGains(t *testing.T) {
	s := newShop(t, seenAlone)
	s.settings.Ranking.Retrieval, s.settings.Ranking.Recency = 0, 1
	r := s.evaluate(nil)
	require.Positive(t, r.of(RankingLoss))
	require.Positive(t, r.Steps[len(r.Steps)-1].Gained)
	require.Zero(t, r.of(ANNLoss)+r.of(FilterLoss)+r.of(HistoryLoss))
}

// The towers that are asked with a short window know less than production, which moves on with each event.
func TestAnotherHistoryIsCountedApart(t *testing.T) {
	s := newShop(t, seenAlone)
	s.config.Window = 2
	r := s.evaluate(nil)
	require.Positive(t, r.Steps[0].Gained)
	require.Zero(t, r.of(ANNLoss)+r.of(FilterLoss)+r.of(RankingLoss))
}

func TestEvaluateDrawsAndCleansUp(t *testing.T) {
	s := newShop(t, seenAlone)
	s.config.Users = 30
	first, err := Evaluate(t.Context(), s.settings, s.data, s.config, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Equal(t, 30, first.Cases)
	again, err := Evaluate(t.Context(), s.settings, s.data, s.config, slog.New(slog.DiscardHandler))
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.NoError(t, redisdb.EachKey(t.Context(), s.redis.Client, Prefix+"*", func(keys []string) error {
		require.Empty(t, keys, "it leaves nothing")
		return nil
	}))
	for want, spoil := range map[string]func(*Config){
		"k is 0": func(c *Config) { c.K = 0 }, "users is -1": func(c *Config) { c.Users = -1 },
		"window is 0": func(c *Config) { c.Window = 0 }, "resamples is 0": func(c *Config) { c.Resamples = 0 },
	} {
		c := s.config
		spoil(&c)
		_, err := Evaluate(t.Context(), s.settings, s.data, c, slog.New(slog.DiscardHandler))
		require.ErrorContains(t, err, want)
	}
	_, err = Evaluate(t.Context(), s.settings, Data{Items: s.data.Items}, s.config, slog.New(slog.DiscardHandler))
	require.ErrorContains(t, err, "there are no cases")
}
